//! What stands in a phase.

use std::collections::BTreeSet;

use deploy_core::plan::OnFailure;
use deploy_core::release::ReleaseKind;

use super::super::registry::slug;
use super::super::{
    ApprovalDocument, Declared, GateDocument, KeyDocument, Length, NeedDocument, NoReturnDocument, PhaseDocument,
    RetryDocument, RolloutDocument, StepDocument, StepWork, TaskDocument, UndoDocument, VerifyDocument,
};
use super::blocks::Words;
use super::command::{Broken, Command};
use super::machine::{Machine, Section};

impl Machine<'_> {
    pub(super) fn open_phase(&mut self, level: usize, name: String) {
        self.phase = Some(level);
        self.worded = false;
        self.section = Section::Phase;
        self.document.phases.push(PhaseDocument { name, ..PhaseDocument::default() });
        self.mark(self.here(""));
    }

    /// A pointer into the phase that is open.
    fn here(&self, rest: &str) -> String {
        format!("/phases/{}{rest}", self.document.phases.len().saturating_sub(1))
    }

    /// A heading announced a step that never came.
    pub(super) fn step_must_have_come(&mut self) {
        if let Some(name) = self.coming.take() {
            self.wrong(format!("step {name} has no command before the next heading"));
        }
        self.coming_about.clear();
    }

    /// Whether a label says something of the phase, and takes it.
    pub(super) fn said_of_phase(&mut self, label: &str, words: &Words) -> bool {
        let value = words.after_colon();
        let codes: Vec<String> = value.codes().map(str::to_owned).collect();
        let names = |codes: Vec<String>| -> Vec<String> {
            if codes.is_empty() {
                value
                    .plain()
                    .split([',', ';'])
                    .map(|name| name.trim().to_owned())
                    .filter(|name| !name.is_empty())
                    .collect()
            } else {
                codes
            }
        };
        let one = codes.first().cloned().unwrap_or_else(|| value.plain());
        match label {
            "agent" | "primary-agent" => match self.agent(&one) {
                Some(agent) => self.open_step_for(agent),
                None => self.section = Section::Lost,
            },
            "lead" | "lead-agent" => {
                self.mark(self.here("/lead"));
                let agent = self.agent(&one);
                let phase = self.document.phases.last_mut();
                if let (Some(agent), Some(phase)) = (agent, phase)
                    && phase.lead.replace(agent).is_some()
                {
                    self.wrong("the lead of the phase is said twice");
                }
            }
            "supporting" | "supporting-agent" | "supporting-agents" => {
                self.mark(self.here("/supporting"));
                let agents: Vec<_> = names(codes).iter().filter_map(|name| self.agent(name)).collect();
                if let Some(phase) = self.document.phases.last_mut() {
                    phase.supporting.extend(agents);
                }
            }
            "entry-gate" | "entry-gates" => {
                self.mark(self.here("/entry"));
                if let Some(phase) = self.document.phases.last_mut() {
                    phase.entry.extend(names(codes));
                }
            }
            "exit-gate" | "exit-gates" => {
                self.mark(self.here("/exit"));
                if let Some(phase) = self.document.phases.last_mut() {
                    phase.exit.extend(names(codes));
                }
            }
            "hold-at-most" => match one.parse::<Length>() {
                Ok(length) => {
                    if let Some(phase) = self.document.phases.last_mut() {
                        phase.hold_at_most = Some(length);
                    }
                }
                Err(error) => self.wrong(error.to_string()),
            },
            "only-for" => match kinds(&one) {
                Ok(kinds) => {
                    if let Some(phase) = self.document.phases.last_mut() {
                        phase.only_for = Some(kinds);
                    }
                }
                Err(broken) => self.wrong(broken),
            },
            _ => return false,
        }
        true
    }

    /// A step that is named by the words for its agent. A command for the same agent says more of it.
    pub(super) fn open_step_for(&mut self, agent: String) {
        let task = TaskDocument { agent, ..TaskDocument::default() };
        let name = task.agent.clone();
        self.add(name, StepWork::Task(task), Vec::new(), OnFailure::RollBack, None);
        self.worded = true;
    }

    fn add(
        &mut self,
        otherwise: String,
        work: StepWork,
        after: Vec<String>,
        on_failure: OnFailure,
        only_for: Option<Vec<ReleaseKind>>,
    ) {
        let name = self.coming.take().unwrap_or(otherwise);
        let about = std::mem::take(&mut self.coming_about);
        let step = StepDocument { name, about, work, after, on_failure, only_for };
        let again = self.worded && self.section == Section::Step;
        self.worded = false;
        self.section = Section::Step;
        let Some(phase) = self.document.phases.last_mut() else { return };
        // "Agent: builder", and then "/task builder …": one step.
        if again
            && let Some(last) = phase.steps.last_mut()
            && let (StepWork::Task(there), StepWork::Task(task)) = (&last.work, &step.work)
            && there.agent == task.agent
            && there.verify.is_empty()
        {
            let about = std::mem::take(&mut last.about);
            *last = StepDocument { about: if step.about.is_empty() { about } else { step.about.clone() }, ..step };
        } else {
            phase.steps.push(step);
        }
        let number = phase.steps.len() - 1;
        self.mark(self.here(&format!("/steps/{number}")));
    }

    pub(super) fn command(&mut self, line: &str) {
        if self.section == Section::Examples {
            return;
        }
        if self.phase.is_none() {
            let shown: String = line.trim().chars().take(60).collect();
            return self.wrong(format!(
                "the command {shown:?} belongs to no phase; begin one with a heading `Phase 1: …`, or put it under a heading with \"example\""
            ));
        }
        if let Err(broken) = Command::parse(line).and_then(|command| self.step(command)) {
            self.section = Section::Lost;
            self.coming = None;
            self.wrong(broken);
        }
    }

    fn step(&mut self, mut command: Command) -> Result<(), Broken> {
        let name = command.name.clone();
        // An agent may be called like a command; then `/task` names it.
        let (otherwise, work) = match name.as_str() {
            "gate" => (None, StepWork::Gate(gate(&mut command)?)),
            "approve" | "approval" => (None, StepWork::Approval(approval(&mut command, Asked::Alone)?)),
            "soak" => {
                let length = command.typed("for")?.ok_or("how long? say --for=10m")?;
                (None, StepWork::Soak(length))
            }
            "rollout" => (None, StepWork::Rollout(rollout(&mut command)?)),
            "task" => {
                if command.words.is_empty() {
                    return Err("whose task? say /task agent".to_owned());
                }
                let words = command.words.remove(0);
                let Some(agent) = self.agent(&words) else { return self.lost() };
                (Some(agent.clone()), StepWork::Task(task(agent, &mut command)?))
            }
            words => {
                let Some(agent) = self.agent(words) else { return self.lost() };
                (Some(agent.clone()), StepWork::Task(task(agent, &mut command)?))
            }
        };
        let named = command.one("name")?;
        let after = command.all("after").iter().flat_map(|names| names.split(',')).map(str::to_owned).collect();
        let on_failure =
            command.one("continue-on-failure")?.map_or(OnFailure::RollBack, |reason| OnFailure::Continue { reason });
        let only_for = command.one("only-for")?.map(|text| kinds(&text)).transpose()?;
        // What else was said is for people.
        let said = std::mem::take(&mut command.words).join(" ");
        command.finish()?;
        if self.coming_about.is_empty() {
            self.coming_about = said;
        }
        if named.is_some() && self.coming.is_some() {
            return Err("the step has a name in its heading already; drop --name".to_owned());
        }
        let Some(otherwise) = named.or(otherwise).or_else(|| self.coming.clone()) else {
            return Err("what is the step called? put it under a heading `Step: name`, or say --name".to_owned());
        };
        self.add(otherwise, work, after, on_failure, only_for);
        Ok(())
    }

    /// The agent was not found, which was said.
    fn lost(&mut self) -> Result<(), Broken> {
        self.section = Section::Lost;
        self.coming = None;
        Ok(())
    }

    /// An item with a box after a step.
    pub(super) fn verify(&mut self, words: &Words) {
        let mut wanted = Vec::new();
        for code in words.codes() {
            match Command::arguments(code).and_then(|mut command| {
                let name = command.words.first().cloned().unwrap_or_default();
                if command.words.len() > 1 {
                    return Err(format!("{code:?} is more than the name of a check"));
                }
                let kind = command.one("kind")?;
                let (max_age, self_attested) = (command.typed("max-age")?, command.typed("self-attested")?);
                command.finish()?;
                Ok(VerifyDocument { check: name, kind, max_age, self_attested })
            }) {
                Ok(verify) => {
                    let Some(checks) = self.check(&verify.check) else { return };
                    wanted.extend(checks.into_iter().map(|check| VerifyDocument { check, ..verify.clone() }));
                }
                Err(broken) => return self.wrong(broken),
            }
        }
        if wanted.is_empty() {
            let Some(checks) = self.check(&words.plain()) else { return };
            wanted.extend(checks.into_iter().map(VerifyDocument::new));
        }
        let Some(step) = self.document.phases.last_mut().and_then(|phase| phase.steps.last_mut()) else { return };
        let first = match &mut step.work {
            StepWork::Task(task) => {
                let first = task.verify.len();
                task.verify.extend(wanted);
                first..task.verify.len()
            }
            StepWork::Gate(_) | StepWork::Approval(_) | StepWork::Soak(_) | StepWork::Rollout(_) => {
                let name = step.name.clone();
                return self.wrong(format!("step {name} is no task, and only what a task reports can be verified"));
            }
        };
        let step = self.document.phases.last().map_or(0, |phase| phase.steps.len().saturating_sub(1));
        for index in first {
            self.mark(self.here(&format!("/steps/{step}/task/verify/{index}")));
        }
    }

    /// An item under "Deliverables": a deliverable by its code span, by its words as a name, or by an alias.
    pub(super) fn deliverable(&mut self, words: &Words) {
        let text = words.codes().next().map_or_else(|| words.plain(), str::to_owned);
        let key = if words.codes().next().is_some() {
            match key(&text) {
                Ok(key) => key,
                Err(broken) => return self.wrong(broken),
            }
        } else {
            let name = slug(&text);
            let name = self.registry.aliases.get(&name).cloned().unwrap_or(name);
            KeyDocument { name, version: None }
        };
        let Some(phase) = self.document.phases.last_mut() else { return };
        phase.promises.push(key);
        let index = phase.promises.len() - 1;
        self.mark(self.here(&format!("/promises/{index}")));
    }

    pub(super) fn begin_matrix(&mut self, name: String) {
        let declared = Declared { kind: "go-no-go".to_owned(), with: serde_json::Value::Array(Vec::new()) };
        if self.document.gates.insert(name.clone(), declared).is_some() {
            self.wrong(format!("there are two tables for the gate {name}; name one by a code span in its heading"));
        }
        self.mark(format!("/gates/{name}"));
        if let Some(phase) = self.document.phases.last_mut() {
            phase.exit.push(name.clone());
        }
        self.section = Section::Matrix(name);
    }

    /// A row of a table. Only under "Go/no-go" does it mean anything: a criterion, bound by code spans in any of its cells, or by
    /// the words of its first cell.
    pub(super) fn row(&mut self, head: bool, cells: &[Words]) {
        let Section::Matrix(name) = self.section.clone() else { return };
        if head {
            return;
        }
        let mut checks = Vec::new();
        for code in cells.iter().flat_map(Words::codes) {
            let Some(found) = self.check(code) else { return };
            checks.extend(found);
        }
        if checks.is_empty() {
            let words = cells.first().map(Words::plain).unwrap_or_default();
            let Some(found) = self.check(&words) else { return };
            checks = found;
        }
        let with = self.document.gates.get_mut(&name).and_then(|gate| gate.with.as_array_mut());
        if let Some(with) = with {
            for check in checks {
                let check = serde_json::Value::from(check);
                if !with.contains(&check) {
                    with.push(check);
                }
            }
        }
    }
}

fn task(agent: String, command: &mut Command) -> Result<TaskDocument, Broken> {
    let needs = command.all("needs").iter().map(|text| need(text)).collect::<Result<_, _>>()?;
    let provides = command.all("provides").iter().map(|text| key(text)).collect::<Result<_, _>>()?;
    let timeout = command.typed("timeout")?;
    let retry = retry(command, RETRY)?;
    let undo_agent = command.one("undo")?;
    let undo_retry = self::retry(command, UNDO_RETRY)?;
    let undo_timeout = command.typed("undo-timeout")?;
    let undo = match undo_agent {
        Some(agent) => Some(UndoDocument { agent, retry: undo_retry, timeout: undo_timeout }),
        None if undo_retry.is_some() || undo_timeout.is_some() => {
            return Err("who undoes it? say --undo=agent".to_owned());
        }
        None => None,
    };
    let point_of_no_return = match command.one("no-return")? {
        Some(reason) => Some(NoReturnDocument { reason, ask: approval(command, Asked::Before)? }),
        None => None,
    };
    Ok(TaskDocument { agent, needs, provides, timeout, retry, undo, verify: Vec::new(), point_of_no_return })
}

fn gate(command: &mut Command) -> Result<GateDocument, Broken> {
    if command.words.is_empty() {
        return Err("which gate? say /gate name".to_owned());
    }
    Ok(GateDocument {
        name: command.words.remove(0),
        hold_at_most: command.typed("hold-at-most")?,
        timeout: command.typed("timeout")?,
        retry: retry(command, RETRY)?,
    })
}

fn rollout(command: &mut Command) -> Result<RolloutDocument, Broken> {
    if command.words.is_empty() {
        return Err("by which strategy? say /rollout strategy --target=place".to_owned());
    }
    Ok(RolloutDocument {
        strategy: command.words.remove(0),
        target: command.one("target")?.ok_or("where to? say --target=place")?,
        monitors: command.all("monitor"),
        observe_every: command.typed("observe-every")?,
        errors_at_most: command.typed("errors-at-most")?,
        reassert_at_most: command.typed("reassert-at-most")?,
        timeout: command.typed("timeout")?,
        undo_timeout: command.typed("undo-timeout")?,
    })
}

/// Whether a question is a step, or is asked before a point of no return.
#[derive(Clone, Copy)]
enum Asked {
    Alone,
    Before,
}

fn approval(command: &mut Command, asked: Asked) -> Result<ApprovalDocument, Broken> {
    let [question, role, person, quorum, self_approval, expires] = match asked {
        Asked::Alone => ["question", "role", "person", "quorum", "self-approval", "expires-after"],
        Asked::Before => {
            ["ask-question", "ask-role", "ask-person", "ask-quorum", "ask-self-approval", "ask-expires-after"]
        }
    };
    let mut text = command.one(question)?;
    if text.is_none() && matches!(asked, Asked::Alone) && !command.words.is_empty() {
        text = Some(command.words.remove(0));
    }
    Ok(ApprovalDocument {
        question: text.ok_or_else(|| format!("what are people asked? say --{question}=\"…\""))?,
        roles: command.all(role).into_iter().collect::<BTreeSet<_>>(),
        people: command.all(person).into_iter().collect(),
        quorum: command.typed(quorum)?,
        self_approval: command.typed(self_approval)?.unwrap_or(false),
        expires_after: command.typed(expires)?,
    })
}

const RETRY: [&str; 5] = ["attempts", "backoff", "growth-percent", "backoff-at-most", "jitter-percent"];
const UNDO_RETRY: [&str; 5] =
    ["undo-attempts", "undo-backoff", "undo-growth-percent", "undo-backoff-at-most", "undo-jitter-percent"];

fn retry(command: &mut Command, names: [&'static str; 5]) -> Result<Option<RetryDocument>, Broken> {
    let [attempts, backoff, growth, at_most, jitter] = names;
    let times = command.typed(attempts)?;
    let (backoff, growth_percent) = (command.typed(backoff)?, command.typed(growth)?);
    let (backoff_at_most, jitter_percent) = (command.typed(at_most)?, command.typed(jitter)?);
    match times {
        Some(attempts) => {
            Ok(Some(RetryDocument { attempts, backoff, growth_percent, backoff_at_most, jitter_percent }))
        }
        None if backoff.is_some()
            || growth_percent.is_some()
            || backoff_at_most.is_some()
            || jitter_percent.is_some() =>
        {
            Err(format!("how many attempts? say --{attempts}=3"))
        }
        None => Ok(None),
    }
}

/// `image@1`, or `image` for whatever version there is.
fn key(text: &str) -> Result<KeyDocument, Broken> {
    let Some((name, version)) = text.rsplit_once('@') else {
        return Ok(KeyDocument { name: text.to_owned(), version: None });
    };
    let version =
        version.parse().map_err(|_| format!("{version:?} is no version of {name}; write for example {name}@1"))?;
    Ok(KeyDocument { name: name.to_owned(), version: Some(version) })
}

/// `image@1<build/image`: what, and from whom.
fn need(text: &str) -> Result<NeedDocument, Broken> {
    let (key_text, from) = text.split_once('<').map_or((text, None), |(key, from)| (key, Some(from.to_owned())));
    let KeyDocument { name, version } = key(key_text)?;
    Ok(NeedDocument { name, version, from })
}

fn kinds(text: &str) -> Result<Vec<ReleaseKind>, Broken> {
    let one = |name: &str| {
        let plain = slug(name).replace('-', " ");
        ReleaseKind::ALL.into_iter().find(|kind| kind.to_string() == plain).ok_or_else(|| {
            let all = ReleaseKind::ALL.map(|kind| kind.to_string().replace(' ', "_")).join(", ");
            format!("{name:?} is no kind of release; there are {all}")
        })
    };
    text.split(',').map(|name| one(name.trim())).collect()
}

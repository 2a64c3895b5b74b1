//! A plan as text that people read before they say yes to it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::page::entry;
use super::{InFlightPolicy, OnFailure, Plan, PlannedPhase, PlannedStep, RetryPolicy, RollbackTo, StepId, Work};
use crate::evidence::Verification;
use crate::journal::QueuePolicy;
use crate::name::BlockName;
use crate::operator::ApprovalRequest;
use crate::strategy::Outline;
use crate::time::Spell;

/// Where the column with what kind of step it is begins at the latest; longer names get a line of their own.
const LONGEST_HEAD: usize = 30;

/// How wide the column with the kind of step is.
const KIND: usize = 10;

/// Shows the whole plan: phases, steps and what they wait for, limits, questions to people, the way back.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Page { plan: self, outlines: &BTreeMap::new() }.write(f)
    }
}

/// A plan on its way to text, with what is known of its rollouts.
pub(super) struct Page<'p> {
    pub(super) plan: &'p Plan,
    pub(super) outlines: &'p BTreeMap<StepId, Outline>,
}

impl Page<'_> {
    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head(f)?;
        let heads = self.plan.steps.iter().map(|s| self.local(s).chars().count() + 4).filter(|w| *w <= LONGEST_HEAD);
        let width = heads.max().unwrap_or(LONGEST_HEAD).max(12);
        for (index, phase) in (0_u32..).zip(&self.plan.phases) {
            phase_head(f, phase)?;
            for (id, step) in (0_u32..).map(StepId).zip(&self.plan.steps).filter(|(_, s)| s.phase == index) {
                self.step(f, id, step, width)?;
            }
        }
        self.way_back(f, width)
    }

    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.plan;
        let release = &plan.release;
        writeln!(f, "{}: {release}", plan.pipeline)?;
        let mut fact = |name: &str, text: &str| entry(f, &format!("  {name}"), 18, text);
        fact("kind", &release.kind.to_string())?;
        if let Some(commit) = &release.change.commit {
            fact("commit", commit)?;
        }
        if !release.change.authors.is_empty() {
            fact("authors", &release.change.authors.join(", "))?;
        }
        for artifact in &release.artifacts {
            fact("artifact", &format!("{} {}", artifact.name, artifact.digest))?;
        }
        fact("asked for by", &plan.started_by.to_string())?;
        if let Some(of) = &plan.rollback_of {
            fact("takes back", &format!("run {}: {}", of.run, of.why))?;
        }
        fact("way back", &way_back(&plan.rollback))?;
        let queue = match plan.queue {
            QueuePolicy::Fifo => "waits its turn for the lock, first in, first out",
            QueuePolicy::NewestWins => "waits for the lock in place of those that waited before",
            QueuePolicy::Reject => "does not wait for the lock",
            QueuePolicy::Priority => "waits for the lock before all who wait without priority",
        };
        let in_flight = match plan.in_flight {
            InFlightPolicy::Finish => "a run in flight finishes",
            InFlightPolicy::Supersede => "a run in flight is aborted and undone",
        };
        fact("lock", &format!("{queue}; {in_flight}"))?;
        let s = if plan.width == 1 { "" } else { "s" };
        fact("at once", &format!("{} task{s} or rollout{s}", plan.width))?;
        for (name, can) in &plan.targets {
            fact("target", &format!("{name}, which can do: {can}"))?;
        }
        fact("fingerprint", &plan.fingerprint().to_string())
    }

    fn step(&self, f: &mut fmt::Formatter<'_>, id: StepId, step: &PlannedStep, width: usize) -> fmt::Result {
        let mut facts = match &step.work {
            // A mere join does nothing that anybody would have to know about.
            Work::Gate { gate: None, .. } => return Ok(()),
            Work::Gate { gate: Some(gate), criterion, hold_at_most } => {
                vec![format!("{gate}: {criterion}"), format!("may hold for {}", Spell(*hold_at_most))]
            }
            Work::Task { agent, .. } => vec![self.block(agent)],
            Work::Approval(request) => vec![format!("asks: {}", request.question), people(request)],
            Work::Soak { span } => vec![format!("{} of observed time", Spell(*span))],
            Work::Rollout(work) => vec![format!("{} on target {}", work.strategy, work.target)],
        };
        if let Some(after) = self.after(step) {
            facts.push(after);
        }
        self.limits(step, &mut facts);
        for wanted in &step.verifications {
            facts.push(verification(wanted));
        }
        match &step.on_failure {
            OnFailure::RollBack => {}
            OnFailure::Continue { reason } => facts.push(format!("if it fails, the run goes on: {reason}")),
        }
        if let Some(reason) = &step.point_of_no_return {
            facts.push(format!("POINT OF NO RETURN: {reason}"));
        }
        let (name, kind) = (self.local(step), kind(&step.work));
        let name = format!("  {name}");
        let head = if name.chars().count() < width {
            format!("{name:width$}{kind}")
        } else {
            format!("{name}\n{:width$}{kind}", "")
        };
        // `entry` counts columns of one line: the name before a line break does not take room of the next.
        let (line, head) = head.rsplit_once('\n').map_or(("", head.as_str()), |(line, head)| (line, head));
        if !line.is_empty() {
            writeln!(f, "{line}")?;
        }
        let mut facts = facts.iter();
        entry(f, head, width + KIND, facts.next().map_or("", String::as_str))?;
        facts.try_for_each(|fact| entry(f, "", width + KIND, fact))?;
        self.outlines.get(&id).map_or(Ok(()), |outline| stages(f, outline, width + KIND))
    }

    fn limits(&self, step: &PlannedStep, facts: &mut Vec<String>) {
        match &step.work {
            Work::Task { undo, inputs, .. } => {
                for (name, from) in inputs {
                    facts.push(format!("reads {name} from {}", self.path(*from)));
                }
                facts.push(attempts(&step.retry, step.timeout));
                if let Some(undo) = undo {
                    facts.push(format!("undone by {}: {}", undo.agent, attempts(&undo.retry, undo.timeout)));
                }
            }
            Work::Rollout(work) => {
                if !work.monitors.is_empty() {
                    facts.push(format!("may ask {}", names(&work.monitors)));
                }
                facts.push(format!(
                    "looks every {}; fails after {} failed looks in a row; puts back a stray change {} times",
                    Spell(work.observe_every),
                    work.errors_at_most,
                    work.reassert_at_most
                ));
                let (limit, back) = (Spell(step.timeout), Spell(work.undo_timeout));
                facts.push(format!("at most {limit}; the way back at most {back}"));
                if let Some(most) = work.blast_radius {
                    facts.push(format!(
                        "goes back when users have met more than {} of it before it is proven",
                        Spell(most)
                    ));
                }
            }
            Work::Gate { .. } | Work::Approval(_) | Work::Soak { .. } => {}
        }
    }

    /// What a step waits for within its phase; nothing if it begins with the phase.
    fn after(&self, step: &PlannedStep) -> Option<String> {
        let phase = self.plan.phases.get(step.phase as usize)?;
        let within: Vec<_> = step
            .after
            .iter()
            .filter(|id| **id != phase.entry)
            .filter_map(|id| self.plan.step(*id))
            .filter(|on| on.phase == step.phase)
            .map(|on| self.local(on).to_owned())
            .collect();
        if within.is_empty() { None } else { Some(format!("after {}", within.join(", "))) }
    }

    fn way_back(&self, f: &mut fmt::Formatter<'_>, width: usize) -> fmt::Result {
        writeln!(f, "\nif the run goes back, what was begun is undone, the last first")?;
        let width = width.max(
            self.plan
                .steps
                .iter()
                .map(|s| s.path.as_str().chars().count() + 4)
                .filter(|w| *w <= LONGEST_HEAD)
                .max()
                .unwrap_or(0),
        );
        let mut any = false;
        for step in self.plan.steps.iter().rev() {
            let text = match (&step.work, &self.plan.rollback) {
                _ if step.point_of_no_return.is_some() => "STAYS: it is a point of no return".to_owned(),
                (Work::Rollout(_), RollbackTo::None { reason }) => format!("STAYS as it is: {reason}"),
                (Work::Rollout(work), RollbackTo::Previous) => {
                    format!("{} brings {} back to what was there before", work.strategy, work.target)
                }
                (Work::Rollout(work), RollbackTo::Remove) => {
                    format!("{} removes the new revision from {}", work.strategy, work.target)
                }
                (Work::Task { undo: Some(undo), .. }, _) => format!("undone by {}", undo.agent),
                (Work::Task { undo: None, .. } | Work::Gate { .. } | Work::Approval(_) | Work::Soak { .. }, _) => {
                    continue;
                }
            };
            any = true;
            entry(f, &format!("  {}", step.path), width, &text)?;
        }
        if any { Ok(()) } else { writeln!(f, "  there is nothing to undo") }
    }

    fn block(&self, name: &BlockName) -> String {
        match self.plan.blocks.get(name) {
            Some(block) if !block.responsibility.trim().is_empty() => format!("{name}: {}", block.responsibility),
            _ => name.to_string(),
        }
    }

    fn path(&self, id: StepId) -> String {
        self.plan.step(id).map_or_else(|| format!("step {}", id.0), |s| s.path.to_string())
    }

    /// The path of a step without the name of its phase.
    fn local<'s>(&self, step: &'s PlannedStep) -> &'s str {
        let path = step.path.as_str();
        let phase = self.plan.phases.get(step.phase as usize);
        phase.and_then(|p| path.strip_prefix(p.name.as_str())?.strip_prefix('/')).unwrap_or(path)
    }
}

fn phase_head(f: &mut fmt::Formatter<'_>, phase: &PlannedPhase) -> fmt::Result {
    f.write_str("\n")?;
    let mut text = Vec::new();
    if let Some(lead) = &phase.lead {
        text.push(format!("led by {lead}"));
    }
    if !phase.supporting.is_empty() {
        text.push(format!("with {}", names(&phase.supporting)));
    }
    if !phase.promises.is_empty() {
        let promises: Vec<_> = phase.promises.iter().map(|p| format!("{} {}", p.name, p.version)).collect();
        text.push(format!("promises {}", promises.join(", ")));
    }
    let name = if text.is_empty() { phase.name.to_string() } else { format!("{}:", phase.name) };
    entry(f, "phase", 6, &format!("{name} {}", text.join("; ")))
}

/// What kind of step it is, in one word.
pub(super) fn kind(work: &Work) -> &'static str {
    match work {
        Work::Task { .. } => "task",
        Work::Gate { .. } => "gate",
        Work::Approval(_) => "approval",
        Work::Soak { .. } => "soak",
        Work::Rollout(_) => "rollout",
    }
}

pub(super) fn way_back(rollback: &RollbackTo) -> String {
    match rollback {
        RollbackTo::Previous => "to what was there before".to_owned(),
        RollbackTo::Remove => "the new revision is removed".to_owned(),
        RollbackTo::None { reason } => format!("NONE: {reason}"),
    }
}

fn names(names: &[BlockName]) -> String {
    names.iter().map(BlockName::as_str).collect::<Vec<_>>().join(", ")
}

fn attempts(retry: &RetryPolicy, timeout: Duration) -> String {
    let limit = Spell(timeout);
    let (first, last) = (Spell(retry.backoff), Spell(retry.backoff_at_most));
    match retry.attempts {
        1 => format!("one attempt of at most {limit}"),
        n if retry.backoff >= retry.backoff_at_most || retry.growth_percent == 100 => {
            format!("{n} attempts of at most {limit} each, {} apart", if first.0 > last.0 { last } else { first })
        }
        n => format!("{n} attempts of at most {limit} each, {first} to {last} apart"),
    }
}

fn people(request: &ApprovalRequest) -> String {
    let roles: Vec<_> = request.roles.iter().map(String::as_str).collect();
    let named: Vec<_> = request.people.iter().map(String::as_str).collect();
    let who = match (request.quorum, roles.is_empty()) {
        (n, true) if !named.is_empty() => format!("{n} of {}", named.join(", ")),
        (1, true) => "anybody".to_owned(),
        (1, false) => format!("one {}", roles.join(" or ")),
        (n, true) => format!("{n} people"),
        (n, false) => format!("{n} people of role {}", roles.join(" or ")),
    };
    let who = if roles.is_empty() || named.is_empty() { who } else { format!("{who}, or {}", named.join(", ")) };
    let own = if request.self_approval { "its authors and starter included" } else { "not its authors or starter" };
    format!("{who}, {own}; expires after {}", Spell(request.expires_after))
}

fn verification(wanted: &Verification) -> String {
    let policy = &wanted.policy;
    let kind = policy.kind.as_deref().unwrap_or("any");
    let own = if policy.self_attested { ", its own allowed" } else { "" };
    format!("must pass check {}, on {kind} evidence at most {} old{own}", wanted.check, Spell(policy.max_age))
}

fn stages(f: &mut fmt::Formatter<'_>, outline: &Outline, indent: usize) -> fmt::Result {
    let width = outline.stages.iter().map(|s| s.name.chars().count()).max().unwrap_or(0).min(LONGEST_HEAD);
    for (number, stage) in (1..).zip(&outline.stages) {
        let share = stage.percent.map_or_else(String::new, |p| format!("{p}%"));
        let span = if stage.at_least.is_zero() { String::new() } else { format!("at least {}", Spell(stage.at_least)) };
        let head = format!("{:indent$}{number:>2}. {:width$} {share:>4}", "", stage.name);
        let waits = if stage.waits_for.is_empty() { String::new() } else { format!("waits for {}", stage.waits_for) };
        let text: Vec<_> = [span, waits].into_iter().filter(|t| !t.is_empty()).collect();
        if text.is_empty() {
            writeln!(f, "{}", head.trim_end())?;
        } else {
            entry(f, &head, indent + width + 11, &text.join("; "))?;
        }
    }
    Ok(())
}

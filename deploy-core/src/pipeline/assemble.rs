//! Checks a draft as a whole and makes a pipeline of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::draft::{Draft, PhaseDraft, RolloutDraft, StepDraft, TaskDraft, WorkDraft};
use super::{
    Blocks, Fault, NoReturn, PhaseGate, PhaseSpec, Pipeline, PipelineErrors, Place, Problem, Promise, Spec, StepRef,
    StepSpec, order,
};
use crate::agent::{Agent, AgentCard};
use crate::deliverable::DeliverableKey;
use crate::gate::{AllOf, Gate};
use crate::name::{BlockName, NameError, PhaseName, PipelineName, StepName};
use crate::operator::ApprovalRequest;
use crate::plan::{OnFailure, RetryPolicy, RollbackTo, RolloutWork, StepPath, Undo, Work};
use crate::release::ReleaseKind;
use crate::time::millis;

/// More attempts than this are no bound: with the default back-off they would last for most of a day.
pub(super) const MOST_ATTEMPTS: u32 = 1_000;

/// Longer than any run: a hundred years.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);

/// Where a problem stands in the pipeline: the phase and the step, from 1; zero means the whole.
type Rank = (usize, usize);

/// A place and its rank.
#[derive(Clone)]
struct At(Rank, Place);

#[derive(Default)]
struct Assembly {
    problems: Vec<(Rank, Problem)>,
    blocks: Blocks,
}

/// What the tasks' agents say of themselves, by step; nothing for steps that are not tasks.
type Cards = Vec<Option<(AgentCard, Option<AgentCard>)>>;

pub(super) fn assemble(draft: Draft) -> Result<Pipeline, PipelineErrors> {
    let mut assembly = Assembly::default();
    let pipeline = draft.name.clone();
    let spec = assembly.spec(draft);
    // Stable: problems of one place stay in the order in which they were found.
    assembly.problems.sort_by_key(|(rank, _)| *rank);
    let problems: Vec<_> = assembly.problems.into_iter().map(|(_, problem)| problem).collect();
    match spec {
        Some(spec) if problems.is_empty() => Ok(Pipeline { spec: Arc::new(spec) }),
        _ => Err(PipelineErrors { pipeline, problems }),
    }
}

impl Assembly {
    fn fault(&mut self, at: &At, fault: Fault) {
        self.problems.push((at.0, Problem { place: at.1.clone(), fault }));
    }

    /// Notes what is wrong with a name and goes on without it.
    fn named<T>(&mut self, at: &At, name: Result<T, NameError>) -> Option<T> {
        name.map_err(|error| self.fault(at, Fault::NotAName(error))).ok()
    }

    fn block<T>(&mut self, at: &At, what: &'static str, name: &str, added: Result<T, super::blocks::Taken>) {
        if added.is_err() {
            self.fault(at, Fault::TwoBlocks { what, name: name.to_owned() });
        }
    }

    fn spec(&mut self, mut draft: Draft) -> Option<Spec> {
        let whole = At((0, 0), Place::Pipeline);
        let name = self.named(&whole, PipelineName::new(&draft.name));
        if draft.phases.is_empty() {
            self.fault(&whole, Fault::EmptyPipeline);
        }
        if draft.width == 0 {
            self.fault(&whole, Fault::ZeroWidth);
        }
        match &draft.rollback {
            None => self.fault(&whole, Fault::NoWayBack),
            Some(RollbackTo::None { reason }) => self.reason(&whole, "`RollbackTo::None`", reason),
            Some(RollbackTo::Previous | RollbackTo::Remove) => {}
        }
        for check in std::mem::take(&mut draft.checks) {
            let name = check.name().clone();
            let added = self.blocks.add_check(check);
            self.block(&whole, "checks", name.as_str(), added);
        }

        let cards = cards(&draft);
        let after = self.edges(&draft);
        let kinds = self.kinds(&draft);
        let phases = self.phases(&mut draft, &cards, &after, &kinds);
        let inputs = self.inputs(&draft, &cards, &kinds);
        let steps = self.steps(draft.steps, &draft.phases, &cards, after, inputs, kinds);
        Some(Spec {
            name: name?,
            rollback: draft.rollback?,
            queue: draft.queue,
            in_flight: draft.in_flight,
            width: draft.width,
            phases: phases?,
            steps: steps?,
            blocks: std::mem::take(&mut self.blocks),
        })
    }

    fn reason(&mut self, at: &At, what: &'static str, reason: &str) {
        if reason.trim().is_empty() {
            self.fault(at, Fault::NoReason { what });
        }
    }

    /// Refuses a length of time that makes no sense, and rounds it as records do.
    fn span(&mut self, at: &At, what: &'static str, span: Duration) -> Duration {
        if span.is_zero() {
            self.fault(at, Fault::Zero { what });
        } else if span > LONGEST {
            self.fault(at, Fault::TooLong { what, span });
        }
        whole(span)
    }

    fn retry(&mut self, at: &At, policy: RetryPolicy) -> RetryPolicy {
        if policy.attempts == 0 {
            self.fault(at, Fault::NoAttempts);
        } else if policy.attempts > MOST_ATTEMPTS {
            self.fault(at, Fault::Unbounded { attempts: policy.attempts });
        }
        for span in [policy.backoff, policy.backoff_at_most] {
            if span > LONGEST {
                self.fault(at, Fault::TooLong { what: "back-off", span });
            }
        }
        RetryPolicy { backoff: whole(policy.backoff), backoff_at_most: whole(policy.backoff_at_most), ..policy }
    }

    fn approval(&mut self, at: &At, request: ApprovalRequest) -> ApprovalRequest {
        if request.question.trim().is_empty() {
            self.fault(at, Fault::NoQuestion);
        }
        if request.quorum == 0 {
            self.fault(at, Fault::ZeroQuorum);
        }
        if request.roles.iter().any(|role| role.trim().is_empty()) {
            self.fault(at, Fault::BlankRole);
        }
        let expires_after = self.span(at, "expiry", request.expires_after);
        ApprovalRequest { expires_after, ..request }
    }

    fn agent(&mut self, at: &At, agent: &Arc<dyn Agent>, card: &AgentCard) {
        let added = self.blocks.add_agent(agent, card);
        self.block(at, "blocks", card.name.as_str(), added);
    }

    /// Registers a gate and returns its name and criterion.
    fn gate(&mut self, at: &At, gate: &Arc<dyn Gate>) -> (BlockName, String) {
        let (name, criterion) = (gate.name(), gate.criterion());
        if criterion.trim().is_empty() {
            self.fault(at, Fault::NoCriterion { gate: name.clone() });
        }
        let added = self.blocks.add_gate(gate, &criterion);
        self.block(at, "blocks", name.as_str(), added);
        (name, criterion)
    }

    /// For each step: the steps of its own phase that must be done before it.
    fn edges(&mut self, draft: &Draft) -> Vec<BTreeSet<usize>> {
        let mut after = vec![BTreeSet::new(); draft.steps.len()];
        for (index, step) in draft.steps.iter().enumerate() {
            let at = step_at(draft, index);
            let inputs: &[(DeliverableKey, StepRef)] = match &step.work {
                WorkDraft::Task(task) => &task.inputs,
                WorkDraft::Gate { .. } | WorkDraft::Approval(_) | WorkDraft::Soak(_) | WorkDraft::Rollout(_) => &[],
            };
            let mut seen = BTreeSet::new();
            for on in step.after.iter().chain(inputs.iter().map(|(_, from)| from)) {
                if seen.insert(on) {
                    self.edge(draft, &at, index, on, &mut after);
                }
            }
        }
        for (first, then) in &draft.orders {
            if then.serial == draft.serial {
                self.edge(draft, &step_at(draft, then.index), then.index, first, &mut after);
            } else {
                self.fault(&At((0, 0), Place::Pipeline), Fault::ForeignHandle { handle: then.to_string() });
            }
        }
        after
    }

    fn edge(&mut self, draft: &Draft, at: &At, index: usize, on: &StepRef, after: &mut [BTreeSet<usize>]) {
        if on.serial != draft.serial {
            return self.fault(at, Fault::ForeignHandle { handle: on.to_string() });
        }
        let (mine, theirs) = (draft.steps[index].phase, draft.steps[on.index].phase);
        match theirs.cmp(&mine) {
            // Phases are barriers: what an earlier one did is done.
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => {
                after[index].insert(on.index);
            }
            std::cmp::Ordering::Greater => self.fault(at, Fault::LaterPhase { on: on.to_string() }),
        }
    }

    /// For each step: the kinds of release that it is part of.
    fn kinds(&mut self, draft: &Draft) -> Vec<BTreeSet<ReleaseKind>> {
        for (index, phase) in draft.phases.iter().enumerate() {
            if phase.only_for.as_ref().is_some_and(BTreeSet::is_empty) {
                self.fault(&phase_at(draft, index), Fault::ForNoKind);
            }
        }
        let mut kinds = Vec::new();
        for (index, step) in draft.steps.iter().enumerate() {
            let phase = phase_kinds(&draft.phases[step.phase]);
            let both = match &step.only_for {
                None => phase,
                Some(own) => own.intersection(&phase).copied().collect(),
            };
            // A phase for no kind has been reported once already.
            let phase_is_well = draft.phases[step.phase].only_for.as_ref().is_none_or(|k| !k.is_empty());
            if both.is_empty() && phase_is_well {
                self.fault(&step_at(draft, index), Fault::ForNoKind);
            }
            kinds.push(both);
        }
        kinds
    }

    fn phases(
        &mut self,
        draft: &mut Draft,
        cards: &Cards,
        after: &[BTreeSet<usize>],
        kinds: &[BTreeSet<ReleaseKind>],
    ) -> Option<Vec<PhaseSpec>> {
        let mut names = BTreeSet::new();
        let mut specs = Vec::new();
        let mut members = vec![Vec::new(); draft.phases.len()];
        for (index, step) in draft.steps.iter().enumerate() {
            members[step.phase].push(index);
        }
        for (index, members) in members.into_iter().enumerate() {
            let at = phase_at(draft, index);
            let text = draft.phases[index].name.clone();
            let name = self.named(&at, PhaseName::new(&text));
            if !names.insert(text.clone()) {
                self.fault(&at, Fault::Duplicate { what: "phase", name: text.clone() });
            }
            if members.is_empty() {
                self.fault(&at, Fault::EmptyPhase);
            }
            let (order, cycles) = order::topological(&members, after);
            for cycle in cycles {
                let through = cycle.iter().chain(cycle.first()).map(|s| step_path(draft, *s)).collect();
                self.fault(&step_at(draft, cycle[0]), Fault::Cycle { through });
            }
            let promises = self.promises(&at, &draft.phases[index], &order, cards);
            let phase = &mut draft.phases[index];
            let hold = self.span(&at, "longest hold", phase.hold_at_most);
            let (entry, exit) = (std::mem::take(&mut phase.entry), std::mem::take(&mut phase.exit));
            let entry = self.phase_gate(&at, &text, "entry", "all phases before it have ended", entry, hold);
            let exit = self.phase_gate(&at, &text, "exit", "all its steps are done", exit, hold);
            let phase = &draft.phases[index];
            let mut people = phase.lead.iter().chain(&phase.supporting).map(|agent| {
                let card = agent.card();
                self.agent(&at, agent, &card);
                card.name
            });
            let lead = phase.lead.as_ref().and_then(|_| people.next());
            let supporting = people.collect();
            // A phase is there when the host did not limit it; its steps alone say what of it is left.
            let kinds = match &phase.only_for {
                Some(_) => phase_kinds(phase),
                None if gateless(&entry, &exit) => members.iter().flat_map(|s| &kinds[*s]).copied().collect(),
                None => ReleaseKind::ALL.into(),
            };
            specs.push((|| {
                let (entry, exit) = (entry?, exit?);
                Some(PhaseSpec { name: name?, lead, supporting, promises, entry, exit, kinds, steps: order })
            })());
        }
        specs.into_iter().collect()
    }

    fn promises(&mut self, at: &At, phase: &PhaseDraft, members: &[usize], cards: &Cards) -> Vec<Promise> {
        let mut promises: Vec<Promise> = Vec::new();
        for key in &phase.promises {
            if promises.iter().any(|p| p.key.name == key.name) {
                self.fault(at, Fault::Duplicate { what: "promise", name: key.name.clone() });
                continue;
            }
            let provide = |s: &&usize| cards[**s].as_ref().is_some_and(|(card, _)| card.provides.contains(key));
            let providers: Vec<_> = members.iter().filter(provide).copied().collect();
            if providers.is_empty() {
                self.fault(at, Fault::BrokenPromise { key: key.clone() });
            }
            promises.push(Promise { key: key.clone(), providers });
        }
        promises
    }

    fn phase_gate(
        &mut self,
        at: &At,
        phase: &str,
        which: &str,
        otherwise: &str,
        gates: Vec<Arc<dyn Gate>>,
        hold_at_most: Duration,
    ) -> Option<PhaseGate> {
        let path = StepPath::new(format!("{phase}/{which}")).ok();
        let (gate, criterion) = match gates.as_slice() {
            [] => (None, otherwise.to_owned()),
            [one] => {
                let (name, criterion) = self.gate(at, one);
                (Some(name), criterion)
            }
            several => {
                // The whole would hide a part that says nothing.
                for gate in several.iter().filter(|g| g.criterion().trim().is_empty()) {
                    self.fault(at, Fault::NoCriterion { gate: gate.name() });
                }
                let name = self.named(at, BlockName::new(format!("{phase}:{which}")))?;
                let all: Arc<dyn Gate> = Arc::new(AllOf::new(name.clone(), gates));
                let criterion = all.criterion();
                let added = self.blocks.add_gate(&all, &criterion);
                self.block(at, "blocks", name.as_str(), added);
                (Some(name), criterion)
            }
        };
        Some(PhaseGate { path: path?, gate, criterion, hold_at_most })
    }

    /// For each step: where what its agents need comes from.
    fn inputs(
        &mut self,
        draft: &Draft,
        cards: &Cards,
        kinds: &[BTreeSet<ReleaseKind>],
    ) -> Vec<BTreeMap<String, usize>> {
        let mut all = Vec::new();
        for (index, step) in draft.steps.iter().enumerate() {
            let mut inputs = BTreeMap::new();
            if let (WorkDraft::Task(task), Some((card, undo))) = (&step.work, &cards[index]) {
                let at = step_at(draft, index);
                let needs: Vec<_> = std::iter::once(card)
                    .chain(undo)
                    .flat_map(|card| card.needs.iter().map(move |key| (&card.name, key)))
                    .collect();
                for (slot, from) in &task.inputs {
                    if from.serial == draft.serial
                        && let Some(from) = self.given(draft, cards, &at, slot, from.index, &needs, card)
                        && inputs.insert(slot.name.clone(), from).is_some()
                    {
                        self.fault(&at, Fault::Duplicate { what: "input", name: slot.name.clone() });
                    }
                }
                for (agent, key) in needs {
                    let given = task.inputs.iter().any(|(slot, _)| slot.name == key.name);
                    if !given
                        && !inputs.contains_key(&key.name)
                        && let Some(from) = self.promised(draft, cards, &at, step.phase, agent, key)
                    {
                        inputs.insert(key.name.clone(), from);
                    }
                }
                for (name, from) in &inputs {
                    if let Some(kind) = kinds[index].difference(&kinds[*from]).next() {
                        let (name, from) = (name.clone(), step_path(draft, *from));
                        self.fault(&at, Fault::LeftOut { name, from, kind: *kind });
                    }
                }
            }
            all.push(inputs);
        }
        all
    }

    /// An input by handle: does that step hand it over, and does this one read it?
    #[expect(clippy::too_many_arguments, reason = "the facts of one input; a struct would only rename them")]
    fn given(
        &mut self,
        draft: &Draft,
        cards: &Cards,
        at: &At,
        slot: &DeliverableKey,
        from: usize,
        needs: &[(&BlockName, &DeliverableKey)],
        card: &AgentCard,
    ) -> Option<usize> {
        let path = step_path(draft, from);
        let mut provided =
            cards[from].iter().flat_map(|(card, _)| &card.provides).filter(|key| key.name == slot.name).peekable();
        let Some(first) = provided.peek() else {
            self.fault(at, Fault::NotOnCard { name: slot.name.clone(), from: path });
            return None;
        };
        let first = first.version;
        if !provided.any(|key| key.version == slot.version) {
            self.fault(at, Fault::VersionMismatch { needs: slot.clone(), provided: first, from: path });
            return None;
        }
        let mut read = needs.iter().filter(|(_, key)| key.name == slot.name).peekable();
        if read.peek().is_none() {
            self.fault(at, Fault::NotNeeded { name: slot.name.clone(), agent: card.name.clone() });
        }
        for (_, key) in read.filter(|(_, key)| key.version != slot.version) {
            let fault = Fault::VersionMismatch { needs: (*key).clone(), provided: slot.version, from: path.clone() };
            self.fault(at, fault);
        }
        Some(from)
    }

    /// A need without an input: the newest earlier phase that promises it hands it over, if one step of it does.
    fn promised(
        &mut self,
        draft: &Draft,
        cards: &Cards,
        at: &At,
        phase: usize,
        agent: &BlockName,
        key: &DeliverableKey,
    ) -> Option<usize> {
        let promising = draft.phases[..phase].iter().rposition(|p| p.promises.iter().any(|k| k.name == key.name));
        let Some(promising) = promising else {
            self.fault(at, Fault::NotProvided { agent: agent.clone(), needs: key.clone() });
            return None;
        };
        let name = draft.phases[promising].name.clone();
        let promised = draft.phases[promising].promises.iter().find(|k| k.name == key.name)?;
        if promised.version != key.version {
            let from = format!("phase {name}");
            self.fault(at, Fault::VersionMismatch { needs: key.clone(), provided: promised.version, from });
            return None;
        }
        let provides = |s: &usize| {
            draft.steps[*s].phase == promising
                && cards[*s].as_ref().is_some_and(|(card, _)| card.provides.contains(key))
        };
        let providers: Vec<_> = (0..draft.steps.len()).filter(provides).collect();
        match providers.as_slice() {
            // The promise itself has been reported as broken.
            [] => None,
            [one] => Some(*one),
            several => {
                let by = several.iter().map(|s| step_path(draft, *s)).collect();
                self.fault(at, Fault::Ambiguous { needs: key.clone(), phase: name, by });
                None
            }
        }
    }

    fn steps(
        &mut self,
        steps: Vec<StepDraft>,
        phases: &[PhaseDraft],
        cards: &Cards,
        after: Vec<BTreeSet<usize>>,
        inputs: Vec<BTreeMap<String, usize>>,
        kinds: Vec<BTreeSet<ReleaseKind>>,
    ) -> Option<Vec<StepSpec>> {
        let mut paths = BTreeSet::new();
        let mut specs = Vec::new();
        let facts = after.into_iter().zip(inputs).zip(kinds);
        for (index, (step, ((after, inputs), kinds))) in steps.into_iter().zip(facts).enumerate() {
            let text = format!("{}/{}", phases[step.phase].name, step.name);
            let at = At((step.phase + 1, index + 1), Place::Step(text.clone()));
            let mut well_named = true;
            for part in step.name.split('/') {
                well_named &= self.named(&at, StepName::new(part)).is_some();
            }
            if matches!(step.name.as_str(), "entry" | "exit") {
                self.fault(&at, Fault::Reserved { name: step.name.clone() });
            }
            let ask = format!("{text}/ask");
            let asks = matches!(&step.work, WorkDraft::Task(TaskDraft { no_return: Some(_), .. }));
            for path in std::iter::once(text.clone()).chain(asks.then(|| ask.clone())) {
                if !paths.insert(path.clone()) {
                    self.fault(&at, Fault::Duplicate { what: "step", name: path });
                }
            }
            let (timeout, retry) = (self.timeout(&at, &step), self.retry(&at, step.retry));
            if let OnFailure::Continue { reason } = &step.on_failure {
                self.reason(&at, "`OnFailure::Continue`", reason);
            }
            let mut verifications = Vec::new();
            let mut no_return = None;
            let work = match step.work {
                WorkDraft::Task(task) => {
                    for (place, wanted) in task.verifications.iter().enumerate() {
                        let earlier = &task.verifications[..place];
                        if earlier.iter().any(|v| v.check == wanted.check) {
                            self.fault(&at, Fault::CheckTwice { check: wanted.check.clone() });
                        } else if self.blocks.check(&wanted.check).is_none() {
                            self.fault(&at, Fault::NoCheck { check: wanted.check.clone() });
                        }
                    }
                    verifications.clone_from(&task.verifications);
                    for wanted in &mut verifications {
                        wanted.policy.max_age = self.span(&at, "oldest evidence", wanted.policy.max_age);
                    }
                    if let Some((reason, request)) = &task.no_return {
                        self.reason(&at, "point of no return", reason);
                        if task.undo.is_some() {
                            self.fault(&at, Fault::ReturnFromNoReturn);
                        }
                        let request = self.approval(&at, request.clone());
                        no_return = Some((reason.clone(), ask, request));
                    }
                    cards[index].as_ref().map(|cards| self.task(&at, task, cards))
                }
                WorkDraft::Gate { gate, hold_at_most } => {
                    let (name, criterion) = self.gate(&at, &gate);
                    let hold_at_most = self.span(&at, "longest hold", hold_at_most);
                    Some(Work::Gate { gate: Some(name), criterion, hold_at_most })
                }
                WorkDraft::Approval(request) => Some(Work::Approval(self.approval(&at, request))),
                WorkDraft::Soak(span) => Some(Work::Soak { span: self.span(&at, "soak", span) }),
                WorkDraft::Rollout(rollout) => Some(Work::Rollout(self.rollout(&at, rollout))),
            };
            let (on_failure, path) = (step.on_failure, StepPath::new(&text).ok());
            let no_return = match no_return {
                None => Some(None),
                Some((reason, ask, request)) => {
                    StepPath::new(ask).ok().map(|ask| Some(NoReturn { reason, ask, request }))
                }
            };
            specs.push((|| {
                let (path, work, no_return) = (path.filter(|_| well_named)?, work?, no_return?);
                Some(StepSpec {
                    path,
                    work,
                    after,
                    inputs,
                    timeout,
                    retry,
                    on_failure,
                    verifications,
                    no_return,
                    kinds,
                })
            })());
        }
        specs.into_iter().collect()
    }

    /// The waits have times of their own, which are checked under their own names.
    fn timeout(&mut self, at: &At, step: &StepDraft) -> Duration {
        match step.work {
            WorkDraft::Task(_) | WorkDraft::Gate { .. } | WorkDraft::Rollout(_) => {
                self.span(at, "timeout", step.timeout)
            }
            WorkDraft::Approval(_) | WorkDraft::Soak(_) => whole(step.timeout),
        }
    }

    fn task(&mut self, at: &At, task: TaskDraft, (card, undo_card): &(AgentCard, Option<AgentCard>)) -> Work {
        self.agent(at, &task.agent, card);
        let undo = match (&task.undo, undo_card) {
            (Some(agent), Some(card)) => {
                self.agent(at, agent, card);
                let retry = self.retry(at, task.undo_retry);
                let timeout = self.span(at, "undo timeout", task.undo_timeout);
                Some(Undo { agent: card.name.clone(), repeatable: card.repeatable, retry, timeout })
            }
            _ => None,
        };
        Work::Task { agent: card.name.clone(), undo, repeatable: card.repeatable, inputs: BTreeMap::new() }
    }

    fn rollout(&mut self, at: &At, rollout: RolloutDraft) -> RolloutWork {
        let (strategy, target) = (rollout.strategy.name(), rollout.target.name());
        let added = self.blocks.add_strategy(&rollout.strategy);
        self.block(at, "blocks", strategy.as_str(), added);
        let added = self.blocks.add_target(&rollout.target);
        self.block(at, "targets", target.as_str(), added);
        let mut monitors = Vec::new();
        for monitor in &rollout.monitors {
            let name = monitor.name();
            let added = self.blocks.add_monitor(monitor);
            self.block(at, "blocks", name.as_str(), added);
            if !monitors.contains(&name) {
                monitors.push(name);
            }
        }
        for asked in rollout.strategy.monitors() {
            if !monitors.contains(&asked) {
                self.fault(at, Fault::NoMonitor { strategy: strategy.clone(), monitor: asked });
            }
        }
        let missing = rollout.strategy.needs().missing_from(rollout.target.capabilities());
        if !missing.is_empty() {
            self.fault(at, Fault::Lacks { strategy: strategy.clone(), target: target.clone(), missing });
        }
        RolloutWork {
            strategy,
            target,
            monitors,
            observe_every: self.span(at, "interval between looks", rollout.observe_every),
            errors_at_most: rollout.errors_at_most,
            reassert_at_most: rollout.reassert_at_most,
            undo_timeout: self.span(at, "undo timeout", rollout.undo_timeout),
        }
    }
}

/// Records keep whole milliseconds; a plan that was written and read back must be the same plan.
fn whole(span: Duration) -> Duration {
    Duration::from_millis(millis(span))
}

fn cards(draft: &Draft) -> Cards {
    let of = |step: &StepDraft| match &step.work {
        WorkDraft::Task(task) => Some((task.agent.card(), task.undo.as_ref().map(|undo| undo.card()))),
        WorkDraft::Gate { .. } | WorkDraft::Approval(_) | WorkDraft::Soak(_) | WorkDraft::Rollout(_) => None,
    };
    draft.steps.iter().map(of).collect()
}

fn phase_kinds(phase: &PhaseDraft) -> BTreeSet<ReleaseKind> {
    phase.only_for.clone().unwrap_or_else(|| ReleaseKind::ALL.into())
}

fn gateless(entry: &Option<PhaseGate>, exit: &Option<PhaseGate>) -> bool {
    [entry, exit].into_iter().flatten().all(|g| g.gate.is_none())
}

fn phase_at(draft: &Draft, index: usize) -> At {
    At((index + 1, 0), Place::Phase(draft.phases[index].name.clone()))
}

fn step_path(draft: &Draft, index: usize) -> String {
    let step = &draft.steps[index];
    format!("{}/{}", draft.phases[step.phase].name, step.name)
}

fn step_at(draft: &Draft, index: usize) -> At {
    At((draft.steps[index].phase + 1, index + 1), Place::Step(step_path(draft, index)))
}

//! Checks a draft as a whole and makes a pipeline of it.

mod phases;
mod steps;
mod wiring;

use std::sync::Arc;
use std::time::Duration;

use super::draft::{Draft, PhaseDraft, StepDraft, WorkDraft};
use super::{Blocks, Fault, Pipeline, PipelineErrors, Place, Problem, Spec, blocks};
use crate::agent::{Agent, AgentCard};
use crate::gate::Gate;
use crate::name::{BlockName, NameError, PipelineName};
use crate::operator::ApprovalRequest;
use crate::plan::{RetryPolicy, RollbackTo};
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

    fn block<T>(&mut self, at: &At, what: &'static str, name: &str, added: Result<T, blocks::Taken>) {
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

        self.supplies(&mut draft);
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

    /// Refuses a gate that could not do its work.
    fn sound(&mut self, at: &At, gate: &Arc<dyn Gate>, criterion: &str) {
        if criterion.trim().is_empty() {
            self.fault(at, Fault::NoCriterion { gate: gate.name() });
        }
        if let Some(flaw) = gate.flaw() {
            self.fault(at, Fault::Flawed { gate: gate.name(), flaw });
        }
    }

    /// Registers a gate and returns its name and criterion.
    fn gate(&mut self, at: &At, gate: &Arc<dyn Gate>) -> (BlockName, String) {
        let (name, criterion) = (gate.name(), gate.criterion());
        self.sound(at, gate, &criterion);
        let added = self.blocks.add_gate(gate, &criterion);
        self.block(at, "blocks", name.as_str(), added);
        (name, criterion)
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

fn phase_kinds(phase: &PhaseDraft) -> std::collections::BTreeSet<ReleaseKind> {
    phase.only_for.clone().unwrap_or_else(|| ReleaseKind::ALL.into())
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

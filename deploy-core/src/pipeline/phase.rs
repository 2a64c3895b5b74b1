//! A phase under construction.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::draft::{PhaseDraft, RolloutDraft, TaskDraft, WorkDraft};
use super::step::{Approval, GateStep, Rollout, Soak, StepBuilder, Task};
use super::{PipelineBuilder, defaults};
use crate::agent::Agent;
use crate::deliverable::{Deliverable, DeliverableKey, Slot};
use crate::gate::Gate;
use crate::operator::ApprovalRequest;
use crate::plan::RetryPolicy;
use crate::release::ReleaseKind;
use crate::strategy::Strategy;
use crate::target::Target;

/// A phase of a pipeline under construction: a copyable reference into its builder. See [`PipelineBuilder::phase`].
#[derive(Debug, Clone, Copy)]
pub struct Phase<'p> {
    pub(super) builder: &'p PipelineBuilder,
    pub(super) index: usize,
}

#[expect(
    clippy::return_self_not_must_use,
    clippy::must_use_candidate,
    reason = "what is said reaches the builder at once; the returned reference only saves a line"
)]
impl<'p> Phase<'p> {
    fn say(self, say: impl FnOnce(&mut PhaseDraft)) -> Self {
        say(&mut self.builder.draft().phases[self.index]);
        self
    }

    /// The agent that answers for the phase.
    pub fn lead(self, agent: impl Agent) -> Self {
        self.say(|phase| phase.lead = Some(Arc::new(agent)))
    }

    /// One more agent that helps.
    pub fn supporting(self, agent: impl Agent) -> Self {
        self.say(|phase| phase.supporting.push(Arc::new(agent)))
    }

    /// One more gate that must open before the phase begins. Several are asked together, and all must open.
    pub fn entry(self, gate: impl Gate) -> Self {
        self.say(|phase| phase.entry.push(Arc::new(gate)))
    }

    /// One more gate that must open before the phase ends. Several are asked together, and all must open.
    pub fn exit(self, gate: impl Gate) -> Self {
        self.say(|phase| phase.exit.push(Arc::new(gate)))
    }

    /// How long the entry and the exit gate may each hold, in active time; then the phase fails. Default 24 hours: until
    /// the next working day.
    pub fn hold_at_most(self, span: Duration) -> Self {
        self.say(|phase| phase.hold_at_most = span)
    }

    /// Promises that the phase will have handed this over when it ends. A step of a later phase that needs it gets it
    /// without being given it, as long as one step here provides it.
    pub fn promises<D: Deliverable>(self, slot: Slot<D>) -> Self {
        self.promises_key(slot.key())
    }

    /// Promises a deliverable by its key: for pipelines that are read from data. See [`promises`](Self::promises).
    pub fn promises_key(self, key: DeliverableKey) -> Self {
        self.say(|phase| phase.promises.push(key))
    }

    /// Limits the phase to these kinds of release; others go without it, gates and all. Default: every kind.
    pub fn only_for(self, kinds: impl IntoIterator<Item = ReleaseKind>) -> Self {
        let kinds: BTreeSet<_> = kinds.into_iter().collect();
        self.say(|phase| phase.only_for = Some(kinds))
    }

    /// A task for an agent. The step joins the phase with [`add`](StepBuilder::add).
    ///
    /// The name may have several parts joined by `/`, for steps that belong together.
    pub fn task(self, name: impl Into<String>, agent: impl Agent) -> StepBuilder<'p, Task> {
        let work = TaskDraft {
            agent: Arc::new(agent),
            undo: None,
            undo_retry: RetryPolicy::attempts(defaults::UNDO_ATTEMPTS),
            undo_timeout: defaults::TASK_TIMEOUT,
            inputs: Vec::new(),
            verifications: Vec::new(),
            no_return: None,
        };
        StepBuilder::new(self, name.into(), WorkDraft::Task(work), defaults::TASK_TIMEOUT)
    }

    /// A question to a gate in the middle of the phase.
    pub fn gate(self, name: impl Into<String>, gate: impl Gate) -> StepBuilder<'p, GateStep> {
        let work = WorkDraft::Gate { gate: Arc::new(gate), hold_at_most: defaults::HOLD_AT_MOST };
        StepBuilder::new(self, name.into(), work, defaults::ASK_TIMEOUT)
            .retry_unchecked(RetryPolicy::attempts(defaults::ASK_ATTEMPTS))
    }

    /// A question to people.
    pub fn approval(self, name: impl Into<String>, request: ApprovalRequest) -> StepBuilder<'p, Approval> {
        let expires = request.expires_after;
        StepBuilder::new(self, name.into(), WorkDraft::Approval(request), expires)
    }

    /// Observed time that must pass.
    pub fn soak(self, name: impl Into<String>, span: Duration) -> StepBuilder<'p, Soak> {
        StepBuilder::new(self, name.into(), WorkDraft::Soak(span), defaults::soak_timeout(span))
    }

    /// A strategy at work on a target.
    pub fn rollout(
        self,
        name: impl Into<String>,
        strategy: impl Strategy,
        target: impl Target,
    ) -> StepBuilder<'p, Rollout> {
        let work = RolloutDraft {
            strategy: Arc::new(strategy),
            target: Arc::new(target),
            monitors: Vec::new(),
            observe_every: defaults::OBSERVE_EVERY,
            errors_at_most: defaults::ERRORS_AT_MOST,
            reassert_at_most: defaults::REASSERT_AT_MOST,
            undo_timeout: defaults::ROLLOUT_UNDO_TIMEOUT,
            blast_radius: None,
        };
        StepBuilder::new(self, name.into(), WorkDraft::Rollout(work), defaults::ROLLOUT_TIMEOUT)
    }
}

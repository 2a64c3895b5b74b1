//! A step under construction.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::draft::{RolloutDraft, StepDraft, TaskDraft, WorkDraft};
use super::{Output, Phase, StepRef};
use crate::agent::Agent;
use crate::deliverable::{Deliverable, Slot};
use crate::evidence::Verification;
use crate::monitor::Monitor;
use crate::operator::ApprovalRequest;
use crate::plan::{OnFailure, RetryPolicy};
use crate::release::ReleaseKind;

/// Marks the builder of a task. See [`Phase::task`].
#[derive(Debug)]
pub struct Task(());

/// Marks the builder of a question to a gate. See [`Phase::gate`].
#[derive(Debug)]
pub struct GateStep(());

/// Marks the builder of a question to people. See [`Phase::approval`].
#[derive(Debug)]
pub struct Approval(());

/// Marks the builder of a soak. See [`Phase::soak`].
#[derive(Debug)]
pub struct Soak(());

/// Marks the builder of a rollout. See [`Phase::rollout`].
#[derive(Debug)]
pub struct Rollout(());

/// A step under construction. It joins its phase with [`add`](Self::add). What can be said depends on its kind `K`:
/// [`Task`], [`GateStep`], [`Approval`], [`Soak`] or [`Rollout`].
#[must_use = "a step joins its phase with `.add()`"]
pub struct StepBuilder<'p, K> {
    phase: Phase<'p>,
    step: StepDraft,
    kind: PhantomData<fn() -> K>,
}

impl<K> fmt::Debug for StepBuilder<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepBuilder").field("step", &self.step).finish_non_exhaustive()
    }
}

impl<'p, K> StepBuilder<'p, K> {
    pub(super) fn new(phase: Phase<'p>, name: String, work: WorkDraft, timeout: Duration) -> Self {
        let step = StepDraft {
            phase: phase.index,
            name,
            work,
            after: Vec::new(),
            timeout,
            retry: RetryPolicy::once(),
            on_failure: OnFailure::RollBack,
            only_for: None,
        };
        Self { phase, step, kind: PhantomData }
    }

    pub(super) fn retry_unchecked(mut self, retry: RetryPolicy) -> Self {
        self.step.retry = retry;
        self
    }

    /// Begins only when this step is done. Steps of earlier phases are done by then anyway.
    pub fn after(mut self, step: &StepRef) -> Self {
        self.step.after.push(step.clone());
        self
    }

    /// Begins only when all of these steps are done.
    pub fn after_all<'s>(mut self, steps: impl IntoIterator<Item = &'s StepRef>) -> Self {
        self.step.after.extend(steps.into_iter().cloned());
        self
    }

    /// Limits the step to these kinds of release. Others go without it, and what waits for it waits for what it waited
    /// for. Default: every kind.
    pub fn only_for(mut self, kinds: impl IntoIterator<Item = ReleaseKind>) -> Self {
        self.step.only_for = Some(kinds.into_iter().collect::<BTreeSet<_>>());
        self
    }

    /// What its failure means. Default [`OnFailure::RollBack`].
    pub fn on_failure(mut self, meaning: OnFailure) -> Self {
        self.step.on_failure = meaning;
        self
    }

    /// The step joins its phase.
    #[expect(clippy::must_use_candidate, reason = "the step is added; a step that nobody refers to needs no handle")]
    pub fn add(self) -> StepRef {
        let mut draft = self.phase.builder.draft();
        let path = Arc::from(format!("{}/{}", draft.phases[self.phase.index].name, self.step.name));
        draft.steps.push(self.step);
        StepRef { serial: draft.serial, index: draft.steps.len() - 1, path }
    }
}

impl StepBuilder<'_, Task> {
    fn task(mut self, say: impl FnOnce(&mut TaskDraft)) -> Self {
        if let WorkDraft::Task(task) = &mut self.step.work {
            say(task);
        }
        self
    }

    /// How long one attempt may take, in active time. Default 30 minutes: longer than most builds, and a hang is noticed
    /// within the hour.
    pub fn timeout(mut self, span: Duration) -> Self {
        self.step.timeout = span;
        self
    }

    /// How often and when a failed attempt is made again. Default: never.
    pub fn retry(self, policy: RetryPolicy) -> Self {
        self.retry_unchecked(policy)
    }

    /// The agent that undoes the task when the run goes back; it may be the same one. Default: there is nothing to undo.
    pub fn undo(self, agent: impl Agent) -> Self {
        self.task(|task| task.undo = Some(Arc::new(agent)))
    }

    /// How often and when a failed undo is made again; then the run parks. Default three attempts.
    pub fn undo_retry(self, policy: RetryPolicy) -> Self {
        self.task(|task| task.undo_retry = policy)
    }

    /// How long one attempt to undo may take. Default 30 minutes.
    pub fn undo_timeout(self, span: Duration) -> Self {
        self.task(|task| task.undo_timeout = span)
    }

    /// Gives what another step hands over to the agent's `slot`, and waits for that step.
    pub fn input<D: Deliverable>(self, slot: Slot<D>, output: &Output<D>) -> Self {
        self.task(|task| task.inputs.push((slot.key(), output.step.clone())))
    }

    /// Adds a check without which the task is not done. Its function is registered with
    /// [`PipelineBuilder::check`](super::PipelineBuilder::check).
    pub fn verify(self, verification: Verification) -> Self {
        self.task(|task| task.verifications.push(verification))
    }

    /// Declares that there is no way back once this was begun, and why. `ask` is asked before it is crossed.
    pub fn point_of_no_return(self, reason: impl Into<String>, ask: ApprovalRequest) -> Self {
        self.task(|task| task.no_return = Some((reason.into(), ask)))
    }
}

impl StepBuilder<'_, GateStep> {
    /// How long the gate may hold in all, in active time; then the step fails. Default 24 hours: until the next working day.
    pub fn hold_at_most(mut self, span: Duration) -> Self {
        if let WorkDraft::Gate { hold_at_most, .. } = &mut self.step.work {
            *hold_at_most = span;
        }
        self
    }

    /// How long one answer may take. Default 60 s: a gate answers at once.
    pub fn timeout(mut self, span: Duration) -> Self {
        self.step.timeout = span;
        self
    }

    /// How often and when a gate that could not find out is asked again. Default five attempts.
    pub fn retry(self, policy: RetryPolicy) -> Self {
        self.retry_unchecked(policy)
    }
}

impl StepBuilder<'_, Rollout> {
    fn rollout(mut self, say: impl FnOnce(&mut RolloutDraft)) -> Self {
        if let WorkDraft::Rollout(rollout) = &mut self.step.work {
            say(rollout);
        }
        self
    }

    /// How long the rollout may take in all, in active time. Default 24 hours: a canary may bake for hours, and a day
    /// without an end is a hang.
    pub fn timeout(mut self, span: Duration) -> Self {
        self.step.timeout = span;
        self
    }

    /// One more monitor that the strategy may ask.
    pub fn monitor(self, monitor: impl Monitor) -> Self {
        self.rollout(|rollout| rollout.monitors.push(Arc::new(monitor)))
    }

    /// How often to look, at least. Default 10 s: two Prometheus scrapes of the common 5 s.
    pub fn observe_every(self, span: Duration) -> Self {
        self.rollout(|rollout| rollout.observe_every = span)
    }

    /// How often in a row a look or a change may fail before the rollout does. Default 5: nearly a minute at the default
    /// interval.
    pub fn errors_at_most(self, errors: u32) -> Self {
        self.rollout(|rollout| rollout.errors_at_most = errors)
    }

    /// How often to put back what somebody else changed before the run parks. Default 3: enough for one stray change, too
    /// few to fight another controller.
    pub fn reassert_at_most(self, times: u32) -> Self {
        self.rollout(|rollout| rollout.reassert_at_most = times)
    }

    /// How much users may meet of the new revision before it is proven, as time of the whole traffic: 5 % for 10 minutes are 30
    /// seconds. Past it the rollout goes back. Strategies count it; see [`Exposure`](crate::strategy::Exposure). Default: no limit.
    pub fn blast_radius(self, most: Duration) -> Self {
        self.rollout(|rollout| rollout.blast_radius = Some(most))
    }

    /// How long the way back may take before the run parks, in active time. Default one hour.
    pub fn undo_timeout(self, span: Duration) -> Self {
        self.rollout(|rollout| rollout.undo_timeout = span)
    }
}

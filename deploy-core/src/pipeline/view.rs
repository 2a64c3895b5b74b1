//! A finished pipeline as its parts, for those who show it or write it down.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{PhaseSpec, Pipeline, StepSpec};
use crate::deliverable::DeliverableKey;
use crate::evidence::Verification;
use crate::gate::Gate;
use crate::journal::QueuePolicy;
use crate::name::{BlockName, PhaseName};
use crate::operator::ApprovalRequest;
use crate::plan::{InFlightPolicy, OnFailure, RetryPolicy, RollbackTo, StepPath, Work};
use crate::release::ReleaseKind;

/// A phase of a finished pipeline.
#[derive(Debug)]
#[non_exhaustive]
pub struct PhaseView<'p> {
    /// Its name.
    pub name: &'p PhaseName,
    /// The agent that answers for it.
    pub lead: Option<&'p BlockName>,
    /// The agents that help.
    pub supporting: &'p [BlockName],
    /// What it hands over.
    pub promises: Vec<&'p DeliverableKey>,
    /// The gates that must all open before it begins.
    pub entry: &'p [Arc<dyn Gate>],
    /// The gates that must all open before it ends.
    pub exit: &'p [Arc<dyn Gate>],
    /// How long either may hold.
    pub hold_at_most: Duration,
    /// The kinds of release that it is part of.
    pub kinds: &'p BTreeSet<ReleaseKind>,
    /// Its steps, each after all that it waits for.
    pub steps: Vec<StepView<'p>>,
}

/// A step of a finished pipeline.
#[derive(Debug)]
#[non_exhaustive]
pub struct StepView<'p> {
    /// Its path: the name of its phase, a slash, its own name.
    pub path: &'p StepPath,
    /// What it is. A task has its inputs in `inputs`.
    pub work: &'p Work,
    /// The steps of its phase that it waits for, those among them that it reads from.
    pub after: Vec<&'p StepPath>,
    /// Where what it reads comes from, by the name of the deliverable.
    pub inputs: Vec<(&'p str, &'p StepPath)>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How often and when a failed attempt is made again.
    pub retry: &'p RetryPolicy,
    /// What a failure means.
    pub on_failure: &'p OnFailure,
    /// The checks without which it is not done.
    pub verifications: &'p [Verification],
    /// Why there is no way back once it was begun, and what people are asked before.
    pub point_of_no_return: Option<(&'p str, &'p ApprovalRequest)>,
    /// The kinds of release that it is part of.
    pub kinds: &'p BTreeSet<ReleaseKind>,
}

impl Pipeline {
    /// The way back.
    #[must_use]
    pub fn rollback(&self) -> &RollbackTo {
        &self.spec.rollback
    }

    /// Who may wait for the lock.
    #[must_use]
    pub fn queue(&self) -> QueuePolicy {
        self.spec.queue
    }

    /// What becomes of a run in flight when a newer one arrives.
    #[must_use]
    pub fn in_flight(&self) -> InFlightPolicy {
        self.spec.in_flight
    }

    /// How many tasks and rollouts may be under way at once.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.spec.width
    }

    /// Its phases in order, with their steps.
    #[must_use]
    pub fn phases(&self) -> Vec<PhaseView<'_>> {
        self.spec.phases.iter().map(|phase| self.phase_view(phase)).collect()
    }

    fn phase_view<'p>(&'p self, phase: &'p PhaseSpec) -> PhaseView<'p> {
        PhaseView {
            name: &phase.name,
            lead: phase.lead.as_ref(),
            supporting: &phase.supporting,
            promises: phase.promises.iter().map(|promise| &promise.key).collect(),
            entry: &phase.entry.parts,
            exit: &phase.exit.parts,
            hold_at_most: phase.entry.hold_at_most,
            kinds: &phase.kinds,
            steps: phase.steps.iter().map(|index| self.step_view(&self.spec.steps[*index])).collect(),
        }
    }

    fn step_view<'p>(&'p self, step: &'p StepSpec) -> StepView<'p> {
        let path = |index: &usize| &self.spec.steps[*index].path;
        StepView {
            path: &step.path,
            work: &step.work,
            after: step.after.iter().map(path).collect(),
            inputs: step.inputs.iter().map(|(name, from)| (name.as_str(), path(from))).collect(),
            timeout: step.timeout,
            retry: &step.retry,
            on_failure: &step.on_failure,
            verifications: &step.verifications,
            point_of_no_return: step.no_return.as_ref().map(|n| (n.reason.as_str(), &n.request)),
            kinds: &step.kinds,
        }
    }
}

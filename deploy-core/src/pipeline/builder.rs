//! The builder of pipelines.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::draft::{Draft, PhaseDraft};
use super::{Phase, Pipeline, PipelineErrors, StepRef, assemble, defaults};
use crate::deliverable::DeliverableKey;
use crate::evidence::Check;
use crate::journal::QueuePolicy;
use crate::plan::{InFlightPolicy, RollbackTo};

/// Builds a [`Pipeline`]. Say what it is made of in any order; [`build`](Self::build) checks all of it at once.
///
/// Its methods take `&self`, and [`Phase`] is a copyable reference, so that loops and helper functions can add to any phase
/// at any time:
///
/// ```
/// use deploy_core::pipeline::{Phase, Pipeline, StepRef};
/// use deploy_core::plan::RollbackTo;
/// use std::time::Duration;
///
/// fn soaks(phase: Phase<'_>, lengths: &[u64]) -> Vec<StepRef> {
///     lengths.iter().map(|s| phase.soak(format!("soak-{s}"), Duration::from_secs(*s)).add()).collect()
/// }
///
/// let p = Pipeline::builder("rest");
/// p.rollback(RollbackTo::Previous).width(2);
/// let (first, second) = (p.phase("first"), p.phase("second"));
/// let soaks = soaks(second, &[10, 20]);
/// first.soak("begin", Duration::from_secs(1)).add();
/// second.soak("end", Duration::from_secs(1)).after_all(&soaks).add();
/// assert!(p.build().is_ok());
/// ```
#[derive(Debug)]
pub struct PipelineBuilder {
    draft: Mutex<Draft>,
}

impl PipelineBuilder {
    pub(super) fn new(name: &str) -> Self {
        // Tells the handles of this pipeline from those of any other in this process.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let draft = Draft {
            serial: NEXT.fetch_add(1, Ordering::Relaxed),
            name: name.to_owned(),
            rollback: None,
            queue: QueuePolicy::default(),
            in_flight: InFlightPolicy::default(),
            width: defaults::WIDTH,
            phases: Vec::new(),
            steps: Vec::new(),
            orders: Vec::new(),
            supplies: Vec::new(),
            checks: Vec::new(),
        };
        Self { draft: Mutex::new(draft) }
    }

    /// No code of the host runs while this is held, so a poisoned draft is still a whole one.
    pub(super) fn draft(&self) -> MutexGuard<'_, Draft> {
        self.draft.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Declares the way back. Every pipeline must: it has no default.
    pub fn rollback(&self, to: RollbackTo) -> &Self {
        self.draft().rollback = Some(to);
        self
    }

    /// Who may wait for the lock of the service. Default [`QueuePolicy::Fifo`]: nothing is dropped.
    pub fn queue(&self, policy: QueuePolicy) -> &Self {
        self.draft().queue = policy;
        self
    }

    /// What becomes of a run in flight when a newer one arrives. Default [`InFlightPolicy::Finish`].
    pub fn in_flight(&self, policy: InFlightPolicy) -> &Self {
        self.draft().in_flight = policy;
        self
    }

    /// How many tasks and rollouts may be under way at once; waits do not count. Default 4: enough to overlap checks, few
    /// enough not to overrun a small build farm.
    pub fn width(&self, width: u32) -> &Self {
        self.draft().width = width;
        self
    }

    /// Registers the function behind a check. Every check that a step must pass needs one: without it, a report would count
    /// because it exists, not for what it says.
    pub fn check(&self, check: Check) -> &Self {
        self.draft().checks.push(check);
        self
    }

    /// Adds a phase after those that were added before. It opens when they have ended.
    pub fn phase(&self, name: impl Into<String>) -> Phase<'_> {
        let mut draft = self.draft();
        draft.phases.push(PhaseDraft {
            name: name.into(),
            lead: None,
            supporting: Vec::new(),
            entry: Vec::new(),
            exit: Vec::new(),
            hold_at_most: defaults::HOLD_AT_MOST,
            promises: Vec::new(),
            only_for: None,
        });
        Phase { builder: self, index: draft.phases.len() - 1 }
    }

    /// Says that `first` must be done before `then` begins, where both are known already. While a step is being added,
    /// [`StepBuilder::after`](super::StepBuilder::after) says the same.
    pub fn order(&self, first: &StepRef, then: &StepRef) -> &Self {
        self.draft().orders.push((first.clone(), then.clone()));
        self
    }

    /// Gives what `from` hands over under `key` to the task `to`, which then waits for it: for pipelines that are read from data.
    /// Where the type is known, [`StepBuilder::input`](super::StepBuilder::input) says the same.
    pub fn supply(&self, to: &StepRef, key: DeliverableKey, from: &StepRef) -> &Self {
        self.draft().supplies.push((to.clone(), key, from.clone()));
        self
    }

    /// Checks everything and finishes the pipeline.
    ///
    /// # Errors
    ///
    /// [`PipelineErrors`] holds every problem there is, each with its place and its mend, in the order of the pipeline.
    pub fn build(self) -> Result<Pipeline, PipelineErrors> {
        assemble::assemble(self.draft.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

//! From one measurement to its outcome, and from counters to the phase of a metric.

use deploy_core::monitor::MeasurementOutcome;
use serde::{Deserialize, Serialize};

use super::limits::Limit;

/// Which of several broken limits inside one metric decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerOrder {
    /// `Successful < Inconclusive < Error < Failed`, as between metrics: one order everywhere.
    #[default]
    Ours,
    /// `Failed < Inconclusive < Error` inside a metric, as Argo Rollouts has it; for imported manifests.
    Argo,
}

/// Where the measuring of one metric stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MetricPhase {
    /// It has satisfied its limits.
    Successful,
    /// It is being measured.
    Running,
    /// Nothing has been measured.
    Pending,
    /// It could not be told too often.
    Inconclusive,
    /// The question could not be asked or answered too often.
    Error,
    /// It broke its limits.
    Failed,
}

/// What has been counted of one metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Measurements that were not errors.
    pub count: u32,
    /// Good ones.
    pub successful: u32,
    /// Bad ones.
    pub failed: u32,
    /// Bad ones in a row up to now.
    pub consecutive_failed: u32,
    /// Neither good nor bad.
    pub inconclusive: u32,
    /// Questions that could not be asked or answered.
    pub error: u32,
    /// Of those, in a row up to now.
    pub consecutive_error: u32,
    /// Good ones in a row up to now.
    pub consecutive_success: u32,
}

impl Counters {
    /// Counts one more. An error is not counted as a measurement, and any other outcome ends a row of errors. A row of successes is ended by
    /// anything else; a row of failures by a success and by what is neither, not by an error, which says nothing of the release.
    pub fn add(&mut self, outcome: MeasurementOutcome) {
        let up = |n: &mut u32| *n = n.saturating_add(1);
        match outcome {
            MeasurementOutcome::Successful => {
                up(&mut self.successful);
                up(&mut self.consecutive_success);
                self.consecutive_failed = 0;
            }
            MeasurementOutcome::Failed => {
                up(&mut self.failed);
                up(&mut self.consecutive_failed);
                self.consecutive_success = 0;
            }
            MeasurementOutcome::Inconclusive => {
                up(&mut self.inconclusive);
                self.consecutive_success = 0;
                self.consecutive_failed = 0;
            }
            MeasurementOutcome::Error => {
                up(&mut self.error);
                up(&mut self.consecutive_error);
                self.consecutive_success = 0;
                return;
            }
        }
        up(&mut self.count);
        self.consecutive_error = 0;
    }
}

impl Counters {
    /// An answer came that was neither counted nor an error: a row of errors is over.
    pub(super) fn answered(&mut self) {
        self.consecutive_error = 0;
    }
}

/// The limits that counters are assessed against. `None` switches a limit off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Bad measurements in all.
    pub failure: Option<Limit>,
    /// Bad measurements in a row.
    pub consecutive_failure: Option<Limit>,
    /// Inconclusive measurements in all.
    pub inconclusive: Option<Limit>,
    /// Errors in all.
    pub error: Option<Limit>,
    /// Errors in a row.
    pub consecutive_error: Option<Limit>,
    /// Good measurements in a row that are enough.
    pub consecutive_success: Option<Limit>,
    /// After how many measurements it ends; `None` runs until something else ends it.
    pub count: Option<u32>,
}

/// What is known of the measuring beside the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Whether anything was ever asked.
    pub asked: bool,
    /// Whether a question is still open.
    pub in_flight: bool,
    /// Whether the analysis was told to end.
    pub ending: bool,
}

/// The outcome of one measurement, from what became of its two conditions; `None` where there is no such condition.
///
/// ```
/// use deploy_core::monitor::MeasurementOutcome;
/// use deploy_strategies::analysis::threshold::outcome;
///
/// assert_eq!(outcome::<()>(Some(Ok(false)), Some(Ok(false))), MeasurementOutcome::Inconclusive);
/// assert_eq!(outcome(Some(Err("no such field")), Some(Ok(true))), MeasurementOutcome::Error);
/// ```
#[must_use]
pub fn outcome<E>(success: Option<Result<bool, E>>, failure: Option<Result<bool, E>>) -> MeasurementOutcome {
    let (Ok(success), Ok(failure)) = (success.transpose(), failure.transpose()) else {
        return MeasurementOutcome::Error;
    };
    match (success, failure) {
        (_, Some(true)) | (Some(false), None) => MeasurementOutcome::Failed,
        (Some(false), Some(false)) => MeasurementOutcome::Inconclusive,
        (Some(true) | None, _) => MeasurementOutcome::Successful,
    }
}

/// The phase of a metric.
///
/// Limits that were broken come first, in the given order; then enough good measurements in a row; then the full count. A full count, or an
/// end, without a single good measurement is inconclusive in our order: that nothing broke a limit is not that anything was good. Argo
/// Rollouts calls it a success.
#[must_use]
pub fn assess(limits: &Limits, counters: &Counters, progress: Progress, order: PeerOrder) -> MetricPhase {
    if !progress.asked {
        return match (progress.ending, order) {
            (false, _) => MetricPhase::Pending,
            (true, PeerOrder::Ours) => MetricPhase::Inconclusive,
            (true, PeerOrder::Argo) => MetricPhase::Successful,
        };
    }
    if progress.in_flight {
        return MetricPhase::Running;
    }
    let reached = |limit: Option<Limit>, count: u32| limit.is_some_and(|limit| limit.reached(count));
    let failed =
        reached(limits.failure, counters.failed) || reached(limits.consecutive_failure, counters.consecutive_failed);
    let inconclusive = reached(limits.inconclusive, counters.inconclusive);
    let error = reached(limits.error, counters.error) || reached(limits.consecutive_error, counters.consecutive_error);
    let broken =
        [(failed, MetricPhase::Failed), (error, MetricPhase::Error), (inconclusive, MetricPhase::Inconclusive)];
    let peers = [broken[1], broken[2], broken[0]];
    let asked_in = if order == PeerOrder::Argo { peers } else { broken };
    if let Some((_, phase)) = asked_in.into_iter().find(|(is, _)| *is) {
        return phase;
    }
    if reached(limits.consecutive_success, counters.consecutive_success) {
        return MetricPhase::Successful;
    }
    if limits.count.is_some_and(|count| counters.count >= count) {
        let can_fail = limits.failure.is_some() || limits.consecutive_failure.is_some();
        return match (limits.consecutive_success.is_some(), can_fail) {
            (true, true) => MetricPhase::Inconclusive,
            (true, false) => MetricPhase::Failed,
            (false, _) if order == PeerOrder::Ours && counters.successful == 0 => MetricPhase::Inconclusive,
            (false, _) => MetricPhase::Successful,
        };
    }
    match (progress.ending, order) {
        (false, _) => MetricPhase::Running,
        (true, PeerOrder::Ours) if counters.successful == 0 => MetricPhase::Inconclusive,
        (true, _) => MetricPhase::Successful,
    }
}

//! The threshold judge: each measurement against a limit, and how many may break it.
//!
//! The rules are those of Argo Rollouts' analysis (`analysis/analysis.go`) with their holes closed: nothing measured is not
//! success, absence of data means what the author wrote, errors of the query have their own counter and their own
//! consequence, and every limit states its operator.

mod assess;
mod check;
mod limits;
mod metric;
mod progress;
mod run;
mod state;

use deploy_core::monitor::{Advice, JudgementResult, Measured, MeasurementOutcome};
use deploy_core::strategy::ReasonCode;
use deploy_core::time::RunTime;
use serde::{Deserialize, Serialize};

pub use self::assess::{Counters, Limits, MetricPhase, PeerOrder, Progress, assess, outcome};
pub use self::limits::{Bound, Condition, ErrorPolicy, Limit, NoData, OnError};
pub use self::metric::{MetricLimits, Subject};
pub use self::progress::{Run, RunError};
pub use self::run::{MetricResult, RunResult, assess_run};
pub(in crate::analysis) use self::state::Answer;
pub use self::state::ThresholdState;
use super::{Standing, Verdict};
use crate::refusal::Refused;

/// Judges every measurement of some metrics by fixed limits.
///
/// ```
/// use deploy_core::monitor::Comparison;
/// use deploy_core::name::MetricName;
/// use deploy_core::real::Real;
/// use deploy_strategies::analysis::threshold::{Bound, Condition, ErrorPolicy, Limit, MetricLimits, NoData, OnError, Threshold};
///
/// let errors = MetricLimits::new(
///     MetricName::new("http.error_ratio")?,
///     Condition::success(Bound::new(Comparison::AtMost, Real::new(0.01)?)),
///     Limit::more_than(2),
///     ErrorPolicy::consecutive(Limit::more_than(4), OnError::Inconclusive),
///     NoData::Inconclusive,
/// );
/// let judge = Threshold::new(vec![errors])?;
/// assert_eq!(judge.metrics().len(), 1);
///
/// // A limit that can never be broken is refused, with its place and what is allowed.
/// let mut blind = judge.metrics()[0].clone();
/// blind.failure_limit = None;
/// let refused = Threshold::new(vec![blind]).expect_err("nothing could fail");
/// assert_eq!(refused.problems()[0].at, "metrics[0].failure_limit");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawThreshold", into = "RawThreshold")]
pub struct Threshold {
    metrics: Vec<MetricLimits>,
    order: PeerOrder,
    failed_checks: Option<Limit>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawThreshold {
    metrics: Vec<MetricLimits>,
    #[serde(default)]
    order: PeerOrder,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed_checks: Option<Limit>,
}

impl Threshold {
    /// A judge of these metrics; the worst of them decides, in the order `Successful < Inconclusive < Error < Failed`.
    ///
    /// # Errors
    ///
    /// [`Refused`] with every problem: its place, what is wrong, what is allowed.
    pub fn new(metrics: Vec<MetricLimits>) -> Result<Self, Refused> {
        check::check(&metrics, None)?;
        Ok(Self { metrics, order: PeerOrder::Ours, failed_checks: None })
    }

    /// A judge that counts as Flagger does: one counter for all metrics together, which goes up with each answer in which any of
    /// them was bad, absent or an error, and never down. When it reaches the limit the release goes back, whatever the limits of
    /// single metrics say; these may then be left out.
    ///
    /// Flagger acts one tick after the check that reached the limit; this judge at once. Absence counts where the author wrote
    /// [`NoData::Fail`], which is what Flagger does.
    ///
    /// # Errors
    ///
    /// [`Refused`] as [`Threshold::new`].
    pub fn with_failed_checks(metrics: Vec<MetricLimits>, failed_checks: Limit) -> Result<Self, Refused> {
        check::check(&metrics, Some(failed_checks))?;
        Ok(Self { metrics, order: PeerOrder::Ours, failed_checks: Some(failed_checks) })
    }

    /// The same judge with another order of outcomes inside a metric, for imported manifests.
    #[must_use]
    pub fn order(mut self, order: PeerOrder) -> Self {
        self.order = order;
        self
    }

    /// The metrics that it judges.
    #[must_use]
    pub fn metrics(&self) -> &[MetricLimits] {
        &self.metrics
    }

    /// Takes in what was measured. `started` is when the analysis began, for the warm-up.
    pub fn observe(&self, state: &mut ThresholdState, started: RunTime, measured: &[&Measured]) {
        for answer in measured {
            self.take(state, started, &Answer::of(answer));
        }
    }

    /// Takes in one answer.
    pub(in crate::analysis) fn take(&self, state: &mut ThresholdState, started: RunTime, answer: &Answer<'_>) {
        state.fit(&self.metrics);
        let mut bad = false;
        for (limits, kept) in self.metrics.iter().zip(&mut state.metrics) {
            let outcome = kept.take(limits, self.order, started, answer);
            let failed = matches!(outcome, Some(MeasurementOutcome::Failed | MeasurementOutcome::Error));
            bad |= failed && !limits.dry_run;
        }
        state.failed_checks = state.failed_checks.saturating_add(u32::from(bad));
    }

    /// What it says now. Metrics that are only shown are judged and do not count.
    #[must_use]
    pub fn verdict(&self, state: &ThresholdState, now: RunTime) -> Verdict {
        let mut state = state.clone();
        state.fit(&self.metrics);
        let (mut standing, mut compared) = (Standing::Good, true);
        let mut judgements = Vec::with_capacity(self.metrics.len());
        for (limits, kept) in self.metrics.iter().zip(&state.metrics) {
            let (own, mut judgement) = kept.say(limits, self.order, now);
            if limits.dry_run {
                judgement.advice = Advice::Continue;
                judgement.because.push_str("; a dry run, which does not count");
            } else {
                standing = standing.max(own);
                compared &= kept.is_measured();
            }
            judgements.push(judgement);
        }
        if let Some(limit) = self.failed_checks {
            let count = state.failed_checks;
            let reached = limit.reached(count);
            if reached {
                standing = Standing::Bad(ReasonCode::AnalysisFailed);
            }
            for judgement in &mut judgements {
                judgement.because.push_str(&format!("; {count} failed checks of all metrics, fails at {limit}"));
                if reached && judgement.result >= JudgementResult::Error {
                    judgement.advice = Advice::RollBack;
                }
            }
        }
        Verdict { standing, compared, judgements }
    }
}

impl TryFrom<RawThreshold> for Threshold {
    type Error = Refused;
    fn try_from(raw: RawThreshold) -> Result<Self, Refused> {
        let judge = match raw.failed_checks {
            None => Self::new(raw.metrics)?,
            Some(limit) => Self::with_failed_checks(raw.metrics, limit)?,
        };
        Ok(judge.order(raw.order))
    }
}

impl From<Threshold> for RawThreshold {
    fn from(judge: Threshold) -> Self {
        Self { metrics: judge.metrics, order: judge.order, failed_checks: judge.failed_checks }
    }
}

//! The threshold judge: each measurement against a limit, and how many may break it.
//!
//! The rules are those of Argo Rollouts' analysis (`analysis/analysis.go`) with their holes closed: nothing measured is not
//! success, absence of data means what the author wrote, errors of the query have their own counter and their own
//! consequence, and every limit states its operator.

mod assess;
mod check;
mod limits;
mod metric;
mod run;
mod state;

use deploy_core::monitor::{Judgement, Measured};
use deploy_core::time::RunTime;
use serde::{Deserialize, Serialize};

pub use self::assess::{Counters, Limits, MetricPhase, PeerOrder, Progress, assess, outcome};
pub use self::limits::{Bound, Condition, ErrorPolicy, Limit, NoData, OnError};
pub use self::metric::{MetricLimits, Subject};
pub use self::run::{MetricResult, RunResult, assess_run};
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
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawThreshold {
    metrics: Vec<MetricLimits>,
    #[serde(default)]
    order: PeerOrder,
}

impl Threshold {
    /// A judge of these metrics; the worst of them decides, in the order `Successful < Inconclusive < Error < Failed`.
    ///
    /// # Errors
    ///
    /// [`Refused`] with every problem: its place, what is wrong, what is allowed.
    pub fn new(metrics: Vec<MetricLimits>) -> Result<Self, Refused> {
        check::check(&metrics)?;
        Ok(Self { metrics, order: PeerOrder::Ours })
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
        state.fit(&self.metrics);
        for (limits, kept) in self.metrics.iter().zip(&mut state.metrics) {
            for answer in measured {
                kept.take(limits, self.order, started, answer);
            }
        }
    }

    /// What it says now.
    #[must_use]
    pub fn verdict(&self, state: &ThresholdState, now: RunTime) -> Verdict {
        let mut state = state.clone();
        state.fit(&self.metrics);
        let said: Vec<(Standing, Judgement)> =
            self.metrics.iter().zip(&state.metrics).map(|(limits, kept)| kept.say(limits, self.order, now)).collect();
        let standing = said.iter().map(|(standing, _)| *standing).max().unwrap_or(Standing::NotYet);
        Verdict { standing, judgements: said.into_iter().map(|(_, judgement)| judgement).collect() }
    }
}

impl TryFrom<RawThreshold> for Threshold {
    type Error = Refused;
    fn try_from(raw: RawThreshold) -> Result<Self, Refused> {
        Ok(Self::new(raw.metrics)?.order(raw.order))
    }
}

impl From<Threshold> for RawThreshold {
    fn from(judge: Threshold) -> Self {
        Self { metrics: judge.metrics, order: judge.order }
    }
}

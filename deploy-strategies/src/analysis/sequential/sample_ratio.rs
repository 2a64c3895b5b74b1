//! The check of how traffic was split, as it is written.

use deploy_core::name::MetricName;
use serde::{Deserialize, Serialize};

/// The check that the candidate sees the share of traffic that it should: where records of one arm get lost, no
/// comparison is valid.
///
/// It is checked where the share is known: in a strategy that splits traffic by weight, and in batches that bring their
/// [`Traffic`](deploy_core::monitor::Traffic).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SampleRatio {
    /// The chance of a false alarm over the whole rollout. 0.001 by default.
    pub alpha: f64,
    /// By what share of itself the observed share may differ. 0.02 by default: routers are not exact.
    pub tolerance: f64,
    /// Which metric counts the requests that were split.
    pub requests: Requests,
}

/// Which metric's events are the requests that were split between the arms.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requests {
    /// The first metric that is watched as errors: each request is one of its events. Without such a metric nothing is
    /// checked.
    #[default]
    FirstErrors,
    /// This one, counted.
    Metric(MetricName),
    /// None: what is counted is not every request, or not in both arms alike.
    Uncounted,
}

impl Default for SampleRatio {
    fn default() -> Self {
        Self { alpha: 0.001, tolerance: 0.02, requests: Requests::FirstErrors }
    }
}

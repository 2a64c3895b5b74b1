//! What stands in the way of a batch.

use deploy_core::name::MetricName;

use super::VERSION;
use crate::analysis::taken::Scattered;

/// A batch that cannot be taken, or a state that it cannot be taken into. The state is as before.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SequentialError {
    /// A figure of the configuration makes no sense.
    #[error("{field} of the sequential judge is {value}, where {needed} is needed")]
    Configuration {
        /// Which.
        field: &'static str,
        /// What it is.
        value: f64,
        /// What it has to be.
        needed: &'static str,
    },
    /// There is nothing to judge.
    #[error("the sequential judge has no metric that decides; name at least one as required")]
    NothingRequired,
    /// The state was begun with another configuration. Changing margins or weights in mid-rollout voids the guarantee:
    /// begin anew, and divide alpha between both.
    #[error("the state belongs to configuration {state}, this one is {config}")]
    ConfigurationChanged {
        /// The one of the state.
        state: String,
        /// The one that was asked.
        config: String,
    },
    /// The state was written by another version.
    #[error("the state is of version {0}, this is version {VERSION}")]
    Version(u32),
    /// A batch has another kind of reading for a metric than the configuration expects.
    #[error("metric {metric} is watched as {watched} and measured as {measured}")]
    Kind {
        /// The metric.
        metric: MetricName,
        /// What the configuration says.
        watched: &'static str,
        /// What the batch has.
        measured: &'static str,
    },
    /// The candidate's share of traffic lies outside 0 to 1.
    #[error("a share of traffic is {0}, where a number between 0 and 1 is needed")]
    Share(f64),
    /// Too many gaps between batches.
    #[error(transparent)]
    Scattered(#[from] Scattered),
}

/// The figure of a field, if it is right.
pub(super) fn within(
    field: &'static str,
    value: f64,
    right: bool,
    needed: &'static str,
) -> Result<(), SequentialError> {
    if right { Ok(()) } else { Err(SequentialError::Configuration { field, value, needed }) }
}

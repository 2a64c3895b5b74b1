//! The limits of one metric.

use std::time::Duration;

use deploy_core::name::MetricName;
use deploy_core::real::Real;
use serde::{Deserialize, Serialize};

use super::assess::Limits;
use super::limits::{Condition, ErrorPolicy, Limit, NoData};
use crate::span;

/// Which number of a metric is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The new revision's own.
    #[default]
    Candidate,
    /// The new revision's minus the old one's.
    Difference,
    /// The new revision's divided by the old one's; a zero below the line is no data.
    Ratio,
}

impl Subject {
    /// Whether the old revision has to be measured too.
    #[must_use]
    pub fn needs_baseline(self) -> bool {
        self != Self::Candidate
    }
}

/// Everything that is laid down for one metric. Plain data; [`Threshold::new`](super::Threshold::new) checks it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricLimits {
    /// The metric.
    pub metric: MetricName,
    /// Which number of it.
    #[serde(default)]
    pub of: Subject,
    /// What makes a number good or bad.
    pub condition: Condition,
    /// How many bad ones over the whole analysis are too many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_limit: Option<Limit>,
    /// How many bad ones in a row are too many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consecutive_failure_limit: Option<Limit>,
    /// How many errors of the question are too many, and what then.
    pub errors: ErrorPolicy,
    /// How many inconclusive ones are too many; a person is asked then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inconclusive_limit: Option<Limit>,
    /// How many good ones in a row are enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consecutive_success_limit: Option<Limit>,
    /// What absence of data means. Written out, always.
    pub no_data: NoData,
    /// Counts of fewer events are added up until there are so many, and judged together then. Zero judges each by itself.
    /// Only for metrics that are counted; ask for windows that do not overlap.
    #[serde(default)]
    pub min_events: u64,
    /// What is measured in this time from the start is not judged: a window that begins later is the first. Default: none.
    #[serde(default, with = "span", skip_serializing_if = "Duration::is_zero")]
    pub warm_up: Duration,
    /// How long after the start the first measurement is due. Default: none.
    #[serde(default, with = "span", skip_serializing_if = "Duration::is_zero")]
    pub initial_delay: Duration,
    /// How often it is measured, where that is less often than the monitor is asked: answers that come sooner are passed over.
    #[serde(default, with = "span::optional", skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// The quantile (0 to 1) that stands for sizes, where they come as samples or as a histogram. Without one, such an answer is
    /// an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantile: Option<Real>,
    /// Whether it is only shown: it is measured and judged, and never counts.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// After how many measurements it ends. Without, it goes on as long as its stage, and one good measurement is the least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

impl MetricLimits {
    /// The limits of a metric of the new revision. What follows from failures, from errors and from absence has to be said;
    /// everything else is off until its field is set.
    #[must_use]
    pub fn new(
        metric: MetricName,
        condition: Condition,
        failure_limit: Limit,
        errors: ErrorPolicy,
        no_data: NoData,
    ) -> Self {
        Self {
            metric,
            of: Subject::Candidate,
            condition,
            failure_limit: Some(failure_limit),
            consecutive_failure_limit: None,
            errors,
            inconclusive_limit: None,
            consecutive_success_limit: None,
            no_data,
            min_events: 0,
            warm_up: Duration::ZERO,
            initial_delay: Duration::ZERO,
            interval: None,
            quantile: None,
            dry_run: false,
            count: None,
        }
    }

    /// The limits that counters are assessed against.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            failure: self.failure_limit,
            consecutive_failure: self.consecutive_failure_limit,
            inconclusive: self.inconclusive_limit,
            error: self.errors.limit,
            consecutive_error: self.errors.consecutive_limit,
            consecutive_success: self.consecutive_success_limit,
            count: self.count,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_false(b: &bool) -> bool {
    !*b
}

//! The parts of a metric's limits.

use std::fmt;
use std::time::Duration;

use deploy_core::monitor::{Comparison, MeasurementOutcome};
use deploy_core::real::Real;
use serde::{Deserialize, Serialize};

use super::assess::outcome;
use crate::span;

/// How a measured number must compare, and with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    /// The operator; there is no implicit one.
    pub compare: Comparison,
    /// The limit, in the metric's unit.
    pub limit: Real,
}

impl Bound {
    /// A bound.
    #[must_use]
    pub const fn new(compare: Comparison, limit: Real) -> Self {
        Self { compare, limit }
    }

    /// Whether a number is on the named side of the limit.
    #[must_use]
    pub fn holds(self, number: f64) -> bool {
        self.compare.holds(number, self.limit.get())
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.compare, self.limit)
    }
}

/// What makes a measurement good, bad, or neither.
///
/// With only `success`, everything else is bad; with only `failure`, everything else is good; with both, `failure` is asked
/// first and a number that satisfies neither is inconclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// A number is good if this holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<Bound>,
    /// A number is bad if this holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Bound>,
}

impl Condition {
    /// Good if this holds, otherwise bad.
    #[must_use]
    pub const fn success(bound: Bound) -> Self {
        Self { success: Some(bound), failure: None }
    }

    /// Bad if this holds, otherwise good.
    #[must_use]
    pub const fn failure(bound: Bound) -> Self {
        Self { success: None, failure: Some(bound) }
    }

    /// Bad if `failure` holds, otherwise good if `success` holds, otherwise inconclusive.
    #[must_use]
    pub const fn both(success: Bound, failure: Bound) -> Self {
        Self { success: Some(success), failure: Some(failure) }
    }

    /// The outcome of one number.
    #[must_use]
    pub fn outcome(&self, number: f64) -> MeasurementOutcome {
        let ask = |bound: Option<Bound>| bound.map(|bound| Ok::<_, ()>(bound.holds(number)));
        outcome(ask(self.success), ask(self.failure))
    }

    /// The bound that is shown beside a number: that of success, otherwise that of failure.
    #[must_use]
    pub fn shown(&self) -> Option<(Comparison, Real)> {
        self.success.or(self.failure).map(|bound| (bound.compare, bound.limit))
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.success, self.failure) {
            (Some(good), None) => write!(f, "good if {good}"),
            (None, Some(bad)) => write!(f, "bad if {bad}"),
            (Some(good), Some(bad)) => write!(f, "bad if {bad}, good if {good}"),
            (None, None) => f.write_str("always good"),
        }
    }
}

/// How many are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The operator, `>` or `>=`; there is no implicit one.
    pub compare: Comparison,
    /// The number that the count is compared with.
    pub count: u32,
}

impl Limit {
    /// Reached when the count is greater than `count`.
    #[must_use]
    pub const fn more_than(count: u32) -> Self {
        Self { compare: Comparison::Greater, count }
    }

    /// Reached when the count is `count` or greater.
    #[must_use]
    pub const fn at_least(count: u32) -> Self {
        Self { compare: Comparison::AtLeast, count }
    }

    /// Whether a count has reached it.
    #[must_use]
    pub fn reached(self, count: u32) -> bool {
        self.compare.holds(f64::from(count), f64::from(self.count))
    }

    /// The smallest count that reaches it.
    #[must_use]
    pub fn least(self) -> u32 {
        if self.compare == Comparison::Greater { self.count.saturating_add(1) } else { self.count }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.compare, self.count)
    }
}

/// What it means that there was nothing to be measured. There is no default: whoever writes the analysis knows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum NoData {
    /// It counts as a bad measurement: this metric must always be there.
    Fail,
    /// It counts as an inconclusive measurement.
    Inconclusive,
    /// Nothing is counted and the release stays where it is, for at most this long without a break; then it is inconclusive.
    Hold {
        /// How long at most.
        #[serde(with = "span")]
        at_most: Duration,
    },
    /// It does not matter, for this reason, which stands in every judgement that rests on it.
    Ignore {
        /// Why.
        reason: String,
    },
}

/// What it means that the question could not be asked or answered too often. That is not a failure of the release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OnError {
    /// Stay and go on asking, for at most this long; then it is inconclusive.
    Hold {
        /// How long at most.
        #[serde(with = "span")]
        at_most: Duration,
    },
    /// Go back.
    RollBack,
    /// It cannot be told: a person decides.
    Inconclusive,
}

/// How many errors of the question are too many, and what follows then. Their counters are not those of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorPolicy {
    /// Over the whole analysis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// In a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consecutive_limit: Option<Limit>,
    /// What follows.
    pub on_error: OnError,
}

impl ErrorPolicy {
    /// So many in a row are too many.
    #[must_use]
    pub const fn consecutive(limit: Limit, on_error: OnError) -> Self {
        Self { limit: None, consecutive_limit: Some(limit), on_error }
    }

    /// So many over the whole analysis are too many.
    #[must_use]
    pub const fn total(limit: Limit, on_error: OnError) -> Self {
        Self { limit: Some(limit), consecutive_limit: None, on_error }
    }
}

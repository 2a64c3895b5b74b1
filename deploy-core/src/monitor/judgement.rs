//! What a judge says about measurements.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::MetricName;
use crate::real::Real;
use crate::time::RunTime;

/// The outcome of one measurement. Worst wins, in this order, inside a metric and across metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeasurementOutcome {
    /// It satisfied the condition.
    Successful,
    /// It could not be told.
    Inconclusive,
    /// The question could not be asked or answered.
    Error,
    /// It violated the condition.
    Failed,
}

/// What a judge says about a metric or a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JudgementResult {
    /// It is as it must be.
    Pass,
    /// It cannot be told.
    Inconclusive,
    /// The numbers could not be had.
    Error,
    /// It is not as it must be.
    Fail,
}

/// What a judge advises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Advice {
    /// Go to the next stage.
    Promote,
    /// Stay and go on measuring.
    Continue,
    /// Stay and tell somebody.
    Warn,
    /// Go back.
    RollBack,
}

/// How a measured number is compared with its limit. Every limit states it; there is no implicit one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Comparison {
    /// Less than the limit.
    #[serde(rename = "<")]
    Less,
    /// Less than or equal to the limit.
    #[serde(rename = "<=")]
    AtMost,
    /// Greater than the limit.
    #[serde(rename = ">")]
    Greater,
    /// Greater than or equal to the limit.
    #[serde(rename = ">=")]
    AtLeast,
}

impl Comparison {
    /// Whether `number` compares so with `limit`. The one comparison that every limit of ours goes through.
    #[must_use]
    pub fn holds(self, number: f64, limit: f64) -> bool {
        match self {
            Self::Less => number < limit,
            Self::AtMost => number <= limit,
            Self::Greater => number > limit,
            Self::AtLeast => number >= limit,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Less => "<",
            Self::AtMost => "≤",
            Self::Greater => ">",
            Self::AtLeast => "≥",
        })
    }
}

/// What a judge says about one metric, with what it was said on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Judgement {
    /// The metric.
    pub metric: MetricName,
    /// What is said.
    pub result: JudgementResult,
    /// What to do about it.
    pub advice: Advice,
    /// The number it was said on, where there was one.
    pub measured: Option<Real>,
    /// How it had to compare, and with what.
    pub limit: Option<(Comparison, Real)>,
    /// When the number was taken.
    pub at: RunTime,
    /// Over how long.
    #[serde(with = "crate::time::duration_ms")]
    pub over: Duration,
    /// Why, in a sentence.
    pub because: String,
    /// What would have to be so for it to be said otherwise.
    pub otherwise: String,
}

#[cfg(test)]
mod tests {
    use super::{Comparison, JudgementResult, MeasurementOutcome};

    #[test]
    fn every_comparison_is_right_on_both_sides_of_the_limit_and_at_it() {
        let at = |c: Comparison| (c.holds(0.9, 1.0), c.holds(1.0, 1.0), c.holds(1.1, 1.0));
        assert_eq!(at(Comparison::Less), (true, false, false));
        assert_eq!(at(Comparison::AtMost), (true, true, false));
        assert_eq!(at(Comparison::Greater), (false, false, true));
        assert_eq!(at(Comparison::AtLeast), (false, true, true));
    }

    #[test]
    fn nan_never_satisfies_a_limit() {
        for comparison in [Comparison::Less, Comparison::AtMost, Comparison::Greater, Comparison::AtLeast] {
            assert!(!comparison.holds(f64::NAN, 1.0));
        }
    }

    #[test]
    fn worst_wins_in_one_order() {
        use MeasurementOutcome::{Error, Failed, Inconclusive, Successful};
        assert!(Successful < Inconclusive && Inconclusive < Error && Error < Failed);
        assert!(
            JudgementResult::Pass < JudgementResult::Inconclusive && JudgementResult::Error < JudgementResult::Fail
        );
    }
}

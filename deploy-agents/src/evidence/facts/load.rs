//! Facts of load and speed measurements: k6, oha, wrk, hyperfine, criterion.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evidence::{Doubt, Pointer, Sourced};

/// What a measurement of load or speed says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LoadFacts {
    /// The tool, for example `k6`.
    pub tool: String,
    /// How many requests were answered or failed, where the tool counts requests.
    pub requests: Option<Sourced<u64>>,
    /// How long it measured.
    pub duration: Option<Quantity>,
    /// Requests in a second.
    pub rate: Option<Sourced<f64>>,
    /// The share of requests that failed, from 0 to 1, where the tool states one. k6 and oha mean different things by it:
    /// what counts is [`failed_share`](Self::failed_share).
    pub declared_failed: Option<Sourced<f64>>,
    /// How often each HTTP status was answered, where the tool says.
    pub statuses: BTreeMap<u16, Sourced<u64>>,
    /// Answers outside 200 to 399, where the tool says so in one number.
    pub bad_statuses: Option<Sourced<u64>>,
    /// Requests without an answer, by the tool's words. Those in flight when the time was up stand in `cut_off`.
    pub errors: BTreeMap<String, Sourced<u64>>,
    /// Requests that were in flight when the time was up. They are neither good nor bad.
    pub cut_off: Option<Sourced<u64>>,
    /// How long requests took.
    pub latencies: Vec<Latency>,
    /// Checks inside of the measurement that did not hold, where the tool counts them. k6 ends well whatever they say.
    pub failed_checks: Option<Sourced<u64>>,
    /// Limits that the measurement itself was given.
    pub thresholds: Vec<Threshold>,
    /// Programs or functions that were timed.
    pub benchmarks: Vec<Benchmark>,
    /// What keeps the measurement from being taken at its word.
    pub doubts: Vec<Doubt>,
}

impl LoadFacts {
    /// A latency by what it is, in seconds.
    #[must_use]
    pub fn latency(&self, which: LatencyKind) -> Option<f64> {
        self.latencies.iter().find(|l| l.which == which).map(|l| l.value.seconds())
    }

    /// The number of requests that failed: no answer, or a status from 400. Nothing where the tool does not say.
    #[must_use]
    pub fn failed(&self) -> Option<u64> {
        let bad = match (&self.bad_statuses, self.statuses.is_empty()) {
            (Some(bad), _) => bad.value,
            (None, false) => {
                let bad = self.statuses.iter().filter(|(status, _)| !(200..400).contains(*status));
                bad.fold(0_u64, |sum, (_, n)| sum.saturating_add(n.value))
            }
            // wrk leaves the line out where there is nothing to say.
            (None, true) if self.tool == "wrk" => 0,
            (None, true) => return None,
        };
        Some(self.errors.values().fold(bad, |sum, n| sum.saturating_add(n.value)))
    }

    /// The share of requests that failed, from 0 to 1. Nothing where the tool does not say or where there were none.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of requests stay far below 2^52")]
    pub fn failed_share(&self) -> Option<f64> {
        match (self.failed(), self.asked()) {
            (_, None) => None,
            (Some(failed), Some(all)) => Some(failed as f64 / all as f64),
            (None, _) => self.declared_failed.as_ref().map(|share| share.value),
        }
    }

    /// How many requests were answered or failed, by whatever the tool counts: requests, or answers by status. Nothing where there
    /// were none, or where it counts neither.
    #[must_use]
    pub fn asked(&self) -> Option<u64> {
        let unanswered = self.errors.values().fold(0_u64, |sum, n| sum.saturating_add(n.value));
        let answered = self.statuses.values().fold(0_u64, |sum, n| sum.saturating_add(n.value));
        let all = match (&self.requests, answered) {
            (_, answered) if answered > 0 => answered.saturating_add(unanswered),
            // wrk counts the answered ones alone.
            (Some(requests), _) if self.tool == "wrk" => requests.value.saturating_add(unanswered),
            (Some(requests), _) => requests.value,
            (None, _) => 0,
        };
        (all > 0).then_some(all)
    }
}

/// A time as it stands in a source, with its unit.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Quantity {
    /// The number.
    pub number: Sourced<f64>,
    /// Its unit.
    pub unit: TimeUnit,
}

impl Quantity {
    /// A number in a unit.
    #[must_use]
    pub fn new(number: Sourced<f64>, unit: TimeUnit) -> Self {
        Self { number, unit }
    }

    /// The time in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.unit.seconds(self.number.value)
    }
}

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// 10⁻⁹ s.
    Nanoseconds,
    /// 10⁻⁶ s.
    Microseconds,
    /// 10⁻³ s.
    Milliseconds,
    /// 1 s.
    #[default]
    Seconds,
    /// 60 s.
    Minutes,
    /// 3,600 s.
    Hours,
}

impl TimeUnit {
    /// A number in this unit as seconds.
    #[must_use]
    pub fn seconds(self, number: f64) -> f64 {
        match self {
            Self::Nanoseconds => number / 1e9,
            Self::Microseconds => number / 1e6,
            Self::Milliseconds => number / 1e3,
            Self::Seconds => number,
            Self::Minutes => number * 60.0,
            Self::Hours => number * 3600.0,
        }
    }
}

/// How long requests took, in one respect.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Latency {
    /// In which respect.
    pub which: LatencyKind,
    /// How long.
    pub value: Quantity,
}

impl Latency {
    /// How long requests took, in one respect.
    #[must_use]
    pub fn new(which: LatencyKind, value: Quantity) -> Self {
        Self { which, value }
    }
}

/// A summary of many times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatencyKind {
    /// The arithmetic mean.
    #[default]
    Mean,
    /// The standard deviation.
    StandardDeviation,
    /// The shortest.
    Minimum,
    /// The longest.
    Maximum,
    /// So many thousandths of all were at most this: 500 is the median, 999 the 99.9th percentile.
    PerMille(u16),
}

/// A limit that a measurement was given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Threshold {
    /// Of what.
    pub metric: String,
    /// The limit, as it stands.
    pub expression: String,
    /// Whether it was kept: already turned round where the source writes `false` for a limit that was kept.
    pub kept: bool,
    /// Where it stands.
    pub at: Pointer,
}

/// A program or function that was timed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Benchmark {
    /// Its name.
    pub name: String,
    /// The unit of `samples`.
    pub unit: TimeUnit,
    /// The single times, warm-up excluded, where the source has them.
    pub samples: Vec<f64>,
    /// What the source itself sums up.
    pub summary: Vec<Latency>,
    /// How the executions ended: absent for one that was ended by a signal.
    pub exit_codes: Vec<Option<i64>>,
    /// Where it stands.
    pub at: Pointer,
}

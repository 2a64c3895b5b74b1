//! What was asked, and what came back.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Counts, Histogram};
use crate::name::{BlockName, MetricName, RevisionName, StratumName};
use crate::real::Real;
use crate::time::Timestamp;

/// Which side of a comparison a measurement is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// The revision that is being released.
    Candidate,
    /// The revision that it is compared with.
    Baseline,
}

/// A question to a monitor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MeasureRequest {
    /// The monitor.
    pub monitor: BlockName,
    /// Which of its metrics; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricName>,
    /// The revision that is being released.
    pub candidate: RevisionName,
    /// The revision to compare with, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<RevisionName>,
    /// How far back to look from now.
    #[serde(with = "crate::time::duration_ms")]
    pub lookback: Duration,
}

/// Everything that came back for one request. An error is data here: the strategy decides what it means.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Measured {
    /// The request.
    pub request: MeasureRequest,
    /// When it was answered.
    pub at: crate::time::RunTime,
    /// The answer, or why there is none.
    pub result: Result<Vec<Measurement>, String>,
}

/// One measured quantity of one arm over one window.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Measurement {
    /// The quantity.
    pub metric: MetricName,
    /// The part of the traffic that it is of; nothing: of all of it. Parts do not overlap, and one without data is in the answer, as
    /// [`Reading::NoData`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stratum: Option<StratumName>,
    /// Whose it is.
    pub arm: Arm,
    /// What it covers.
    pub window: Window,
    /// The number, or that there is none.
    pub reading: Reading,
}

impl Measurement {
    /// A measurement.
    #[must_use]
    pub fn new(metric: MetricName, arm: Arm, window: Window, reading: Reading) -> Self {
        Self { metric, stratum: None, arm, window, reading }
    }

    /// The same, of this part of the traffic alone.
    #[must_use]
    pub fn in_stratum(mut self, stratum: StratumName) -> Self {
        self.stratum = Some(stratum);
        self
    }
}

/// A span of wall time, from inclusive, to exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    /// The first instant in it.
    pub from: Timestamp,
    /// The first instant after it.
    pub to: Timestamp,
}

impl Window {
    /// The window of length `span` that ends at `to`.
    #[must_use]
    pub fn ending(to: Timestamp, span: Duration) -> Self {
        let back = i64::try_from(crate::time::millis(span)).unwrap_or(i64::MAX);
        Self { from: Timestamp(to.0.saturating_sub(back)), to }
    }
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// One number, in the unit that the metric's name states.
    Value(Real),
    /// Events and the bad ones among them.
    Counts(Counts),
    /// Single observations, in the unit that the metric's name states.
    Samples(Vec<Real>),
    /// Single observations, counted by size, in the unit that the metric's name states.
    Histogram(Histogram),
    /// Nothing was there to be measured. Not zero.
    NoData,
}

impl Reading {
    /// One number for it: the value itself, or the share of bad events.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Value(value) => Some(value.get()),
            Self::Counts(counts) => counts.ratio(),
            Self::Samples(_) | Self::Histogram(_) | Self::NoData => None,
        }
    }
}

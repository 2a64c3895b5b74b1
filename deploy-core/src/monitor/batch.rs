//! What both arms of a comparison measured over one window.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::strata::added;
use super::{Arm, Counts, Histogram, HistogramError, Measurement, Reading, StrataError, Window};
use crate::name::{MetricName, StratumName};
use crate::real::Real;

/// The unit in which sequential judges take numbers in: what both arms measured over the same window.
///
/// A batch is closed by the clock, by a count of requests or by a change of stage, never by what happened inside it, and
/// only after the declared settle time. It is taken in once: a second one with the same key changes nothing. What comes in after
/// that is a batch of its own, with the next [`BatchKey::part`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Batch {
    /// Its name.
    pub key: BatchKey,
    /// What it covers.
    pub window: Window,
    /// How long the youngest instance of the candidate had been ready when the window began. Nothing if unknown; then no
    /// warm-up is taken into account.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration_ms")]
    pub youngest: Option<Duration>,
    /// The requests that each arm saw, where they are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
    /// What was measured.
    pub metrics: BTreeMap<MetricName, Paired>,
}

/// The name of a batch within a rollout.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BatchKey {
    /// Where it was measured, if arms are compared zone by zone or endpoint by endpoint; nothing: everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stratum: Option<StratumName>,
    /// The stage of the rollout, from 0.
    pub stage: u32,
    /// The number of the window, counted through the whole rollout.
    pub window: u64,
    /// 0 for what was there when the window was closed, 1 and up for what came late.
    #[serde(default)]
    pub part: u32,
}

impl BatchKey {
    /// The first part of a window.
    #[must_use]
    pub fn new(stage: u32, window: u64) -> Self {
        Self { stratum: None, stage, window, part: 0 }
    }
}

/// The requests that each arm saw, and what share the candidate should have seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Traffic {
    /// Requests that the candidate saw.
    pub candidate: u64,
    /// Requests that the baseline saw.
    pub baseline: u64,
    /// The share of both together that the candidate should have seen, between 0 and 1.
    pub share: Real,
}

/// One metric of both arms.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Paired {
    /// Events, and the bad ones among them.
    Counts {
        /// Of the revision that is being released.
        candidate: Counts,
        /// Of the revision that it is compared with.
        baseline: Counts,
    },
    /// Sizes, one for each event.
    Histograms {
        /// Of the revision that is being released.
        candidate: Histogram,
        /// Of the revision that it is compared with.
        baseline: Histogram,
    },
    /// One number for the whole window.
    Values {
        /// Of the revision that is being released.
        candidate: Real,
        /// Of the revision that it is compared with.
        baseline: Real,
    },
    /// There is no pair. Not zero.
    Missing {
        /// The arms for which nothing was measured, or whose readings are not of one kind.
        arms: Vec<Arm>,
    },
}

impl Batch {
    /// A batch without metrics.
    #[must_use]
    pub fn new(key: BatchKey, window: Window) -> Self {
        Self { key, window, youngest: None, traffic: None, metrics: BTreeMap::new() }
    }

    /// The same batch with the age of the youngest instance of the candidate.
    #[must_use]
    pub fn youngest(mut self, age: Duration) -> Self {
        self.youngest = Some(age);
        self
    }

    /// The same batch with the requests that each arm saw.
    #[must_use]
    pub fn traffic(mut self, traffic: Traffic) -> Self {
        self.traffic = Some(traffic);
        self
    }

    /// The same batch with this metric.
    #[must_use]
    pub fn metric(mut self, metric: MetricName, paired: Paired) -> Self {
        self.metrics.insert(metric, paired);
        self
    }

    /// The same batch with these measurements, of whatever part of the traffic, paired by metric. Where one arm has nothing, the metric
    /// is [`Paired::Missing`]; several measurements of one arm are added up, except single numbers, of which the last counts.
    ///
    /// # Errors
    ///
    /// [`HistogramError`] if a sample is no size.
    pub fn measured(mut self, measurements: &[Measurement]) -> Result<Self, HistogramError> {
        let mut arms: BTreeMap<&MetricName, [Option<Reading>; 2]> = BTreeMap::new();
        for measurement in measurements {
            let slot = &mut arms.entry(&measurement.metric).or_default()[usize::from(measurement.arm == Arm::Baseline)];
            *slot = Some(added(slot.take(), &measurement.reading)?);
        }
        for (metric, [candidate, baseline]) in arms {
            self.metrics.insert(metric.clone(), Paired::of(candidate, baseline));
        }
        Ok(self)
    }

    /// Whether the other is of the same window, perhaps of another part of the traffic.
    #[must_use]
    pub fn is_of_the_window_of(&self, other: &Self) -> bool {
        let of = |key: &BatchKey| (key.stage, key.window, key.part);
        of(&self.key) == of(&other.key)
    }

    /// Batches like this one, of each part of the traffic its own, with what was measured of it; one of all traffic where nothing was
    /// measured by parts.
    ///
    /// # Errors
    ///
    /// [`StrataError`] if a sample is no size, or a metric was measured of all traffic and of parts of it, which would count events twice.
    pub fn by_stratum(&self, measurements: &[Measurement]) -> Result<Vec<Self>, StrataError> {
        if measurements.iter().all(|measurement| measurement.stratum.is_none()) {
            return Ok(vec![self.clone().measured(measurements)?]);
        }
        super::strata::apart(measurements)?;
        let mut parts: BTreeMap<Option<&StratumName>, Vec<Measurement>> = BTreeMap::new();
        for measurement in measurements {
            parts.entry(measurement.stratum.as_ref()).or_default().push(measurement.clone());
        }
        let batches = parts.into_iter().map(|(stratum, measurements)| {
            let mut batch = self.clone();
            batch.key.stratum = stratum.cloned();
            Ok(batch.measured(&measurements)?)
        });
        batches.collect()
    }
}

impl Paired {
    fn of(candidate: Option<Reading>, baseline: Option<Reading>) -> Self {
        match (candidate, baseline) {
            (Some(Reading::Counts(candidate)), Some(Reading::Counts(baseline))) => Self::Counts { candidate, baseline },
            (Some(Reading::Value(candidate)), Some(Reading::Value(baseline))) => Self::Values { candidate, baseline },
            (Some(Reading::Histogram(candidate)), Some(Reading::Histogram(baseline))) => {
                Self::Histograms { candidate, baseline }
            }
            (candidate, baseline) => {
                let absent = |reading: &Option<Reading>| matches!(reading, None | Some(Reading::NoData));
                let arms = [(Arm::Candidate, absent(&candidate)), (Arm::Baseline, absent(&baseline))];
                let mut missing: Vec<Arm> =
                    arms.into_iter().filter(|(_, absent)| *absent).map(|(arm, _)| arm).collect();
                if missing.is_empty() {
                    missing = vec![Arm::Candidate, Arm::Baseline];
                }
                Self::Missing { arms: missing }
            }
        }
    }
}

/// An optional span as whole milliseconds.
mod duration_ms {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "the shape that serde asks for")]
    pub(super) fn serialize<S: Serializer>(span: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        span.map(crate::time::millis).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Batch, BatchKey, Paired};
    use crate::monitor::{Arm, Counts, Measurement, Reading, Window};
    use crate::name::MetricName;
    use crate::real::Real;
    use crate::time::Timestamp;

    fn window() -> Window {
        Window::ending(Timestamp(60_000), Duration::from_mins(1))
    }

    fn metric(name: &str) -> MetricName {
        MetricName::new(name).expect("a name")
    }

    fn one(name: &str, arm: Arm, reading: Reading) -> Measurement {
        Measurement::new(metric(name), arm, window(), reading)
    }

    #[test]
    fn measurements_are_paired_by_metric_and_what_lacks_an_arm_is_missing() {
        let counts = |n, bad| Reading::Counts(Counts::new(n, bad).expect("fewer bad than all"));
        let samples = |values: &[u32]| Reading::Samples(values.iter().map(|v| Real::from(*v)).collect());
        let batch = Batch::new(BatchKey::new(0, 0), window())
            .measured(&[
                one("errors", Arm::Candidate, counts(10, 1)),
                one("errors", Arm::Candidate, counts(5, 0)),
                one("errors", Arm::Baseline, counts(90, 2)),
                one("latency", Arm::Candidate, samples(&[3, 5])),
                one("latency", Arm::Baseline, samples(&[4])),
                one("load", Arm::Candidate, Reading::Value(Real::from(1))),
                one("load", Arm::Baseline, Reading::NoData),
                one("mixed", Arm::Candidate, Reading::Value(Real::from(1))),
                one("mixed", Arm::Baseline, counts(1, 1)),
            ])
            .expect("sizes");
        let Paired::Counts { candidate, baseline } = &batch.metrics[&metric("errors")] else { panic!("counts") };
        assert_eq!((candidate.events(), candidate.bad(), baseline.events()), (15, 1, 90));
        let Paired::Histograms { candidate, baseline } = &batch.metrics[&metric("latency")] else {
            panic!("histograms")
        };
        assert_eq!((candidate.count(), baseline.count()), (2, 1));
        assert_eq!(batch.metrics[&metric("load")], Paired::Missing { arms: vec![Arm::Baseline] });
        assert_eq!(batch.metrics[&metric("mixed")], Paired::Missing { arms: vec![Arm::Candidate, Arm::Baseline] });
    }

    #[test]
    fn a_batch_reads_back_as_it_was_written() {
        let batch = Batch::new(BatchKey::new(2, 7), window()).youngest(Duration::from_secs(30));
        let text = serde_json::to_string(&batch).expect("written");
        assert_eq!(batch, serde_json::from_str(&text).expect("read"));
        let bare = Batch::new(BatchKey::new(2, 7), window());
        let text = serde_json::to_string(&bare).expect("written");
        assert_eq!(bare, serde_json::from_str(&text).expect("read"));
    }
}

//! What was measured of parts of the traffic, taken together.

use std::collections::BTreeMap;

use super::{Arm, Histogram, HistogramError, Measurement, Reading};
use crate::name::{MetricName, StratumName};

/// Measurements of parts of the traffic that cannot be taken together.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StrataError {
    /// A sample is no size.
    #[error(transparent)]
    Histogram(#[from] HistogramError),
    /// A metric was measured of all traffic and of a part of it: leave one of the two out.
    #[error("{metric} was measured of all traffic and of {stratum} too, so that events would be counted twice")]
    Overlap {
        /// The metric.
        metric: MetricName,
        /// One of the parts.
        stratum: StratumName,
    },
    /// Neither counts nor sizes: measure it of all traffic, or choose a judge that compares part by part.
    #[error("what {metric} is of {one} and of {other} cannot be added up: counts can, and sizes")]
    NoSum {
        /// The metric.
        metric: MetricName,
        /// One of the parts.
        one: StratumName,
        /// Another.
        other: StratumName,
    },
}

/// No metric was measured of all traffic and of parts of it as well.
pub(super) fn apart(measurements: &[Measurement]) -> Result<(), StrataError> {
    let mut parts: BTreeMap<&MetricName, Option<&StratumName>> = BTreeMap::new();
    for Measurement { metric, stratum, .. } in measurements {
        let first = *parts.entry(metric).or_insert(stratum.as_ref());
        if let (Some(stratum), None) | (None, Some(stratum)) = (first, stratum) {
            return Err(StrataError::Overlap { metric: metric.clone(), stratum: stratum.clone() });
        }
    }
    Ok(())
}

impl Measurement {
    /// These measurements for a judge that knows no parts of the traffic: counts and sizes of all parts added up, and no data where one
    /// of them has none, for nobody knows what it would have added. The window of a sum is from the first to the last instant of its
    /// parts'. What was measured of all traffic stays as it is.
    ///
    /// ```
    /// use deploy_core::monitor::{Arm, Counts, Measurement, Reading, Window};
    /// use deploy_core::name::{MetricName, StratumName};
    /// use deploy_core::time::Timestamp;
    ///
    /// let window = Window { from: Timestamp(0), to: Timestamp(60_000) };
    /// let of = |stratum, events, bad| {
    ///     let reading = Reading::Counts(Counts::new(events, bad)?);
    ///     let errors = Measurement::new(MetricName::new("http.errors")?, Arm::Candidate, window, reading);
    ///     Ok::<_, Box<dyn std::error::Error>>(errors.in_stratum(StratumName::new(stratum)?))
    /// };
    /// let together = Measurement::of_all(&[of("checkout", 100, 3)?, of("search", 900, 1)?])?;
    /// assert_eq!(together[0].reading, Reading::Counts(Counts::new(1_000, 4)?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`StrataError`] if a sample is no size, if a metric is of single numbers, or if it was measured of all traffic too.
    pub fn of_all(measurements: &[Self]) -> Result<Vec<Self>, StrataError> {
        apart(measurements)?;
        let mut sums: BTreeMap<(&MetricName, Arm), Self> = BTreeMap::new();
        let mut all = Vec::new();
        for measurement in measurements {
            let Some(other) = &measurement.stratum else {
                all.push(measurement.clone());
                continue;
            };
            let key = (&measurement.metric, measurement.arm);
            let Some(sum) = sums.get_mut(&key) else {
                sums.insert(key, measurement.clone());
                continue;
            };
            if let Some(one) = &sum.stratum
                && one != other
                && !adds_up(&sum.reading, &measurement.reading)
            {
                let (metric, one, other) = (sum.metric.clone(), one.clone(), other.clone());
                return Err(StrataError::NoSum { metric, one, other });
            }
            sum.window.from = sum.window.from.min(measurement.window.from);
            sum.window.to = sum.window.to.max(measurement.window.to);
            sum.reading = match (&sum.reading, &measurement.reading) {
                (Reading::NoData, _) | (_, Reading::NoData) => Reading::NoData,
                (there, more) => added(Some(there.clone()), more)?,
            };
        }
        all.extend(sums.into_values().map(|sum| Self { stratum: None, ..sum }));
        Ok(all)
    }
}

/// Whether two readings of different parts make one of both.
fn adds_up(one: &Reading, other: &Reading) -> bool {
    let sizes = |reading: &Reading| matches!(reading, Reading::Samples(_) | Reading::Histogram(_));
    match (one, other) {
        (Reading::NoData, _) | (_, Reading::NoData) => true,
        (Reading::Counts(_), Reading::Counts(_)) => true,
        (one, other) => sizes(one) && sizes(other),
    }
}

/// One reading out of what is there and what comes on top. Samples become a histogram.
pub(super) fn added(there: Option<Reading>, more: &Reading) -> Result<Reading, HistogramError> {
    let more = match more {
        Reading::Samples(samples) => Reading::Histogram(Histogram::of(samples)?),
        other => other.clone(),
    };
    let there = match there {
        Some(Reading::Samples(samples)) => Some(Reading::Histogram(Histogram::of(&samples)?)),
        other => other,
    };
    Ok(match (there, more) {
        (Some(Reading::Counts(a)), Reading::Counts(b)) => Reading::Counts(a.plus(b)),
        (Some(Reading::Histogram(mut a)), Reading::Histogram(b)) => {
            a.merge(&b)?;
            Reading::Histogram(a)
        }
        (Some(there), Reading::NoData) => there,
        (_, more) => more,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::StrataError;
    use crate::monitor::{Arm, Batch, BatchKey, Counts, Measurement, Paired, Reading, Window};
    use crate::name::{MetricName, StratumName};
    use crate::real::Real;
    use crate::time::Timestamp;

    fn of(name: &str, stratum: Option<&str>, arm: Arm, reading: Reading) -> Measurement {
        let window = Window::ending(Timestamp(60_000), Duration::from_mins(1));
        let measurement = Measurement::new(MetricName::new(name).expect("a name"), arm, window, reading);
        match stratum {
            Some(stratum) => measurement.in_stratum(StratumName::new(stratum).expect("a name")),
            None => measurement,
        }
    }

    fn counts(events: u64, bad: u64) -> Reading {
        Reading::Counts(Counts::new(events, bad).expect("fewer bad than all"))
    }

    fn samples(values: &[u32]) -> Reading {
        Reading::Samples(values.iter().map(|value| Real::from(*value)).collect())
    }

    #[test]
    fn each_part_of_the_traffic_has_a_batch_of_its_own() {
        let all = [
            of("errors", Some("west"), Arm::Candidate, counts(10, 1)),
            of("errors", Some("east"), Arm::Candidate, counts(20, 2)),
            of("errors", Some("east"), Arm::Baseline, counts(30, 3)),
            of("load", None, Arm::Candidate, Reading::Value(Real::from(1))),
        ];
        let plain = Batch::new(BatchKey::new(2, 7), all[0].window);
        let batches = plain.by_stratum(&all).expect("sizes");
        let key = |stratum: &str| BatchKey {
            stratum: (!stratum.is_empty()).then(|| StratumName::new(stratum).expect("a name")),
            ..BatchKey::new(2, 7)
        };
        let keys: Vec<BatchKey> = batches.iter().map(|batch| batch.key.clone()).collect();
        assert_eq!(keys, [key(""), key("east"), key("west")]);
        let errors = MetricName::new("errors").expect("a name");
        let Paired::Counts { candidate, baseline } = &batches[1].metrics[&errors] else { panic!("counts") };
        assert_eq!((candidate.events(), baseline.events()), (20, 30));
        assert_eq!(batches[2].metrics[&errors], Paired::Missing { arms: vec![Arm::Baseline] });
        assert_eq!(batches[0].metrics.len(), 1);
        // Nothing measured is a batch of nothing.
        assert_eq!(plain.by_stratum(&[]), Ok(vec![plain]));
    }

    #[test]
    fn counts_and_sizes_of_all_parts_are_added_up_and_single_numbers_are_not() {
        let sizes = Measurement::of_all(&[
            of("latency", Some("east"), Arm::Candidate, samples(&[3, 5])),
            of("latency", Some("west"), Arm::Candidate, samples(&[4])),
            of("latency", Some("west"), Arm::Baseline, samples(&[9])),
            of("errors", Some("east"), Arm::Candidate, counts(0, 0)),
            of("errors", Some("west"), Arm::Candidate, counts(5, 1)),
            of("errors", Some("west"), Arm::Baseline, counts(9, 1)),
            of("errors", Some("east"), Arm::Baseline, Reading::NoData),
            of("errors", Some("north"), Arm::Baseline, counts(9, 1)),
        ])
        .expect("sizes");
        assert!(sizes.iter().all(|measurement| measurement.stratum.is_none()));
        assert_eq!(sizes[0].reading, counts(5, 1), "nothing happened in the east");
        assert_eq!(sizes[1].reading, Reading::NoData, "nobody knows what happened in the east");
        let Reading::Histogram(both) = &sizes[2].reading else { panic!("{sizes:?}") };
        assert_eq!(both.count(), 3);
        assert_eq!(sizes[3].reading, samples(&[9]), "what is alone stays as it is");
        let load = |stratum, value: u32| of("load", Some(stratum), Arm::Candidate, Reading::Value(Real::from(value)));
        let apart = Measurement::of_all(&[load("east", 1), load("west", 2)]);
        assert!(matches!(apart, Err(StrataError::NoSum { .. })), "{apart:?}");
    }

    #[test]
    fn all_traffic_and_a_part_of_it_are_not_counted_together() {
        let both = [
            of("errors", Some("east"), Arm::Candidate, counts(10, 1)),
            of("errors", None, Arm::Baseline, counts(100, 1)),
        ];
        let plain = Batch::new(BatchKey::new(0, 0), both[0].window);
        assert!(matches!(plain.by_stratum(&both), Err(StrataError::Overlap { .. })));
        let error = Measurement::of_all(&both).expect_err("twice").to_string();
        assert!(error.contains("errors") && error.contains("east"), "{error}");
    }
}

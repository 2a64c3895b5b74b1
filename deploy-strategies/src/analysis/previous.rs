//! This release beside the one before, by the time that has passed since each began.
//!
//! For releases without a baseline beside them: what was measured three minutes after this one began is held against what was measured
//! three minutes after the last one began, so that cold caches meet cold caches. It is weaker than a baseline of the same hour: the two saw
//! other users at another time of day, and the sequential judge's rate of false alarms holds only as far as those were alike. Keep an
//! objective of its own beside it ([`BurnRate`](super::burn_rate::BurnRate)).

use std::collections::BTreeMap;
use std::time::Duration;

use deploy_core::monitor::{Arm, Batch, BatchKey, Measurement, StrataError, Window};
use deploy_core::time::{Timestamp, millis};
use serde::{Deserialize, Serialize};

/// What was measured of a release since it began.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Passage {
    /// When it began.
    pub began: Timestamp,
    /// What was measured of the revision that was being released. Measurements of a baseline are passed over.
    pub measurements: Vec<Measurement>,
}

impl Passage {
    /// The measurements by the number of the window, of this length, in which theirs began.
    fn by_window(&self, length: i64) -> BTreeMap<u64, Vec<&Measurement>> {
        let mut windows: BTreeMap<u64, Vec<&Measurement>> = BTreeMap::new();
        for measurement in self.measurements.iter().filter(|measurement| measurement.arm == Arm::Candidate) {
            let since = measurement.window.from.0.saturating_sub(self.began.0);
            // What began before the release is not of it.
            if let Ok(since) = u64::try_from(since) {
                let number = since / length.unsigned_abs();
                windows.entry(number).or_default().push(measurement);
            }
        }
        windows
    }
}

/// The windows of this release, each with the same window of the last one as its baseline. Where there was no last release, or
/// it was not measured so long after it began, the baseline is missing: no judge takes that for a pass. What was measured of parts of the
/// traffic has a batch for each part.
///
/// # Errors
///
/// [`StrataError`] if a sample is no size, or a metric was measured of all traffic and of parts of it too.
pub fn by_elapsed_time(now: &Passage, before: Option<&Passage>, window: Duration) -> Result<Vec<Batch>, StrataError> {
    let length = i64::try_from(millis(window)).unwrap_or(i64::MAX).max(1);
    let earlier = before.map(|before| before.by_window(length)).unwrap_or_default();
    let mut batches = Vec::new();
    for (number, measured) in now.by_window(length) {
        let from = now.began.0.saturating_add(i64::try_from(number).unwrap_or(i64::MAX).saturating_mul(length));
        let span = Window { from: Timestamp(from), to: Timestamp(from.saturating_add(length)) };
        let then = earlier.get(&number).into_iter().flatten();
        let baseline = then.map(|measurement| Measurement { arm: Arm::Baseline, ..(*measurement).clone() });
        let both: Vec<Measurement> = measured.into_iter().cloned().chain(baseline).collect();
        batches.extend(Batch::new(BatchKey::new(0, number), span).by_stratum(&both)?);
    }
    Ok(batches)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use deploy_core::monitor::{Advice, Arm, Counts, Measurement, Paired, Reading, Window};
    use deploy_core::name::MetricName;
    use deploy_core::time::Timestamp;

    use super::{Passage, by_elapsed_time};
    use crate::analysis::Judge;
    use crate::analysis::sequential::{Look, Sequential, Watch, Watched};
    use crate::analysis::verdict::Cause;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Caches are cold at the beginning: a tenth of the requests is slow, and less with every minute.
    fn release(began: i64, minutes: i64, more: u64) -> Passage {
        let one = |minute: i64| {
            let window = Window::ending(Timestamp(began + 60_000 * (minute + 1)), MINUTE);
            let slow = 200 / (u64::try_from(minute).expect("not before") + 1) + 10 + more;
            let counts = Counts::new(2_000, slow).expect("fewer than all");
            Measurement::new(MetricName::new("slow").expect("a name"), Arm::Candidate, window, Reading::Counts(counts))
        };
        Passage { began: Timestamp(began), measurements: (0..minutes).map(one).collect() }
    }

    fn verdict(now: &Passage, before: Option<&Passage>) -> (Advice, Cause) {
        let judge =
            Sequential::new(1, vec![Watched::required(MetricName::new("slow").expect("a name"), Watch::errors())]);
        let batches = by_elapsed_time(now, before, MINUTE).expect("counts");
        let look = Look { stage: 0, observed_for: Duration::from_secs(1_200) };
        let said = Judge::Sequential(judge).judge(&batches, &look).expect("batches that fit");
        (said.advice, said.cause)
    }

    /// Rows: M178.
    #[test]
    fn cold_caches_are_held_against_cold_caches() {
        let day = 86_400_000;
        let before = release(0, 60, 0);
        assert_eq!(verdict(&release(day, 20, 0), Some(&before)), (Advice::Promote, Cause::Proven));
        assert_eq!(verdict(&release(day, 20, 20), Some(&before)), (Advice::RollBack, Cause::Harm));
        // By the clock, against the last release as it is by now, every release would go back.
        let warm = Passage { began: Timestamp(20 * 60_000), ..before };
        assert_eq!(verdict(&release(day, 20, 0), Some(&warm)), (Advice::RollBack, Cause::Harm));
    }

    #[test]
    fn without_a_release_before_nothing_is_passed() {
        assert_eq!(verdict(&release(0, 20, 0), None).1, Cause::NoData);
        let short = release(0, 1, 0);
        let batches = by_elapsed_time(&release(86_400_000, 2, 0), Some(&short), MINUTE).expect("counts");
        let slow = MetricName::new("slow").expect("a name");
        assert_eq!(batches[1].window, Window::ending(Timestamp(86_400_000 + 120_000), MINUTE));
        assert_eq!((batches[0].key.window, batches[1].key.window), (0, 1));
        assert!(matches!(batches[0].metrics[&slow], Paired::Counts { .. }));
        assert_eq!(batches[1].metrics[&slow], Paired::Missing { arms: vec![Arm::Baseline] });
    }

    #[test]
    fn what_was_before_the_release_is_not_of_it() {
        let mut passage = release(0, 3, 0);
        passage.began = Timestamp(60_000);
        assert_eq!(by_elapsed_time(&passage, None, MINUTE).expect("counts").len(), 2);
    }
}

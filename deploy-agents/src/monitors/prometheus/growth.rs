//! How much counters grew, sample by sample.

use super::answer::{Labels, Point};
use super::policy::{Births, Resets};

/// What the samples of some counters say about a window.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Growth {
    /// How much each grew.
    pub(super) series: Vec<(Labels, f64)>,
    /// The earliest sample that was counted from, in milliseconds since the Unix epoch.
    pub(super) first_ms: i64,
    /// The newest sample of all.
    pub(super) last_ms: i64,
    /// Whether one of them fell.
    pub(super) fell: bool,
}

impl Growth {
    /// Growth after `from_ms`, each counted from its last sample at or before it. NaN is skipped: it is no count. Nothing if
    /// no series has a sample after `from_ms`.
    pub(super) fn after(from_ms: i64, series: &[(Labels, Vec<Point>)], births: Births) -> Option<Self> {
        let mut growth: Option<Self> = None;
        for (labels, points) in series {
            let points: Vec<&Point> = points.iter().filter(|point| point.value.is_finite()).collect();
            let before = points.iter().rposition(|point| point.at_ms <= from_ms);
            let counted = &points[before.unwrap_or(0)..];
            let (Some(first), Some(last)) = (counted.first(), counted.last()) else { continue };
            if last.at_ms <= from_ms {
                continue;
            }
            let born = before.is_none() && births == Births::FromZero;
            let mut grown = if born { first.value } else { 0.0 };
            let mut fell = false;
            for pair in counted.windows(2) {
                let reset = pair[1].value < pair[0].value;
                fell |= reset;
                grown += if reset { pair[1].value } else { pair[1].value - pair[0].value };
            }
            let all =
                growth.get_or_insert_with(|| Self { first_ms: first.at_ms, last_ms: last.at_ms, ..Self::default() });
            all.first_ms = all.first_ms.min(first.at_ms);
            all.last_ms = all.last_ms.max(last.at_ms);
            all.fell |= fell;
            all.series.push((labels.clone(), grown));
        }
        growth
    }

    pub(super) fn total(&self) -> f64 {
        self.series.iter().map(|(_, grown)| grown).sum()
    }

    /// Whether it may be used under a policy for counters that fall. The error is the one of [`Resets::Error`].
    pub(super) fn passes(&self, resets: Resets) -> Result<bool, &'static str> {
        match (self.fell, resets) {
            (false, _) | (true, Resets::FromZero) => Ok(true),
            (true, Resets::NoData) => Ok(false),
            (true, Resets::Error) => Err("a counter fell"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::answer::{Labels, Point};
    use super::super::policy::Births;
    use super::Growth;

    fn series(points: &[(i64, f64)]) -> (Labels, Vec<Point>) {
        (Labels::new(), points.iter().map(|(at_ms, value)| Point { at_ms: *at_ms, value: *value }).collect())
    }

    fn total(points: &[(i64, f64)], births: Births) -> Option<f64> {
        Growth::after(10, &[series(points)], births).map(|growth| growth.total())
    }

    #[test]
    fn growth_is_counted_from_the_last_sample_before_the_window() {
        let born = Births::FromZero;
        assert_eq!(total(&[(4, 1.0), (9, 5.0), (14, 7.0), (19, 11.0)], born), Some(6.0));
        assert_eq!(total(&[(10, 5.0), (14, 7.0)], born), Some(2.0));
        assert_eq!(total(&[(4, 1.0), (9, 5.0)], born), None, "nothing in the window");
        assert_eq!(total(&[(9, 5.0), (14, 2.0), (19, 3.0)], born), Some(3.0), "a reset");
        assert_eq!(total(&[(9, 5.0), (14, f64::NAN), (19, 8.0)], born), Some(3.0));
    }

    #[test]
    fn a_birth_is_from_zero_or_from_its_first_sample() {
        assert_eq!(total(&[(14, 7.0), (19, 11.0)], Births::FromZero), Some(11.0));
        assert_eq!(total(&[(14, 7.0), (19, 11.0)], Births::FromFirstSample), Some(4.0));
    }

    proptest! {
        /// Wherever a counter was reset, all of its events are counted.
        #[test]
        fn resets_lose_nothing(steps in proptest::collection::vec((0_u8..20, proptest::bool::weighted(0.2)), 1..40)) {
            let (mut value, mut all, mut points) = (3.0, 0.0, vec![(10, 3.0)]);
            for (n, (grows, restarts)) in (11..).zip(&steps) {
                // A restart is seen only where the count is below the one before.
                let restarts = *restarts && f64::from(*grows) < value;
                value = if restarts { 0.0 } else { value } + f64::from(*grows);
                all += f64::from(*grows);
                points.push((n, value));
            }
            prop_assert_eq!(total(&points, Births::FromZero), Some(all));
        }
    }
}

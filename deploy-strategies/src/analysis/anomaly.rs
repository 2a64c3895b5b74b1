//! A single series against its own history: for watching after a release, never to promote one.
//!
//! "Nothing unusual" is not "no harm": a series of its own cannot tell a release from a Tuesday. So this is no [`Judge`](super::Judge), and
//! what it finds can only ever warn:
//!
//! ```compile_fail
//! use deploy_strategies::analysis::{Judge, anomaly::Unusual};
//! let judge: Judge = Unusual::new().into();
//! ```
//!
//! The season and the trend are taken out by STL (Cleveland et al., 1990; the crate `stlrs`), and what remains is held against
//! the median absolute deviation of the history's own remainders, which half of the history may spoil without moving it. Where more than
//! half of the remainders are the same, as of errors that are mostly none, that deviation is zero, and the mean absolute one stands in for it
//! (B. Iglewicz and D. Hoaglin, "How to Detect and Handle Outliers", 1993).

use std::time::Duration;

use deploy_core::monitor::{Advice, Judgement, JudgementResult};
use deploy_core::name::MetricName;
use deploy_core::real::Real;
use deploy_core::time::RunTime;
use serde::{Deserialize, Serialize};

use super::verdict::short;

/// What counts as unusual.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unusual {
    /// How many points a season has: 1,440 where a day is measured each minute. Nothing: no season, and no trend.
    #[serde(default)]
    pub season: Option<usize>,
    /// How many standard deviations, by the median absolute deviation, from what is expected. 5 by default: in a day of minutes
    /// chance alone exceeds it less than once in a year, where remainders are normal.
    #[serde(default = "default_deviations")]
    pub deviations: f64,
    /// The fewest points of history; without a season. With one it takes two seasons. 30 by default.
    #[serde(default = "default_least")]
    pub least: usize,
}

/// A point that was not expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Anomaly {
    /// Which of the new points, from 0.
    pub point: usize,
    /// What it is.
    pub value: Real,
    /// What was expected.
    pub expected: Real,
    /// The least that would not have been unusual.
    pub low: Real,
    /// The most that would not have been unusual.
    pub high: Real,
}

/// A history that nothing can be expected from.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AnomalyError {
    /// It is too short: wait, or name a shorter season.
    #[error("{have} points of history, where {needed} are needed")]
    TooShort {
        /// How many there are.
        have: usize,
        /// How many it takes.
        needed: usize,
    },
    /// A point is not a finite number: leave out what was not measured.
    #[error("point {0} of the series is not a finite number")]
    NotFinite(usize),
    /// The season cannot be taken out.
    #[error("the season cannot be taken out: {0}")]
    Season(String),
}

impl Unusual {
    /// The defaults: no season, five deviations, thirty points of history.
    #[must_use]
    pub fn new() -> Self {
        Self { season: None, deviations: default_deviations(), least: default_least() }
    }

    /// The same with a season of so many points.
    #[must_use]
    pub fn season(mut self, points: usize) -> Self {
        self.season = Some(points);
        self
    }

    /// Which of the newest points are unusual, by the history before them. Nothing found says nothing: see the module.
    ///
    /// ```
    /// use deploy_strategies::analysis::anomaly::Unusual;
    ///
    /// let history: Vec<f64> = (0..60).map(|minute| 100.0 + f64::from(minute % 7)).collect();
    /// let found = Unusual::new().find(&history, &[103.0, 180.0])?;
    /// assert_eq!(found.len(), 1);
    /// assert_eq!(found[0].point, 1);
    /// # Ok::<(), deploy_strategies::analysis::anomaly::AnomalyError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`AnomalyError`] if the history is too short or not of numbers.
    pub fn find(&self, history: &[f64], newest: &[f64]) -> Result<Vec<Anomaly>, AnomalyError> {
        let needed = self.season.map_or_else(|| self.least.max(2), |season| 2 * season.max(2));
        if history.len() < needed {
            return Err(AnomalyError::TooShort { have: history.len(), needed });
        }
        if let Some(at) = history.iter().chain(newest).position(|value| !value.is_finite()) {
            return Err(AnomalyError::NotFinite(at));
        }
        let (expected, remainders) = self.expect(history, newest.len())?;
        let middle = median(&remainders);
        let distances: Vec<f64> = remainders.iter().map(|remainder| (remainder - middle).abs()).collect();
        // The factors make them the standard deviation of a normal distribution. A constant history expects itself, up to rounding.
        let rounding = 1e-9 * median(history).abs();
        let typical = 1.4826 * median(&distances);
        let mean = distances.iter().sum::<f64>() / super::special::length(distances.len());
        let deviation = if typical > rounding { typical } else { rounding.max(1.2533 * mean) };
        let reach = self.deviations * deviation;
        let real = |number: f64| Real::new(number).unwrap_or_default();
        let unusual = newest.iter().zip(expected).enumerate().filter_map(|(point, (value, expected))| {
            let expected = expected + middle;
            ((value - expected).abs() > reach).then(|| Anomaly {
                point,
                value: real(*value),
                expected: real(expected),
                low: real(expected - reach),
                high: real(expected + reach),
            })
        });
        Ok(unusual.collect())
    }

    /// What is expected of the next points, and what remained of the history.
    fn expect(&self, history: &[f64], next: usize) -> Result<(Vec<f64>, Vec<f64>), AnomalyError> {
        let Some(season) = self.season else {
            let middle = median(history);
            return Ok((vec![middle; next], history.iter().map(|value| value - middle).collect()));
        };
        let season = season.max(2);
        // Periodic: seasons are alike but for noise, so that their shape is learnt from all of them.
        let fit = stlrs::Stl::params().robust(true).seasonal_length(10 * history.len() + 1).fit(history, season);
        let fit = fit.map_err(|error| AnomalyError::Season(error.to_string()))?;
        let level = fit.trend().last().copied().unwrap_or_default();
        let shape = &fit.seasonal()[history.len() - season..];
        let expected = shape.iter().cycle().take(next).map(|seasonal| level + seasonal).collect();
        Ok((expected, fit.remainder().to_vec()))
    }
}

impl Default for Unusual {
    fn default() -> Self {
        Self::new()
    }
}

impl Anomaly {
    /// The warning that it is, for the timeline of a run. There is no other judgement to be had of it.
    #[must_use]
    pub fn warning(&self, metric: MetricName, at: RunTime, over: Duration) -> Judgement {
        Judgement {
            metric,
            result: JudgementResult::Inconclusive,
            advice: Advice::Warn,
            measured: Some(self.value),
            limit: None,
            at,
            over,
            because: format!(
                "{}, where its own history lets expect {} to {}",
                short(self.value.get()),
                short(self.low.get()),
                short(self.high.get())
            ),
            otherwise: "a comparison with a baseline would tell whether it is the release".to_owned(),
        }
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        even if even % 2 == 0 => f64::midpoint(sorted[half - 1], sorted[half]),
        _ => sorted[half],
    }
}

fn default_deviations() -> f64 {
    5.0
}

fn default_least() -> usize {
    30
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;
    use std::time::Duration;

    use deploy_core::monitor::Advice;
    use deploy_core::name::MetricName;
    use deploy_core::time::RunTime;
    use proptest::prelude::{prop_assert, proptest};

    use super::{AnomalyError, Unusual};

    /// Days of 48 points with a little noise that repeats from no day to another.
    fn day(point: u32) -> f64 {
        let noise = f64::from(point.wrapping_mul(2_654_435_761) >> 16) / 65_536.0 - 0.5;
        1000.0 + 400.0 * (TAU * f64::from(point) / 48.0).sin() + 20.0 * noise
    }

    /// Rows: M165.
    #[test]
    fn the_night_is_not_unusual_and_a_night_at_noon_is() {
        let history: Vec<f64> = (0..48 * 14).map(day).collect();
        let next: Vec<f64> = (48 * 14..48 * 15).map(day).collect();
        let unusual = Unusual::new().season(48);
        assert_eq!(unusual.find(&history, &next), Ok(Vec::new()));
        let mut fallen = next.clone();
        fallen[12] = next[36];
        let found = unusual.find(&history, &fallen).expect("two weeks are enough");
        assert_eq!(found.iter().map(|anomaly| anomaly.point).collect::<Vec<_>>(), [12]);
        // Without the season the same fall lies within what the days swing anyway.
        assert_eq!(Unusual::new().find(&history, &fallen), Ok(Vec::new()));
    }

    #[test]
    fn a_third_of_spoilt_history_does_not_hide_a_spike() {
        let spoilt = |i: u32| if i.is_multiple_of(3) { 5000.0 } else { 100.0 + f64::from(i % 5) };
        let history: Vec<f64> = (0..90).map(spoilt).collect();
        assert_eq!(Unusual::new().find(&history, &[101.0, 160.0]).expect("enough").len(), 1);
    }

    #[test]
    fn what_is_mostly_none_may_be_some_now_and_then() {
        // Four of ten minutes have an error or two: the median deviation is zero, and one error is nothing new.
        let history: Vec<f64> = (0..60).map(|minute| f64::from([0, 0, 1, 0, 2, 0, 1, 0, 0, 1][minute % 10])).collect();
        let found = Unusual::new().find(&history, &[0.0, 1.0, 2.0, 12.0]).expect("enough");
        assert_eq!(found.iter().map(|anomaly| anomaly.point).collect::<Vec<_>>(), [3]);
        // Where there never was one, one is.
        assert_eq!(Unusual::new().find(&[0.0; 60], &[0.0, 1.0]).expect("enough").len(), 1);
    }

    #[test]
    fn what_is_found_warns_and_can_do_nothing_else() {
        let history = [7.0; 40];
        let found = Unusual::new().find(&history, &[7.0, 8.0]).expect("enough");
        let warning = found[0].warning(MetricName::new("m").expect("a name"), RunTime(0), Duration::ZERO);
        assert_eq!(warning.advice, Advice::Warn);
        assert_eq!(found.len(), 1, "a constant history expects itself");
    }

    #[test]
    fn too_little_history_and_holes_are_errors() {
        let few = Unusual::new().season(48).find(&[1.0; 95], &[1.0]);
        assert_eq!(few, Err(AnomalyError::TooShort { have: 95, needed: 96 }));
        let mut hole = [1.0; 40];
        hole[3] = f64::NAN;
        assert_eq!(Unusual::new().find(&hole, &[1.0]), Err(AnomalyError::NotFinite(3)));
    }

    proptest! {
        #[test]
        fn neither_unit_nor_origin_matters(
            history in proptest::collection::vec(-1e3f64..1e3, 30..60), newest in proptest::collection::vec(-1e4f64..1e4, 1..9),
        ) {
            let points = |map: &dyn Fn(f64) -> f64| {
                let map = |values: &[f64]| values.iter().map(|value| map(*value)).collect::<Vec<_>>();
                let found = Unusual::new().find(&map(&history), &map(&newest)).expect("enough");
                found.iter().map(|anomaly| anomaly.point).collect::<Vec<_>>()
            };
            prop_assert!(points(&|x| x) == points(&|x| 8.0 * x));
        }
    }
}

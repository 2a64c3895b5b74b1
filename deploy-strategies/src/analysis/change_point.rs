//! Where in a series its level changed, if it did: for finding the release or the step that a change came with.

use serde::{Deserialize, Serialize};

use super::sample::SampleError;
use super::special::length;

/// A change of level.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ChangePoint {
    /// The first point of the new level.
    pub at: usize,
    /// The middle of the values before it.
    pub before: f64,
    /// The middle of the values from it on.
    pub after: f64,
    /// The chance of so clear a change at any place where there is none, at most 1.
    pub p_value: f64,
}

/// The most likely place of one change of level, by A. N. Pettitt's test ("A non-parametric approach to the change-point problem",
/// Applied Statistics 28, 1979): ranks alone, so that neither unit nor spread nor single outliers matter. Look at the `p_value` before
/// believing in it; it is Pettitt's approximation, good to some percent at 0.05 and below.
///
/// It is for reports. Values must be independent of each other but for the change: a trend or a season is found as a change too.
///
/// ```
/// use deploy_strategies::analysis::change_point::change_point;
///
/// let latency = [101.0, 99.0, 103.0, 100.0, 98.0, 102.0, 140.0, 139.0, 143.0, 141.0, 138.0, 142.0];
/// let change = change_point(&latency)?.expect("twelve values");
/// assert_eq!(change.at, 6);
/// assert!(change.p_value < 0.05);
/// # Ok::<(), deploy_strategies::analysis::sample::SampleError>(())
/// ```
///
/// Nothing with fewer than two values, or where all are equal.
///
/// # Errors
///
/// [`SampleError`] if a value is not a number.
pub fn change_point(series: &[f64]) -> Result<Option<ChangePoint>, SampleError> {
    super::sample::check(series, 0)?;
    let n = series.len();
    let mut sorted = series.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    // The sum over all pairs of sign(x_i − x_j), i before the cut and j after it, grows by one value at a time.
    let mut sum = 0.0;
    let mut best = (0.0, 0);
    for cut in 1..n {
        let moved = series[cut - 1];
        let less = sorted.partition_point(|other| *other < moved);
        let more = n - sorted.partition_point(|other| *other <= moved);
        sum += length(less) - length(more);
        if f64::abs(sum) > f64::abs(best.0) {
            best = (sum, cut);
        }
    }
    let (most, at) = best;
    if at == 0 {
        return Ok(None);
    }
    let n = length(n);
    let p_value = (2.0 * libm::exp(-6.0 * most * most / (n * n * n + n * n))).min(1.0);
    Ok(Some(ChangePoint { at, before: middle(&series[..at]), after: middle(&series[at..]), p_value }))
}

fn middle(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::change_point;

    fn sign(a: f64, b: f64) -> f64 {
        f64::from(i8::from(a > b) - i8::from(a < b))
    }

    /// Noise between −1 and 1 that looks random and is the same each time.
    fn noise(seed: u32, i: u32) -> f64 {
        let mixed = (seed.wrapping_mul(0x9E37_79B9) ^ i.wrapping_mul(0x85EB_CA6B)).wrapping_mul(0xC2B2_AE35);
        f64::from(mixed ^ (mixed >> 15)) / f64::from(u32::MAX) * 2.0 - 1.0
    }

    /// Rows: M126, M188.
    #[test]
    fn a_known_onset_is_found_within_a_few_points() {
        let (mut worst, mut missed) = (0, 0);
        for seed in 0..100 {
            let series: Vec<f64> = (0..60).map(|i| noise(seed, i) + if i >= 37 { 1.5 } else { 0.0 }).collect();
            let change = change_point(&series).expect("numbers").expect("sixty");
            missed += u32::from(change.p_value > 0.01);
            worst = worst.max(change.at.abs_diff(37));
            assert!((change.after - change.before - 1.5).abs() < 0.8);
        }
        assert_eq!(missed, 0);
        assert!(worst <= 4, "{worst} points off");
    }

    #[test]
    fn where_nothing_changes_it_seldom_says_so() {
        let flat = |seed| (0..60).map(|i| noise(seed, i)).collect::<Vec<_>>();
        let found = (0..400)
            .filter(|seed| change_point(&flat(*seed)).expect("numbers").is_some_and(|change| change.p_value <= 0.05));
        // At most 5 %, and three standard errors.
        assert!(found.count() <= 33);
    }

    #[test]
    fn what_is_constant_or_short_has_no_change() {
        assert_eq!(change_point(&[4.0; 9]), Ok(None));
        assert_eq!(change_point(&[4.0]), Ok(None));
        assert_eq!(change_point(&[]), Ok(None));
        assert!(change_point(&[1.0, f64::NAN]).is_err());
    }

    proptest! {
        #[test]
        fn the_sum_that_grows_is_the_sum_over_all_pairs(series in proptest::collection::vec(-4i8..4, 2..30)) {
            let series: Vec<f64> = series.into_iter().map(f64::from).collect();
            let pairs = |cut: usize| -> f64 {
                series[..cut].iter().flat_map(|a| series[cut..].iter().map(move |b| sign(*a, *b))).sum()
            };
            let most = (1..series.len()).map(|cut| pairs(cut).abs()).fold(0.0, f64::max);
            match change_point(&series).expect("numbers") {
                None => prop_assert_eq!(most, 0.0),
                Some(change) => prop_assert!((pairs(change.at).abs() - most).abs() < 1e-9),
            }
        }
    }
}

//! The difference of two means of what has heavy tails: revenue by user, sizes of orders.

use serde::Serialize;

/// How often both samples are drawn anew: the ends of a 95 % interval then vary by some percent of its width.
const RESAMPLES: usize = 2_000;
/// The fewest values of each side: with fewer the resampled ends say nothing about the tails.
const LEAST: usize = 30;

/// The difference of two means, with an interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// The candidate's mean less the baseline's, both with their largest values cut to the limit.
    pub estimate: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// What larger values were cut to.
    pub cut_at: f64,
}

/// Values that cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BootstrapError {
    /// Wait for more users.
    #[error("{values} values on one side; at least {LEAST} are needed")]
    TooFew {
        /// How many there are.
        values: usize,
    },
    /// Mend where they come from.
    #[error("a value is not a finite number")]
    NotFinite,
}

/// How much more the candidate's users bring in than the baseline's, in their unit, with an interval of this `coverage` (0 to 1, for
/// example 0.95).
///
/// One order of a million says nothing about a release and everything about a mean: values above the 99th percentile of both sides
/// together are cut to it (winsorised), the same limit for both. The interval is of the percentile bootstrap (B. Efron and R. Tibshirani,
/// "An Introduction to the Bootstrap", 1993, section 13.3), each side drawn anew by itself. The same `seed` gives the same bits.
///
/// One value for each user, zero for those who bring nothing in. It is for a report at a fixed time, not for looking again and again.
///
/// ```
/// use deploy_agents::monitors::difference_of_means;
///
/// let spent = |extra: f64| (0..400).map(|n| if n % 4 == 0 { f64::from(n % 37) + extra } else { 0.0 }).collect::<Vec<_>>();
/// let found = difference_of_means(&spent(8.0), &spent(0.0), 0.95, 7)?;
/// assert!(found.low > 0.0 && found.estimate < 2.1, "{found:?}");
/// # Ok::<(), deploy_agents::monitors::BootstrapError>(())
/// ```
///
/// # Errors
///
/// [`BootstrapError`] with fewer than 30 values on a side, or a value that is no number.
///
/// Rows: M75.
pub fn difference_of_means(
    candidate: &[f64],
    baseline: &[f64],
    coverage: f64,
    seed: u64,
) -> Result<Difference, BootstrapError> {
    for side in [candidate, baseline] {
        if side.len() < LEAST {
            return Err(BootstrapError::TooFew { values: side.len() });
        }
        if side.iter().any(|value| !value.is_finite()) {
            return Err(BootstrapError::NotFinite);
        }
    }
    let mut pooled: Vec<f64> = candidate.iter().chain(baseline).copied().collect();
    pooled.sort_unstable_by(f64::total_cmp);
    // Nearest rank: the smallest value that at least 99 % of all do not exceed.
    let rank = (pooled.len() * 99).div_ceil(100).max(1);
    let cut_at = pooled[rank - 1];
    let cut = |side: &[f64]| side.iter().map(|value| value.min(cut_at)).collect::<Vec<_>>();
    let (mine, theirs) = (cut(candidate), cut(baseline));
    let mut draws = Draws(seed);
    let mut differences: Vec<f64> = (0..RESAMPLES).map(|_| draws.mean(&mine) - draws.mean(&theirs)).collect();
    differences.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - coverage.clamp(0.0, 1.0)) / 2.0;
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of two thousand, from 0 to 1"
        )]
        let place = ((RESAMPLES - 1) as f64 * share).round() as usize;
        differences[place.min(RESAMPLES - 1)]
    };
    Ok(Difference { estimate: mean(&mine) - mean(&theirs), low: at(tail), high: at(1.0 - tail), cut_at })
}

#[expect(clippy::cast_precision_loss, reason = "counts of users stay far below 2^52")]
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// SplitMix64 (G. Steele, D. Lea and C. Flood, "Fast splittable pseudorandom number generators", 2014): the same everywhere.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// The mean of as many values, drawn with replacement.
    #[expect(clippy::cast_precision_loss, reason = "counts of users stay far below 2^52")]
    fn mean(&mut self, values: &[f64]) -> f64 {
        let count = values.len() as u64;
        let sum: f64 = (0..count)
            .map(|_| {
                // The upper half of the product: uniform but for one part in 2^64 / count.
                let place = (u128::from(self.next()) * u128::from(count)) >> 64;
                values[usize::try_from(place).unwrap_or(0)]
            })
            .sum();
        sum / count as f64
    }
}

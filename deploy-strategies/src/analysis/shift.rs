//! By how much the values of one sample are shifted against those of another (J. Hodges and E. Lehmann, Estimates of
//! location based on rank tests, 1963).

use super::rank::{Distribution, deviation};
use super::sample::{SampleError, check, check_share, key, sorted_keys, unkey};
use super::special::{length, normal_quantile};

/// The differences between all pairs of two samples, first minus second, without ever writing them down.
#[derive(Debug, Clone)]
pub struct Differences {
    first: Vec<f64>,
    second: Vec<f64>,
    tied: Vec<f64>,
}

/// An interval for the shift, with the confidence that it really has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShiftInterval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// The confidence, between 0 and 1: at least what was asked for where it is exact.
    pub confidence: f64,
}

impl Differences {
    /// The differences of these samples.
    ///
    /// # Errors
    ///
    /// [`SampleError`] if a sample is empty or holds something that is not a finite number.
    pub fn of(first: &[f64], second: &[f64]) -> Result<Self, SampleError> {
        check(first, 1)?;
        check(second, 1)?;
        let sorted = |sample: &[f64]| sorted_keys(sample).into_iter().map(unkey).collect::<Vec<f64>>();
        let (first, second) = (sorted(first), sorted(second));
        let mut tied = groups(&first);
        tied.extend(groups(&second));
        Ok(Self { first, second, tied })
    }

    /// The median of all differences: the Hodges–Lehmann estimate of the shift.
    #[must_use]
    pub fn median(&self) -> f64 {
        let pairs = self.pairs();
        let upper = self.ranked(pairs / 2 + 1);
        if pairs % 2 == 1 { upper } else { f64::midpoint(self.ranked(pairs / 2), upper) }
    }

    /// The exact interval, for samples without ties.
    ///
    /// # Errors
    ///
    /// [`SampleError::Share`] if `confidence` is not between 0 and 1.
    pub fn exact_interval(&self, confidence: f64) -> Result<ShiftInterval, SampleError> {
        check_share(confidence)?;
        let tail = (1.0 - confidence) / 2.0;
        let distribution = Distribution::untied(self.first.len(), self.second.len());
        let pairs = self.pairs();
        // The smallest u with P(U ≤ u) ≥ α/2, at least 1. Twice u is what the distribution counts in.
        let rank = (0..=pairs).find(|u| distribution.at_most(2 * u) >= tail).unwrap_or(pairs).max(1);
        let reached = 1.0 - 2.0 * distribution.at_most(2 * (rank - 1));
        Ok(ShiftInterval { low: self.ranked(rank), high: self.ranked(pairs + 1 - rank), confidence: reached })
    }

    /// The interval by the normal approximation, where the standardised number of differences above crosses the normal
    /// quantiles. What solvers approximate, without one: its ends are differences of the sample.
    ///
    /// # Errors
    ///
    /// [`SampleError::Share`] if `confidence` is not between 0 and 1.
    pub fn normal_interval(&self, confidence: f64) -> Result<ShiftInterval, SampleError> {
        check_share(confidence)?;
        let quantile = -normal_quantile((1.0 - confidence) / 2.0);
        let spread = quantile * deviation(self.first.len(), self.second.len(), self.tied.iter().copied());
        let pairs = self.pairs();
        let half = super::special::real(pairs) / 2.0;
        // The smallest difference with at most `above` differences above it.
        let with_at_most = |above: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between zero and the number of pairs"
            )]
            let above = (above.floor() as u64).min(pairs);
            self.ranked((pairs - above).max(1))
        };
        let low = if half - 0.5 <= spread { self.ranked(1) } else { with_at_most(half + 0.5 + spread) };
        let high = if half - 0.5 < spread { self.ranked(pairs) } else { with_at_most(half - 0.5 - spread) };
        Ok(ShiftInterval { low, high, confidence })
    }

    /// The difference of this rank, from 1 for the smallest.
    ///
    /// By halving the keys of all numbers between the smallest and the largest difference: at most 64 passes over the
    /// samples, each of which counts without forming the pairs.
    fn ranked(&self, rank: u64) -> f64 {
        let (first, second) = (&self.first, &self.second);
        let mut low = key(first[0] - second[second.len() - 1]);
        let mut high = key(first[first.len() - 1] - second[0]);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.at_most(unkey(middle)) >= rank { high = middle } else { low = middle + 1 }
        }
        unkey(low)
    }

    /// How many differences are at most this. Subtraction is monotone, rounding included, so that one pointer runs
    /// through each sample once.
    fn at_most(&self, difference: f64) -> u64 {
        let mut count = 0;
        let mut from = 0;
        for x in &self.first {
            // The larger x, the larger the second value must be for the difference to stay small.
            while from < self.second.len() && x - self.second[from] > difference {
                from += 1;
            }
            count += (self.second.len() - from) as u64;
        }
        count
    }

    fn pairs(&self) -> u64 {
        self.first.len() as u64 * self.second.len() as u64
    }
}

/// The sizes of the groups of equal values in a sorted sample.
fn groups(sorted: &[f64]) -> Vec<f64> {
    sorted.chunk_by(|a, b| a.to_bits() == b.to_bits()).map(|group| length(group.len())).filter(|t| *t > 1.0).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::Differences;
    use crate::analysis::tables;

    #[test]
    fn the_rows_of_the_shift() {
        tables::vectors("hodges_lehmann", |row| {
            let differences = Differences::of(&row.numbers("x"), &row.numbers("y")).expect("finite");
            let confidence = row.number("conf");
            row.near("hl_estimate", differences.median());
            if row.expects("exact_ci") {
                let exact = differences.exact_interval(confidence).expect("a confidence");
                row.near_pair("exact_ci", (exact.low, exact.high));
                row.near("exact_ci_achieved_conf", exact.confidence);
            }
            let normal = differences.normal_interval(confidence).expect("a confidence");
            row.near_pair("asymptotic_ci_crossing", (normal.low, normal.high));
        });
    }

    proptest! {
        #[test]
        fn the_median_is_that_of_all_differences(
            x in proptest::collection::vec(-50i32..50, 1..12), y in proptest::collection::vec(-50i32..50, 1..12),
        ) {
            let real = |v: &[i32]| v.iter().map(|v| f64::from(*v) / 4.0).collect::<Vec<_>>();
            let (x, y) = (real(&x), real(&y));
            let mut all: Vec<f64> = x.iter().flat_map(|a| y.iter().map(move |b| a - b)).collect();
            all.sort_unstable_by(f64::total_cmp);
            let differences = Differences::of(&x, &y).expect("finite");
            for (i, d) in all.iter().enumerate() {
                prop_assert_eq!(differences.ranked(i as u64 + 1) + 0.0, d + 0.0);
            }
            let middle = all.len() / 2;
            let median = if all.len() % 2 == 1 { all[middle] } else { f64::midpoint(all[middle - 1], all[middle]) };
            prop_assert_eq!(differences.median() + 0.0, median + 0.0);
        }
    }
}

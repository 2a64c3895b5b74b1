//! A quantile of two samples (S. Howard and A. Ramdas, Sequential estimation of quantiles with applications to A/B
//! testing and best-arm identification, 2022). For explanation: within a stage, where each arm is stationary.

use super::mixture::Mixture;
use crate::analysis::special::length;

/// What the quantile tests are tuned to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuning {
    /// The share of values at or below the quantile, between 0 and 1.
    pub share: f64,
    /// The number of values in an arm at which the test is tightest.
    pub tuned_for: f64,
    /// The level at which it is.
    pub tuned_alpha: f64,
}

impl Tuning {
    fn mixture(&self) -> Mixture {
        let spread = self.share * (1.0 - self.share);
        Mixture::beta_binomial(spread * self.tuned_for, self.tuned_alpha, self.share, 1.0 - self.share)
    }

    /// The log evidence against "`below` of `all` values lie below the quantile", as a share of them.
    fn ln_evidence(&self, below: f64, all: f64) -> f64 {
        let spread = self.share * (1.0 - self.share);
        self.mixture().ln_evidence((below - self.share) * all, spread * all)
    }

    /// The share of values below the quantile that is least refuted: the evidence is convex in it.
    fn least_refuted(&self, all: f64) -> f64 {
        let golden = 0.618_033_988_749_894_8;
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..100 {
            let left = high - golden * (high - low);
            let right = low + golden * (high - low);
            if self.ln_evidence(left, all) <= self.ln_evidence(right, all) { high = right } else { low = left }
        }
        f64::midpoint(low, high)
    }

    /// The log evidence against "both samples have the same quantile": the least, over every place where it could lie,
    /// of what both arms say against that place. Zero if a sample is empty.
    #[must_use]
    pub fn ln_difference(&self, a: &[f64], b: &[f64]) -> f64 {
        if a.is_empty() || b.is_empty() {
            return 0.0;
        }
        let sorted = |sample: &[f64]| {
            let mut sorted = sample.to_vec();
            sorted.sort_unstable_by(f64::total_cmp);
            sorted
        };
        let (a, b) = (sorted(a), sorted(b));
        let (best_a, best_b) = (self.least_refuted(length(a.len())), self.least_refuted(length(b.len())));
        let at = |sample: &[f64], best: f64, less: usize, up_to: usize| {
            let all = length(sample.len());
            self.ln_evidence(best.clamp(length(less) / all, length(up_to) / all), all)
        };
        let mut places: Vec<f64> = a.iter().chain(&b).copied().collect();
        places.sort_unstable_by(f64::total_cmp);
        places.dedup();
        let mut least = f64::INFINITY;
        for place in places {
            let count = |sample: &[f64]| {
                let less = sample.partition_point(|v| *v < place);
                (less, sample.partition_point(|v| *v <= place))
            };
            let ((a_less, a_up_to), (b_less, b_up_to)) = (count(&a), count(&b));
            // At the place itself, and in the gap above it.
            let here = at(&a, best_a, a_less, a_up_to) + at(&b, best_b, b_less, b_up_to);
            let above = at(&a, best_a, a_up_to, a_up_to) + at(&b, best_b, b_up_to, b_up_to);
            least = least.min(here).min(above);
        }
        least
    }

    /// The places of the quantile that one sorted sample has not refuted at level `alpha`; an end is nothing where the
    /// sample sets no bound.
    #[must_use]
    pub fn interval(&self, sorted: &[f64], alpha: f64) -> (Option<f64>, Option<f64>) {
        let all = length(sorted.len());
        let enough = -libm::log(alpha);
        let kept = |below: usize| self.ln_evidence(length(below) / all, all) < enough;
        // The quantile is at least the value of rank k + 1 as soon as having k below it is not refuted, but k − 1 is.
        let first = (0..=sorted.len()).find(|below| kept(*below));
        let last = (0..=sorted.len()).rev().find(|below| kept(*below));
        let low = first.and_then(|below| below.checked_sub(1)).and_then(|rank| sorted.get(rank)).copied();
        let high = last.and_then(|below| sorted.get(below)).copied();
        (low, high)
    }
}

#[cfg(test)]
mod tests {
    use super::Tuning;
    use crate::analysis::tables;

    #[test]
    fn the_rows_of_the_quantile() {
        tables::vectors("quantile_two_arm", |row| {
            let tuning =
                Tuning { share: row.number("p"), tuned_for: row.number("t_opt"), tuned_alpha: row.number("alpha_opt") };
            let got = tuning.ln_difference(&row.numbers("a"), &row.numbers("b"));
            row.near("log_e_lower", got);
            row.near("p_anytime", (-got).exp().min(1.0));
        });
    }

    #[test]
    fn the_interval_closes_around_the_quantile() {
        let tuning = Tuning { share: 0.5, tuned_for: 1000.0, tuned_alpha: 0.05 };
        let sample: Vec<f64> = (0..10_001).map(f64::from).collect();
        let (low, high) = tuning.interval(&sample, 0.05);
        let (low, high) = (low.expect("bounded"), high.expect("bounded"));
        assert!(low < 5000.0 && high > 5000.0 && high - low < 500.0, "{low} {high}");
        assert_eq!(tuning.interval(&sample[..3], 0.05), (None, None));
    }
}

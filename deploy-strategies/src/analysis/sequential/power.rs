//! How much traffic a verdict takes.

use serde::{Deserialize, Serialize};

/// A question about traffic: how many requests until harm of this size is found?
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Power {
    /// The share of bad events of the baseline, between 0 and 1.
    pub rate: f64,
    /// The candidate's rate by the baseline's.
    pub ratio: f64,
    /// The candidate's share of the traffic, between 0 and 1.
    pub share: f64,
    /// The level.
    pub alpha: f64,
}

/// What bets on several effects, onsets and metrics cost on the way, as a log factor. Measured.
const COST_OF_NOT_KNOWING: f64 = 3.5;

impl Power {
    /// The expected number of requests, of both arms together, until the harm is found. Infinite if there is none, or if
    /// one arm sees nothing.
    ///
    /// A bad event falls to the candidate with chance ρ if the arms are alike and with chance q under this ratio, so that
    /// each adds the divergence of q from ρ to the expected log evidence.
    #[must_use]
    pub fn requests(&self) -> f64 {
        let bad = self.rate * (1.0 - self.share + self.share * self.ratio);
        let growth = bad * divergence(tilted(self.share, self.ratio), self.share);
        if growth > 0.0 { (COST_OF_NOT_KNOWING - libm::log(self.alpha)) / growth } else { f64::INFINITY }
    }
}

/// The expected number of further requests, of both arms together, until an odds ratio of `rule_out` is ruled out at a log
/// evidence of `missing` from now, if the arms are alike. Infinite if nothing bad happens or one arm sees nothing.
#[must_use]
pub fn expected_requests(rate: f64, share: f64, rule_out: f64, missing: f64) -> f64 {
    let growth = rate * (1.0 - rate) * divergence(share, tilted(share, rule_out));
    if growth > 0.0 { missing.max(0.0) / growth } else { f64::INFINITY }
}

/// The chance that a bad event falls to the candidate under a rate ratio.
fn tilted(share: f64, ratio: f64) -> f64 {
    share * ratio / (1.0 - share + share * ratio)
}

/// The Kullback–Leibler divergence of one chance from another.
fn divergence(p: f64, q: f64) -> f64 {
    let term = |p: f64, q: f64| if p > 0.0 { p * libm::log(p / q) } else { 0.0 };
    term(p, q) + term(1.0 - p, 1.0 - q)
}

#[cfg(test)]
mod tests {
    use super::{Power, expected_requests};

    /// Thousands of requests in all at α = 0.05, by rate, ratio and share: the planning figures that the formula was
    /// published with.
    #[test]
    fn the_planning_figures() {
        let table: [(f64, f64, [f64; 5]); 5] = [
            (0.01, 1.5, [607.0, 127.0, 68.0, 33.0, 26.0]),
            (0.01, 2.0, [170.0, 36.0, 19.0, 9.6, 7.6]),
            (0.01, 3.0, [51.0, 11.0, 5.9, 3.0, 2.5]),
            (0.001, 2.0, [1700.0, 359.0, 192.0, 96.0, 77.0]),
            (0.001, 10.0, [48.0, 11.0, 6.0, 3.4, 3.0]),
        ];
        for (rate, ratio, thousands) in table {
            for (share, want) in [0.01, 0.05, 0.10, 0.25, 0.50].into_iter().zip(thousands) {
                let got = Power { rate, ratio, share, alpha: 0.05 }.requests() / 1000.0;
                assert!((got - want).abs() <= 0.05 * want, "{rate} {ratio} {share}: {got} for {want}");
            }
        }
    }

    #[test]
    fn nothing_is_found_where_nothing_happens() {
        assert!(Power { rate: 0.01, ratio: 1.0, share: 0.5, alpha: 0.05 }.requests().is_infinite());
        assert!(expected_requests(0.0, 0.5, 1.5, 3.0).is_infinite());
        assert_eq!(expected_requests(0.01, 0.5, 1.5, -1.0), 0.0);
    }
}

//! Whether the candidate sees the share of traffic that it should.

use serde::{Deserialize, Serialize};

use super::sums::Sums;
use crate::analysis::evidence::assignment::Assigned;
use crate::analysis::special::{length, ln_sum_exp};

/// The evidence against "in every batch the candidate's share is within the tolerance of what was configured", one side
/// after the other.
///
/// Per batch and side this is the rate ratio of [`crate::analysis::evidence::assignment`] with the edge of the tolerance as its null:
/// valid however the share moves within the band from batch to batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RatioSeries {
    more: Sums,
    fewer: Sums,
    /// Requests that the candidate saw, and those that it should have seen.
    seen: u64,
    due: f64,
}

/// How far beyond the tolerance a share may lie, on the log odds scale: from 1 % to nearly fourfold.
const BEYOND: [f64; 8] = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28];

impl RatioSeries {
    pub(super) fn new() -> Self {
        Self { more: Sums::zero(BEYOND.len()), fewer: Sums::zero(BEYOND.len()), seen: 0, due: 0.0 }
    }

    pub(super) fn take(&mut self, candidate: u64, baseline: u64, share: f64, tolerance: f64) {
        let batch = Assigned { share, candidate, all: candidate.saturating_add(baseline) };
        self.seen = self.seen.saturating_add(candidate);
        self.due += share * crate::analysis::special::real(batch.all);
        let odds = |p: f64| libm::log(p / (1.0 - p)) - libm::log(share / (1.0 - share));
        let high = (share * (1.0 + tolerance)).min(f64::midpoint(1.0, share));
        for (sums, edge, side) in
            [(&mut self.more, odds(high), 1.0), (&mut self.fewer, odds(share * (1.0 - tolerance)), -1.0)]
        {
            let null = batch.ln_likelihood(edge);
            sums.add(BEYOND.map(|beyond| batch.ln_likelihood(edge + side * beyond) - null));
        }
    }

    /// The log evidence: the mean over both sides.
    pub(super) fn ln_evidence(&self) -> f64 {
        let all = self.more.get().iter().chain(self.fewer.get());
        ln_sum_exp(all.copied()) - libm::log(2.0 * length(BEYOND.len()))
    }

    /// Requests that the candidate saw, by those that it should have seen; nothing before the first.
    pub(super) fn observed(&self) -> Option<f64> {
        (self.due > 0.0).then(|| crate::analysis::special::real(self.seen) / self.due)
    }
}

#[cfg(test)]
mod tests {
    use super::RatioSeries;

    #[test]
    fn what_is_within_the_tolerance_is_no_evidence_and_what_is_beyond_it_becomes_some() {
        let after = |candidate: u64, minutes: u32| {
            let mut series = RatioSeries::new();
            for _ in 0..minutes {
                series.take(candidate, 6000 - candidate, 0.1, 0.02);
            }
            series.ln_evidence()
        };
        assert!(after(600, 100) < 0.0);
        assert!(after(610, 100) < 0.1, "{}", after(610, 100));
        assert!(after(590, 100) < 0.1, "{}", after(590, 100));
        assert!(after(540, 100) > 1000f64.ln(), "{}", after(540, 100));
        assert!(after(660, 100) > 1000f64.ln());
    }
}

//! One number per window and arm, compared window by window.

use serde::{Deserialize, Serialize};

use super::Sequential;
use crate::analysis::evidence::bounded::Wager;

/// Bets on the mean difference, as a share of its range, moved to between 0 and 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ValueSeries {
    /// Against "no worse than the margin".
    harm: Wager,
    /// Against "no worse".
    warn: Wager,
    /// Against "as bad as must be ruled out", from this stage.
    proof: Wager,
    fresh: Wager,
    pub(super) windows: u64,
    sum: f64,
    pub(super) stale: u32,
}

impl ValueSeries {
    pub(super) fn new(judge: &Sequential, range: f64, margin: f64, rule_out: f64) -> Self {
        let at = |difference: f64| f64::midpoint(1.0, difference / range);
        let proof = Wager::against(1.0 - at(rule_out), judge.beta);
        Self {
            harm: Wager::against(at(margin), judge.alpha),
            warn: Wager::against(0.5, judge.alpha),
            proof,
            fresh: proof,
            windows: 0,
            sum: 0.0,
            stale: 0,
        }
    }

    /// Takes the harm of one window, as a share of the range.
    pub(super) fn take(&mut self, harm: f64, current: bool) {
        let x = f64::midpoint(1.0, harm.clamp(-1.0, 1.0));
        self.harm.take(x);
        self.warn.take(x);
        if current {
            self.proof.take(1.0 - x);
            self.windows += 1;
            self.sum += harm.clamp(-1.0, 1.0);
            self.stale = 0;
        }
    }

    pub(super) fn next_stage(&mut self) {
        self.proof = self.fresh;
        self.windows = 0;
        self.sum = 0.0;
    }

    pub(super) fn ln_harm(&self) -> f64 {
        self.harm.ln_evidence()
    }

    pub(super) fn ln_warn(&self) -> f64 {
        self.warn.ln_evidence()
    }

    pub(super) fn ln_proof(&self) -> f64 {
        self.proof.ln_evidence()
    }

    /// The mean harm in this stage as a share of the range; nothing before the first window.
    pub(super) fn mean(&self) -> Option<f64> {
        (self.windows > 0).then(|| self.sum / crate::analysis::special::real(self.windows))
    }
}

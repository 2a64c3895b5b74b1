//! What every description of a strategy is checked for.

use std::time::Duration;

use deploy_core::operator::ApprovalRequest;

use crate::analysis::Analysis;
use crate::hold::OnInconclusive;
use crate::refusal::Problems;
use crate::rolling::Amount;

impl Problems {
    /// Something may be waited for.
    pub(crate) fn deadline(&mut self, deadline: Duration) {
        let wrong = "it is 0, so nothing could ever be waited for";
        self.require(!deadline.is_zero(), "progress_deadline", wrong, "more than 0s");
    }

    /// Somebody is asked.
    pub(crate) fn asked(&mut self, at: &str, request: Option<&ApprovalRequest>) {
        let some = request.is_none_or(|request| request.quorum > 0);
        self.require(some, format!("{at}.quorum"), "it is 0", "at least 1");
    }

    /// Whoever is asked in doubt can answer.
    pub(crate) fn doubt(&mut self, then: &OnInconclusive) {
        match then {
            OnInconclusive::Ask(request) => self.asked("on_inconclusive.ask", Some(request)),
            OnInconclusive::Promote { reason } => {
                let given = !reason.trim().is_empty();
                self.require(
                    given,
                    "on_inconclusive.promote.reason",
                    "it is empty",
                    "why that is right for this service",
                );
            }
            OnInconclusive::RollBack => {}
        }
    }

    /// An instance may be added, or one may be missing.
    pub(crate) fn moves(&mut self, at: &str, surge: Amount, unavailable: Amount) {
        let moves = !(surge.is_zero() && unavailable.is_zero());
        let wrong = "neither a surge nor a missing instance is allowed, so nothing could move";
        self.require(moves, at, wrong, "a surge, an unavailable, or both above 0");
    }

    /// Each of these analyses, and that they fit together with those that go on `beside` them.
    pub(crate) fn analyses(&mut self, at: &str, here: &[Analysis], beside: &[&Analysis]) {
        for (k, analysis) in here.iter().enumerate() {
            analysis.check(self, &format!("{at}[{k}]"));
        }
        Analysis::check_all(self, at, here.iter().chain(beside.iter().copied()));
    }
}

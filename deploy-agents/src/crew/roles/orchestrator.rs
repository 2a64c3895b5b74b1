//! Order, preconditions, and who answers for what.

use super::*;
use crate::checks::people;

role! {
    /// Keeps order: before the release somebody is on call for its whole time and everybody who must know does; during it, what
    /// was tried out first is what goes out, by digest.
    ///
    /// The order itself is the plan's, and the engine keeps it: this role decides the next step only.
    Orchestrator is Orchestrator {
        /// Its seat before the release, in phase 1.
        before: 1,
        /// Its seat during the release, in phase 2.
        during: 2,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    match seat.phase {
        1 => {
            let documents: &[&[&str]] = &[&[people::Roster::KIND], &[NoticeRecord::KIND]];
            let checks = &["on-call", "stakeholders-notified"];
            let step = VerifiedStep::new(25, "orchestrator", 1, Standard, documents, checks);
            Some(Duty::new(seat, step).makes::<Coordination>().makes::<NoticeRecord>())
        }
        2 => {
            let step = VerifiedStep::new(
                30,
                "orchestrator",
                2,
                Standard,
                &[&[kind::KUBERNETES_STAGING]],
                &["staging-same-digest"],
            );
            Some(Duty::new(seat, step))
        }
        _ => None,
    }
}

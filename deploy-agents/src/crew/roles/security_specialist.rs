//! Holds the veto of security.

use super::*;
use crate::checks::people;

role! {
    /// Holds the veto of security. Before the release: a signed audit of this artifact, no unwaived finding over the threshold by
    /// a scanner with a fresh database, policies kept, access sound. During it: what runs is what was approved. After it: the
    /// same scans and policies on what runs.
    ///
    /// Rows: M5.
    SecuritySpecialist is SecuritySpecialist {
        /// Its seat before the release, in phase 1.
        before: 1,
        /// Its seat during the release, in phase 2.
        during: 2,
        /// Its seat after the release, in phase 3.
        after: 3,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    match seat.phase {
        1 => {
            let documents: &[&[&str]] = &[&[kind::AUDIT], SCANS, POLICIES, &[people::AccessExport::KIND]];
            let checks = &["security-audit", "no-critical-vulnerability", "compliance", "access"];
            let step = VerifiedStep::new(13, "security-specialist", 1, Standard, documents, checks);
            Some(Duty::new(seat, step).makes::<SecurityClearance>())
        }
        2 => {
            let step = VerifiedStep::new(
                42,
                "security-specialist",
                2,
                Standard,
                &[&[kind::KUBERNETES]],
                &["runtime-security"],
            );
            Some(Duty::new(seat, step).makes::<SecurityVerification>())
        }
        3 => {
            let checks = &["no-critical-vulnerability", "compliance"];
            let step = VerifiedStep::new(50, "security-specialist", 3, Standard, &[SCANS, POLICIES], checks);
            Some(Duty::new(seat, step).makes::<SecurityWatch>())
        }
        _ => None,
    }
}

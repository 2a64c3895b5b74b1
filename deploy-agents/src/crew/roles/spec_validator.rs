//! Is what was asked for there, tested, and fit to run?

use super::*;
use crate::checks::{rules, shipping};

role! {
    /// Says whether what was asked for is there, tested and fit to run: every requirement has a passing test, the way back was
    /// walked, documents are complete. Before the release it gathers what the other reviewers of its phase say, and issues the
    /// [`ReadinessReport`]; after it, it looks whether what was promised was written down.
    ///
    /// Rows: M4.
    SpecValidator is SpecValidator {
        /// Its seat before the release, in phase 1.
        before: 1,
        /// Its seat after the release, in phase 3.
        after: 3,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    match seat.phase {
        1 => {
            let documents: &[&[&str]] =
                &[&[rules::TraceMatrix::KIND], &[kind::JUNIT], &[kind::DRILL_EXPORT], &[shipping::DocsInventory::KIND]];
            let checks = &["requirements-traced", "rollback-drill", "docs-complete"];
            let step = VerifiedStep::new(4, "spec-validator", 1, Standard, documents, checks);
            Some(Duty::new(seat, step).makes::<ReadinessReport>())
        }
        3 => {
            let documents: &[&[&str]] = &[&[ReleaseNotes::KIND], &[shipping::DocsInventory::KIND]];
            let step =
                VerifiedStep::new(231, "spec-validator", 3, Standard, documents, &["release-notes", "docs-complete"]);
            Some(Duty::new(seat, step).makes::<ReleaseNotes>().makes::<DeploymentDocs>())
        }
        _ => None,
    }
}

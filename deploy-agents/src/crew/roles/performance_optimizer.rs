//! Speed, before and after.

use super::*;
use crate::checks::performance;

role! {
    /// Measures speed before and after, and says what changed.
    ///
    /// Rows: M156, M225.
    PerformanceOptimizer is PerformanceOptimizer {
        /// Its seat in phase 6: the service level is kept.
        validation: 6,
        /// Its seat in phase 7: what changed.
        after: 7,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    match seat.phase {
        6 => {
            let documents: &[&[&str]] = &[LOADS, &[performance::ErrorBudget::KIND]];
            let checks = &["service-level", "error-budget"];
            let step = VerifiedStep::new(174, "performance-optimizer", 6, Standard, documents, checks);
            Some(Duty::new(seat, step).makes::<SloStatus>())
        }
        7 => Some(Duty::new(seat, VerifiedStep::of_row(156)?).makes::<PerfReport>()),
        _ => None,
    }
}

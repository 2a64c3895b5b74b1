//! Speed, before and after.

use super::*;

role! {
    /// Measures speed before and after, and says what changed.
    ///
    /// Rows: M156, M225.
    PerformanceOptimizer is PerformanceOptimizer {
        /// Its seat in phase 7.
        new: 7,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    match seat.phase {
        7 => Some(Duty::new(seat, VerifiedStep::of_row(156)?).makes::<PerfReport>()),
        _ => None,
    }
}

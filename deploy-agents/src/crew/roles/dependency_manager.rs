//! Dependencies: licences and known faults.

use super::*;

role! {
    /// Knows what is in it, under which licence and with which known faults.
    ///
    /// Rows: M148, M222.
    DependencyManager is DependencyManager {
        /// Its seat in phase 3.
        new: 3,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    match seat.phase {
        3 => Some(Duty::new(seat, VerifiedStep::of_row(148)?).makes::<DependencyReport>().makes::<ScanReport>()),
        _ => None,
    }
}

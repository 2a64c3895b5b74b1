//! What people learn.

use super::*;

role! {
    /// Sees to it that everything new can be learnt, and that those were briefed who must be.
    ///
    /// Rows: M158, M227.
    TrainingChangeManager is TrainingChangeManager {
        /// Its seat in phase 8.
        new: 8,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    match seat.phase {
        8 => Some(Duty::new(seat, VerifiedStep::of_row(158)?).makes::<TrainingPack>()),
        _ => None,
    }
}

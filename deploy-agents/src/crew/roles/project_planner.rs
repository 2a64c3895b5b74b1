//! Plans the work and its time.

use super::*;

role! {
    /// Plans the work, its order and its time: the schedule fits a window, nothing waits for itself, and durations are those that past releases had.
    ///
    /// Rows: M145, M220.
    ProjectPlanner is ProjectPlanner {
        /// Its seat in phase 2.
        new: 2,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    match seat.phase {
        2 => Some(
            Duty::new(seat, VerifiedStep::of_row(145)?)
                .makes::<ReleasePlan>()
                .makes::<Schedule>()
                .makes::<WindowPlan>(),
        ),
        _ => None,
    }
}

//! Keeps the register of risks.

use super::*;

role! {
    /// Keeps the register of risks: every risk from 6 on has a mitigation with an owner, and one of 9 is settled. It looks at what risks come from: dependencies, and whether there is a backup to go back to.
    ///
    /// Rows: M144, M219.
    RiskManager is RiskManager {
        /// Its seat in phase 1.
        new: 1,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    match seat.phase {
        1 => Some(
            Duty::new(seat, VerifiedStep::of_row(144)?)
                .makes::<RiskRegister>()
                .makes::<DependencyReport>()
                .makes::<BackupPlan>(),
        ),
        _ => None,
    }
}

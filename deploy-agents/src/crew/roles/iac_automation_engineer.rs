//! Environments as code.

use super::*;

role! {
    /// Provisions environments as code: what was applied is what was approved, to the byte, and nothing drifted.
    ///
    /// Rows: M149, M218.
    IacAutomationEngineer is IacAutomationEngineer {
        /// Its seat in phase 4.
        new: 4,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    match seat.phase {
        4 => Some(
            Duty::new(seat, VerifiedStep::of_row(149)?)
                .makes::<InfraRecord>()
                .makes::<ConfigRecord>()
                .also_reads(&[ConfigRecord::KIND]),
        ),
        _ => None,
    }
}

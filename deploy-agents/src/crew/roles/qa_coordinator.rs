//! Integration, acceptance, defects.

use super::*;

role! {
    /// Holds the release to its exit criteria: integration tests, times within bounds, acceptance signed, defects under their limit.
    ///
    /// Rows: M154, M217.
    QaCoordinator is QaCoordinator {
        /// Its seat in phase 6.
        new: 6,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    match seat.phase {
        6 => Some(
            Duty::new(seat, VerifiedStep::of_row(154)?)
                .makes::<IntegrationReport>()
                .makes::<AcceptanceReport>()
                .makes::<BenchmarkReport>(),
        ),
        _ => None,
    }
}

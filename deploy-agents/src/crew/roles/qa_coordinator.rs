//! Integration, acceptance, defects.

use super::*;

role! {
    /// Holds the release to its exit criteria: integration tests, times within bounds, acceptance signed, defects under their limit.
    ///
    /// Rows: M154, M217.
    QaCoordinator is QaCoordinator {
        /// Its seat in phase 3: the tests of the build.
        build: 3,
        /// Its seat in phase 6: the tests of what runs.
        validation: 6,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    match seat.phase {
        3 => {
            let documents: &[&[&str]] = &[&[kind::JUNIT], COVERAGE];
            let step = VerifiedStep::new(172, "qa-coordinator", 3, Standard, documents, &["tests-pass", "coverage"]);
            Some(Duty::new(seat, step))
        }
        6 => Some(
            Duty::new(seat, VerifiedStep::of_row(154)?)
                .makes::<IntegrationReport>()
                .makes::<AcceptanceReport>()
                .makes::<BenchmarkReport>(),
        ),
        _ => None,
    }
}

//! The smoke suite.

use super::*;

role! {
    /// Covers every critical function with a smoke test that really ran.
    ///
    /// Rows: M153, M224.
    TestSuiteGenerator is TestSuiteGenerator {
        /// Its seat in phase 6.
        new: 6,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    match seat.phase {
        6 => Some(Duty::new(seat, VerifiedStep::of_row(153)?).makes::<SmokeReport>()),
        _ => None,
    }
}

//! What people read.

use super::*;

role! {
    /// Tells each audience what changed, and leaves nothing out that users see.
    ///
    /// Rows: M157, M226.
    DocumentationGenerator is DocumentationGenerator {
        /// Its seat in phase 8.
        new: 8,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    match seat.phase {
        8 => Some(
            Duty::new(seat, VerifiedStep::of_row(157)?)
                .makes::<ReleaseNotes>()
                .makes::<DeploymentDocs>()
                .makes::<LessonsLearned>(),
        ),
        _ => None,
    }
}

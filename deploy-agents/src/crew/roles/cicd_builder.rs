//! Builds artifacts that can be traced back.

use super::*;

role! {
    /// Builds artifacts that can be traced back to their commit: the pipeline built this commit, no failed step hides in it, and a trusted builder attests every artifact.
    ///
    /// Rows: M147, M215.
    CicdBuilder is CicdBuilder {
        /// Its seat in phase 3.
        new: 3,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    match seat.phase {
        3 => Some(
            Duty::new(seat, VerifiedStep::of_row(147)?)
                .makes::<BuildRecord>()
                .makes::<ArtifactSet>()
                .makes::<VersionTag>(),
        ),
        _ => None,
    }
}

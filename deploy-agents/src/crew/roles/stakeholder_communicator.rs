//! Sees to it that everybody knows who must.

use super::*;

role! {
    /// Sees to it that everybody knows who must, by receipts and not by having sent something, and that those approved who must.
    ///
    /// Rows: M146, M221.
    StakeholderCommunicator is StakeholderCommunicator {
        /// Its seat in phase 2.
        new: 2,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    match seat.phase {
        2 => Some(Duty::new(seat, VerifiedStep::of_row(146)?).makes::<NoticeRecord>().makes::<ApprovalRecord>()),
        _ => None,
    }
}

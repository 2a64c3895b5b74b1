//! What it means for users and the business.

use super::*;
use crate::checks::performance;

role! {
    /// Says what the release means for users and the business: after its bake time, every metric is within what was called a
    /// success.
    ///
    /// Rows: M7.
    Pm is Pm {
        /// Its seat after the release, in phase 3.
        new: 3,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    (seat.phase == 3).then(|| {
        let step =
            VerifiedStep::new(53, "pm", 3, Standard, &[&[performance::SuccessMetrics::KIND]], &["success-metrics"]);
        Duty::new(seat, step).makes::<BusinessImpact>()
    })
}

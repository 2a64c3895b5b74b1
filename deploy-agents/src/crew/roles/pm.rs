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
        /// Its seat in the monitoring phase of the eight-phase workflow.
        monitoring: 7,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    matches!(seat.phase, 3 | 7).then(|| {
        let documents: &[&[&str]] = &[&[performance::SuccessMetrics::KIND]];
        let step = VerifiedStep::new(53, "pm", seat.phase, Standard, documents, &["success-metrics"]);
        Duty::new(seat, step).makes::<BusinessImpact>()
    })
}

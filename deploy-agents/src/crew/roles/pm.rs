//! What it means for users and the business.

use super::*;
use crate::checks::{impact, performance};

role! {
    /// Says what the release means for users and the business: after its bake time, every metric is within what was called a
    /// success. After an incident: what it cost them.
    ///
    /// Rows: M7.
    Pm is Pm {
        /// Its seat after the release, in phase 3.
        new: 3,
        /// Its seat in the review of an incident.
        incident: 4,
        /// Its seat in the monitoring phase of the eight-phase workflow.
        monitoring: 7,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    match seat.phase {
        3 | 7 => {
            let documents: &[&[&str]] = &[&[performance::SuccessMetrics::KIND]];
            let step = VerifiedStep::new(53, "pm", seat.phase, Standard, documents, &["success-metrics"]);
            Some(Duty::new(seat, step).makes::<BusinessImpact>())
        }
        4 => {
            let documents: &[&[&str]] = &[&[impact::Impact::KIND], &[kind::CD_EVENTS]];
            let step = VerifiedStep::new(118, "pm", 4, Standard, documents, &["impact-stated"]);
            Some(Duty::new(seat, step).makes::<UserImpact>())
        }
        _ => None,
    }
}

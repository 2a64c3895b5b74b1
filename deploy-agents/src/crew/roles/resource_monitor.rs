//! Metrics and alerts.

use super::*;
use crate::checks::performance;

role! {
    /// Keeps metrics and alerts live: before traffic, that targets are up and an alert that was set off on purpose reached its
    /// receiver; after the rollout, that there are series of the new revision; at the end, that all of it works on.
    ///
    /// Rows: M152, M155, M216.
    ResourceMonitor is ResourceMonitor {
        /// Its seat in phase 4: monitors and alerts are set up, before there is any traffic.
        setup: 4,
        /// Its seat in phase 5: the new revision is seen.
        during: 5,
        /// Its seat in phase 7: monitoring is effective.
        after: 7,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    match seat.phase {
        4 => {
            let documents: &[&[&str]] = &[&[kind::PROMETHEUS_TARGETS], &[kind::PROMETHEUS_RULES], &[AlertDrill::KIND]];
            let checks = &["monitoring-up", "alerts-delivered"];
            let step = VerifiedStep::new(230, "resource-monitor", 4, Standard, documents, checks);
            Some(Duty::new(seat, step).makes::<AlertDrill>())
        }
        5 => Some(Duty::new(seat, VerifiedStep::of_row(152)?).makes::<MonitoringSetup>()),
        7 => {
            let duty = Duty::new(seat, VerifiedStep::of_row(155)?);
            Some(duty.makes::<MonitoringStatus>().makes::<SloStatus>().also_reads(&[performance::ErrorBudget::KIND]))
        }
        _ => None,
    }
}

//! Provisions, deploys, operates.

use super::*;

role! {
    /// Provisions, deploys and operates. Before the release it says whether place and resources are ready, with every blocking
    /// issue; after the rollout, how it went: health, workloads, and whether one request failed.
    ///
    /// Rows: M143, M151, M214.
    DeploymentOpsManager is DeploymentOpsManager {
        /// Its seat in phase 1: readiness.
        readiness: 1,
        /// Its seat in phase 4: configuration, and the way back.
        configuration: 4,
        /// Its seat in phase 5: execution.
        execution: 5,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    match seat.phase {
        1 => Some(Duty::new(seat, VerifiedStep::of_row(143)?).makes::<ReadinessReport>().makes::<CapacityReport>()),
        4 => {
            let documents: &[&[&str]] = &[&[ConfigRecord::KIND], &[kind::DRILL_EXPORT]];
            let checks = &["configuration", "rollback-drill"];
            let step = VerifiedStep::new(203, "deployment-ops-manager", 4, Standard, documents, checks);
            Some(Duty::new(seat, step).makes::<ConfigRecord>())
        }
        5 => Some(Duty::new(seat, VerifiedStep::of_row(151)?).makes::<RolloutRecord>().makes::<HealthReport>()),
        _ => None,
    }
}

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
        /// Its seat in phase 5: execution.
        execution: 5,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    match seat.phase {
        1 => Some(Duty::new(seat, VerifiedStep::of_row(143)?).makes::<ReadinessReport>().makes::<CapacityReport>()),
        5 => Some(Duty::new(seat, VerifiedStep::of_row(151)?).makes::<RolloutRecord>().makes::<HealthReport>()),
        _ => None,
    }
}

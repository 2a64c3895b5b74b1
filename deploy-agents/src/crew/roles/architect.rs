//! The whole: environment, resources, monitoring, backups.

use super::*;
use crate::checks::infrastructure;

role! {
    /// Answers for what stands under the service as a whole: the environment is what it is declared to be and nothing drifted,
    /// there is room for the strategy at its widest, somebody would notice, and there is a backup that was restored. During the
    /// release: every declared health check says yes.
    ///
    /// Rows: M2.
    Architect is Architect {
        /// Its seat before the release, in phase 1.
        before: 1,
        /// Its seat during the release, in phase 2.
        during: 2,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    match seat.phase {
        1 => {
            let documents: &[&[&str]] = &[
                &[infrastructure::EnvironmentProbe::KIND],
                &[kind::TERRAFORM_PLAN_AFTER],
                &[CapacityReport::KIND],
                &[kind::PROMETHEUS_TARGETS],
                &[kind::PROMETHEUS_RULES],
                &[AlertDrill::KIND],
                BACKUPS,
                &[infrastructure::RestoreRecord::KIND],
            ];
            let checks = &["environment", "no-drift", "capacity", "monitoring-up", "alerts-delivered", "backup"];
            let step = VerifiedStep::new(16, "architect", 1, Standard, documents, checks);
            Some(Duty::new(seat, step).makes::<InfraReadiness>().makes::<CapacityReport>().makes::<BackupPlan>())
        }
        2 => {
            let step = VerifiedStep::new(67, "architect", 2, Standard, &[&[HealthReport::KIND]], &["health"]);
            Some(Duty::new(seat, step).makes::<RolloutRecord>().makes::<HealthReport>())
        }
        _ => None,
    }
}

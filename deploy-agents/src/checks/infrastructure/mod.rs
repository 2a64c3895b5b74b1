//! Checks of what a release stands on: environments, capacity, monitoring, backups, health.

mod alerts;
mod backup;
mod capacity;
mod configuration;
mod environment;
mod health;
mod monitoring;
mod plan;

pub use self::alerts::{AlertDrill, DrilledAlert, alerts_delivered};
pub use self::backup::{RestoreRecord, backup};
pub use self::capacity::{CapacityReport, Resource, capacity};
pub use self::configuration::{ConfigRecord, configuration};
pub use self::environment::{Certificate, EnvironmentFact, EnvironmentProbe, environment};
pub use self::health::{HealthReport, HealthResult, health, running_images, workloads};
pub use self::monitoring::{CoveredKind, MonitoringCoverage, monitoring_coverage, monitoring_up, series_flow};
pub use self::plan::{IacApply, no_drift, plan_applied};

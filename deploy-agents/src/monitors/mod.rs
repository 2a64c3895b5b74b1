//! Monitors: what a revision measured.

mod activation;
pub mod alertmanager;
pub mod alerts;
mod askings;
mod bootstrap;
mod buckets;
pub mod dashboard;
mod diagnosis;
pub mod envoy;
mod excused;
pub mod exposition;
pub mod families;
pub mod haproxy;
mod heartbeat;
#[cfg(feature = "import")]
pub mod imported;
mod journey;
mod log_lines;
mod meter;
mod network;
mod new_errors;
mod preserve;
mod probe;
mod program;
pub mod prometheus;
mod query;
mod run_metrics;
mod scrape;
mod security_incident;
mod series;
pub mod service_level;
mod source;
mod stratified;
mod watch;

pub use self::activation::ActivateMonitors;
pub use self::bootstrap::{BootstrapError, Difference, difference_of_means};
pub use self::diagnosis::{Action, ReleaseChange, Suspect, changed_since, suspect};
pub use self::excused::Excused;
pub use self::heartbeat::{Heartbeats, HeartbeatsError};
pub use self::journey::{JourneyMonitor, JourneyStep};
pub use self::log_lines::{LogLines, LogLinesError};
pub use self::meter::{Meter, MeterError};
pub use self::network::NetworkProbe;
pub use self::new_errors::NewErrors;
pub use self::preserve::PreserveEvidence;
pub use self::probe::ProbeMonitor;
pub use self::program::ProgramMonitor;
pub use self::query::Query;
pub use self::run_metrics::{OtlpError, OtlpExporter, OtlpPush, RunFigures, RunMetricsPage, run_metrics};
pub use self::scrape::ScrapeMonitor;
pub use self::security_incident::{IncidentRecord, SecurityIncident};
pub use self::series::Selector;
pub use self::source::Source;
pub use self::stratified::Stratified;
pub use self::watch::{
    Feedback, FlagConcern, FlagUse, Regressed, TestTrend, WatchError, complaints_rose, flag_concerns,
    new_vulnerabilities, regressed_policies, test_trends,
};

use std::fmt;
use std::sync::Arc;

use deploy_core::monitor::{MeasureContext, MeasureRequest, Measurement, Monitor, MonitorError};
use deploy_core::name::RevisionName;

/// What a monitor measures of all traffic together, whether it measures it part by part or not.
async fn of_all_traffic(
    monitor: &dyn Monitor,
    request: &MeasureRequest,
    cx: &MeasureContext,
) -> Result<Vec<Measurement>, MonitorError> {
    let measured = monitor.measure(request, cx).await?;
    let apart =
        |error| MonitorError::new(format!("{} does not say what all traffic is", request.monitor)).because(error);
    Measurement::of_all(&measured).map_err(apart)
}

/// A count that was added up as a float.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "growth is finite and not negative; a cast saturates"
)]
fn whole(count: f64) -> u64 {
    count.round() as u64
}

/// Where a revision is asked: a template in which `{revision}` is replaced, or a closure.
#[derive(Clone)]
struct Urls(Arc<OfRevision>);

type OfRevision = dyn Fn(&RevisionName) -> Vec<String> + Send + Sync;

impl Urls {
    fn template(template: impl Into<String>) -> Self {
        let template = template.into();
        Self(Arc::new(move |revision| vec![template.replace("{revision}", revision.as_str())]))
    }

    fn of(&self, revision: &RevisionName) -> Vec<String> {
        (self.0)(revision)
    }
}

impl fmt::Debug for Urls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Urls")
    }
}

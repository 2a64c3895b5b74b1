//! A place where the service runs: its instances as real processes behind a proxy in this process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use deploy_agents::monitors::{Query, ScrapeMonitor, Selector};
use deploy_agents::process::CommandLine;
use deploy_agents::secret::Secret;
use deploy_agents::targets::AdminAccess;
use deploy_agents::targets::place::{Place as Served, PlaceConfig, PlaceTarget};
use deploy_agents::targets::processes::{FleetConfig, HealthCheck, Launch};
use deploy_agents::wait::until;
use deploy_core::name::{BlockName, MetricName, RevisionName, TargetName};
use deploy_core::target::{DesiredState, Target as _};

use crate::Failure;
use crate::workshop::building::Built;
use crate::workshop::ground::INSTANCES;
use crate::workshop::repository::{NEW, OLD};

/// How long anything may take: far longer than it does, so that a busy machine fails nothing.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// A place that serves.
#[derive(Debug)]
pub(crate) struct Place {
    served: Served,
    name: TargetName,
    token: Secret,
}

impl Place {
    /// Starts a place where the version before serves, and waits until it does.
    pub(crate) async fn start(name: &str, built: &Built, logs: PathBuf) -> Result<Self, Failure> {
        let (name, token) = (TargetName::new(name)?, Secret::new(format!("of process {}", std::process::id())));
        let (old, new) = (built.old.clone(), built.new.clone());
        let launch = Launch::by(move |slot| {
            let program = if slot.revision.as_str() == NEW { &new } else { &old };
            CommandLine::new(program).env("PORT", slot.port.to_string()).env("REVISION", slot.revision.as_str())
        });
        std::fs::create_dir_all(&logs)?;
        let fleet = FleetConfig::new(name.clone(), launch)
            .health(HealthCheck::path("/healthz"))
            .stopping(Duration::from_secs(5), Duration::from_secs(2))
            .logs(logs);
        let served = Served::start(PlaceConfig::new(fleet, AdminAccess::token(token.clone()))).await?;
        let begin = DesiredState::alone(RevisionName::new(OLD)?, INSTANCES, 100);
        served.fleet().begin_with(&begin)?;
        let place = Self { served, name, token };
        let target = place.target();
        let serves = || async { target.observe().await.ok()?.satisfies(&begin).then_some(()) };
        until(BOUND, Duration::from_millis(20), serves).await?;
        Ok(place)
    }

    /// The place as a target.
    pub(crate) fn target(&self) -> PlaceTarget {
        PlaceTarget::new(self.name.clone(), self.served.admin_address()).token(self.token.clone())
    }

    /// Where its users come to.
    pub(crate) fn traffic(&self) -> SocketAddr {
        self.served.traffic_address()
    }

    /// Where its numbers are.
    pub(crate) fn metrics(&self) -> String {
        format!("http://{}/metrics", self.served.admin_address())
    }

    /// What whoever asks for its numbers must show.
    pub(crate) fn token(&self) -> &Secret {
        &self.token
    }

    /// The instances that serve now, with their addresses.
    pub(crate) fn instances(&self) -> Vec<(String, SocketAddr)> {
        let all = self.served.fleet().instances();
        let serving = all.iter().filter(|instance| !instance.is_leaving());
        serving.filter_map(|instance| Some((format!("{}-{}", self.name, instance.id), instance.address?))).collect()
    }

    /// Reads what the proxy counts, by revision.
    pub(crate) fn monitor(&self) -> Result<ScrapeMonitor, Failure> {
        let requests = Selector::new("deploy_proxy_requests_total").is("revision", "{revision}");
        let durations = Selector::new("deploy_proxy_request_duration_seconds").is("revision", "{revision}");
        let ratio = Query::Ratio { bad: requests.clone().is("code", "5xx"), all: requests, absent_is_zero: false };
        Ok(ScrapeMonitor::new(BlockName::new("proxy")?)
            .endpoint(self.metrics())
            .token(self.token.clone())
            .metric(MetricName::new("http.error_ratio")?, ratio)
            .metric(MetricName::new("http.latency_p50_s")?, Query::Quantile { q: 0.5, histogram: durations }))
    }

    /// Ends everything that was started.
    pub(crate) async fn close(&self) {
        self.served.close().await;
    }
}

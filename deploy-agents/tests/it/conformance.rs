//! The core's suites, on the real blocks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use deploy_agents::agents::{HttpProbe, Program};
use deploy_agents::monitors::{ProbeMonitor, Query, ScrapeMonitor, Selector};
use deploy_agents::process::CommandLine;
use deploy_agents::secret::Secret;
use deploy_agents::targets::AdminAccess;
use deploy_agents::targets::place::{Place, PlaceConfig, PlaceTarget};
use deploy_agents::targets::processes::{Launch, ProcessFleet};
use deploy_agents::targets::proxy::{Proxy, ProxyAdmin, ProxyConfig, Routing};
use deploy_core::agent::AgentCard;
use deploy_core::monitor::MeasureRequest;
use deploy_core::name::{BlockName, MetricName};
use deploy_core::target::{Applied, Capabilities, DesiredState, EffectContext, Target, TargetError, TargetState};
use deploy_core::testing::conformance::agent::AgentSuite;
use deploy_core::testing::conformance::monitor::MonitorSuite;
use deploy_core::testing::conformance::target::TargetSuite;

use crate::fleet::{config, name};
use crate::service;

fn block(text: &str) -> BlockName {
    BlockName::new(text).expect("a name")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_conforms() {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let make = || async {
        let proxy = Proxy::bind(any, ProxyConfig::default()).await.expect("a proxy");
        ProcessFleet::start(config(Launch::template(service::line())), proxy)
    };
    let run = TargetSuite::new(name("v1"), name("v2")).run(make).await;
    assert_eq!(run.len(), 8, "{run:?}");
}

/// A place and the client that speaks to it, as one target.
#[derive(Debug)]
struct Remote {
    client: PlaceTarget,
    _place: Place,
}

#[async_trait::async_trait]
impl Target for Remote {
    fn name(&self) -> deploy_core::name::TargetName {
        self.client.name()
    }
    fn capabilities(&self) -> Capabilities {
        self.client.capabilities()
    }
    async fn observe(&self) -> Result<TargetState, TargetError> {
        self.client.observe().await
    }
    async fn apply(&self, desired: &DesiredState, cx: &EffectContext) -> Result<Applied, TargetError> {
        self.client.apply(desired, cx).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_in_another_process_conforms() {
    let make = || async {
        let access = AdminAccess::token(Secret::new("t"));
        let config = PlaceConfig::new(config(Launch::template(service::line())), access);
        let place = Place::start(config).await.expect("a place");
        let client =
            PlaceTarget::new("here".try_into().expect("a name"), place.admin_address()).token(Secret::new("t"));
        Remote { client, _place: place }
    };
    let run = TargetSuite::new(name("v1"), name("v2")).run(make).await;
    assert_eq!(run.len(), 8, "{run:?}");
}

#[tokio::test]
async fn programs_and_probes_conform() {
    let line = CommandLine::new(std::env::current_exe().expect("a path"))
        .args(["--exact", "program::behaves_as_a_child", "--nocapture"])
        .env("BEHAVIOUR", "tell");
    let program = Program::new(AgentCard::new(block("program"), "tells its environment").repeatable(), line);
    AgentSuite::new().run(&program).await;
    let service = service::spawn("v2").await;
    let probe = HttpProbe::new(block("smoke"), format!("http://{service}/")).every(Duration::from_millis(1));
    AgentSuite::new().run(&probe).await;
}

#[tokio::test]
async fn monitors_conform() {
    let request = MeasureRequest {
        monitor: block("monitor"),
        metrics: Vec::new(),
        candidate: name("v2"),
        baseline: Some(name("v1")),
        lookback: Duration::from_secs(600),
    };
    let service = service::spawn("v2").await;
    let probe = ProbeMonitor::new(block("probe"), "").urls(move |revision| match revision.as_str() {
        "v9" => Vec::new(),
        _ => vec![format!("http://{service}/")],
    });
    MonitorSuite::new(request.clone()).unknown(name("v9")).run(&probe).await;

    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let proxy = Arc::new(Proxy::bind(any, ProxyConfig::default()).await.expect("a proxy"));
    let upstreams = [(name("v1"), [service].into()), (name("v2"), [service].into())].into();
    proxy.route(Routing { upstreams, ..Routing::default() }).expect("sound");
    let access = AdminAccess::anyone_on_this_machine();
    let admin = ProxyAdmin::bind(any, access, Arc::clone(&proxy)).await.expect("an interface");
    let all = Selector::new("deploy_proxy_requests_total").is("revision", "{revision}");
    let metric = |text| MetricName::new(text).expect("a name");
    let bad = all.clone().is("code", "5xx");
    let scrape = ScrapeMonitor::new(block("scrape"))
        .endpoint(format!("http://{}/metrics", admin.address()))
        .metric(metric("errors"), Query::Ratio { bad, all: all.clone(), absent_is_zero: true })
        .metric(metric("rate"), Query::Rate(all));
    MonitorSuite::new(request).unknown(name("v9")).run(&scrape).await;
}

//! Envoy in front of real processes, where it is on the path; with `REQUIRE_ENVOY=1` it must be.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use deploy_agents::targets::Balancer as _;
use deploy_agents::targets::envoy::{Envoy, EnvoyConfig};
use deploy_agents::targets::processes::{Launch, ProcessFleet};
use deploy_core::name::TargetName;
use deploy_core::target::{Applied, Capabilities, DesiredState, EffectContext, Target, TargetError, TargetState};
use deploy_core::testing::conformance::target::TargetSuite;

use crate::fleet::{config, effect, name, reached, want};
use crate::haproxy::free;
use crate::load::Load;
use crate::peers::component;
use crate::service;

fn program() -> Option<PathBuf> {
    component("envoy")
}

async fn start(dir: &Path) -> Envoy {
    // Somebody may take a port between its choice and its use.
    for _ in 0..5 {
        let config = EnvoyConfig::new(dir, free(), free()).check("/healthz", Duration::from_millis(100));
        match Envoy::start(config).await {
            Ok(envoy) => return envoy,
            Err(error) => println!("tried again: {error}"),
        }
    }
    panic!("envoy never started");
}

/// A fleet behind Envoy, with the folder that both need.
#[derive(Debug)]
struct Fronted {
    fleet: ProcessFleet<Envoy>,
    _dir: tempfile::TempDir,
}

impl Fronted {
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let envoy = start(dir.path()).await;
        Self { fleet: ProcessFleet::start(config(Launch::template(service::line())), envoy), _dir: dir }
    }

    fn traffic(&self) -> SocketAddr {
        self.fleet.balancer().traffic_address()
    }
}

#[async_trait::async_trait]
impl Target for Fronted {
    fn name(&self) -> TargetName {
        self.fleet.name()
    }
    fn capabilities(&self) -> Capabilities {
        self.fleet.capabilities()
    }
    async fn observe(&self) -> Result<TargetState, TargetError> {
        self.fleet.observe().await
    }
    async fn apply(&self, desired: &DesiredState, cx: &EffectContext) -> Result<Applied, TargetError> {
        self.fleet.apply(desired, cx).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_behind_envoy_conforms() {
    if program().is_none() {
        return;
    }
    let run = TargetSuite::new(name("v1"), name("v2")).run(Fronted::start).await;
    assert_eq!(run.len(), 7, "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_and_instances_change_under_load_and_a_restart_forgets_nothing() {
    if program().is_none() {
        return;
    }
    let place = Fronted::start().await;
    let mut seq = 1;
    let mut tell = async |wanted: &DesiredState| {
        seq += 1;
        place.apply(wanted, &effect(seq)).await.expect("taken");
        reached(&place, wanted).await;
    };
    tell(&want(&[("v1", 2, 100)])).await;
    let load = Load::start(8, place.traffic());
    load.more(500).await;
    for wanted in [
        want(&[("v1", 2, 90), ("v2", 2, 10)]),
        want(&[("v1", 2, 50), ("v2", 3, 50)]),
        want(&[("v2", 3, 100)]),
        want(&[("v1", 1, 100)]),
        want(&[("v1", 2, 70), ("v2", 1, 30)]),
    ] {
        tell(&wanted).await;
        load.more(500).await;
    }
    let tally = load.stop().await;
    assert_eq!((tally.failures.len(), tally.failures.first()), (0, None), "of {}", tally.answered);
    assert!(tally.by_revision.len() == 2 && tally.answered > 3_000, "{:?}", tally.by_revision);

    // What was set at run time is forgotten by a restart; what is wanted is not.
    let admin = place.fleet.balancer().admin().clone();
    let set_here = async || admin.runtime("users").await.ok().map(|keys| keys.values().any(|(_, here)| *here));
    assert_eq!(set_here().await, Some(true));
    let quit = http::Request::post(format!("http://{}/quitquitquit", admin.address())).body(bytes::Bytes::new());
    let http = deploy_agents::http::PlainHttp::new();
    let asked = deploy_agents::http::HttpClient::send(&http, quit.expect("a request"), Default::default()).await;
    assert!(asked.is_ok(), "{asked:?}");
    let back = || async {
        let seen = place.observe().await.ok()?;
        let again = set_here().await == Some(true);
        (again && seen.satisfies(&want(&[("v1", 2, 70), ("v2", 1, 30)]))).then_some(())
    };
    deploy_agents::wait::until(crate::load::BOUND, crate::load::EVERY, back).await.expect("everything is said again");
    place.fleet.close().await;
    assert!(place.fleet.balancer().routing().await.is_err());
}

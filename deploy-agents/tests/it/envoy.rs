//! Envoy in front of real processes, where it is on the path; with `REQUIRE_ENVOY=1` it must be.

use std::path::PathBuf;
use std::time::Duration;

use deploy_agents::targets::Balancer as _;
use deploy_agents::targets::envoy::{Envoy, EnvoyConfig};
use deploy_agents::targets::processes::{Launch, ProcessFleet};
use deploy_core::target::Target as _;
use deploy_core::testing::conformance::target::TargetSuite;

use crate::fleet::{config, name, want};
use crate::fronted::{Fronted, balancer, free};
use crate::peers::component;
use crate::service;

fn program() -> Option<PathBuf> {
    component("envoy")
}

/// A fleet behind an Envoy of its own.
async fn fronted() -> Fronted<Envoy> {
    let dir = tempfile::tempdir().expect("a folder");
    let own = || EnvoyConfig::new(dir.path(), free(), free()).check("/healthz", Duration::from_millis(100));
    let envoy = balancer(async || Envoy::start(own()).await).await;
    Fronted { fleet: ProcessFleet::start(config(Launch::template(service::line())), envoy), dir }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_behind_envoy_conforms() {
    if program().is_none() {
        return;
    }
    let run = TargetSuite::new(name("v1"), name("v2")).run(fronted).await;
    assert_eq!(run.len(), 7, "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_and_instances_change_under_load_and_a_restart_forgets_nothing() {
    if program().is_none() {
        return;
    }
    let place = fronted().await;
    let load = place.walk(place.fleet.balancer().traffic_address()).await;
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

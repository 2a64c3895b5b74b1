//! A fleet of real child processes behind the proxy.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use deploy_agents::targets::Balancer;
use deploy_agents::targets::processes::{
    DeadMan, FleetConfig, HealthCheck, InstancePhase, Launch, ProcessFleet, RestartPolicy,
};
use deploy_agents::targets::proxy::{Proxy, ProxyConfig};
use deploy_core::agent::Certainty;
use deploy_core::digest::Digest;
use deploy_core::effect::{EffectKey, Fence};
use deploy_core::name::{RevisionName, RunId, TargetName};
use deploy_core::plan::StepPath;
use deploy_core::release::Release;
use deploy_core::target::{DesiredState, EffectContext, Target, TargetState};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::load::{BOUND, EVERY, Load, eventually};
use crate::program::is_gone;
use crate::service;

pub(crate) fn name(text: &str) -> RevisionName {
    RevisionName::new(text).expect("a name")
}

/// `(revision, instances, weight)`, in parts of 100.
pub(crate) fn want(revisions: &[(&str, u32, u32)]) -> DesiredState {
    DesiredState {
        capacity: revisions.iter().filter(|r| r.1 > 0).map(|r| (name(r.0), r.1)).collect(),
        weights: revisions.iter().filter(|r| r.2 > 0).map(|r| (name(r.0), r.2)).collect(),
        max_weight: 100,
        ..DesiredState::default()
    }
}

pub(crate) fn effect(seq: u64) -> EffectContext {
    let key = EffectKey {
        run: RunId::new("run-1").expect("a name"),
        step: StepPath::new("deploy/rollout").expect("a path"),
        undo: false,
        iteration: 0,
        attempt: u32::try_from(seq).expect("small"),
    };
    let release = Release::new("shop".try_into().expect("a name"), "test".try_into().expect("a name"), name("v2"));
    EffectContext::new(key, Fence { epoch: 1, seq }, Arc::new(release), BOUND)
}

pub(crate) fn config(launch: Launch) -> FleetConfig {
    // Patient checks: the machine may be slow, and no story is about speed.
    let mut health = HealthCheck::path("/healthz");
    health.timeout = Duration::from_secs(30);
    FleetConfig::new(TargetName::new("here").expect("a name"), launch)
        .health(health)
        .restart(RestartPolicy::new(2, Duration::from_millis(20)))
}

async fn fleet(config: FleetConfig) -> ProcessFleet {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    ProcessFleet::start(config, Proxy::bind(any, ProxyConfig::default()).await.expect("a proxy"))
}

pub(crate) async fn reached(target: &dyn Target, wanted: &DesiredState) -> TargetState {
    let look = || async move {
        match target.observe().await {
            Ok(seen) => seen.satisfies(wanted).then_some(seen),
            // What is started again a moment after it was killed cannot be asked in that moment.
            Err(error) if error.certainty == Certainty::Transient => None,
            Err(error) => panic!("it cannot be seen: {error}"),
        }
    };
    match deploy_agents::wait::until(BOUND, EVERY, look).await {
        Ok(seen) => seen,
        Err(_) => panic!("never reached {wanted:?}; there is {:?}", target.observe().await),
    }
}

fn pid_of<B: Balancer>(fleet: &ProcessFleet<B>, revision: &str) -> Pid {
    let instance =
        fleet.instances().into_iter().find(|i| i.revision == name(revision) && i.phase == InstancePhase::Ready);
    Pid::from_raw(i32::try_from(instance.expect("an instance").pid.expect("a process")).expect("a pid"))
}

/// Kills an instance, and waits until its fleet has noticed: until then it looks as if nothing had happened.
pub(crate) async fn kill_instance<B: Balancer>(fleet: &ProcessFleet<B>, revision: &str) {
    let victim = pid_of(fleet, revision);
    kill(victim, Signal::SIGKILL).expect("it lives");
    let pid = u32::try_from(victim.as_raw()).ok();
    eventually("its end is noticed", || fleet.instances().iter().all(|instance| instance.pid != pid)).await;
}

/// Rows: M65, M66.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_requests_see_two_revisions_change_and_instances_die_without_a_failure() {
    // Every kill is followed by a restart, however many there are.
    let patient = RestartPolicy::new(100, Duration::from_millis(20));
    let fleet = fleet(config(Launch::template(service::line())).restart(patient)).await;
    let mut wanted = want(&[("v1", 2, 100)]);
    let mut seq = 1;
    fleet.apply(&wanted, &effect(seq)).await.expect("taken");
    reached(&fleet, &wanted).await;
    let load = Load::start(8, fleet.proxy().address());
    load.more(1_000).await;
    let ladder = [
        want(&[("v1", 2, 100), ("v2", 2, 0)]),
        want(&[("v1", 2, 90), ("v2", 2, 10)]),
        want(&[("v1", 2, 50), ("v2", 2, 50)]),
        want(&[("v1", 2, 0), ("v2", 2, 100)]),
        want(&[("v2", 3, 100)]),
        want(&[("v2", 2, 100)]),
        // And all the way back in one statement.
        want(&[("v1", 2, 100)]),
        want(&[("v1", 2, 50), ("v3", 2, 50)]),
        want(&[("v3", 2, 100)]),
    ];
    for next in ladder {
        (wanted, seq) = (next, seq + 1);
        fleet.apply(&wanted, &effect(seq)).await.expect("taken");
        reached(&fleet, &wanted).await;
        load.more(500).await;
        for revision in wanted.weights.keys() {
            kill_instance(&fleet, revision.as_str()).await;
            load.more(500).await;
            reached(&fleet, &wanted).await;
        }
    }
    // More by command: REQUESTS=1000000 cargo test -p deploy-agents --test it twenty_thousand -- --nocapture
    let due = std::env::var("REQUESTS").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    while load.answered() < due {
        load.more(500).await;
    }
    let tally = load.stop().await;
    println!("{} requests, by revision {:?}", tally.answered, tally.by_revision);
    assert_eq!(tally.failures, Vec::<String>::new());
    assert!(tally.answered >= due);
    assert_eq!(tally.by_revision.len(), 3);
    fleet.close().await;
    assert!(fleet.instances().is_empty());
}

/// Rows: M67.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revision_that_never_becomes_healthy_gets_no_traffic_and_costs_nobody_their_place() {
    let launch = Launch::by(|slot| {
        let line =
            service::line().env("SERVICE_PORT", slot.port.to_string()).env("SERVICE_REVISION", slot.revision.as_str());
        if slot.revision == name("broken") { line.env("SERVICE_ENDS", "1") } else { line }
    });
    let dir = tempfile::tempdir().expect("a directory");
    let fleet = fleet(config(launch).logs(dir.path())).await;
    let good = want(&[("v1", 2, 100)]);
    fleet.begin_with(&good).expect("sound");
    reached(&fleet, &good).await;
    let before: Vec<_> = fleet.instances().iter().map(|i| i.pid).collect();
    fleet.apply(&want(&[("broken", 1, 100)]), &effect(1)).await.expect("taken");
    eventually("it is given up", || {
        fleet.instances().iter().any(|i| i.revision == name("broken") && i.phase == InstancePhase::GivenUp)
    })
    .await;
    let seen = fleet.observe().await.expect("a state");
    assert_eq!(seen.weights, BTreeMap::from([(name("v1"), 100)]), "traffic moved to nobody");
    assert_eq!(seen.revision(&name("v1")).ready, 2, "the copies that serve were taken away");
    let broken = fleet.instances().into_iter().find(|i| i.revision == name("broken")).expect("it is there");
    assert!(broken.trouble.as_deref().is_some_and(|t| t.contains("exit status: 3")), "{:?}", broken.trouble);
    assert_eq!(broken.restarts, 3, "two restarts are allowed, the third end is the last");
    let log = std::fs::read_to_string(dir.path().join(format!("broken-{}.log", broken.id))).expect("a log");
    assert!(log.contains("this revision ends at once"));
    // And back: nothing of v1 was touched.
    fleet.apply(&good, &effect(2)).await.expect("taken");
    reached(&fleet, &good).await;
    let after: Vec<_> = fleet.instances().iter().map(|i| i.pid).collect();
    assert_eq!(before, after);
    fleet.close().await;
}

/// Two places, one release: what was tried out in the first is what the second starts, and what was built anew is refused.
///
/// Rows: M30.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn production_starts_the_program_that_staging_tried_and_refuses_one_built_anew() {
    let dir = tempfile::tempdir().expect("a directory");
    let built = dir.path().join("service");
    std::fs::copy(std::env::current_exe().expect("this program has a path"), &built).expect("copied");
    let approved = Digest::of(&std::fs::read(&built).expect("read"));
    let started = |path: std::path::PathBuf| {
        let line = service::line_of(path);
        config(Launch::template(line)).program(name("v1"), approved)
    };
    let wanted = want(&[("v1", 1, 100)]);
    let refused = async |path: std::path::PathBuf| {
        let production = fleet(started(path)).await;
        production.begin_with(&wanted).expect("sound");
        eventually("it is given up", || production.instances().iter().any(|i| i.phase == InstancePhase::GivenUp)).await;
        let trouble = production.instances()[0].trouble.clone().expect("a reason");
        assert_eq!(production.observe().await.expect("a state").revision(&name("v1")).ready, 0);
        production.close().await;
        trouble
    };
    // Written a moment ago, a program cannot be started as long as another test's child, about to become another program, still has
    // the file open.
    let patient = RestartPolicy::new(100, Duration::from_millis(20));
    let staging = fleet(started(built.clone()).restart(patient)).await;
    staging.begin_with(&wanted).expect("sound");
    reached(&staging, &wanted).await;
    staging.close().await;

    // One byte at its end changes nothing of what it does, and is another program.
    let anew = dir.path().join("service-built-anew");
    let mut bytes = std::fs::read(&built).expect("read");
    bytes.push(0);
    std::fs::copy(&built, &anew).expect("it stays executable");
    std::fs::write(&anew, bytes).expect("written");
    let trouble = refused(anew).await;
    assert!(trouble.contains(&format!("and {approved} was approved")), "{trouble}");
    let trouble = refused("service".into()).await;
    assert!(trouble.contains("not named by its path"), "{trouble}");
    let trouble = refused(dir.path().join("gone")).await;
    assert!(trouble.contains("could not be read"), "{trouble}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_again_changes_nothing_and_an_older_fence_is_refused() {
    let fleet = fleet(config(Launch::template(service::line()))).await;
    let one = want(&[("v1", 1, 100)]);
    assert!(fleet.apply(&one, &effect(5)).await.expect("taken").changed);
    let seen = reached(&fleet, &one).await;
    let pid = pid_of(&fleet, "v1");
    assert!(!fleet.apply(&one, &effect(5)).await.expect("taken again").changed);
    let error = fleet.apply(&want(&[("v2", 1, 100)]), &effect(4)).await.expect_err("an older fence");
    assert!(error.is_stale_fence(), "{error}");
    // An older epoch with a higher position is older all the same.
    let mut old = effect(99);
    old.fence.epoch = 0;
    assert!(fleet.apply(&one, &old).await.is_err_and(|e| e.is_stale_fence()));
    let outdated = DesiredState { based_on: seen.version.map(|v| v - 1), ..one.clone() };
    assert!(fleet.apply(&outdated, &effect(6)).await.is_err());
    let no_capacity = DesiredState { capacity: BTreeMap::new(), ..one.clone() };
    assert!(fleet.apply(&no_capacity, &effect(7)).await.is_err());
    assert_eq!(pid_of(&fleet, "v1"), pid);
    let effects = fleet.effects();
    assert_eq!((effects.len(), effects[0].count), (1, 2));
    fleet.close().await;
    eventually("the process is gone", || is_gone(pid)).await;
}

/// Asks for a split until it is in force, calling all the while, and says how often the lease had lapsed before: a machine that stands
/// still for longer than the lease lets it lapse, and then the split is asked for again.
pub(crate) async fn split_in_force<B: Balancer>(fleet: &ProcessFleet<B>, split: &DesiredState) -> u32 {
    let mut seq = 2;
    loop {
        let lapses = fleet.lapses();
        fleet.apply(split, &effect(seq)).await.expect("taken");
        let look = || async {
            let met = fleet.observe().await.ok()?.satisfies(split);
            (met || fleet.lapses() != lapses).then_some(met)
        };
        if deploy_agents::wait::until(BOUND, EVERY, look).await.expect("it is reached, or the lease lapses") {
            return lapses;
        }
        seq += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_nobody_calls_split_traffic_returns_to_stable() {
    let lease = DeadMan::after(Duration::from_millis(300));
    let fleet = fleet(config(Launch::template(service::line())).dead_man(lease)).await;
    assert!(fleet.capabilities().dead_man_lease);
    let stable = want(&[("v1", 1, 100)]);
    fleet.apply(&stable, &effect(1)).await.expect("taken");
    reached(&fleet, &stable).await;
    let split = want(&[("v1", 1, 80), ("v2", 1, 20)]);
    let lapses = split_in_force(&fleet, &split).await;
    // Nobody observes from here on.
    eventually("traffic is back", || fleet.proxy().routing().weights == stable.weights).await;
    assert_eq!(fleet.lapses(), lapses + 1);
    let seen = fleet.observe().await.expect("a state");
    assert_eq!(seen.revision(&name("v2")).ready, 1, "the lease moves traffic, it stops nobody");
    fleet.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_fleet_leaves_no_process_behind() {
    let fleet = fleet(config(Launch::template(service::line()))).await;
    let one = want(&[("v1", 1, 100)]);
    fleet.begin_with(&one).expect("sound");
    reached(&fleet, &one).await;
    let pid = pid_of(&fleet, "v1");
    drop(fleet);
    eventually("the process is gone", || is_gone(pid)).await;
}

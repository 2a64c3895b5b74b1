//! HAProxy in front of real processes. Left out where it is not on the path, unless `REQUIRE_SERVICES=1`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use deploy_agents::targets::Balancer as _;
use deploy_agents::targets::haproxy::{
    AttachedHaproxy, Haproxy, HaproxyConfig, Order, Readiness, ServerCheck, ServerName,
};
use deploy_agents::targets::processes::{DeadMan, Launch, ProcessFleet, RestartPolicy};
use deploy_agents::targets::proxy::Routing;
use deploy_core::target::{DesiredState, Target as _};
use deploy_core::testing::conformance::target::TargetSuite;

use crate::fleet::{config, effect, kill_instance, name, reached, split_in_force, want};
use crate::fronted::{Fronted, balancer, free};
use crate::load::{BOUND, EVERY, Load, eventually};
use crate::peers::{Running, component};
use crate::service;

/// A folder with a path that is short enough for a socket.
fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("hap").tempdir_in("/tmp").expect("a folder")
}

/// How long a health check may take.
const PATIENT: &str = "timeout check 30s";

fn quick() -> ServerCheck {
    ServerCheck::every(Duration::from_millis(100))
}

async fn start(dir: &Path) -> Haproxy {
    // An instance that refuses is found out at once, and one that is slow to answer is not for that taken for dead.
    let own = || HaproxyConfig::new(dir, free()).preview(free()).check("/healthz", quick()).default_line(PATIENT);
    balancer(async || Haproxy::start(own()).await).await
}

/// A fleet behind a HAProxy of its own.
async fn fronted() -> Fronted<Haproxy> {
    let dir = folder();
    let patient = RestartPolicy::new(100, Duration::from_millis(20));
    let config = config(Launch::template(service::line())).restart(patient);
    Fronted { fleet: ProcessFleet::start(config, start(dir.path()).await), dir }
}

fn traffic(place: &Fronted<Haproxy>) -> SocketAddr {
    place.fleet.balancer().traffic_address().expect("its own")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_behind_haproxy_conforms() {
    if component("haproxy").is_none() {
        return;
    }
    let run = TargetSuite::new(name("v1"), name("v2")).run(fronted).await;
    assert_eq!(run.len(), 7, "{run:?}");
    let able = fronted().await.capabilities();
    assert!(able.weights && able.preview && !able.routes && !able.mirror);
}

/// Rows: M58, M65, M66.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_instances_a_reload_and_a_killed_instance_cost_nobody_a_request() {
    if component("haproxy").is_none() {
        return;
    }
    let place = fronted().await;
    let load = place.walk(traffic(&place)).await;
    // An instance dies without a word; the other carries its share until it is back.
    kill_instance(&place.fleet, "v1").await;
    load.more(2_000).await;
    reached(&place, &want(&[("v1", 2, 70), ("v2", 1, 30)])).await;
    let tally = load.stop().await;
    assert_eq!(tally.failures, Vec::<String>::new(), "of {}", tally.answered);
    assert!(tally.by_revision.len() == 2 && tally.answered > 4_000, "{:?}", tally.by_revision);
    place.fleet.close().await;
}

/// Rows: M58.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_loses_nothing_that_was_set_at_run_time() {
    if component("haproxy").is_none() {
        return;
    }
    let place = fronted().await;
    let wanted = DesiredState { preview: Some(name("v2")), ..want(&[("v1", 2, 70), ("v2", 1, 30)]) };
    place.apply(&wanted, &effect(1)).await.expect("taken");
    let before = reached(&place, &wanted).await;
    let preview = place.fleet.balancer().preview_address().expect("its own");
    let load = Load::start(2, preview);
    load.more(20).await;
    let tally = load.stop().await;
    assert_eq!(
        (tally.failures.len(), tally.by_revision.keys().map(String::as_str).collect::<Vec<_>>()),
        (0, vec!["v2"])
    );
    let (haproxy, dir) = (place.fleet.balancer(), place.dir.path());
    let worker = haproxy.socket().worker().await.expect("it answers");
    // Users who open a connection for each request: HAProxy closes idle ones when it is replaced, and says so in answers.
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let (at, asked) = (traffic(&place), std::sync::Arc::new(AtomicU32::new(0)));
    let count = std::sync::Arc::clone(&asked);
    let users = tokio::spawn(async move {
        while !*stopped.borrow_and_update() {
            let http = deploy_agents::http::PlainHttp::new();
            let request = http::Request::get(format!("http://{at}/")).body(bytes::Bytes::new()).expect("a request");
            let limits = deploy_agents::http::HttpLimits { timeout: BOUND, ..Default::default() };
            let answer = deploy_agents::http::HttpClient::send(&http, request, limits).await.expect("an answer");
            assert_eq!(answer.status(), 200);
            count.fetch_add(1, SeqCst);
        }
    });
    eventually("users are answered", || asked.load(SeqCst) > 50).await;
    haproxy.reload().await.expect("a new worker");
    assert_ne!(haproxy.socket().worker().await.expect("it answers"), worker);
    let after = place.observe().await.expect("seen");
    assert_eq!((&after.weights, &after.preview), (&before.weights, &before.preview));
    // The file alone has everything: a worker that somebody else starts from it begins with the same weights.
    let text = std::fs::read_to_string(dir.join("haproxy.cfg")).expect("it is there");
    let weights: u32 = text
        .lines()
        .skip_while(|line| *line != "backend users")
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        .filter_map(|line| line.split_whitespace().skip_while(|word| *word != "weight").nth(1))
        .map(|weight| weight.parse::<u32>().expect("a number"))
        .sum();
    assert!(weights > 0 && weights.is_multiple_of(100), "{text}");
    // Killed outright it is started again, with the same.
    let pid = haproxy.socket().worker().await.expect("it answers").pid;
    let so_far = asked.load(SeqCst);
    eventually("users are answered", || asked.load(SeqCst) > so_far + 50).await;
    stop.send_replace(true);
    users.await.expect("no user was refused");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).expect("a pid"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("it was there");
    reached(&place, &wanted).await;
    place.fleet.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_sets_is_seen_and_outdates_what_was_observed_before() {
    if component("haproxy").is_none() {
        return;
    }
    let place = fronted().await;
    let wanted = want(&[("v1", 1, 50), ("v2", 1, 50)]);
    place.apply(&wanted, &effect(1)).await.expect("taken");
    let before = reached(&place, &wanted).await;
    let socket = place.fleet.balancer().socket();
    let servers = socket.servers("users").await.expect("read");
    let v2 = servers.iter().find(|server| server.name.server().starts_with("v2:")).expect("it is there");
    socket.carry_out(&[Order::Weight { server: v2.name.clone(), weight: 0 }]).await.expect("taken");
    // What is read while the fleet writes down something of its own counts as read before.
    let newer = || async { place.observe().await.ok().filter(|seen| seen.version > before.version) };
    let drifted = deploy_agents::wait::until(BOUND, EVERY, newer).await.expect("it outdates what was observed before");
    assert_eq!(drifted.weights, BTreeMap::from([(name("v1"), 100)]));
    // Whatever else happens, it is left alone: here an instance that is started again.
    let process = || place.fleet.instances().into_iter().find(|i| i.revision == name("v1")).and_then(|i| i.pid);
    let victim = process();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(victim.expect("it runs")).expect("a pid"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("it was there");
    let back = || async {
        let seen = place.observe().await.expect("seen");
        (process() != victim && seen.revision(&name("v1")).ready == 1).then_some(seen)
    };
    let seen = deploy_agents::wait::until(BOUND, EVERY, back).await.expect("it is back");
    assert_eq!(seen.weights, drifted.weights, "nobody has applied again");
    let outdated = DesiredState { based_on: before.version, ..wanted.clone() };
    assert!(place.apply(&outdated, &effect(2)).await.is_err());
    place.apply(&wanted, &effect(3)).await.expect("taken");
    reached(&place, &wanted).await;
    place.fleet.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traffic_never_rises_to_a_revision_that_nobody_serves() {
    if component("haproxy").is_none() {
        return;
    }
    let dir = folder();
    let haproxy = start(dir.path()).await;
    let v1 = service::spawn("v1").await;
    haproxy.use_upstreams(&BTreeMap::from([(name("v1"), [v1].into())])).await.expect("taken");
    let mut sound = haproxy.routing().await.expect("read");
    sound.weights = BTreeMap::from([(name("v1"), 100)]);
    assert!(haproxy.route(&sound).await.expect("taken"));
    assert!(!haproxy.route(&sound).await.expect("taken"), "the same again changes nothing");
    for (weights, preview) in [
        (BTreeMap::from([(name("v2"), 100)]), None),
        (BTreeMap::from([(name("v1"), 50), (name("v2"), 50)]), None),
        (BTreeMap::from([(name("v1"), 99)]), None),
        (sound.weights.clone(), Some(name("v2"))),
    ] {
        let unsound = Routing { weights, preview, ..sound.clone() };
        assert!(haproxy.route(&unsound).await.is_err(), "{unsound:?} was taken");
        assert_eq!(haproxy.routing().await.expect("read"), sound);
    }
    // Whoever serves is not left without a server, whatever is thought of its health.
    haproxy.use_upstreams(&BTreeMap::from([(name("v2"), [v1].into())])).await.expect("taken");
    let seen = haproxy.routing().await.expect("read");
    assert_eq!((&seen.weights, seen.upstreams.len()), (&sound.weights, 2));
    haproxy.close(BOUND).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_of_the_runtime_socket_is_read() {
    if component("haproxy").is_none() {
        return;
    }
    let dir = folder();
    let haproxy = start(dir.path()).await;
    let socket = haproxy.socket();
    let server = ServerName::new("users", "v1:127.0.0.1:1").expect("a name");
    let add = Order::Add { server: server.clone(), address: free(), weight: 0, check: quick() };
    socket.carry_out(std::slice::from_ref(&add)).await.expect("taken");
    let there = socket.servers("users").await.expect("read");
    assert_eq!((there.len(), there[0].readiness, there[0].weight), (1, Readiness::Maintenance, 0));
    let weight = |server: &ServerName, weight| Order::Weight { server: server.clone(), weight };
    let nobody = ServerName::new("users", "nobody").expect("a name");
    for (order, says) in [
        (add, "Already exists a server with the same name in backend"),
        (weight(&nobody, 1), "No such server"),
        (weight(&server, 257), "Absolute weight can only be between 0 and 256 inclusive"),
        (Order::Delete { server: nobody }, "No such server"),
    ] {
        // The one before it is in force, and the one after it was never sent or is told too.
        let error = socket.carry_out(&[weight(&server, 7), order]).await.expect_err(says);
        assert!(error.is_refused() && error.to_string().contains(says), "{error}");
        assert_eq!(socket.servers("users").await.expect("read")[0].weight, 7);
    }
    let error = socket.servers("nowhere").await.expect_err("no such backend");
    assert!(error.is_refused(), "{error}");
    let ready = Order::Be { server: server.clone(), readiness: Readiness::Ready };
    socket.carry_out(&[ready, Order::EnableHealth { server: server.clone() }]).await.expect("taken");
    let refuses = async || socket.servers("users").await.expect("read")[0].check_passed == Some(false);
    let failed = deploy_agents::wait::until(BOUND, EVERY, || async { refuses().await.then_some(()) }).await;
    assert!(failed.is_ok(), "nobody listens there, and its check does not fail");
    let error = socket.carry_out(&[Order::Delete { server: server.clone() }]).await.expect_err("not in maintenance");
    assert!(error.is_refused(), "{error}");
    let maintenance = Order::Be { server: server.clone(), readiness: Readiness::Maintenance };
    socket.carry_out(&[maintenance, Order::Delete { server }]).await.expect("taken");
    assert_eq!(socket.servers("users").await.expect("read"), []);
    let lines = socket.statistics().await.expect("read");
    assert!(lines.iter().any(|line| line.proxy == "users" && line.name == "BACKEND"), "{lines:?}");
    haproxy.close(BOUND).await;
    assert!(socket.worker().await.is_err_and(|error| error.is_not_sent()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_nobody_calls_split_traffic_returns_to_stable() {
    if component("haproxy").is_none() {
        return;
    }
    let dir = folder();
    let lease = DeadMan::after(Duration::from_millis(500));
    let fleet = ProcessFleet::start(config(Launch::template(service::line())).dead_man(lease), start(dir.path()).await);
    assert!(fleet.capabilities().dead_man_lease);
    let stable = want(&[("v1", 1, 100)]);
    fleet.apply(&stable, &effect(1)).await.expect("taken");
    reached(&fleet, &stable).await;
    let split = want(&[("v1", 1, 50), ("v2", 1, 50)]);
    let lapses = split_in_force(&fleet, &split).await;
    // Asked at HAProxy, not at the fleet: that would be a call.
    let weights = async || fleet.balancer().routing().await.expect("read").weights;
    let back = || async { (weights().await == stable.weights).then_some(()) };
    assert!(deploy_agents::wait::until(BOUND, EVERY, back).await.is_ok(), "traffic never returned");
    assert_eq!(fleet.lapses(), lapses + 1);
    fleet.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hosts_own_haproxy_is_attached_and_its_own_servers_stay_as_they_are() {
    let Some(program) = component("haproxy") else { return };
    let dir = folder();
    let (socket, traffic, own) = (dir.path().join("admin.sock"), free(), service::spawn("own").await);
    let (hosts, include) = (dir.path().join("host.cfg"), dir.path().join("backends.cfg"));
    let text = format!(
        "global\n stats socket {} mode 600 level admin expose-fd listeners\n\
         defaults\n mode http\n timeout connect 2s\n timeout client 30s\n timeout server 30s\n retries 3\n option redispatch 1\n {PATIENT}\n\
         frontend in\n bind {traffic}\n default_backend shop\n",
        socket.display()
    );
    std::fs::write(&hosts, text).expect("written");
    let lines = [
        "balance roundrobin".to_owned(),
        "option httpchk GET /healthz".to_owned(),
        format!("server own {own} weight 0"),
    ];
    std::fs::write(&include, format!("backend shop\n {}\n", lines.join("\n "))).expect("written");
    let run = |before: Option<u32>| {
        let mut command = std::process::Command::new(&program);
        command.arg("-db").arg("-f").arg(&hosts).arg("-f").arg(&include);
        if let Some(pid) = before {
            command.args(["-sf", &pid.to_string(), "-x"]).arg(&socket);
        }
        Running(command.stderr(std::process::Stdio::null()).spawn().expect("haproxy starts"))
    };
    let first = run(None);
    let attached = AttachedHaproxy::new(&socket, "shop").check(quick()).include(&include, lines);
    let attach = || async { Haproxy::attach(attached.clone()).await.ok() };
    let haproxy = deploy_agents::wait::until(BOUND, EVERY, attach).await.expect("it answers");
    assert!(!haproxy.capabilities().preview && haproxy.traffic_address().is_none());
    let fleet = ProcessFleet::start(config(Launch::template(service::line())), haproxy);
    let wanted = want(&[("v1", 2, 70), ("v2", 1, 30)]);
    fleet.apply(&wanted, &effect(1)).await.expect("taken");
    reached(&fleet, &wanted).await;

    // The host reloads it in its own way. Nothing is lost, not even for a moment.
    let worker = fleet.balancer().socket().worker().await.expect("it answers");
    let _second = run(Some(worker.pid));
    let replaced = || async {
        let now = fleet.balancer().socket().worker().await.ok()?;
        (now != worker).then_some(())
    };
    deploy_agents::wait::until(BOUND, EVERY, replaced).await.expect("a new worker");
    let servers = fleet.balancer().socket().servers("shop").await.expect("read");
    let ours: u32 = servers.iter().filter(|server| server.name.server() != "own").map(|server| server.weight).sum();
    assert!(servers.len() == 4 && ours > 0 && ours.is_multiple_of(10), "{servers:?}");
    reached(&fleet, &wanted).await;
    drop(first);
    let load = Load::start(4, traffic);
    load.more(500).await;
    let tally = load.stop().await;
    assert_eq!(tally.failures, Vec::<String>::new());
    assert!(!tally.by_revision.contains_key("own") && tally.by_revision.len() == 2);

    let socket = fleet.balancer().socket().clone();
    fleet.close().await;
    let left = socket.servers("shop").await.expect("the host's own goes on");
    let own = left.iter().find(|server| server.name.server() == "own").expect("it is there");
    assert_eq!((own.readiness, own.weight), (Readiness::Ready, 0));
    assert!(left.iter().all(|server| server.name.server() == "own" || server.readiness != Readiness::Ready));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_haproxy_says_against_a_configuration_is_told() {
    if component("haproxy").is_none() {
        return;
    }
    let dir = folder();
    let config = HaproxyConfig::new(dir.path(), free()).default_line("no such keyword");
    let error = Haproxy::start(config).await.expect_err("it does not start").to_string();
    assert!(error.contains("haproxy ended at once") && error.contains("keyword"), "{error}");
    let config = HaproxyConfig::new(dir.path(), free()).check("/a b", quick());
    assert!(Haproxy::start(config).await.expect_err("a space").to_string().contains("not a path"));
    let config = HaproxyConfig::new(dir.path().join("x".repeat(120)), free());
    assert!(Haproxy::start(config).await.is_err());
}

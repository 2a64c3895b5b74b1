//! What HAProxy and Envoy themselves count of each revision, asked of real ones.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use deploy_agents::monitors::{ScrapeMonitor, envoy, haproxy};
use deploy_agents::targets::haproxy::RuntimeSocket;
use deploy_core::monitor::{Arm, Counts, MeasureContext, MeasureRequest, Measurement, Monitor as _, Reading};
use deploy_core::name::{BlockName, MetricName};
use deploy_core::time::Now;

use crate::fleet::name;
use crate::load::{BOUND, EVERY};
use crate::peers::{Running, answers, call, component, free_port, start};
use crate::program::task;
use crate::service;

fn metric(text: &str) -> MetricName {
    MetricName::new(text).expect("a name")
}

fn block(text: &str) -> BlockName {
    BlockName::new(text).expect("a name")
}

async fn ask(monitor: &ScrapeMonitor) -> Vec<Measurement> {
    let request = MeasureRequest {
        monitor: monitor.name(),
        metrics: Vec::new(),
        candidate: name("v2"),
        baseline: Some(name("v1")),
        lookback: Duration::from_secs(600),
    };
    let cx = MeasureContext::new(Arc::clone(&task().release), Now::default());
    monitor.measure(&request, &cx).await.unwrap_or_else(|e| panic!("{}", deploy_core::report::chain(&e)))
}

fn reading(all: &[Measurement], wanted: &str, arm: Arm) -> Reading {
    let found = all.iter().find(|m| m.metric == metric(wanted) && m.arm == arm);
    found.unwrap_or_else(|| panic!("no {wanted}")).reading.clone()
}

fn counts(events: u64, bad: u64) -> Reading {
    Reading::Counts(Counts::new(events, bad).expect("fewer bad than all"))
}

/// Waits until so many errors are counted: an answer may be with its asker before every thread of the balancer has counted it.
async fn counted(monitor: &ScrapeMonitor, due: &[(Arm, Reading)]) -> Vec<Measurement> {
    let look = || async {
        let all = ask(monitor).await;
        due.iter().all(|(arm, due)| reading(&all, "errors", *arm) == *due).then_some(all)
    };
    match deploy_agents::wait::until(BOUND, EVERY, look).await {
        Ok(all) => all,
        Err(_) => panic!("{} never counts {due:?}: {:?}", monitor.name(), ask(monitor).await),
    }
}

async fn get(at: SocketAddr, path: &str) -> u16 {
    call("GET", &format!("http://{at}{path}"), "").await.map_or(0, |(status, _)| status)
}

struct Haproxy {
    traffic: SocketAddr,
    metrics: SocketAddr,
    socket: RuntimeSocket,
    _folder: tempfile::TempDir,
    _running: Running,
}

impl Haproxy {
    /// Sends each request to the server that its path begins with.
    async fn start(servers: &[(&str, SocketAddr)]) -> Option<Self> {
        let program = component("haproxy")?;
        let folder = tempfile::Builder::new().prefix("hap").tempdir_in("/tmp").expect("a folder");
        let (socket, file) = (folder.path().join("s"), folder.path().join("haproxy.cfg"));
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let (traffic, metrics) = (at(free_port()), at(free_port()));
        let rule =
            |(name, _): &(&str, SocketAddr)| format!("    use-server {name} if {{ var(txn.to) -m str {name} }}\n");
        let server = |(name, at): &(&str, SocketAddr)| format!("    server {name} {at}\n");
        let configuration = format!(
            "global\n    stats socket {} mode 600 level admin\ndefaults\n    mode http\n    timeout connect 2s\n    timeout client 30s\n    timeout server 30s\n    retries 0\n\
             frontend metrics\n    bind {metrics}\n    http-request use-service prometheus-exporter if {{ path /metrics }}\n\
             frontend fe\n    bind {traffic}\n    default_backend app\nbackend app\n    http-request set-var(txn.to) path,field(2,/)\n{}    http-request replace-path /[^/]+/(.*) /\\1\n{}",
            socket.display(),
            servers.iter().map(rule).collect::<String>(),
            servers.iter().map(server).collect::<String>(),
        );
        std::fs::write(&file, configuration).expect("written");
        let running = start(program, &["-f".to_owned(), file.display().to_string(), "-db".to_owned()]);
        answers(&format!("http://{metrics}/metrics")).await;
        let socket = RuntimeSocket::new(socket).expect("a short path");
        Some(Self { traffic, metrics, socket, _folder: folder, _running: running })
    }
}

/// Rows: M69, M70.
#[tokio::test]
async fn haproxy_counts_each_revision_and_its_socket_says_what_its_exporter_says() {
    let (v1, v2) = (service::spawn("v1").await, service::spawn("v2").await);
    let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let Some(haproxy) = Haproxy::start(&[("v1-1", v1), ("v2-1", v2), ("v2-2", nobody)]).await else { return };
    let of_revision =
        |selector: deploy_agents::monitors::Selector| selector.is("proxy", "app").starts_with("server", "{revision}-");
    let with_metrics = |monitor: ScrapeMonitor| {
        monitor
            .metric(metric("errors"), haproxy::errors(of_revision))
            .metric(metric("throughput"), haproxy::throughput(of_revision))
            .metric(metric("slowest"), haproxy::slowest_average(of_revision))
    };
    let by_page =
        with_metrics(ScrapeMonitor::new(block("page")).endpoint(format!("http://{}/metrics", haproxy.metrics)));
    let by_socket = with_metrics(ScrapeMonitor::new(block("socket")).source(haproxy.socket.clone()));
    for monitor in [&by_page, &by_socket] {
        assert_eq!(reading(&ask(monitor).await, "errors", Arm::Candidate), Reading::NoData, "growth needs two looks");
    }
    for n in 0..20 {
        assert_eq!(get(haproxy.traffic, "/v1-1/").await, 200);
        let path = if n % 4 == 0 { "/v2-1/fail" } else { "/v2-1/" };
        get(haproxy.traffic, path).await;
    }
    for _ in 0..3 {
        assert_eq!(get(haproxy.traffic, "/v2-2/").await, 503, "nobody is there");
    }
    for monitor in [&by_page, &by_socket] {
        // The three that found nobody were answered by HAProxy itself, and are the revision's all the same.
        let all = counted(monitor, &[(Arm::Candidate, counts(23, 8)), (Arm::Baseline, counts(20, 0))]).await;
        assert!(reading(&all, "throughput", Arm::Baseline).number().is_some_and(|rate| rate > 0.0));
        assert!(reading(&all, "slowest", Arm::Candidate).number().is_some());
    }
    drop(haproxy);
    let request = MeasureRequest {
        monitor: block("socket"),
        metrics: Vec::new(),
        candidate: name("v2"),
        baseline: None,
        lookback: Duration::from_secs(600),
    };
    let cx = MeasureContext::new(Arc::clone(&task().release), Now::default());
    assert!(by_socket.measure(&request, &cx).await.is_err(), "one that is gone is an error, not a silence");
}

/// Rows: M68, M69, M70.
#[tokio::test]
async fn envoy_counts_each_revision() {
    let Some(program) = component("envoy") else { return };
    let (v1, v2) = (service::spawn("v1").await, service::spawn("v2").await);
    let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let folder = tempfile::tempdir().expect("a folder");
    let (traffic, admin) = (free_port(), free_port());
    let address = |port: u16| format!("{{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}");
    let cluster = |name: &str, port: u16| {
        format!(
            "  - {{name: {name}, type: STATIC, connect_timeout: 2s, load_assignment: {{cluster_name: {name}, endpoints: [{{lb_endpoints: [{{endpoint: {{address: {}}}}}]}}]}}}}\n",
            address(port)
        )
    };
    let route = |name: &str| format!("{{match: {{prefix: /{name}/}}, route: {{cluster: {name}, prefix_rewrite: /}}}}");
    let configuration = format!(
        "admin: {{address: {}}}\nstatic_resources:\n  listeners:\n  - address: {}\n    filter_chains: [{{filters: [{{name: hcm, typed_config: {{\"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: in, http_filters: [{{name: router, typed_config: {{\"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}}}], route_config: {{virtual_hosts: [{{name: all, domains: [\"*\"], routes: [{}, {}, {}]}}]}}}}}}]}}]\n  clusters:\n{}{}{}",
        address(admin),
        address(traffic),
        route("v1"),
        route("v2"),
        route("gone"),
        cluster("v1", v1.port()),
        cluster("v2", v2.port()),
        cluster("gone", nobody.port()),
    );
    let file = folder.path().join("envoy.yaml");
    std::fs::write(&file, configuration).expect("written");
    let words = ["-c", file.to_str().expect("text"), "--concurrency", "1", "-l", "off", "--use-dynamic-base-id"];
    let _running = start(program, &words.map(str::to_owned));
    answers(&format!("http://127.0.0.1:{admin}/ready")).await;
    let page = format!("http://127.0.0.1:{admin}/stats/prometheus?filter=cluster..*.upstream_rq");
    let monitor = ScrapeMonitor::new(block("envoy"))
        .endpoint(page)
        .metric(metric("errors"), envoy::errors("{revision}"))
        .metric(metric("throughput"), envoy::throughput("{revision}"))
        .metric(metric("p99"), envoy::latency_ms("{revision}", 0.99));
    assert_eq!(reading(&ask(&monitor).await, "errors", Arm::Candidate), Reading::NoData);
    let traffic = SocketAddr::from(([127, 0, 0, 1], traffic));
    for n in 0..20 {
        assert_eq!(get(traffic, "/v1/").await, 200);
        get(traffic, if n % 4 == 0 { "/v2/fail" } else { "/v2/" }).await;
    }
    assert_eq!(get(traffic, "/gone/").await, 503);
    let all = counted(&monitor, &[(Arm::Candidate, counts(20, 5)), (Arm::Baseline, counts(20, 0))]).await;
    assert!(reading(&all, "throughput", Arm::Candidate).number().is_some_and(|rate| rate > 0.0));
    // Envoy adds its histograms up every five seconds.
    let there = deploy_agents::wait::until(BOUND, Duration::from_millis(100), || async {
        reading(&ask(&monitor).await, "p99", Arm::Candidate).number().filter(|ms| *ms >= 0.0)
    });
    assert!(there.await.is_ok(), "never a latency");
    let gone = ScrapeMonitor::new(block("gone"))
        .endpoint(format!("http://127.0.0.1:{admin}/stats/prometheus"))
        .metric(metric("errors"), envoy::errors("gone"));
    ask(&gone).await;
    assert_eq!(get(traffic, "/gone/").await, 503);
    // What Envoy answered itself counts.
    counted(&gone, &[(Arm::Candidate, counts(1, 1))]).await;
}

//! Before traffic: is whoever is to watch really watching? And after it: what is left of what was promised?

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use deploy_agents::monitors::alerts::{AlertRule, AlertRules, AlertSeverity, RulesApi};
use deploy_agents::monitors::dashboard::{Dashboard, DashboardCheck, Panel};
use deploy_agents::monitors::prometheus::{PromQuery, PrometheusMonitor, PrometheusPolicy};
use deploy_agents::monitors::service_level::{BudgetGate, ServiceLevel, Unknown};
use deploy_agents::monitors::{ActivateMonitors, Heartbeats, Meter, ProgramMonitor, Query, Selector};
use deploy_agents::process::CommandLine;
use deploy_agents::targets::AdminAccess;
use deploy_agents::targets::proxy::{Proxy, ProxyAdmin, ProxyConfig, Routing};
use deploy_agents::wait::until;
use deploy_core::gate::{Gate, GateContext, GateDecision};
use deploy_core::monitor::Monitor;
use deploy_core::name::{BlockName, MetricName};
use deploy_core::plan::StepPath;
use deploy_core::time::{Clock, Now};

use crate::families::Hand;
use crate::fleet::name;
use crate::load::{BOUND, EVERY};
use crate::peers::Prometheus;
use crate::program::task;
use crate::prometheus_policy::policy;
use crate::service;

fn block(text: &str) -> BlockName {
    BlockName::new(text).expect("a name")
}

fn metric(text: &str) -> MetricName {
    MetricName::new(text).expect("a name")
}

async fn ask(gate: &dyn Gate) -> GateDecision {
    let step = StepPath::new("deploy/monitors").expect("a path");
    let cx = GateContext::new(step, Arc::clone(&task().release), Now::default(), BTreeMap::new(), BTreeMap::new());
    gate.evaluate(&cx).await.unwrap_or_else(|e| panic!("{}", deploy_core::report::chain(&e)))
}

fn held(decision: GateDecision) -> String {
    let GateDecision::Hold { reason, .. } = decision else { panic!("{decision:?}") };
    reason
}

/// Rows: M18, M35, M36, M37, M47, M190, M235.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_waits_until_it_is_watched() {
    let service = service::spawn("v2").await;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let proxy = Arc::new(Proxy::bind(any, ProxyConfig::default()).await.expect("a proxy"));
    let routing = |revisions: &[&str]| Routing {
        upstreams: revisions.iter().map(|revision| (name(revision), [service].into())).collect(),
        weights: [(name("v1"), 100)].into(),
        max_weight: 100,
        ..Routing::default()
    };
    proxy.route(routing(&["v1"])).expect("sound");
    let access = AdminAccess::anyone_on_this_machine();
    let admin = ProxyAdmin::bind(any, access, Arc::clone(&proxy)).await.expect("an interface");
    let rule = AlertRule::new("TooManyErrors", "rate(deploy_proxy_requests_total{code=\"5xx\"}[5s]) > 1")
        .hold_for(Duration::from_secs(5))
        .severity(AlertSeverity::Critical)
        .owner("team-shop")
        .runbook("https://runbooks.example/errors")
        .summary("more than one error a second");
    let declared = AlertRules::new("shop", [rule]).expect("sound");
    let folder = tempfile::tempdir().expect("a folder");
    let rules = folder.path().join("rules.yml");
    std::fs::write(&rules, "groups: []\n").expect("written");
    let configuration = format!(
        "rule_files: ['{}']\nscrape_configs:\n  - job_name: proxy\n    static_configs: [{{targets: ['{}']}}]\n",
        rules.display(),
        admin.address()
    );
    let Some(mut prometheus) = Prometheus::start(&configuration).await else { return };
    let policy = PrometheusPolicy { warm_up: Duration::ZERO, scraped_every: Duration::from_secs(1), ..policy() };
    let requests = Selector::new("deploy_proxy_requests_total").is("revision", "{revision}");
    let monitor: Arc<dyn Monitor> = Arc::new(
        PrometheusMonitor::new(block("prometheus"), prometheus.url(), policy)
            .metric(metric("requests"), PromQuery::Series(Query::Rate(requests))),
    );
    let scans = Heartbeats::new(block("schedule")).expects(metric("security.scan"), Duration::from_secs(3_600));
    let gate = ActivateMonitors::new(block("monitors-active"))
        .sees(Arc::clone(&monitor), [metric("requests")])
        .feed(Arc::new(scans.clone()), metric("security.scan"))
        .rules(RulesApi::new(prometheus.url()), declared.clone());
    assert_eq!(gate.flaw(), None);
    prometheus.has("deploy_proxy_requests_total{revision=\"v1\"}").await;
    let reason = held(ask(&gate).await);
    for missing in [
        "requests of prometheus has no data of v2",
        "security.scan of schedule has no data",
        "the alert rule TooManyErrors is not loaded",
    ] {
        assert!(reason.contains(missing), "{reason}");
    }
    // The rules are loaded, the scan has run, and the new revision is there, without any traffic yet.
    std::fs::write(&rules, declared.rule_file()).expect("written");
    prometheus.reload().await;
    scans.beat(&metric("security.scan"), 0).expect("expected");
    proxy.route(routing(&["v1", "v2"])).expect("sound");
    let opened = until(BOUND, EVERY, || async { (ask(&gate).await == GateDecision::Go).then_some(()) });
    assert!(opened.await.is_ok(), "{:?}", ask(&gate).await);
    assert_eq!(proxy.counts().get(&name("v2")).map_or(0, |counts| counts.requests), 0, "it opened before traffic");
    // A scan with findings shuts it again.
    scans.beat(&metric("security.scan"), 3).expect("expected");
    assert!(held(ask(&gate).await).contains("is stale or has findings"));

    let board = Dashboard::new("shop", "Shop")
        .panel(Panel::new("Requests", "sum(deploy_proxy_requests_total)", "reqps"))
        .panel(Panel::new("Nothing", "sum(no_such_metric)", "reqps"))
        .panel(Panel::new("No number", "sum(deploy_proxy_requests_total) * 0 / 0", "reqps"))
        .panel(Panel::new("No query", "sum((", "reqps"));
    let check = DashboardCheck::new(prometheus.url());
    // A scrape that takes too long leaves every panel empty until the next one.
    let scraped = || async { Some(check.empty_panels(&board).await).filter(|empty| empty.len() == 3) };
    let empty = until(BOUND, EVERY, scraped).await.expect("one of four panels shows something");
    let why: Vec<_> = empty.iter().map(|panel| (panel.title.as_str(), panel.why.as_str())).collect();
    assert_eq!(why[..2], [("Nothing", "there is no series"), ("No number", "nothing but NaN")]);
    assert!(why[2].1.contains("bad_data"), "{why:?}");
    prometheus.kill();
    assert_eq!(check.empty_panels(&board).await.len(), 4);
    let reason = held(ask(&gate).await);
    assert!(reason.contains("requests of prometheus cannot be asked"), "nobody would see it fail: {reason}");
    assert!(ActivateMonitors::new(block("empty")).flaw().is_some());
}

/// Rows: M165, M174.
#[tokio::test]
async fn a_service_that_has_harmed_enough_is_not_changed() {
    let hand = Arc::new(Hand::default());
    let meter = Meter::new(block("shop")).clock(Arc::clone(&hand) as Arc<dyn Clock>);
    hand.to(600);
    let level = ServiceLevel::new(metric("errors"), 0.99, Duration::from_secs(600)).expect("sound");
    let gate =
        |monitor: Arc<dyn Monitor>, unknown| BudgetGate::new(block("budget"), monitor, level.clone(), 0.2, unknown);
    let ours = gate(Arc::new(meter.clone()), Unknown::NoGo);
    let vetoes = |decision: GateDecision| {
        let GateDecision::NoGo { vetoes } = decision else { panic!("{decision:?}") };
        vetoes[0].reason.clone()
    };
    assert!(vetoes(ask(&ours).await).contains("nobody counted errors"), "silence is no budget");
    let patient = gate(Arc::new(meter.clone()), Unknown::Hold(Duration::from_secs(9)));
    assert!(held(ask(&patient).await).contains("nobody counted errors"));
    for n in 0..1_000 {
        meter.event(&metric("errors"), &name("v2"), n < 7).expect("room");
    }
    hand.to(610);
    assert_eq!(ask(&ours).await, GateDecision::Go, "30 % is left");
    meter.event(&metric("errors"), &name("v2"), true).expect("room");
    meter.event(&metric("errors"), &name("v2"), true).expect("room");
    hand.to(620);
    let reason = vetoes(ask(&ours).await);
    assert!(reason.contains("9 of 1002 events were bad"), "{reason}");
    for _ in 0..20 {
        meter.event(&metric("errors"), &name("v2"), true).expect("room");
    }
    hand.to(630);
    assert!(vetoes(ask(&ours).await).starts_with('-'), "overspent");
    assert!(ours.criterion().contains("20 % of the error budget"));
    // Of a promise over a month, a meter that remembers a quarter of an hour says nothing.
    let month = ServiceLevel::new(metric("errors"), 0.5, Duration::from_secs(30 * 86_400)).expect("sound");
    let monthly = BudgetGate::new(block("budget"), Arc::new(meter.clone()), month, 0.2, Unknown::NoGo);
    hand.to(31 * 86_400);
    meter.event(&metric("errors"), &name("v2"), false).expect("room");
    hand.to(31 * 86_400 + 10);
    let reason = vetoes(ask(&monthly).await);
    assert!(reason.contains("over 15m of 30d alone were errors counted, and at least 90 % are needed"), "{reason}");
    assert_eq!(ask(&monthly.covering(0.0003)).await, GateDecision::Go, "15 minutes are enough, as declared");
    let dead = ProgramMonitor::new(block("program"), CommandLine::new("/there/is/no/such/program"), [metric("errors")]);
    let dead = gate(Arc::new(dead), Unknown::NoGo);
    let step = StepPath::new("deploy/budget").expect("a path");
    let cx = GateContext::new(step, Arc::clone(&task().release), Now::default(), BTreeMap::new(), BTreeMap::new());
    assert!(dead.evaluate(&cx).await.is_err(), "what cannot be asked is an error, and no verdict");
}

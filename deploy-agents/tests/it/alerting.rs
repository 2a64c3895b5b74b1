//! Alerts from the rule to the receiver, through a real Prometheus and a real Alertmanager.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use deploy_agents::checks::{Catalogue, EvidenceSet, Thresholds};
use deploy_agents::monitors::alertmanager::{
    Alert, AlertDrill, AlertInbox, AlertState, Alertmanager, FiringAlerts, Matcher, Silence, Watchdog,
};
use deploy_agents::monitors::alerts::{
    AlertRouting, AlertRule, AlertRules, AlertSeverity, Grouping, NotLoaded, RulesApi, lint,
};
use deploy_agents::targets::AdminAccess;
use deploy_agents::wait::until;
use deploy_core::agent::{Agent, Cancellation, Certainty, Performed};
use deploy_core::evidence::{Collected, Verdict};
use deploy_core::monitor::{MeasureContext, MeasureRequest, Monitor as _, Reading};
use deploy_core::name::{BlockName, CheckName, MetricName};
use deploy_core::testing::conformance::agent::AgentSuite;
use deploy_core::testing::conformance::monitor::MonitorSuite;
use deploy_core::time::{Clock as _, Now, SystemClock};

use crate::fleet::name;
use crate::load::{BOUND, EVERY};
use crate::peers::{self, Prometheus, component};
use crate::program::{context, task};

fn block(text: &str) -> BlockName {
    BlockName::new(text).expect("a name")
}

fn metric(text: &str) -> MetricName {
    MetricName::new(text).expect("a name")
}

fn rule(name: &str, expression: &str) -> AlertRule {
    AlertRule::new(name, expression)
        .hold_for(Duration::from_secs(1))
        .severity(AlertSeverity::Critical)
        .owner("team-shop")
        .runbook("https://runbooks.example/shop")
        .summary("something is wrong with the shop")
        .label("service", "shop")
}

async fn inbox() -> Arc<AlertInbox> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    Arc::new(AlertInbox::bind(any, AdminAccess::anyone_on_this_machine()).await.expect("an inbox"))
}

/// An Alertmanager that tells at once.
async fn alertmanager(inbox: &AlertInbox) -> Option<peers::Alertmanager> {
    let second = Duration::from_secs(1);
    let by = ["alertname", "drill"].map(str::to_owned).to_vec();
    let grouping =
        Grouping { by, wait: Duration::from_millis(100), interval: second, repeat: Duration::from_secs(3_600) };
    // Everything else goes to nobody, so that what arrives was routed by its owner.
    let routing = AlertRouting::new("http://127.0.0.1:1/", grouping).owner("team-shop", inbox.url());
    peers::Alertmanager::start(&routing.configuration()).await
}

/// Rows: M36, M45, M193, M235.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_arrives_where_somebody_reads_it() {
    let inbox = inbox().await;
    let Some(server) = alertmanager(&inbox).await else { return };
    let check = CheckName::new("alerts-arrive").expect("a name");
    let drill = |rule: AlertRule, inbox: &Arc<AlertInbox>| {
        AlertDrill::new(block("drill"), Alertmanager::new(server.url()), Arc::clone(inbox), rule).claims(check.clone())
    };
    let good = drill(rule("TooManyErrors", "e > 1"), &inbox);
    let Ok(Performed::Done(report)) = good.perform(&task(), &context(BOUND, Cancellation::never())).await else {
        panic!("the drill is not done")
    };
    let evidence = &report.evidence[0];
    assert_eq!((evidence.evidence.kind.as_str(), &report.claims[0].check), ("alert-drill", &check));
    let said: serde_json::Value = serde_json::from_slice(&evidence.bytes).expect("JSON");
    assert_eq!(said["received"]["labels"]["owner"], "team-shop");
    assert_eq!(said["received"]["annotations"]["runbook_url"], "https://runbooks.example/shop");
    let release = Arc::clone(&task().release);
    let checks = Catalogue::standard(&Thresholds::default());
    let delivered = checks.check("alerts-delivered").expect("a check");
    let judged = |piece: &Collected| {
        let set = EvidenceSet::new().with(piece.clone());
        set.judge(delivered, &release, &block("reader"), None, SystemClock::new().wall()).receipt.verdict
    };
    assert_eq!(judged(evidence), Verdict::Pass, "the check reads what the drill writes");
    let mut unowned = said.clone();
    unowned["alerts"][0]["owner"] = "".into();
    let of = &evidence.evidence;
    let (kind, by, subject) = (of.kind.clone(), of.producer.name.clone(), of.subject.clone());
    let unowned = Collected::new(kind, by, subject, of.observed_at, unowned.to_string().into_bytes());
    assert!(matches!(judged(&unowned), Verdict::Fail { reason } if reason.contains("TooManyErrors has no owner")));
    let took = said["delivery_ms"].as_u64().expect("a number");
    println!("a drill's alert arrived after {took} ms");
    assert!(u128::from(took) <= BOUND.as_millis(), "{took}");
    // It is resolved, and that is told too.
    let resolved = until(BOUND, EVERY, || {
        let all = inbox.delivered();
        std::future::ready(all.iter().any(|d| d.message.alerts.iter().any(|a| !a.firing)).then_some(()))
    });
    assert!(resolved.await.is_ok(), "never resolved");

    AgentSuite::new().run(&good).await;

    // An alert that is routed elsewhere does not arrive, and a drill that does not arrive is no success.
    let lost = drill(rule("TooManyErrors", "e > 1").owner("nobody"), &inbox);
    let error = lost.perform(&task(), &context(Duration::from_secs(2), Cancellation::never())).await.expect_err("lost");
    assert_eq!(error.certainty, Certainty::Definitive);
    assert!(error.message.contains("did not arrive"), "{error}");
    let nobody = AlertDrill::new(block("drill"), Alertmanager::new("http://127.0.0.1:1"), inbox, rule("A", "e > 1"));
    let error = nobody.perform(&task(), &context(BOUND, Cancellation::never())).await.expect_err("nobody is there");
    assert_eq!(error.certainty, Certainty::Transient);
}

/// Rows: M36, M44, M45, M51, M125, M193, M235.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_is_loaded_as_declared_fires_and_arrives() {
    let inbox = inbox().await;
    let Some(server) = alertmanager(&inbox).await else { return };
    // Prometheus watches nothing but itself; that it is up is what is wrong here.
    let declared = AlertRules::new(
        "shop",
        [
            rule("ItIsUp", "up{job=\"self\"} == 1"),
            rule("Never", "sum(max_over_time(up{job='self'}[60s])) by (job) == 7.0"),
        ],
    )
    .expect("sound");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rules.yml");
    std::fs::write(&file, declared.rule_file()).expect("written");
    if let Some(promtool) = component("promtool") {
        let said = Command::new(promtool).args(["check", "rules"]).arg(&file).output().expect("it runs");
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    }
    let port = peers::free_port();
    let configuration = format!(
        "rule_files: ['{}']\nalerting:\n  alertmanagers: [{{static_configs: [{{targets: ['{}']}}]}}]\nscrape_configs:\n  - job_name: self\n    static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n",
        file.display(),
        server.address(),
    );
    let Some(prometheus) = Prometheus::start_at(port, &configuration).await else { return };
    let began = SystemClock::new().wall();
    let rules = RulesApi::new(prometheus.url());
    let loaded = until(BOUND, EVERY, || async { rules.not_loaded(&declared).await.ok().filter(Vec::is_empty) });
    assert!(loaded.await.is_ok(), "{:?}", rules.not_loaded(&declared).await);
    let other =
        AlertRules::new("shop", [rule("ItIsUp", "up{job=\"self\"} == 0"), rule("Absent", "e > 1")]).expect("sound");
    let missing = rules.not_loaded(&other).await.expect("an answer");
    assert!(
        matches!(&missing[..], [NotLoaded::Differs { what, .. }, NotLoaded::Missing { .. }] if what == "expression"),
        "{missing:?}"
    );
    let read_back = rules.alert_rules().await.expect("an answer");
    assert_eq!(read_back.len(), 2);
    assert_eq!(lint(&read_back), [], "what was loaded can be acted on as well");

    let arrived = until(BOUND, EVERY, || std::future::ready(inbox.first_with("alertname", "ItIsUp"))).await;
    let (at, alert) = arrived.expect("it arrives");
    println!("a rule that was true from the start arrived {:?} after the server was ready", at.since(began));
    assert_eq!(alert.annotations["summary"], "something is wrong with the shop");
    assert!(inbox.first_with("alertname", "Never").is_none());
}

/// Rows: M36, M235.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fires_is_measured_and_what_is_silenced_is_not() {
    let inbox = inbox().await;
    let Some(server) = alertmanager(&inbox).await else { return };
    let client = Alertmanager::new(server.url());
    let of_revision = [Matcher::is("service", "shop"), Matcher::is("revision", "{revision}")];
    let monitor =
        FiringAlerts::new(block("alerts"), client.clone(), Watchdog::Alert(vec![Matcher::is("alertname", "Watchdog")]))
            .metric(metric("alerts.firing"), of_revision.clone());
    let request = MeasureRequest {
        monitor: block("alerts"),
        metrics: Vec::new(),
        candidate: name("v2"),
        baseline: Some(name("v1")),
        lookback: Duration::from_secs(60),
    };
    let cx = MeasureContext::new(Arc::clone(&task().release), Now::default());
    let read = async || {
        let all = monitor.measure(&request, &cx).await.expect("an answer");
        [all[0].reading.clone(), all[1].reading.clone()]
    };
    let eventually = async |due: [Option<f64>; 2]| {
        let met = until(BOUND, EVERY, || async {
            let numbers = read().await.map(|reading| reading.number());
            (numbers == due).then_some(())
        });
        assert!(met.await.is_ok(), "{due:?} is never so: {:?}", read().await);
    };
    assert_eq!(read().await, [Reading::NoData, Reading::NoData], "no alerts and no watchdog is not a good sign");
    client.post(&[Alert::new("Watchdog")]).await.expect("posted");
    eventually([Some(0.0), Some(0.0)]).await;
    let errors =
        Alert::new("TooManyErrors").label("service", "shop").label("revision", "v2").label("owner", "team-shop");
    client.post(std::slice::from_ref(&errors)).await.expect("posted");
    client.post(std::slice::from_ref(&errors)).await.expect("posted again");
    eventually([Some(1.0), Some(0.0)]).await;
    let now = SystemClock::new().wall();
    let silence = Silence::new(
        [Matcher::is("alertname", "TooManyErrors")],
        now,
        Duration::from_secs(600),
        "ada",
        "a known fault",
    )
    .expect("sound");
    let id = client.silence(&silence).await.expect("silenced");
    eventually([Some(0.0), Some(0.0)]).await;
    let all = client.alerts(&[Matcher::is("alertname", "TooManyErrors")]).await.expect("an answer");
    assert_eq!((all[0].state, &all[0].silenced_by[0]), (AlertState::Suppressed, &id.to_string()));
    client.expire(&id).await.expect("ended");
    eventually([Some(1.0), Some(0.0)]).await;
    client.post(&[errors.between(None, Some(now))]).await.expect("resolved");
    eventually([Some(0.0), Some(0.0)]).await;
    MonitorSuite::new(request.clone()).run(&monitor).await;
    drop(server);
    assert!(monitor.measure(&request, &cx).await.is_err(), "nobody there is an error, and no silence");
    assert!(client.post(&[Alert::new("A")]).await.expect_err("nobody is there").is_not_sent());
}

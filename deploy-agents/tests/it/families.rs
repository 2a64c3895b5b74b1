//! The four families of monitoring, kind by kind.

use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use deploy_agents::monitors::families::{Binding, Coverage, MonitorFamily, MonitorKind, Monitoring};
use deploy_agents::monitors::prometheus::{Fold, Guard, PromQuery, PrometheusMonitor, Template};
use deploy_agents::monitors::{
    Excused, Heartbeats, LogLines, Meter, NetworkProbe, ProbeMonitor, Query, ScrapeMonitor, Selector,
};
use deploy_core::monitor::{Arm, Comparison, Counts, MeasureContext, MeasureRequest, Measurement, Monitor, Reading};
use deploy_core::name::{BlockName, MetricName};
use deploy_core::testing::conformance::monitor::MonitorSuite;
use deploy_core::time::{Clock, Now, Timestamp};

use crate::fleet::name;
use crate::load::BOUND;
use crate::peers::{VictoriaMetrics, free_port};
use crate::program::task;
use crate::prometheus_policy::{Standing, policy};
use crate::service;

fn block(text: &str) -> BlockName {
    BlockName::new(text).expect("a name")
}

fn metric(text: &str) -> MetricName {
    MetricName::new(text).expect("a name")
}

fn question() -> MeasureRequest {
    MeasureRequest {
        monitor: block("any"),
        metrics: Vec::new(),
        candidate: name("v2"),
        baseline: Some(name("v1")),
        lookback: Duration::from_secs(60),
    }
}

fn context() -> MeasureContext {
    MeasureContext::new(Arc::clone(&task().release), Now::default())
}

async fn measure(monitor: &dyn Monitor) -> Vec<Measurement> {
    let answer = monitor.measure(&question(), &context()).await;
    answer.unwrap_or_else(|e| panic!("{}", deploy_core::report::chain(&e)))
}

fn reading(all: &[Measurement], wanted: &str, arm: Arm) -> Reading {
    let found = all.iter().find(|m| m.metric == metric(wanted) && m.arm == arm);
    found.unwrap_or_else(|| panic!("no {wanted}")).reading.clone()
}

fn counts(events: u64, bad: u64) -> Reading {
    Reading::Counts(Counts::new(events, bad).expect("fewer bad than all"))
}

/// A clock that goes where it is told.
#[derive(Debug, Default)]
pub(crate) struct Hand(Mutex<Duration>);

impl Hand {
    pub(crate) fn to(&self, seconds: u64) {
        *self.0.lock().expect("not poisoned") = Duration::from_secs(seconds);
    }
}

impl Clock for Hand {
    fn wall(&self) -> Timestamp {
        Timestamp(1_700_000_000_000).after(self.monotonic())
    }
    fn monotonic(&self) -> Duration {
        *self.0.lock().expect("not poisoned")
    }
}

/// Rows: M124, M127, M155.
#[tokio::test]
async fn coverage_lists_what_is_missing_and_what_is_bound_and_measures_nothing() {
    let at = service::spawn("v2").await;
    let probe = Arc::new(ProbeMonitor::new(block("probe"), format!("http://{at}/")).within(BOUND, BOUND));
    let hand = Arc::new(Hand::default());
    let meter = Arc::new(Meter::new(block("shop")).clock(Arc::clone(&hand) as Arc<dyn Clock>));
    meter.event(&metric("orders.abandoned"), &name("v2"), false).expect("room");
    hand.to(10);
    let nobody =
        Arc::new(ScrapeMonitor::new(block("gone")).endpoint(format!("http://127.0.0.1:{}/metrics", free_port())));
    let monitoring = Monitoring::new()
        .bind(Binding::new(
            MonitorKind::ErrorRates,
            Arc::clone(&probe) as Arc<dyn Monitor>,
            [metric("http.probe.errors")],
        ))
        .bind(Binding::new(
            MonitorKind::ResponseTimes,
            Arc::clone(&probe) as Arc<dyn Monitor>,
            [metric("http.probe.latency_ms")],
        ))
        .bind(Binding::new(MonitorKind::Throughput, probe, [metric("http.probe.errors")]))
        .bind(
            Binding::new(MonitorKind::Conversion, Arc::clone(&meter) as Arc<dyn Monitor>, [metric("orders.abandoned")])
                .goal("more orders come to an end"),
        )
        .bind(Binding::new(MonitorKind::RevenueImpact, meter, [metric("orders.value")]))
        .bind(Binding::new(MonitorKind::SystemHealth, nobody, [metric("up")]))
        .not_applicable(MonitorKind::DatabasePerformance, "the service keeps nothing");
    let by_word = monitoring.coverage();
    assert_eq!((by_word.kinds.len(), by_word.bound(), by_word.missing().len()), (16, 6, 9));
    let each = |family| by_word.kinds.iter().filter(|covered| covered.family == family).count();
    assert_eq!(
        [MonitorFamily::Application, MonitorFamily::Business, MonitorFamily::Security, MonitorFamily::Infrastructure]
            .map(each),
        [4; 4]
    );
    assert_eq!(by_word.warnings, ["revenue impact by shop guards no goal: say which"]);

    let by_deed = monitoring.self_test(&question(), &context()).await;
    assert_eq!(by_deed.bound(), 3, "{by_deed}");
    let missing = by_deed.missing();
    for kind in
        [MonitorKind::Throughput, MonitorKind::RevenueImpact, MonitorKind::SystemHealth, MonitorKind::Compliance]
    {
        assert!(missing.contains(&kind), "{by_deed}");
    }
    let shown = by_deed.to_string();
    assert!(shown.starts_with("3 of 15 kinds"), "{shown}");
    assert!(shown.contains("FAILS: a count of events is not what measures throughput"), "{shown}");
    assert!(shown.contains("orders.value of shop (FAILS: there is no data)"), "{shown}");
    assert!(shown.contains("does not apply: the service keeps nothing"), "{shown}");
    let json = serde_json::to_value(&by_deed).expect("JSON");
    assert_eq!(json["kinds"][15]["coverage"]["missing"]["ready_made"], "ProbeMonitor, Excused");
    assert!(matches!(by_deed.kinds[10].coverage, Coverage::Missing { .. }), "compliance");
}

/// Rows: M53, M71, M72, M80.
#[tokio::test]
async fn leaks_and_seasons_are_told_from_growth_and_weekly_patterns() {
    const NOW: i64 = 1_700_000_100;
    const WEEK: i64 = 7 * 86_400;
    let Some(victoria) = VictoriaMetrics::start().await else { return };
    let mut lines = Vec::new();
    let mut add = |series: &str, ago: i64, value: f64| lines.push(format!("{series} {value} {}", (NOW - ago) * 1_000));
    for n in 0..30 {
        let ago = 290 - 10 * n;
        // A sawtooth grows only to fall again; the leak grows for good, by 100 bytes a second.
        add("memory_bytes{version=\"v2\"}", ago, 1e6 + (300 - ago) as f64 * 100.0 + (n % 3) as f64);
        add("memory_bytes{version=\"v1\"}", ago, 1e6 + (n % 3) as f64 * 1_000.0);
        // One instance fell silent behind a partition a minute ago; it was up when it was last seen.
        if ago >= 60 {
            add("up{version=\"v2\"}", ago, 1.0);
        }
        add("up{version=\"v1\"}", ago, 1.0);
    }
    for week in 0..5 {
        for n in 0..30 {
            let ago = 290 - 10 * n;
            // Little is going on at this hour of the week, as each week; and half as much as ever of the other.
            add("orders{shop=\"small\"}", ago + week * WEEK, 20.0 + week as f64);
            add("orders{shop=\"broken\"}", ago + week * WEEK, if week == 0 { 50.0 } else { 100.0 + week as f64 });
            // Yesterday was ten times as busy, which is no baseline for today.
            add("orders{shop=\"small\"}", ago + week * WEEK + 86_400, 200.0);
        }
    }
    victoria.import(&lines, (NOW - 86_400) * 1_000).await;
    let template = |text: &str| Template::new(text).expect("a template");
    let unguarded = || Guard::Nothing { reason: "samples of the past".to_owned() };
    let slope = PromQuery::Range {
        expression: template("memory_bytes{version=\"{revision}\"}"),
        step: Duration::from_secs(10),
        fold: Fold::Slope,
        guard: unguarded(),
    };
    let seasonal = |shop: &str| PromQuery::Seasonal {
        expression: template(&format!("sum(orders{{shop=\"{shop}\"}})")),
        period: Duration::from_secs(7 * 86_400),
        periods: 4,
        guard: unguarded(),
    };
    let monitor = PrometheusMonitor::new(block("victoria"), victoria.url(), policy())
        .clock(Arc::new(Standing(Timestamp(NOW * 1_000))))
        .metric(metric("leak"), slope)
        .metric(metric("small"), seasonal("small"))
        .metric(metric("broken"), seasonal("broken"))
        .metric(metric("never"), seasonal("never"))
        .metric(metric("up"), PromQuery::Series(Query::Sum(Selector::new("up").is("version", "{revision}"))));
    let request = MeasureRequest { lookback: Duration::from_secs(280), ..question() };
    let all =
        monitor.measure(&request, &context()).await.unwrap_or_else(|e| panic!("{}", deploy_core::report::chain(&e)));
    let number = |wanted, arm| reading(&all, wanted, arm).number();
    assert!(
        number("leak", Arm::Candidate).is_some_and(|slope| (slope - 100.0).abs() < 0.1),
        "{:?}",
        number("leak", Arm::Candidate)
    );
    assert!(
        number("leak", Arm::Baseline).is_some_and(|slope| slope.abs() < 2.0),
        "{:?}",
        number("leak", Arm::Baseline)
    );
    assert!(number("small", Arm::Candidate).is_some_and(|times| (times - 20.0 / 22.5).abs() < 1e-9));
    assert!(number("broken", Arm::Candidate).is_some_and(|times| (times - 50.0 / 102.5).abs() < 1e-9));
    assert_eq!(reading(&all, "never", Arm::Candidate), Reading::NoData);
    assert_eq!(reading(&all, "up", Arm::Candidate), Reading::NoData, "silence is not healthy");
    assert_eq!(number("up", Arm::Baseline), Some(1.0));
}

/// Rows: M37, M77, M78.
#[tokio::test]
async fn what_must_come_again_and_does_not_is_bad_and_not_silent() {
    let clock = Arc::new(Hand::default());
    let (scan, policies) = (metric("security.scan"), metric("security.policies"));
    let beats = Heartbeats::new(block("schedule"))
        .clock(Arc::clone(&clock) as Arc<dyn Clock>)
        .expects(scan.clone(), Duration::from_secs(100))
        .expects(policies.clone(), Duration::from_secs(1_000));
    let read = async || {
        let all = measure(&beats).await;
        (reading(&all, "security.scan", Arm::Candidate), reading(&all, "security.policies", Arm::Baseline))
    };
    assert_eq!(read().await, (Reading::NoData, Reading::NoData));
    clock.to(111);
    assert_eq!(read().await, (counts(1, 1), Reading::NoData), "announced, and never came");
    beats.beat(&scan, 0).expect("expected");
    beats.beat(&policies, 0).expect("expected");
    clock.to(221);
    assert_eq!(read().await, (counts(1, 0), counts(1, 0)), "a tenth late is not missed");
    clock.to(222);
    assert_eq!(read().await, (counts(1, 1), counts(1, 0)), "missed");
    beats.beat(&policies, 2).expect("expected");
    assert_eq!(read().await.1, counts(1, 1), "a control regressed");
    beats.beat_at(&policies, clock.wall().after(Duration::from_secs(60)), 0).expect("expected");
    beats.beat_at(&policies, Timestamp(clock.wall().0 - 50_000), 7).expect("expected");
    assert_eq!(read().await.1, counts(1, 0), "an older report undoes nothing");
    assert!(beats.beat(&metric("security.scann"), 0).is_err());
    assert_eq!(MonitorSuite::new(question()).run(&beats).await.len(), 5);
}

/// Rows: M48, M76.
#[tokio::test]
async fn a_burst_of_refused_logins_is_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("auth.log");
    let mut file = std::fs::File::create(&path).expect("a file");
    let lines = LogLines::new(path.display().to_string()).class("refused", "login refused").expect("an expression");
    let count = |class: &str| Selector::new(LogLines::SERIES).is("class", class);
    let monitor = ScrapeMonitor::new(block("audit")).source(lines).metric(
        metric("login.refused"),
        Query::Ratio { bad: count("refused"), all: count("all"), absent_is_zero: false },
    );
    assert_eq!(reading(&measure(&monitor).await, "login.refused", Arm::Candidate), Reading::NoData);
    for n in 0..500 {
        writeln!(file, "{}", if n % 50 == 0 { "login granted to ada" } else { "login refused to root" })
            .expect("written");
    }
    assert_eq!(reading(&measure(&monitor).await, "login.refused", Arm::Candidate), counts(500, 490));
    assert_eq!(reading(&measure(&monitor).await, "login.refused", Arm::Baseline), counts(500, 490), "one file of both");
}

/// Rows: M81.
#[tokio::test]
async fn the_way_to_a_revision_is_measured_and_nobody_at_its_end_is_a_failure() {
    let (at, nobody) = (service::spawn("v2").await, free_port());
    let probe = NetworkProbe::new(block("network"), move |revision| match revision.as_str() {
        "v2" => vec![at.to_string(), format!("127.0.0.1:{nobody}")],
        "v1" => vec![at.to_string()],
        _ => Vec::new(),
    })
    .within(BOUND);
    let all = measure(&probe).await;
    assert_eq!(reading(&all, "network.connect.failures", Arm::Candidate), counts(10, 5));
    assert_eq!(reading(&all, "network.connect.failures", Arm::Baseline), counts(10, 0));
    assert!(matches!(reading(&all, "network.connect_ms", Arm::Candidate), Reading::Samples(all) if all.len() == 5));
    assert_eq!(MonitorSuite::new(question()).unknown(name("v9")).run(&probe).await.len(), 6);
}

/// Rows: M83.
#[tokio::test]
async fn a_fault_of_a_dependency_does_not_blame_the_release() {
    let hand = Arc::new(Hand::default());
    let [ours, payments] =
        ["checkout", "payments"].map(|of| Meter::new(block(of)).clock(Arc::clone(&hand) as Arc<dyn Clock>));
    let (errors, theirs) = (metric("checkout.errors"), metric("payments.errors"));
    let monitor = Excused::new(ours.clone(), payments.clone(), theirs.clone(), Comparison::AtMost, 0.1);
    for revision in ["v1", "v2"] {
        for n in 0..100 {
            ours.event(&errors, &name(revision), n % 2 == 0).expect("room");
            payments.event(&theirs, &name(revision), false).expect("room");
        }
    }
    let only = MeasureRequest { metrics: vec![errors.clone()], ..question() };
    let read = async || monitor.measure(&only, &context()).await.expect("an answer")[0].reading.clone();
    hand.to(10);
    assert_eq!(read().await, counts(100, 50), "the dependency is well: the release is to blame");
    for _ in 0..50 {
        payments.event(&theirs, &name("v1"), true).expect("room");
    }
    hand.to(20);
    assert_eq!(read().await, Reading::NoData, "neither bad nor good");
    let silent = Excused::new(ours, Meter::new(block("payments")), theirs, Comparison::AtMost, 0.1);
    let said = silent.measure(&only, &context()).await.expect("an answer");
    assert_eq!(said[0].reading, Reading::NoData, "that nothing is known of a dependency is no excuse and no blame");
}

/// Rows: M53, M68, M73.
#[tokio::test]
async fn a_host_counts_in_its_own_process() {
    let hand = Arc::new(Hand::default());
    let meter = Meter::new(block("shop")).clock(Arc::clone(&hand) as Arc<dyn Clock>);
    for n in 1..=1_000_u32 {
        meter.size(&metric("orders.ms"), &name("v2"), f64::from(n)).expect("room");
        meter.event(&metric("orders.abandoned"), &name("v2"), n % 10 == 0).expect("room");
        meter.size(&metric("orders.ms"), &name("v1"), 1.0).expect("room");
        meter.event(&metric("orders.abandoned"), &name("v1"), false).expect("room");
    }
    hand.to(10);
    let all = measure(&meter).await;
    assert_eq!(reading(&all, "orders.abandoned", Arm::Candidate), counts(1_000, 100));
    let Reading::Histogram(histogram) = reading(&all, "orders.ms", Arm::Candidate) else {
        panic!("sizes are no histogram")
    };
    let p90 = histogram.quantile(0.9).expect("values");
    assert!((p90 - 900.0).abs() <= 900.0 / 64.0, "within a bin of what is known: {p90}");
    assert_eq!(MonitorSuite::new(question()).unknown(name("v9")).run(&meter).await.len(), 6);
}

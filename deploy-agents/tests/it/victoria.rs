//! A real VictoriaMetrics with samples of the past: the same answers each time.

use std::sync::Arc;
use std::time::Duration;

use deploy_agents::monitors::prometheus::{
    Absent, Births, Fold, Guard, PromQuery, PrometheusMonitor, PrometheusPolicy, Stale, Template, Unfit,
};
use deploy_agents::monitors::{Query, Selector};
use deploy_core::monitor::{Arm, Counts, MeasureContext, MeasureRequest, Measurement, Monitor as _, Reading};
use deploy_core::name::{BlockName, MetricName};
use deploy_core::time::{Now, Timestamp};

use crate::fleet::name;
use crate::peers::VictoriaMetrics;
use crate::program::task;
use crate::prometheus_policy::{Standing, policy};

/// 2023-11-14, a quarter past ten in the evening.
const NOW: i64 = 1_700_000_100;

/// A sample each ten seconds, from so many seconds ago.
fn lines(series: &str, from: i64, to: i64, value: impl Fn(i64) -> f64) -> Vec<String> {
    (0..)
        .map(|n| from - 10 * n)
        .take_while(|ago| *ago >= to)
        .map(|ago| format!("{series} {} {}", value(ago), (NOW - ago) * 1_000))
        .collect()
}

fn metric(text: &str) -> MetricName {
    MetricName::new(text).expect("a name")
}

fn template(text: &str) -> Template {
    Template::new(text).expect("a template")
}

fn reading(all: &[Measurement], wanted: &str, arm: Arm) -> Reading {
    let found = all.iter().find(|m| m.metric == metric(wanted) && m.arm == arm);
    found.unwrap_or_else(|| panic!("no {wanted}")).reading.clone()
}

fn close(reading: &Reading, due: f64) -> bool {
    reading.number().is_some_and(|number| (number - due).abs() < 1e-9)
}

/// Rows: M68, M69, M70, M190.
#[tokio::test]
async fn samples_of_the_past_are_read_to_the_last_event() {
    let Some(victoria) = VictoriaMetrics::start().await else { return };
    let mut all = Vec::new();
    // v1: one request a second, none of them bad. v2: two a second, half of them bad since a minute, with a restart in between.
    all.extend(lines("requests_total{version=\"v1\",code=\"200\"}", 600, 0, |ago| (600 - ago) as f64));
    all.extend(lines("requests_total{version=\"v1\",code=\"500\"}", 600, 0, |_| 0.0));
    all.extend(lines("requests_total{version=\"v2\",code=\"200\"}", 300, 0, |ago| {
        if ago > 30 { (300 - ago) as f64 } else { (30 - ago) as f64 }
    }));
    all.extend(lines("requests_total{version=\"v2\",code=\"500\"}", 50, 0, |ago| (60 - ago) as f64));
    all.extend(lines("died_total{version=\"v2\"}", 600, 50, |ago| (600 - ago) as f64));
    all.extend(lines("memory_bytes{version=\"v2\",i=\"a\"}", 300, 0, |ago| 100.0 + (300 - ago) as f64));
    all.extend(lines("memory_bytes{version=\"v2\",i=\"b\"}", 300, 0, |_| 100.0));
    for (le, share) in [("0.1", 0.5), ("0.5", 0.9), ("+Inf", 1.0)] {
        let series = format!("seconds_bucket{{version=\"v2\",le=\"{le}\"}}");
        all.extend(lines(&series, 300, 0, |ago| share * 10.0 * (300 - ago) as f64));
    }
    victoria.import(&all, NOW * 1_000).await;

    let selector = |text: &str| Selector::new(text).is("version", "{revision}");
    let ratio = |absent_is_zero| Query::Ratio {
        bad: selector("requests_total").starts_with("code", "5"),
        all: selector("requests_total"),
        absent_is_zero,
    };
    let guard = || Guard::Series(template("requests_total{version=\"{revision}\"}"));
    let expression = |text: &str| PromQuery::Instant { expression: template(text), guard: guard() };
    let strict = PrometheusPolicy { absent: Absent::Error, ..policy() };
    let as_promql = PrometheusPolicy { births: Births::FromFirstSample, ..policy() };
    let long = PrometheusPolicy { stale: Stale { after: Duration::from_secs(55), then: Unfit::NoData }, ..policy() };
    let ask = |monitor: PrometheusMonitor| async move {
        let request = MeasureRequest {
            monitor: monitor.name(),
            metrics: Vec::new(),
            candidate: name("v2"),
            baseline: Some(name("v1")),
            lookback: Duration::from_secs(60),
        };
        let cx = MeasureContext::new(Arc::clone(&task().release), Now::default());
        monitor.measure(&request, &cx).await
    };
    let monitor = || {
        PrometheusMonitor::new(BlockName::new("victoria").expect("a name"), victoria.url(), policy())
            .clock(Arc::new(Standing(Timestamp(NOW * 1_000))))
    };
    let all = ask(monitor()
        .metric(metric("errors"), PromQuery::Series(ratio(false)))
        .metric_with(metric("errors.promql"), PromQuery::Series(ratio(false)), as_promql)
        .metric(metric("rate"), PromQuery::Series(Query::Rate(selector("requests_total"))))
        .metric(metric("p90"), PromQuery::Series(Query::Quantile { q: 0.9, histogram: selector("seconds") }))
        .metric(metric("slow"), PromQuery::Series(Query::Slower { than: 0.1, histogram: selector("seconds") }))
        .metric(metric("memory"), PromQuery::Series(Query::Max(selector("memory_bytes"))))
        .metric(metric("died"), PromQuery::Series(Query::Rate(selector("died_total"))))
        .metric_with(metric("died.long"), PromQuery::Series(Query::Rate(selector("died_total"))), long)
        .metric(metric("promql.memory"), expression("max(memory_bytes{version=\"{revision}\"})"))
        .metric(metric("nan"), expression("sum(nothing{version=\"{revision}\"}) / 0"))
        .metric(
            metric("memory.mean"),
            PromQuery::Range {
                expression: template("memory_bytes{version=\"{revision}\",i=\"a\"}"),
                step: Duration::from_secs(20),
                fold: Fold::Mean,
                guard: guard(),
            },
        ))
    .await
    .expect("an answer");
    let counts = |events, bad| Reading::Counts(Counts::new(events, bad).expect("counts"));
    // 30 before the restart, 30 after it less the one lost in it, and 60 bad ones of which the first ten came with the series.
    assert_eq!(reading(&all, "errors", Arm::Candidate), counts(110, 60));
    assert_eq!(reading(&all, "errors.promql", Arm::Candidate), counts(100, 50), "as PromQL: the first errors are lost");
    assert_eq!(reading(&all, "errors", Arm::Baseline), counts(60, 0));
    assert!(close(&reading(&all, "rate", Arm::Baseline), 1.0));
    assert!(close(&reading(&all, "p90", Arm::Candidate), 0.5), "{:?}", reading(&all, "p90", Arm::Candidate));
    assert_eq!(reading(&all, "slow", Arm::Candidate), counts(600, 300), "with the events on which it rests");
    assert!(close(&reading(&all, "memory", Arm::Candidate), 400.0));
    assert!(close(&reading(&all, "promql.memory", Arm::Candidate), 400.0));
    assert!(close(&reading(&all, "memory.mean", Arm::Candidate), 380.0), "at 40, 20 and 0 seconds ago");
    assert_eq!(reading(&all, "died", Arm::Candidate), Reading::NoData, "silence is no rate of zero");
    assert!(reading(&all, "died.long", Arm::Candidate).number().is_some(), "unless it was declared so");
    assert_eq!(reading(&all, "nan", Arm::Candidate), Reading::NoData);
    assert_eq!(reading(&all, "p90", Arm::Baseline), Reading::NoData, "there is no such series for v1");
    let window = all.iter().find(|m| m.metric == metric("rate")).expect("asked").window;
    assert_eq!((window.from, window.to), (Timestamp((NOW - 60) * 1_000), Timestamp(NOW * 1_000)));

    let error =
        ask(monitor().metric_with(metric("absent"), expression("sum(nothing)"), strict)).await.expect_err("absent");
    assert!(deploy_core::report::chain(&error).contains("there is no series"), "{error:?}");
    let error = ask(monitor().metric(metric("wrong"), expression("sum(("))).await.expect_err("no query");
    assert!(
        deploy_core::report::chain(&error).contains("422") || deploy_core::report::chain(&error).contains("400"),
        "{error:?}"
    );
    let suite = deploy_core::testing::conformance::monitor::MonitorSuite::new(MeasureRequest {
        monitor: BlockName::new("victoria").expect("a name"),
        metrics: Vec::new(),
        candidate: name("v2"),
        baseline: Some(name("v1")),
        lookback: Duration::from_secs(60),
    });
    let conforming = monitor()
        .metric(metric("errors"), PromQuery::Series(ratio(false)))
        .metric(metric("rate"), expression("sum(rate(requests_total{version=\"{revision}\"}[{window}]))"));
    assert_eq!(suite.unknown(name("v9")).run(&conforming).await.len(), 6);
}

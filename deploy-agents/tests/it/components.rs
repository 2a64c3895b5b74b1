//! Against real components, where they are on the path; with `REQUIRE_SERVICES=1` they must be.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use deploy_agents::monitors::{Query, ScrapeMonitor, Selector};
use deploy_agents::targets::proxy::{Proxy, ProxyConfig};
use deploy_core::monitor::{Arm, MeasureContext, MeasureRequest, Measurement, Monitor as _, Reading};
use deploy_core::name::{BlockName, EnvironmentName, MetricName, RevisionName, ServiceName};
use deploy_core::release::Release;
use deploy_core::time::Now;

use crate::peers::{Prometheus, component};

#[tokio::test]
async fn prometheus_own_checker_reads_what_the_proxy_exposes() {
    let Some(promtool) = component("promtool") else { return };
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let proxy = Proxy::bind(any, ProxyConfig::default()).await.expect("a proxy");
    let mut checker = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    checker.stdin.take().expect("piped").write_all(proxy.metrics().as_bytes()).expect("written");
    let said = checker.wait_with_output().expect("promtool ends");
    let text = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{text}\n{}", proxy.metrics());
}

#[tokio::test]
async fn a_scrape_reads_a_real_prometheus() {
    let Some(prometheus) = Prometheus::start("scrape_configs: []\n").await else { return };
    let url = |path: &str| format!("{}{path}", prometheus.url());

    let metric = |text: &str| MetricName::new(text).expect("a name");
    let monitor = ScrapeMonitor::new(BlockName::new("prometheus").expect("a name"))
        .endpoint(url("/metrics"))
        .metric(metric("builds"), Query::Sum(Selector::new("prometheus_build_info")))
        .metric(metric("asked"), Query::Rate(Selector::new("prometheus_http_requests_total").is("handler", "/metrics")))
        .metric(metric("nothing"), Query::Sum(Selector::new("no_such_metric")));
    let release = Release::new(
        ServiceName::new("shop").expect("a name"),
        EnvironmentName::new("test").expect("a name"),
        RevisionName::new("v2").expect("a name"),
    );
    let request = MeasureRequest {
        monitor: monitor.name(),
        metrics: Vec::new(),
        candidate: release.revision.clone(),
        baseline: None,
        lookback: Duration::from_secs(60),
    };
    let cx = MeasureContext::new(Arc::new(release), Now::default());
    let read = |all: &[Measurement], wanted: &str| {
        let found = all.iter().find(|m| m.metric == metric(wanted) && m.arm == Arm::Candidate);
        found.unwrap_or_else(|| panic!("no {wanted}")).reading.clone()
    };
    let first = monitor.measure(&request, &cx).await.expect("an answer");
    assert_eq!(read(&first, "builds").number(), Some(1.0));
    assert_eq!(read(&first, "nothing"), Reading::NoData);
    assert_eq!(read(&first, "asked"), Reading::NoData, "a rate needs two scrapes");
    let second = monitor.measure(&request, &cx).await.expect("an answer");
    assert!(read(&second, "asked").number().is_some_and(|rate| rate > 0.0), "{second:?}");
}

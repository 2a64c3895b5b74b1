//! Against real components, where they are on the path; with `REQUIRE_SERVICES=1` they must be.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use deploy_agents::http::{HttpClient as _, HttpLimits, PlainHttp};
use deploy_agents::monitors::{Query, ScrapeMonitor, Selector};
use deploy_agents::targets::proxy::{Proxy, ProxyConfig};
use deploy_core::monitor::{Arm, MeasureContext, MeasureRequest, Measurement, Monitor as _, Reading};
use deploy_core::name::{BlockName, EnvironmentName, MetricName, RevisionName, ServiceName};
use deploy_core::release::Release;
use deploy_core::time::Now;

use crate::load::BOUND;

/// Where a program is, or nothing if its tests are to be left out on this machine.
pub(crate) fn component(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file());
    let required = std::env::var("REQUIRE_SERVICES").is_ok_and(|value| value == "1");
    assert!(found.is_some() || !required, "{program} is not on the path, and REQUIRE_SERVICES=1");
    if found.is_none() {
        println!("LEFT OUT: {program} is not on the path");
    }
    found
}

/// A process that ends with its test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

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
    let Some(prometheus) = component("prometheus") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    std::fs::write(folder.path().join("prometheus.yml"), "scrape_configs: []\n").expect("written");
    let server = Command::new(prometheus)
        .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--log.level=error")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("prometheus starts");
    let _server = Running(server);
    let http = PlainHttp::default();
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let ready = deploy_agents::wait::until(BOUND, Duration::from_millis(50), || async {
        let request = http::Request::get(url("/-/ready")).body(bytes::Bytes::new()).ok()?;
        let answer = http.send(request, HttpLimits::default()).await.ok()?;
        answer.status().is_success().then_some(())
    });
    assert!(ready.await.is_ok(), "prometheus was never ready");

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

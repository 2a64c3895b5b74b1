//! Native histograms of a real Prometheus: what they say is asked for in PromQL.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use deploy_agents::monitors::prometheus::{
    Guard, PromQuery, PrometheusMonitor, PrometheusPolicy, Stale, Template, Unfit,
};
use deploy_agents::monitors::{Query, Selector};
use deploy_agents::wait::until;
use deploy_core::monitor::{Arm, MeasureContext, MeasureRequest, Monitor as _, Reading};
use deploy_core::name::{BlockName, MetricName};
use deploy_core::time::Now;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::fleet::name;
use crate::load::{BOUND, EVERY};
use crate::peers::{Prometheus, free_port};
use crate::program::task;
use crate::prometheus_policy::policy;

/// Protocol Buffers, as far as it takes to write one histogram.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(mut self, mut number: u64) -> Self {
        while number >= 0x80 {
            self.0.push(u8::try_from(number & 0x7F).expect("seven bits") | 0x80);
            number >>= 7;
        }
        self.0.push(u8::try_from(number).expect("seven bits"));
        self
    }

    fn whole(self, field: u64, number: u64) -> Self {
        self.varint(field << 3).varint(number)
    }

    /// A number with a sign: `sint32` and `sint64`.
    fn signed(self, field: u64, number: i64) -> Self {
        self.whole(field, ((number << 1) ^ (number >> 63)).cast_unsigned())
    }

    fn double(mut self, field: u64, number: f64) -> Self {
        self = self.varint(field << 3 | 1);
        self.0.extend(number.to_le_bytes());
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self = self.varint(field << 3 | 2).varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }
}

/// After `times` times of a thousand events: nine in ten of them about 0.05, the others about 1.5 (`io.prometheus.client.MetricFamily`).
fn family(times: u64) -> Vec<u8> {
    let signed = i64::try_from(times).expect("few");
    let span = |offset| Message::default().signed(1, offset).whole(2, 1).0;
    // Eight buckets to an octave: the bucket i ends at 2^(i/8). Counts are differences to the bucket before.
    let histogram = Message::default()
        .whole(1, 1_000 * times)
        .double(2, 195.0 * times as f64)
        .signed(5, 3)
        .double(6, 1e-128)
        .whole(7, 0)
        .bytes(12, &span(-34))
        .bytes(12, &span(38))
        .signed(13, 900 * signed)
        .signed(13, -800 * signed);
    let label = Message::default().bytes(1, b"version").bytes(2, b"v2");
    let metric = Message::default().bytes(1, &label.0).bytes(7, &histogram.0);
    let family = Message::default().bytes(1, b"seconds").whole(3, 4).bytes(4, &metric.0).0;
    let mut delimited = Message::default().varint(family.len() as u64).0;
    delimited.extend(family);
    delimited
}

/// A service that has had a thousand more events each time it is scraped.
async fn exposed() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let scraped = Arc::new(AtomicU64::new(0));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let scraped = Arc::clone(&scraped);
            let answer = service_fn(move |_| {
                let body = Bytes::from(family(scraped.fetch_add(1, Ordering::Relaxed) + 1));
                let kind =
                    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
                let answer = http::Response::builder().header("content-type", kind).body(Full::new(body));
                std::future::ready(Ok::<_, Infallible>(answer.expect("an answer")))
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    });
    address
}

/// Rows: M68.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn native_histograms_are_asked_for_in_promql() {
    let scrape =
        format!("scrape_configs:\n  - job_name: x\n    static_configs: [{{targets: ['{}']}}]\n", exposed().await);
    let native = Some("--enable-feature=native-histograms");
    let Some(prometheus) = Prometheus::start_with(free_port(), &scrape, native).await else { return };
    prometheus.has("min_over_time(timestamp(seconds)[9s:1s]) < time() - 7").await;
    let template = |text: &str| Template::new(text).expect("a template");
    let guard = || Guard::Series(template("seconds{version=\"{revision}\"}"));
    let grown = "sum(increase(seconds{version=\"{revision}\"}[{window}]))";
    let policy = PrometheusPolicy {
        stale: Stale { after: Duration::from_secs(30), then: Unfit::NoData },
        warm_up: Duration::from_secs(2),
        scraped_every: Duration::from_secs(1),
        ..policy()
    };
    let metric = |text: &str| MetricName::new(text).expect("a name");
    let monitor =
        || PrometheusMonitor::new(BlockName::new("native").expect("a name"), prometheus.url(), policy.clone());
    let ask = async |monitor: &PrometheusMonitor| {
        let request = MeasureRequest {
            monitor: monitor.name(),
            metrics: Vec::new(),
            candidate: name("v2"),
            baseline: None,
            lookback: Duration::from_secs(6),
        };
        monitor.measure(&request, &MeasureContext::new(Arc::clone(&task().release), Now::default())).await
    };
    let quantile =
        PromQuery::Instant { expression: template(&format!("histogram_quantile(0.99, {grown})")), guard: guard() };
    let all = format!("histogram_count({grown})");
    let slow = format!("{all} * (1 - histogram_fraction(-Inf, 0.1, {grown}))");
    let slow = PromQuery::Ratio { bad: template(&slow), all: template(&all), guard: guard() };
    let asked = monitor().metric(metric("p99"), quantile).metric(metric("slow"), slow);
    // A scrape that takes too long is silence until the next one.
    let scraped = || async {
        let measured = ask(&asked).await.unwrap_or_else(|e| panic!("{}", deploy_core::report::chain(&e)));
        measured.iter().all(|m| m.reading != Reading::NoData).then_some(measured)
    };
    let measured = until(BOUND, EVERY, scraped).await.expect("it is scraped");
    let reading = |wanted: &str| {
        let found = measured.iter().find(|m| m.metric == metric(wanted) && m.arm == Arm::Candidate);
        found.unwrap_or_else(|| panic!("no {wanted}")).reading.clone()
    };
    let p99 = reading("p99").number().expect("a number");
    assert!(p99 > 2f64.powf(0.5) && p99 < 2f64.powf(0.625), "in the bucket of the slow ones: {p99}");
    let Reading::Counts(slow) = reading("slow") else { panic!("not counted: {:?}", reading("slow")) };
    // PromQL extrapolates to the edges of its window, so that counts are no whole numbers of scrapes.
    let share = slow.ratio().expect("events");
    assert!(slow.events() > 1_000 && (share - 0.1).abs() < 0.001, "{slow:?}");
    let sums = PromQuery::Series(Query::Sum(Selector::new("seconds").is("version", "{revision}")));
    let error = ask(&monitor().metric(metric("sum"), sums)).await.expect_err("a histogram is no number");
    assert!(deploy_core::report::chain(&error).contains("native histograms"), "{}", deploy_core::report::chain(&error));
}

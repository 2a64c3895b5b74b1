//! What a Prometheus may do instead of answering: it is silent, slow, elsewhere, or refuses. Time is virtual here.

use std::future::pending;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use deploy_agents::http::{HttpClient, HttpError, HttpLimits};
use deploy_agents::monitors::prometheus::{Guard, PromQuery, PrometheusMonitor, PrometheusPolicy, Server, Template};
use deploy_agents::secret::Secret;
use deploy_core::monitor::{MeasureContext, MeasureRequest, Measurement, Monitor as _};
use deploy_core::name::{BlockName, MetricName};
use deploy_core::time::Now;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use crate::fleet::name;
use crate::program::task;
use crate::prometheus_policy::policy;

const ONE: &str =
    r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1700000100,"1"]}]}}"#;

fn patient(attempts: u32, apart: u64) -> PrometheusPolicy {
    let server = Server {
        within: Duration::from_secs(5),
        attempts: NonZeroU32::new(attempts).expect("some"),
        apart: Duration::from_secs(apart),
        most: 1 << 20,
    };
    PrometheusPolicy { server, ..policy() }
}

/// A monitor of so many metrics of the server at this place.
fn monitor(base: &str, policy: PrometheusPolicy, metrics: usize) -> PrometheusMonitor {
    let query = || PromQuery::Instant {
        expression: Template::new("x").expect("a template"),
        guard: Guard::Nothing { reason: "scripted".to_owned() },
    };
    let monitor = PrometheusMonitor::new(BlockName::new("prometheus").expect("a name"), base, policy);
    let metric = |n| MetricName::new(format!("m{n:02}")).expect("a name");
    (0..metrics).fold(monitor.token(Secret::new("hunter2")), |monitor, n| monitor.metric(metric(n), query()))
}

/// The answer about one arm, and how long it took.
async fn ask(monitor: &PrometheusMonitor) -> (Result<Vec<Measurement>, String>, Duration) {
    ask_with(monitor, None).await
}

async fn ask_with(monitor: &PrometheusMonitor, baseline: Option<&str>) -> (Result<Vec<Measurement>, String>, Duration) {
    let request = MeasureRequest {
        monitor: monitor.name(),
        metrics: Vec::new(),
        candidate: name("v2"),
        baseline: baseline.map(name),
        lookback: Duration::from_secs(60),
    };
    let cx = MeasureContext::new(Arc::clone(&task().release), Now::default());
    let began = Instant::now();
    // Whatever is asked here must end by itself.
    let answer = timeout(Duration::from_secs(3_600), monitor.measure(&request, &cx)).await.expect("an end");
    (answer.map_err(|error| deploy_core::report::chain(&error)), began.elapsed())
}

async fn pass(seconds: u64) {
    let _ = timeout(Duration::from_secs(seconds), pending::<()>()).await;
}

/// A server that accepts, and then writes a byte of this in each second, for ever.
async fn dripping(head: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = [0; 4_096];
                let _ = stream.read(&mut asked).await;
                if head.is_empty() {
                    pending::<()>().await;
                }
                let _ = stream.write_all(head.as_bytes()).await;
                while stream.write_all(b" ").await.is_ok() {
                    pass(1).await;
                }
            });
        }
    });
    at
}

/// Rows: M187, M190.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_silent_or_slow_is_an_error_within_the_limit() {
    for head in ["", "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n"] {
        let at = dripping(head).await;
        let (answer, took) = ask(&monitor(&format!("http://{at}"), patient(1, 0), 3)).await;
        let error = answer.expect_err("an error");
        assert!(error.contains(&format!("no whole answer from {at} within 5s")), "{error}");
        assert!(took < Duration::from_secs(6), "{took:?}");
    }
}

/// A client that answers everything alike, after so many seconds, and remembers where it was sent.
#[derive(Debug)]
struct After(u64, u16, &'static [(&'static str, &'static str)], &'static str, Mutex<Vec<String>>);

#[async_trait::async_trait]
impl HttpClient for After {
    async fn send(&self, request: http::Request<Bytes>, _: HttpLimits) -> Result<http::Response<Bytes>, HttpError> {
        self.4.lock().expect("not poisoned").push(request.uri().to_string());
        pass(self.0).await;
        let response =
            self.2.iter().fold(http::Response::builder().status(self.1), |r, (name, value)| r.header(*name, *value));
        Ok(response.body(Bytes::from(self.3)).expect("an answer"))
    }
}

impl After {
    fn new(
        seconds: u64,
        status: u16,
        headers: &'static [(&'static str, &'static str)],
        body: &'static str,
    ) -> Arc<Self> {
        Arc::new(Self(seconds, status, headers, body, Mutex::default()))
    }
    fn asked(&self) -> usize {
        self.4.lock().expect("not poisoned").len()
    }
}

/// Rows: M187.
#[tokio::test(start_paused = true)]
async fn a_whole_measurement_has_a_bound_of_its_own() {
    let over =
        |metrics, seconds| monitor("http://there", patient(1, 0), metrics).over(After::new(seconds, 200, &[], ONE));
    let (answer, took) = ask_with(&over(8, 4), Some("v1")).await;
    assert_eq!((answer.expect("an answer").len(), took), (16, Duration::from_secs(8)), "eight at a time");
    let (answer, took) = ask_with(&over(8, 4).within(Duration::from_secs(7)), Some("v1")).await;
    assert_eq!(took, Duration::from_secs(7));
    let error = answer.expect_err("an error");
    assert_eq!(error, "prometheus was not through within 7s: m00 of v1 and 7 more had no answer");
    let (answer, took) = ask(&over(100, 4)).await;
    assert!(answer.expect_err("an error").contains("within 30s"), "the default");
    assert_eq!(took, Duration::from_secs(30));
}

/// Rows: M187.
#[tokio::test(start_paused = true)]
async fn what_is_no_success_is_an_error_by_its_name_whatever_its_body_says() {
    let refused = [
        (500, &[][..], ONE, "answered 500 Internal Server Error, though its body says success"),
        (404, &[][..], ONE, "answered 404 Not Found, though its body says success"),
        (404, &[][..], "<html>", "http://there answered 404 Not Found"),
        (401, &[][..], "<html>", "answered 401 Unauthorized: it wants another token, or one at all"),
        (
            302,
            &[("location", "https://user:pw@elsewhere/api?token=x")][..],
            ONE,
            "answered 302 Found to https://elsewhere/api?…, which is not followed: name the server itself",
        ),
    ];
    for (status, headers, body, why) in refused {
        let server = After::new(0, status, headers, body);
        let (answer, _) =
            ask(&monitor("http://there", patient(1, 0), 1).over(Arc::clone(&server) as Arc<dyn HttpClient>)).await;
        let error = answer.expect_err("an error");
        assert!(error.contains(why) && !error.contains("pw"), "{error}");
        let asked = server.4.lock().expect("not poisoned").clone();
        assert!(asked.iter().all(|to| to.starts_with("http://there/")), "the token is for one server alone: {asked:?}");
    }
}

/// A real server that sends whoever asks to another one.
#[tokio::test]
async fn a_redirect_is_not_followed_with_the_token() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let to = elsewhere.local_addr().expect("an address");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 4_096];
            let _ = stream.read(&mut asked).await;
            let head =
                format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{to}/api\r\ncontent-length: 0\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).await;
        }
    });
    let (answer, _) = ask(&monitor(&format!("http://{at}"), policy(), 1)).await;
    let error = answer.expect_err("an error");
    assert!(error.contains(&format!("307 Temporary Redirect to http://{to}/api, which is not followed")), "{error}");
    let nobody = std::future::poll_fn(|cx| std::task::Poll::Ready(elsewhere.poll_accept(cx).is_pending())).await;
    assert!(nobody, "nobody came");
}

/// Rows: M187, M190.
#[tokio::test(start_paused = true)]
async fn a_server_that_asks_to_be_left_alone_is() {
    let busy: &[_] = &[("retry-after", "4")];
    let server = After::new(0, 429, busy, "slow down");
    let (answer, took) =
        ask(&monitor("http://there", patient(3, 1), 1).over(Arc::clone(&server) as Arc<dyn HttpClient>)).await;
    let error = answer.expect_err("an error");
    assert!(error.contains("answered 429 Too Many Requests, and asks to be left alone for 4s"), "{error}");
    assert_eq!((server.asked(), took), (3, Duration::from_secs(8)), "three times, four seconds apart");
    let long: &[_] = &[("retry-after", "3600")];
    let server = After::new(0, 503, long, "");
    let (answer, took) =
        ask(&monitor("http://there", patient(3, 1), 1).over(Arc::clone(&server) as Arc<dyn HttpClient>)).await;
    assert!(answer.expect_err("an error").contains("503 Service Unavailable, and asks to be left alone for 1h"));
    assert_eq!((server.asked(), took), (1, Duration::ZERO), "longer than an answer may take is not waited for");
}

#[tokio::test]
async fn a_server_that_speaks_tls_needs_a_client_that_does() {
    let (answer, _) = ask(&monitor("https://there", policy(), 1)).await;
    let error = answer.expect_err("an error");
    assert!(
        error.contains("this client speaks no TLS: hand the block one that does") && error.contains("`over`"),
        "{error}"
    );
}

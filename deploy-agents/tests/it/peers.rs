//! Real components, each started on free ports in a folder of its own.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use deploy_agents::http::{HttpClient as _, HttpLimits, PlainHttp};
use serde_json::Value;
use tempfile::TempDir;

use crate::load::BOUND;

/// Where a program is, or nothing if its tests are to be left out on this machine.
pub(crate) fn component(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sbin = [PathBuf::from("/usr/sbin")];
    let found = std::env::split_paths(&path).chain(sbin).map(|folder| folder.join(program)).find(|file| file.is_file());
    // Some come from a registry that may be out of reach: `.ci/services` says whether they are there.
    let switch = match program {
        "envoy" => "REQUIRE_ENVOY",
        "rotel-agent" => "REQUIRE_ROTEL",
        _ => "REQUIRE_SERVICES",
    };
    let required = std::env::var(switch).is_ok_and(|value| value == "1");
    assert!(found.is_some() || !required, "{program} is not on the path, and {switch}=1");
    if found.is_none() {
        writeln!(std::io::stderr(), "LEFT OUT: {program} is not on the path").expect("standard error");
    }
    found
}

/// A process that ends with its test.
#[derive(Debug)]
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// A loopback port that nobody listens at, given to one asker of this program alone. It lies below those that the system gives to
/// whoever asks for any, so that no listener and no connection of another test takes it between its choice and its use.
pub(crate) fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    const LOWEST: u32 = 10_000;
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let any = range.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(32_768_u32);
    let span = any.saturating_sub(LOWEST).max(1_000);
    // Two programs that run at the same time begin at different places.
    let begin = std::process::id().wrapping_mul(7_919) % span;
    let mut ports =
        std::iter::repeat_with(|| LOWEST + (begin + GIVEN.fetch_add(1, Ordering::Relaxed)) % span).take(1_000);
    let free = ports.find_map(|port| {
        let port = u16::try_from(port).ok()?;
        TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(port)
    });
    free.expect("a free port")
}

/// Starts a program that shall say nothing.
pub(crate) fn start(program: PathBuf, args: &[String]) -> Running {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Running(command.spawn().expect("it starts"))
}

pub(crate) async fn call(method: &str, url: &str, body: impl Into<Bytes>) -> Option<(u16, Value)> {
    let request = http::Request::builder().method(method).uri(url).header("content-type", "application/json");
    let answer =
        PlainHttp::new().send(request.body(body.into()).expect("a request"), HttpLimits::default()).await.ok()?;
    Some((answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or(Value::Null)))
}

/// Waits until a URL answers with 200.
pub(crate) async fn answers(url: &str) {
    let ready = deploy_agents::wait::until(BOUND, Duration::from_millis(20), || async {
        call("GET", url, "").await.filter(|(status, _)| *status == 200).map(drop)
    });
    assert!(ready.await.is_ok(), "never ready: {url}");
}

/// A Prometheus that scrapes each second, and forgets a series after five.
pub(crate) struct Prometheus {
    port: u16,
    _folder: TempDir,
    running: Running,
}

impl Prometheus {
    /// With these lines of configuration beside the intervals.
    pub(crate) async fn start(configuration: &str) -> Option<Self> {
        Self::start_at(free_port(), configuration).await
    }

    /// The same at a port that is known before, for one that watches itself.
    pub(crate) async fn start_at(port: u16, configuration: &str) -> Option<Self> {
        Self::start_with(port, configuration, None).await
    }

    /// The same with one more argument.
    pub(crate) async fn start_with(port: u16, configuration: &str, argument: Option<&str>) -> Option<Self> {
        let program = component("prometheus")?;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("prometheus.yml");
        let intervals = "global:\n  scrape_interval: 1s\n  scrape_timeout: 900ms\n  evaluation_interval: 1s\n";
        std::fs::write(&file, format!("{intervals}{configuration}")).expect("written");
        let running = start(
            program,
            &[
                format!("--config.file={}", file.display()),
                format!("--storage.tsdb.path={}", folder.path().join("data").display()),
                format!("--web.listen-address=127.0.0.1:{port}"),
                "--query.lookback-delta=5s".to_owned(),
                "--web.enable-lifecycle".to_owned(),
                "--log.level=error".to_owned(),
            ]
            .into_iter()
            .chain(argument.map(str::to_owned))
            .collect::<Vec<_>>(),
        );
        let prometheus = Self { port, _folder: folder, running };
        answers(&format!("{}/-/ready", prometheus.url())).await;
        Some(prometheus)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Has it read its configuration and rules again.
    pub(crate) async fn reload(&self) {
        let answer = call("POST", &format!("{}/-/reload", self.url()), "").await;
        assert!(answer.is_some_and(|(status, _)| status == 200), "not reloaded");
    }

    pub(crate) fn kill(&mut self) {
        self.running.0.kill().expect("it lives");
        self.running.0.wait().expect("it ends");
    }

    /// Waits until a query answers with at least one series.
    pub(crate) async fn has(&self, query: &str) {
        let encoded: String = form(query);
        let url = format!("{}/api/v1/query?query={encoded}", self.url());
        let there = deploy_agents::wait::until(BOUND, Duration::from_millis(50), || async {
            let (_, answer) = call("GET", &url, "").await?;
            answer["data"]["result"].as_array().is_some_and(|all| !all.is_empty()).then_some(())
        });
        assert!(there.await.is_ok(), "never there: {query}");
    }
}

/// A query as it stands in a URL.
pub(crate) fn form(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// A VictoriaMetrics that keeps samples of any date, and shows them at once.
pub(crate) struct VictoriaMetrics {
    port: u16,
    _folder: TempDir,
    _running: Running,
}

impl VictoriaMetrics {
    pub(crate) async fn start() -> Option<Self> {
        let program = component("victoria-metrics")?;
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let running = start(
            program,
            &[
                format!("-storageDataPath={}", folder.path().join("data").display()),
                format!("-httpListenAddr=127.0.0.1:{port}"),
                "-retentionPeriod=100y".to_owned(),
                "-search.latencyOffset=0s".to_owned(),
                "-search.disableCache".to_owned(),
            ],
        );
        let this = Self { port, _folder: folder, _running: running };
        answers(&format!("{}/health", this.url())).await;
        Some(this)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Takes in lines of `name{labels} value milliseconds`, and waits until the last one can be asked for.
    pub(crate) async fn import(&self, lines: &[String], last_ms: i64) {
        let url = format!("{}/api/v1/import/prometheus", self.url());
        let (status, _) = call("POST", &url, lines.join("\n") + "\n").await.expect("an answer");
        assert_eq!(status, 204);
        // Each month and each processor has samples that cannot be asked for yet, and the last line speaks for one of them alone.
        let flush = format!("{}/internal/force_flush", self.url());
        assert!(call("GET", &flush, "").await.is_some_and(|(status, _)| status == 200), "not flushed");
        let name = lines.last().and_then(|line| line.split(' ').next()).expect("a line");
        let time = last_ms as f64 / 1_000.0;
        let url = format!("{}/api/v1/query?time={time}&query={}", self.url(), form(&format!("{name}[10s]")));
        let there = deploy_agents::wait::until(BOUND, Duration::from_millis(50), || async {
            let (_, answer) = call("GET", &url, "").await?;
            answer["data"]["result"].as_array().is_some_and(|all| !all.is_empty()).then_some(())
        });
        assert!(there.await.is_ok(), "never shown: {name}");
    }
}

/// A collector that takes OTLP over HTTP, and writes down what it took.
pub(crate) struct Rotel {
    port: u16,
    folder: TempDir,
    _running: Running,
}

impl Rotel {
    pub(crate) async fn start() -> Option<Self> {
        let program = component("rotel-agent")?;
        let folder = tempfile::tempdir().expect("a folder");
        let (port, grpc) = (free_port(), free_port());
        let log = std::fs::File::create(folder.path().join("log")).expect("a file");
        let mut command = Command::new(program);
        command.args([
            "start",
            "--exporter",
            "blackhole",
            "--debug-log",
            "metrics",
            "--debug-log-verbosity",
            "detailed",
        ]);
        command.arg(format!("--otlp-http-endpoint=127.0.0.1:{port}"));
        command.arg(format!("--otlp-grpc-endpoint=127.0.0.1:{grpc}"));
        command.arg(format!("--pid-file={}", folder.path().join("pid").display()));
        command.stdin(Stdio::null()).stderr(log.try_clone().expect("a handle")).stdout(log);
        let running = Running(command.spawn().expect("it starts"));
        let this = Self { port, folder, _running: running };
        let url = format!("{}/v1/metrics", this.url());
        let ready = deploy_agents::wait::until(BOUND, Duration::from_millis(20), || async {
            call("POST", &url, "{\"resourceMetrics\": []}").await.filter(|(status, _)| *status == 200).map(drop)
        });
        assert!(ready.await.is_ok(), "never ready: {}", this.log());
        Some(this)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it wrote down.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).expect("its log")
    }
}

/// An Alertmanager without a cluster.
pub(crate) struct Alertmanager {
    port: u16,
    _folder: TempDir,
    _running: Running,
}

impl Alertmanager {
    pub(crate) async fn start(configuration: &str) -> Option<Self> {
        let program = component("prometheus-alertmanager")?;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("alertmanager.yml");
        std::fs::write(&file, configuration).expect("written");
        let port = free_port();
        let running = start(
            program,
            &[
                format!("--config.file={}", file.display()),
                format!("--storage.path={}", folder.path().join("data").display()),
                format!("--web.listen-address=127.0.0.1:{port}"),
                "--cluster.listen-address=".to_owned(),
                "--log.level=error".to_owned(),
            ],
        );
        let this = Self { port, _folder: folder, _running: running };
        answers(&format!("{}/-/ready", this.url())).await;
        Some(this)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

//! What HAProxy is to be, and its configuration as text.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use deploy_core::time::millis;

use super::backend::Wanted;
use super::order::ServerCheck;

/// An HAProxy of the fleet's own: its configuration is written, and its process started and kept alive.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HaproxyConfig {
    /// The program. Default `haproxy`, looked for on the path.
    pub program: PathBuf,
    /// Where its configuration and its socket lie; made if it is not there. The socket's path may have 107 bytes at most.
    pub dir: PathBuf,
    /// Where users come in.
    pub traffic: SocketAddr,
    /// The second address, for previews. Default: none.
    pub preview: Option<SocketAddr>,
    /// Where `/metrics` is served in the text format of Prometheus. Default: nowhere.
    pub metrics: Option<SocketAddr>,
    /// What HAProxy asks instances for, with GET. Default `/healthz`.
    pub check_path: String,
    /// How often it asks, and when it believes the answers.
    pub check: ServerCheck,
    /// How long connecting to an instance may take. Default 2 s.
    pub connect_within: Duration,
    /// How long an instance may be silent. Default 30 s; also how long a client may be.
    pub answer_within: Duration,
    /// How long a worker that was replaced may go on with its requests. Default 30 s.
    pub stop_within: Duration,
    /// Lines for the section `defaults`, as they stand in HAProxy's manual: logging, compression and the like.
    pub defaults: Vec<String>,
}

impl HaproxyConfig {
    /// An HAProxy with its files in `dir`, for users at `traffic`, with the defaults above.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, traffic: SocketAddr) -> Self {
        Self {
            program: "haproxy".into(),
            dir: dir.into(),
            traffic,
            preview: None,
            metrics: None,
            check_path: "/healthz".to_owned(),
            check: ServerCheck::default(),
            connect_within: Duration::from_secs(2),
            answer_within: Duration::from_secs(30),
            stop_within: Duration::from_secs(30),
            defaults: Vec::new(),
        }
    }

    /// The same with a second address, for previews.
    #[must_use]
    pub fn preview(mut self, address: SocketAddr) -> Self {
        self.preview = Some(address);
        self
    }

    /// The same, with its counters at this address under `/metrics`.
    #[must_use]
    pub fn metrics(mut self, address: SocketAddr) -> Self {
        self.metrics = Some(address);
        self
    }

    /// The same with other health checks.
    #[must_use]
    pub fn check(mut self, path: impl Into<String>, check: ServerCheck) -> Self {
        self.check_path = path.into();
        self.check = check;
        self
    }

    /// The same with one more line in the section `defaults`.
    #[must_use]
    pub fn default_line(mut self, line: impl Into<String>) -> Self {
        self.defaults.push(line.into());
        self
    }

    /// Why this cannot be written down, if it cannot.
    pub(super) fn problem(&self) -> Option<String> {
        let texts = self.defaults.iter().chain([&self.check_path]);
        let broken = texts.clone().find(|text| text.contains(['\n', '\r']));
        if let Some(text) = broken {
            return Some(format!("{text:?} has more than one line"));
        }
        let path = &self.check_path;
        let odd = !path.starts_with('/') || path.contains(|c: char| c.is_whitespace() || "\"'\\#".contains(c));
        odd.then(|| format!("{path:?} is not a path that can be asked for"))
    }

    /// The whole configuration, with these servers.
    pub(super) fn render(&self, users: &Wanted, preview: &Wanted) -> String {
        let mut text =
            String::from("# Written by the fleet behind it, at each change. Changes by hand are lost.\nglobal\n");
        let line = |text: &mut String, line: &dyn std::fmt::Display| {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "    {line}");
        };
        let socket = super::process::socket_path(&self.dir);
        line(
            &mut text,
            &format_args!("stats socket \"{}\" mode 600 level admin expose-fd listeners", socket.display()),
        );
        line(&mut text, &format_args!("hard-stop-after {}ms", millis(self.stop_within)));
        text.push_str("defaults\n");
        let (connect, answer) = (millis(self.connect_within), millis(self.answer_within));
        for setting in [
            "mode http".to_owned(),
            format!("timeout connect {connect}ms"),
            format!("timeout client {answer}ms"),
            format!("timeout server {answer}ms"),
            // Without it a check fails that takes longer than the time between two: an instance that is busy is not dead, and one
            // that is dead refuses at once.
            format!("timeout check {}ms", millis(CHECK_WITHIN)),
            // An instance that dies between two health checks costs nobody a request.
            "retries 3".to_owned(),
            "option redispatch 1".to_owned(),
            "retry-on conn-failure empty-response response-timeout".to_owned(),
        ] {
            line(&mut text, &setting);
        }
        for setting in &self.defaults {
            line(&mut text, setting);
        }
        self.pair(&mut text, USERS, self.traffic, users);
        if let Some(address) = self.preview {
            self.pair(&mut text, PREVIEW, address, preview);
        }
        if let Some(address) = self.metrics {
            text.push_str("frontend metrics\n");
            line(&mut text, &format_args!("bind {address}"));
            line(&mut text, &"http-request use-service prometheus-exporter if { path /metrics }");
            line(&mut text, &"http-request return status 404");
        }
        text
    }

    /// A frontend and its backend.
    fn pair(&self, text: &mut String, name: &str, address: SocketAddr, servers: &Wanted) {
        let _ = writeln!(text, "frontend {name}-in\n    bind {address}\n    default_backend {name}");
        let _ = writeln!(text, "backend {name}");
        for setting in backend_lines(&self.check_path) {
            let _ = writeln!(text, "    {setting}");
        }
        text.push_str(&server_lines(servers, self.check));
    }
}

/// How long the answer to a health check may take, as with [`HealthCheck`](crate::targets::processes::HealthCheck).
const CHECK_WITHIN: Duration = Duration::from_secs(2);

/// The backend that users meet.
pub(super) const USERS: &str = "users";
/// The backend behind the second address.
pub(super) const PREVIEW: &str = "preview";

/// What a backend needs for weights that change at run time and for instances that may die.
fn backend_lines(check_path: &str) -> [String; 3] {
    [
        // `static-rr` and `source` do not take weights at run time.
        "balance roundrobin".to_owned(),
        format!("option httpchk GET {check_path}"),
        // A request that an instance may have carried out is sent again only if that is harmless (GET and HEAD).
        "http-request disable-l7-retry unless METH_GET".to_owned(),
    ]
}

/// The servers in force, so that a worker that is started anew begins with them.
pub(super) fn server_lines(servers: &Wanted, check: ServerCheck) -> String {
    let mut text = String::new();
    for (name, (address, weight)) in servers {
        let _ = writeln!(text, "    server {} {address} weight {weight} {check}", name.server());
    }
    text
}

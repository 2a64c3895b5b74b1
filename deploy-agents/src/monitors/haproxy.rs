//! HAProxy's statistics by revision, without touching the application.
//!
//! Over the runtime socket (`show stat`) or over its Prometheus exporter: the series have the exporter's names either way.
//!
//! | series | labels |
//! |---|---|
//! | `haproxy_server_http_responses_total` | `proxy`, `server`, `code` (`1xx` … `5xx`) |
//! | `haproxy_server_connection_errors_total`, `haproxy_server_response_errors_total` | `proxy`, `server` |
//! | `haproxy_server_retry_warnings_total`, `haproxy_server_redispatch_warnings_total` | `proxy`, `server` |
//! | `haproxy_server_response_time_average_seconds`, `haproxy_server_total_time_average_seconds` | `proxy`, `server` |
//! | `haproxy_server_current_sessions`, `haproxy_server_current_queue` | `proxy`, `server` |
//!
//! Counters begin again at zero after a reload; that is read as a reset. There are no histograms, only averages over the last 1024
//! requests: for quantiles measure elsewhere.

use std::collections::BTreeMap;

use deploy_core::monitor::MonitorError;

use super::exposition::Sample;
use super::{Query, Selector};
use crate::targets::haproxy::RuntimeSocket;

/// Bad answers among all of the servers that `servers` selects, as HAProxy saw them: status 500 and above, connections that
/// failed, and answers that broke off. The latter two are no responses: HAProxy answers those itself, or asks another server,
/// so that who counts responses alone takes a revision that refuses connections for one without errors.
///
/// `servers` adds to a selector which servers of which backend belong to the revision.
///
/// ```
/// use deploy_agents::monitors::{ScrapeMonitor, haproxy};
/// use deploy_core::name::{BlockName, MetricName};
///
/// // Servers are called by revision and number: v1-1, v1-2. The hyphen keeps v10-1 apart from v1.
/// let errors = haproxy::errors(|servers| servers.is("proxy", "app").starts_with("server", "{revision}-"));
/// let monitor = ScrapeMonitor::new(BlockName::new("haproxy")?)
///     .endpoint("http://127.0.0.1:8404/metrics")
///     .metric(MetricName::new("http.errors")?, errors);
/// # Ok::<(), deploy_core::name::NameError>(())
/// ```
///
/// Rows: M70.
#[must_use]
pub fn errors(servers: impl Fn(Selector) -> Selector) -> Query {
    let of = |name: &str| servers(Selector::new(name));
    let responses = || of("haproxy_server_http_responses_total");
    Query::Events {
        bad: vec![
            responses().is("code", "5xx"),
            of("haproxy_server_connection_errors_total"),
            of("haproxy_server_response_errors_total"),
        ],
        good: vec![responses().is_not("code", "5xx")],
        absent_is_zero: false,
    }
}

/// Answers per second of the servers that `servers` selects.
///
/// Rows: M69.
#[must_use]
pub fn throughput(servers: impl Fn(Selector) -> Selector) -> Query {
    Query::Rate(servers(Selector::new("haproxy_server_http_responses_total")))
}

/// The slowest average time of a server to its answer, in seconds, over its last 1024 requests: of all servers that `servers`
/// selects.
#[must_use]
pub fn slowest_average(servers: impl Fn(Selector) -> Selector) -> Query {
    Query::Max(servers(Selector::new("haproxy_server_response_time_average_seconds")))
}

/// The series of `show stat`, by the exporter's names.
pub(super) async fn samples(socket: &RuntimeSocket) -> Result<Vec<Sample>, MonitorError> {
    let lines = socket.statistics().await.map_err(|error| {
        MonitorError::new(format!("HAProxy at {} cannot be read", socket.path().display())).because(error)
    })?;
    let mut samples = Vec::new();
    for line in lines.iter().filter(|line| line.is_server()) {
        let labels =
            BTreeMap::from([("proxy".to_owned(), line.proxy.clone()), ("server".to_owned(), line.name.clone())]);
        let mut add = |name: &str, code: Option<&str>, value: f64| {
            let mut labels = labels.clone();
            labels.extend(code.map(|code| ("code".to_owned(), code.to_owned())));
            samples.push(Sample { name: format!("haproxy_server_{name}"), labels, value, at_ms: None });
        };
        let classes = [
            ("1xx", line.answers_1xx),
            ("2xx", line.answers_2xx),
            ("3xx", line.answers_3xx),
            ("4xx", line.answers_4xx),
            ("5xx", line.answers_5xx),
        ];
        for (class, count) in classes {
            add("http_responses_total", Some(class), float(count));
        }
        add("connection_errors_total", None, float(line.connection_errors));
        add("response_errors_total", None, float(line.answer_errors));
        add("retry_warnings_total", None, float(line.retries));
        add("redispatch_warnings_total", None, float(line.redispatches));
        add("response_time_average_seconds", None, float(line.times_ms[2]) / 1_000.0);
        add("total_time_average_seconds", None, float(line.times_ms[3]) / 1_000.0);
        add("current_sessions", None, float(line.under_way));
        add("current_queue", None, float(line.queued));
    }
    Ok(samples)
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

//! Envoy's statistics by revision (`/stats/prometheus` of its admin interface), without touching the application.
//!
//! A revision is a cluster here. Ask for what is needed alone: `/stats/prometheus?filter=cluster.(blue|green).upstream_rq` keeps
//! the page small on proxies with many clusters.

use super::{Query, Selector};

fn of(name: &str, cluster: &str) -> Selector {
    Selector::new(name).is("envoy_cluster_name", cluster)
}

/// Bad answers among all of a cluster, as Envoy's users saw them: status 500 and above, those that Envoy gave itself (no healthy
/// host, refused, timed out) among them. `{revision}` in the cluster's name is replaced.
///
/// Envoy only exposes a class of answers with its first one, so that a class without a series is zero.
///
/// ```
/// use deploy_agents::monitors::{ScrapeMonitor, envoy};
/// use deploy_core::name::{BlockName, MetricName};
///
/// let monitor = ScrapeMonitor::new(BlockName::new("envoy")?)
///     .endpoint("http://127.0.0.1:9901/stats/prometheus")
///     .metric(MetricName::new("http.errors")?, envoy::errors("app-{revision}"))
///     .metric(MetricName::new("http.latency_p99_ms")?, envoy::latency_ms("app-{revision}", 0.99));
/// # Ok::<(), deploy_core::name::NameError>(())
/// ```
///
/// Rows: M70.
#[must_use]
pub fn errors(cluster: &str) -> Query {
    let answers = || of("envoy_cluster_upstream_rq_xx", cluster);
    Query::Ratio { bad: answers().is("envoy_response_code_class", "5"), all: answers(), absent_is_zero: true }
}

/// Answers per second of a cluster.
///
/// Rows: M69.
#[must_use]
pub fn throughput(cluster: &str) -> Query {
    Query::Rate(of("envoy_cluster_upstream_rq_xx", cluster))
}

/// A quantile (0 to 1) of a cluster's times to answer, in milliseconds. Envoy's buckets are wide; see its `stats_config`.
///
/// Rows: M68.
#[must_use]
pub fn latency_ms(cluster: &str, q: f64) -> Query {
    Query::Quantile { q, histogram: of("envoy_cluster_upstream_rq_time", cluster) }
}

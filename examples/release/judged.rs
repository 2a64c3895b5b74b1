//! What a release is judged by: what the proxy counts, and how much of it is too much.

use std::net::SocketAddr;
use std::time::Duration;

use deploy_agents::monitors::{Query, ScrapeMonitor, Selector};
use deploy_agents::secret::Secret;
use deploy_core::monitor::Comparison;
use deploy_core::name::{BlockName, MetricName};
use deploy_core::real::Real;
use deploy_strategies::analysis::threshold::{
    Bound, Condition, ErrorPolicy, Limit, MetricLimits, NoData, OnError, Threshold,
};
use deploy_strategies::analysis::{Analysis, Judge};

use crate::Failure;

/// The largest share of requests that may fail.
const ERROR_RATIO: f64 = 0.05;
/// The longest that half of the requests may take, in seconds. The good versions stay near a hundredth of a second, and this
/// leaves room for a machine that is busy with something else. The median, because at a twentieth of so little traffic a window
/// holds a handful of requests, of which a slow one says nothing.
const LATENCY_P50: f64 = 0.5;

/// Two good measurements in a row are enough for a step; two bad ones end the release.
pub(crate) fn analysis(pace: f64) -> Result<Analysis, Failure> {
    let limits = |metric: &str, limit: f64| {
        let condition = Condition::success(Bound::new(Comparison::AtMost, Real::new(limit)?));
        let errors = ErrorPolicy::consecutive(Limit::at_least(5), OnError::RollBack);
        // A revision that has just begun to serve has no two scrapes yet.
        let no_data = NoData::Hold { at_most: Duration::from_secs(30) };
        let limits = MetricLimits::new(MetricName::new(metric)?, condition, Limit::at_least(2), errors, no_data);
        Ok::<_, Failure>(MetricLimits { consecutive_success_limit: Some(Limit::at_least(2)), ..limits })
    };
    let judge =
        Threshold::new(vec![limits("http.error_ratio", ERROR_RATIO)?, limits("http.latency_p50_s", LATENCY_P50)?])?;
    let every = Duration::from_secs_f64(2.0 * pace);
    let analysis = Analysis::new(BlockName::new("proxy")?, Judge::Threshold(judge)).every(every);
    // A little longer than the interval, so that a late look still finds the scrape before it.
    Ok(Analysis { lookback: every + every / 2, ..analysis })
}

/// Reads what the proxy counts, by revision.
pub(crate) fn monitor(admin: SocketAddr, token: &str) -> Result<ScrapeMonitor, Failure> {
    let requests = Selector::new("deploy_proxy_requests_total").is("revision", "{revision}");
    let durations = Selector::new("deploy_proxy_request_duration_seconds").is("revision", "{revision}");
    // The proxy shows every class of status from the start, so that an absent series would be a mistyped label.
    let ratio = Query::Ratio { bad: requests.clone().is("code", "5xx"), all: requests, absent_is_zero: false };
    Ok(ScrapeMonitor::new(BlockName::new("proxy")?)
        .endpoint(format!("http://{}/metrics", admin))
        .token(Secret::new(token))
        .metric(MetricName::new("http.error_ratio")?, ratio)
        .metric(MetricName::new("http.latency_p50_s")?, Query::Quantile { q: 0.5, histogram: durations }))
}

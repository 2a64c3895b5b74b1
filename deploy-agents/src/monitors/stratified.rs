//! Part by part of the traffic.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use deploy_core::monitor::{MeasureContext, MeasureRequest, Measurement, Monitor, MonitorError};
use deploy_core::name::{BlockName, StratumName};
use futures::future::join_all;

/// Asks one monitor for each part of the traffic, so that the sequential judge compares each part with itself.
///
/// Compare by endpoint or by zone where the candidate may see another mix of them than the baseline: where it sees more of an endpoint that is
/// slow, or fails often, with whatever revision, it looks worse than it is, and where it sees less of it, better. The parts must not overlap,
/// and should make up all of the traffic: what no part has nobody looks at. A part without data leaves the whole unknown, so make one part of
/// those that are seldom called. Instances are no parts: each runs one revision alone.
///
/// All are asked at once with the same question, and must have the metrics that it asks for. An error of one is an error of the whole; its
/// text says of which. A judge that compares no parts takes counts and sizes of all of them together; single numbers it refuses.
///
/// An analysis compares at most 16 parts, with names of at most 32 characters: put the small ones together.
///
/// ```
/// use deploy_agents::monitors::prometheus::{PromQuery, PrometheusMonitor};
/// use deploy_agents::monitors::{Query, Selector, Stratified};
/// use deploy_core::name::{BlockName, MetricName, StratumName};
/// # use std::{num::NonZeroU32, time::Duration};
/// # use deploy_agents::monitors::prometheus::{Absent, Births, Partial, PrometheusPolicy, Resets, Server, Stale, Unfit};
/// # let policy = PrometheusPolicy {
/// #     absent: Absent::NoData,
/// #     not_a_number: Unfit::NoData,
/// #     stale: Stale { after: Duration::from_secs(45), then: Unfit::NoData },
/// #     partial: Partial::Error,
/// #     resets: Resets::FromZero,
/// #     births: Births::FromZero,
/// #     warm_up: Duration::from_secs(45),
/// #     scraped_every: Duration::from_secs(15),
/// #     settle: Duration::ZERO,
/// #     server: Server { within: Duration::from_secs(5), attempts: NonZeroU32::MIN, apart: Duration::ZERO, most: 4 << 20 },
/// # };
///
/// let of = |endpoint: &str| {
///     let requests = Selector::new("http_requests_total").is("version", "{revision}").is("endpoint", endpoint);
///     let errors = Query::Ratio { bad: requests.clone().starts_with("code", "5"), all: requests, absent_is_zero: true };
///     let name = BlockName::new("prometheus")?;
///     let monitor = PrometheusMonitor::new(name, "http://127.0.0.1:9090", policy.clone());
///     Ok::<_, deploy_core::name::NameError>(monitor.metric(MetricName::new("http.errors")?, PromQuery::Series(errors)))
/// };
/// let monitor = Stratified::new(BlockName::new("by-endpoint")?)
///     .stratum(StratumName::new("checkout")?, of("/checkout")?)
///     .stratum(StratumName::new("search")?, of("/search")?);
/// # Ok::<(), deploy_core::name::NameError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Stratified {
    name: BlockName,
    strata: BTreeMap<StratumName, Arc<dyn Monitor>>,
}

impl Stratified {
    /// A monitor of no part yet, which answers with an error.
    #[must_use]
    pub fn new(name: BlockName) -> Self {
        Self { name, strata: BTreeMap::new() }
    }

    /// The same with this part of the traffic, which this monitor measures. One of the same name takes its place.
    #[must_use]
    pub fn stratum(mut self, stratum: StratumName, monitor: impl Monitor) -> Self {
        self.strata.insert(stratum, Arc::new(monitor));
        self
    }
}

#[async_trait]
impl Monitor for Stratified {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    async fn measure(&self, request: &MeasureRequest, cx: &MeasureContext) -> Result<Vec<Measurement>, MonitorError> {
        if self.strata.is_empty() {
            return Err(MonitorError::new(format!("{} measures no part of the traffic: name one", self.name)));
        }
        let each = self.strata.iter().map(|(stratum, monitor)| async move {
            let failed = |what: &str| MonitorError::new(format!("{what} {stratum} of {}", self.name));
            let measured = monitor.measure(request, cx).await;
            let measured = measured.map_err(|error| failed("there is no answer about").because(error))?;
            if measured.iter().any(|measurement| measurement.stratum.is_some()) {
                return Err(failed("parts are measured within"));
            }
            Ok(measured.into_iter().map(|measurement| measurement.in_stratum(stratum.clone())).collect::<Vec<_>>())
        });
        let answers: Result<Vec<_>, MonitorError> = join_all(each).await.into_iter().collect();
        Ok(answers?.into_iter().flatten().collect())
    }
}

//! Asks a Prometheus, or whatever has its HTTP interface (VictoriaMetrics, Thanos, Mimir).

mod answer;
mod ask;
mod growth;
mod policy;
mod query;
mod template;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::monitor::{Arm, MeasureContext, MeasureRequest, Measurement, Monitor, MonitorError};
use deploy_core::name::{BlockName, MetricName, RevisionName};
use deploy_core::time::{Clock, Spell, SystemClock, Timestamp};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

pub use self::policy::{Absent, Births, Partial, PrometheusPolicy, Resets, Server, Stale, Unfit};
pub use self::query::{Fold, Guard, PromQuery};
pub use self::template::{NoValue, Template, TemplateError};
pub(super) use self::template::{duration, matching_itself, quoted};
#[cfg(feature = "import")]
pub(super) use self::{answer::doubts, ask::seconds};
use crate::http::{Endpoint, HttpClient, HttpLimits};
use crate::secret::Secret;

/// Whether an answer holds a number.
pub(super) fn shows_numbers(body: &[u8]) -> Result<(), String> {
    let answer = answer::read(body).map_err(|error| deploy_core::report::chain(&error))?;
    let numbers: Vec<f64> = match answer.data {
        answer::Data::Scalar(point) => vec![point.value],
        answer::Data::Vector(all) => all.iter().map(|(_, point)| point.value).collect(),
        answer::Data::Matrix(all) => all.iter().flat_map(|(_, points)| points).map(|point| point.value).collect(),
    };
    if numbers.is_empty() {
        return Err("there is no series".to_owned());
    }
    if numbers.iter().all(|number| number.is_nan()) { Err("nothing but NaN".to_owned()) } else { Ok(()) }
}

/// How long a whole measurement may take.
const LOOK: Duration = Duration::from_secs(30);

/// Nothing is waited for longer: what is endless adds up to no instant.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How many questions are asked at a time. Prometheus itself answers twenty (`--query.max-concurrency`), and others ask too.
const AT_ONCE: usize = 8;

/// How long one answer may take with all of its attempts.
fn one_answer(server: &Server) -> Duration {
    let attempts = server.attempts.get();
    server.within.saturating_mul(attempts).saturating_add(server.apart.saturating_mul(attempts - 1))
}

/// Asks the HTTP interface of Prometheus about both arms.
///
/// Native histograms are asked for in PromQL, whose functions turn them into numbers: `histogram_quantile(0.99, …)` as a
/// [`PromQuery::Instant`], and of `h = sum(increase(seconds{…}[{window}]))` the events slower than 0.1 among all as a [`PromQuery::Ratio`] of
/// `histogram_count(h) * (1 - histogram_fraction(-Inf, 0.1, h))` and `histogram_count(h)`.
///
/// A question about `lookback` is about the window of that length that ends a settle time ago, by this machine's clock; the answer
/// names the window that its samples really cover. Every metric has a [`PrometheusPolicy`], which says what silence and
/// half answers are. A server that does not answer, refuses, or answers something else is a [`MonitorError`], never a number: so are
/// an answer whose status is not a success, whatever its body says, and a redirect, which is not followed, for the token is for one server
/// alone.
///
/// ```
/// use std::num::NonZeroU32;
/// use std::time::Duration;
/// use deploy_agents::monitors::prometheus::{
///     Absent, Births, Partial, PromQuery, PrometheusMonitor, PrometheusPolicy, Resets, Server, Stale, Unfit,
/// };
/// use deploy_agents::monitors::{Query, Selector};
/// use deploy_agents::secret::Secret;
/// use deploy_core::name::{BlockName, MetricName};
///
/// let policy = PrometheusPolicy {
///     absent: Absent::NoData,
///     not_a_number: Unfit::NoData,
///     stale: Stale { after: Duration::from_secs(45), then: Unfit::NoData },
///     partial: Partial::Error,
///     resets: Resets::FromZero,
///     births: Births::FromZero,
///     warm_up: Duration::from_secs(45),
///     scraped_every: Duration::from_secs(15),
///     settle: Duration::ZERO,
///     server: Server {
///         within: Duration::from_secs(5),
///         attempts: NonZeroU32::MIN,
///         apart: Duration::ZERO,
///         most: 4 << 20,
///     },
/// };
/// let requests = Selector::new("http_requests_total").is("version", "{revision}");
/// let errors = Query::Ratio { bad: requests.clone().starts_with("code", "5"), all: requests, absent_is_zero: true };
/// let monitor = PrometheusMonitor::new(BlockName::new("prometheus")?, "http://127.0.0.1:9090", policy)
///     .token(Secret::new("hunter2"))
///     .metric(MetricName::new("http.errors")?, PromQuery::Series(errors));
/// assert!(!format!("{monitor:?}").contains("hunter2"));
/// # Ok::<(), deploy_core::name::NameError>(())
/// ```
///
/// Rows: M68, M69, M70, M235.
pub struct PrometheusMonitor {
    name: BlockName,
    endpoint: Endpoint,
    policy: PrometheusPolicy,
    metrics: BTreeMap<MetricName, (PromQuery, Option<PrometheusPolicy>)>,
    values: Vec<(String, Box<OfArm>)>,
    within: Duration,
    clock: Arc<dyn Clock>,
}

type OfArm = dyn Fn(Arm, &RevisionName) -> String + Send + Sync;

impl PrometheusMonitor {
    /// A monitor without metrics, of the server at this base URL (what comes before `/api/v1`). The policy holds for every metric
    /// that has none of its own; how the server is waited for is always this one's.
    #[must_use]
    pub fn new(name: BlockName, base: impl Into<String>, policy: PrometheusPolicy) -> Self {
        let limits = HttpLimits { timeout: policy.server.within, max_body: policy.server.most };
        Self {
            name,
            endpoint: Endpoint::new(base, limits),
            metrics: BTreeMap::new(),
            values: Vec::new(),
            within: LOOK.max(one_answer(&policy.server)),
            policy,
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// The same with one more metric.
    #[must_use]
    pub fn metric(mut self, metric: MetricName, query: PromQuery) -> Self {
        self.metrics.insert(metric, (query, None));
        self
    }

    /// The same with one more metric, for which other things mean other things.
    #[must_use]
    pub fn metric_with(mut self, metric: MetricName, query: PromQuery, policy: PrometheusPolicy) -> Self {
        self.metrics.insert(metric, (query, Some(policy)));
        self
    }

    /// The same with a value for the placeholder of this name, by arm and revision: for series that know no revisions, but
    /// tracks or clusters.
    #[must_use]
    pub fn value(
        mut self,
        name: impl Into<String>,
        of: impl Fn(Arm, &RevisionName) -> String + Send + Sync + 'static,
    ) -> Self {
        self.values.push((name.into(), Box::new(of)));
        self
    }

    /// The same with this long, a day at most, for a whole measurement: of all metrics of both arms, however slow the server is and however often
    /// it is asked again. Past that the answer is an error that names what was still open. Up to eight questions are asked at a time.
    /// Default 30 s, half of the minute after which most analyses ask again; or, where that is longer, as long as one answer may
    /// take with all of its attempts.
    #[must_use]
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// The same, showing this bearer token.
    #[must_use]
    pub fn token(mut self, token: Secret) -> Self {
        self.endpoint.token(token);
        self
    }

    /// The same over another client, for example one that speaks TLS.
    #[must_use]
    pub fn over(mut self, http: Arc<dyn HttpClient>) -> Self {
        self.endpoint.over(http);
        self
    }

    /// The same with another clock: the windows end by it.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

impl fmt::Debug for PrometheusMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrometheusMonitor")
            .field("name", &self.name)
            .field("endpoint", &self.endpoint)
            .field("metrics", &self.metrics)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Monitor for PrometheusMonitor {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    async fn measure(&self, request: &MeasureRequest, cx: &MeasureContext) -> Result<Vec<Measurement>, MonitorError> {
        if let Some(unknown) = request.metrics.iter().find(|metric| !self.metrics.contains_key(metric)) {
            return Err(MonitorError::new(format!("{} has no metric {unknown}", self.name)));
        }
        let arms = [(Arm::Candidate, Some(&request.candidate)), (Arm::Baseline, request.baseline.as_ref())];
        let asked = |metric: &&MetricName| request.metrics.is_empty() || request.metrics.contains(metric);
        let now = self.clock.wall();
        let of_arm = |(arm, revision): (Arm, Option<&'_ RevisionName>)| {
            let revision = revision?.clone();
            let mut values: BTreeMap<String, String> =
                self.values.iter().map(|(name, of)| (name.clone(), of(arm, &revision))).collect();
            values.insert("revision".to_owned(), revision.to_string());
            values.insert("service".to_owned(), cx.release.service.to_string());
            values.insert("environment".to_owned(), cx.release.environment.to_string());
            Some((arm, revision, values))
        };
        let arms: Vec<_> = arms.into_iter().filter_map(of_arm).collect();
        let metrics: Vec<&MetricName> = self.metrics.keys().filter(asked).collect();
        let questions: Vec<_> = arms.iter().flat_map(|arm| metrics.iter().map(move |metric| (arm, *metric))).collect();
        let mut answers: Vec<Option<Measurement>> = vec![None; questions.len()];
        let mut open = FuturesUnordered::new();
        let mut waiting = questions.iter().enumerate();
        let deadline = tokio::time::Instant::now() + self.within.min(DAY);
        loop {
            while open.len() < AT_ONCE
                && let Some((at, ((arm, revision, values), metric))) = waiting.next()
            {
                let answer = self.ask_one(*arm, revision, values, metric, request.lookback, now);
                open.push(async move { (at, answer.await) });
            }
            match tokio::time::timeout_at(deadline, open.next()).await {
                Ok(None) => return Ok(answers.into_iter().flatten().collect()),
                Ok(Some((at, answer))) => answers[at] = Some(answer?),
                Err(_) => {
                    let still_open = questions.iter().zip(&answers).filter(|(_, answer)| answer.is_none());
                    let mut names = still_open.map(|(((_, revision, _), metric), _)| format!("{metric} of {revision}"));
                    let (first, more) = (names.next().unwrap_or_default(), names.count());
                    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                    let (name, within) = (&self.name, Spell(self.within));
                    return Err(MonitorError::new(format!(
                        "{name} was not through within {within}: {first}{more} had no answer"
                    )));
                }
            }
        }
    }
}

impl PrometheusMonitor {
    async fn ask_one(
        &self,
        arm: Arm,
        revision: &RevisionName,
        values: &BTreeMap<String, String>,
        metric: &MetricName,
        lookback: Duration,
        now: Timestamp,
    ) -> Result<Measurement, MonitorError> {
        let (query, own) = &self.metrics[metric];
        let policy = own.as_ref().unwrap_or(&self.policy);
        let question = ask::Question::new(self, policy, revision, values, lookback, now);
        let (window, reading) = question.answer(query).await.map_err(|error| {
            MonitorError::new(format!("{} cannot say what {metric} of {revision} is", self.name)).because(error)
        })?;
        Ok(Measurement::new(metric.clone(), arm, window, reading))
    }
}

//! Reads counters, gauges and histograms from `/metrics` pages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::monitor::{Arm, MeasureContext, MeasureRequest, Measurement, Monitor, MonitorError, Window};
use deploy_core::name::{BlockName, MetricName, RevisionName};
use deploy_core::time::{Clock, SystemClock, Timestamp};
use http::header;
use tokio::sync::Mutex;

use super::exposition::{Format, Sample, parse};
use super::query::{Query, read};
use super::series::{History, Scrape};
use super::source::{Origin, Source};
use super::{Urls, haproxy};
use crate::http::{Draft, HttpClient, HttpLimits, PlainHttp, shown};
use crate::secret::Secret;

/// A sample that says it was taken longer ago than this counts as gone, as Prometheus has it (`--query.lookback-delta`).
const STALE: Duration = Duration::from_secs(5 * 60);
/// The formats that are read, the stricter one first.
const KINDS: &str = "application/openmetrics-text;version=1.0.0;q=0.9,text/plain;version=0.0.4;q=0.8";
/// How many endpoints are remembered; those asked longest ago are forgotten first.
const MOST_ENDPOINTS: usize = 256;

/// Scrapes one or more endpoints of each revision, in the text format of Prometheus or in OpenMetrics, or a [`Source`] that counts in
/// another way.
///
/// It scrapes when it is asked, remembers what it saw (the last 360 scrapes of an endpoint, and of each only the series that
/// its queries name), and answers from the oldest scrape within the lookback to the one just made. So
///
/// - growth needs two scrapes: the first question about an endpoint, also after a restart of the engine, is answered with
///   [`Reading::NoData`](deploy_core::monitor::Reading::NoData), and so is a lookback shorter than the time between two questions;
/// - the window of an answer is what the scrapes really cover.
///
/// An endpoint that cannot be reached or read is a [`MonitorError`], never a number.
#[derive(Debug)]
pub struct ScrapeMonitor {
    name: BlockName,
    endpoints: Vec<Urls>,
    sources: Vec<Source>,
    queries: BTreeMap<MetricName, Query>,
    token: Option<Secret>,
    limits: HttpLimits,
    http: Arc<dyn HttpClient>,
    clock: Arc<dyn Clock>,
    seen: Mutex<BTreeMap<String, History>>,
}

impl ScrapeMonitor {
    /// A monitor without endpoints and queries. Defaults: 5 s for an answer, of at most 4 MiB.
    #[must_use]
    pub fn new(name: BlockName) -> Self {
        Self {
            name,
            endpoints: Vec::new(),
            sources: Vec::new(),
            queries: BTreeMap::new(),
            token: None,
            limits: HttpLimits { max_body: 4 * 1024 * 1024, ..HttpLimits::default() },
            http: Arc::new(PlainHttp::new()),
            clock: Arc::new(SystemClock::new()),
            seen: Mutex::default(),
        }
    }

    /// The same with one more endpoint; `{revision}` in it is replaced. One that serves all revisions is scraped once.
    #[must_use]
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoints.push(Urls::template(url));
        self
    }

    /// The same with the endpoints that `of` gives for a revision.
    #[must_use]
    pub fn endpoints(mut self, of: impl Fn(&RevisionName) -> Vec<String> + Send + Sync + 'static) -> Self {
        self.endpoints.push(Urls(Arc::new(of)));
        self
    }

    /// The same with one more source beside the endpoints.
    #[must_use]
    pub fn source(mut self, source: impl Into<Source>) -> Self {
        self.sources.push(source.into());
        self
    }

    /// The same with one more metric.
    #[must_use]
    pub fn metric(mut self, metric: MetricName, query: Query) -> Self {
        self.queries.insert(metric, query);
        self
    }

    /// The same, showing this bearer token.
    #[must_use]
    pub fn token(mut self, token: Secret) -> Self {
        self.token = Some(token);
        self
    }

    /// The same with other limits for one answer.
    #[must_use]
    pub fn limits(mut self, limits: HttpLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The same over another client, for example one that speaks TLS.
    #[must_use]
    pub fn over(mut self, http: Arc<dyn HttpClient>) -> Self {
        self.http = http;
        self
    }

    /// The same with another clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn origins(&self, revision: &RevisionName) -> BTreeMap<String, Origin> {
        let pages = self.endpoints.iter().flat_map(|urls| urls.of(revision)).map(Origin::Page);
        let others = self.sources.iter().map(|source| source.origin(revision));
        pages.chain(others).map(|origin| (origin.key(), origin)).collect()
    }

    async fn scrape(&self, origin: &Origin) -> Result<Scrape, MonitorError> {
        let samples = match origin {
            Origin::Page(url) => self.page(url).await?,
            Origin::Haproxy(socket) => haproxy::samples(socket).await?,
            Origin::Log(lines, path) => lines.samples(path).await?,
        };
        let (at, wall) = (self.clock.monotonic(), self.clock.wall());
        let samples = samples.into_iter().filter(|sample| self.is_wanted(sample, wall)).collect();
        Ok(Scrape { at, wall, samples })
    }

    async fn page(&self, url: &str) -> Result<Vec<Sample>, MonitorError> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
            MonitorError::new(format!("{} could not be scraped", shown(url))).because(error)
        };
        let draft = Draft::get(url).accepts(KINDS).bearer(self.token.as_ref());
        let answer = draft.send(self.http.as_ref(), self.limits).await.map_err(|e| failed(e.into()))?;
        if !answer.status().is_success() {
            return Err(MonitorError::new(format!("{} answered {}", shown(url), answer.status())));
        }
        let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
        let text = std::str::from_utf8(answer.body()).map_err(|e| failed(e.into()))?;
        parse(text, Format::of(kind)).map_err(|e| failed(e.into()))
    }

    /// Whether a query names the series, and the sample is not old news.
    fn is_wanted(&self, sample: &Sample, now: Timestamp) -> bool {
        let fresh = sample.at_ms.is_none_or(|at| now.since(Timestamp(at)) <= STALE);
        let named = self.queries.values().any(|query| query.reads(&sample.name));
        fresh && named
    }

    fn measure_arm(
        &self,
        arm: Arm,
        revision: &RevisionName,
        request: &MeasureRequest,
        seen: &BTreeMap<String, History>,
    ) -> Result<Vec<Measurement>, MonitorError> {
        let origins = self.origins(revision);
        let histories: Vec<&History> = origins.keys().filter_map(|key| seen.get(key)).collect();
        let covered = |history: &&History| {
            let (first, last) = (history.within(request.lookback).next()?, history.newest()?);
            Some(Window { from: first.wall, to: last.wall })
        };
        let windows = histories.iter().filter_map(covered);
        let window = windows.reduce(|a, b| Window { from: a.from.max(b.from), to: a.to.max(b.to) });
        let now = self.clock.wall();
        let window = window.unwrap_or(Window { from: now, to: now });
        let asked = |metric: &&MetricName| request.metrics.is_empty() || request.metrics.contains(metric);
        let queries = self.queries.iter().filter(|(metric, _)| asked(metric));
        queries
            .map(|(metric, query)| {
                let reading = read(query, &histories, revision, request.lookback)
                    .map_err(|e| MonitorError::new(format!("{metric} of {revision} makes no sense")).because(e))?;
                Ok(Measurement::new(metric.clone(), arm, window, reading))
            })
            .collect()
    }
}

#[async_trait]
impl Monitor for ScrapeMonitor {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    async fn measure(&self, request: &MeasureRequest, _cx: &MeasureContext) -> Result<Vec<Measurement>, MonitorError> {
        if let Some(unknown) = request.metrics.iter().find(|metric| !self.queries.contains_key(metric)) {
            return Err(MonitorError::new(format!("{} has no metric {unknown}", self.name)));
        }
        let arms = [(Arm::Candidate, Some(&request.candidate)), (Arm::Baseline, request.baseline.as_ref())];
        let arms: Vec<_> = arms.into_iter().filter_map(|(arm, revision)| Some((arm, revision?))).collect();
        let origins: BTreeMap<_, _> = arms.iter().flat_map(|(_, revision)| self.origins(revision)).collect();
        // Held over the scrapes, so that two questions at once do not put their scrapes out of order.
        let mut seen = self.seen.lock().await;
        for (key, origin) in &origins {
            let scrape = self.scrape(origin).await?;
            seen.entry(key.clone()).or_default().push(scrape);
        }
        while seen.len() > MOST_ENDPOINTS {
            let asked = |history: &History| history.newest().map(|scrape| scrape.at);
            let oldest = seen.iter().min_by_key(|(_, history)| asked(history)).map(|(url, _)| url.clone());
            let Some(oldest) = oldest else { break };
            seen.remove(&oldest);
        }
        let mut all = Vec::new();
        for (arm, revision) in arms {
            all.extend(self.measure_arm(arm, revision, request, &seen)?);
        }
        Ok(all)
    }
}

//! Reads counters, gauges and histograms from `/metrics` pages.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use deploy_core::monitor::{
    Arm, Counts, MeasureContext, MeasureRequest, Measurement, Monitor, MonitorError, Reading, Window,
};
use deploy_core::name::{BlockName, MetricName, RevisionName};
use deploy_core::real::Real;
use deploy_core::time::{Clock, SystemClock, Timestamp};
use http::header;
use tokio::sync::Mutex;

use super::exposition::{Format, Sample, parse};
use super::quantile::bucket_quantile;
use super::series::{History, Scrape, Selector, increases};
use super::{Urls, whole};
use crate::http::{HttpClient, HttpLimits, PlainHttp};
use crate::secret::Secret;

/// A sample that says it was taken longer ago than this counts as gone, as Prometheus has it (`--query.lookback-delta`).
const STALE: Duration = Duration::from_secs(5 * 60);
/// How many endpoints are remembered; those asked longest ago are forgotten first.
const MOST_ENDPOINTS: usize = 256;

/// What is read from the series.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Query {
    /// How fast counters grow, per second, added up. A [`Reading::Value`].
    Rate(Selector),
    /// How many of the events were bad: the growth of both. A [`Reading::Counts`]. The bad ones must be among all.
    Ratio {
        /// The counters of the bad events.
        bad: Selector,
        /// The counters of all events, the bad ones among them.
        all: Selector,
        /// Whether bad events without any series are zero bad events. Say yes for services that only begin to expose a series
        /// with its first event; say no where every series is there from the start, because then a label that was mistyped is
        /// no data, and does not look like a service without errors.
        absent_is_zero: bool,
    },
    /// A quantile of what a histogram observed in the window, by Prometheus' `histogram_quantile`. A [`Reading::Value`], in the
    /// histogram's unit.
    Quantile {
        /// Which quantile, 0 to 1.
        q: f64,
        /// The histogram, by its name without `_bucket`.
        histogram: Selector,
    },
    /// Gauges as they are now, added up. A [`Reading::Value`].
    Sum(Selector),
    /// The largest gauge. A [`Reading::Value`].
    Max(Selector),
}

/// Scrapes one or more endpoints of each revision, in the text format of Prometheus or in OpenMetrics.
///
/// It scrapes when it is asked, remembers what it saw (the last 360 scrapes of an endpoint, and of each only the series that
/// its queries name), and answers from the oldest scrape within the lookback to the one just made. So
///
/// - growth needs two scrapes: the first question about an endpoint, also after a restart of the engine, is answered with
///   [`Reading::NoData`], and so is a lookback shorter than the time between two questions;
/// - the window of an answer is what the scrapes really cover.
///
/// An endpoint that cannot be reached or read is a [`MonitorError`], never a number.
#[derive(Debug)]
pub struct ScrapeMonitor {
    name: BlockName,
    endpoints: Vec<Urls>,
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

    fn urls(&self, revision: &RevisionName) -> BTreeSet<String> {
        self.endpoints.iter().flat_map(|urls| urls.of(revision)).collect()
    }

    async fn scrape(&self, url: &str) -> Result<Scrape, MonitorError> {
        let failed = |error| MonitorError::new(format!("{url} could not be scraped")).because(error);
        let mut request = http::Request::get(url)
            .header(header::ACCEPT, "application/openmetrics-text;version=1.0.0;q=0.9,text/plain;version=0.0.4;q=0.8");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
        }
        let request = request.body(Bytes::new()).map_err(|_| MonitorError::new(format!("{url:?} is not a URL")))?;
        let answer = self
            .http
            .send(request, self.limits)
            .await
            .map_err(|e| failed(Box::new(e) as Box<dyn std::error::Error + Send + Sync>))?;
        if !answer.status().is_success() {
            return Err(MonitorError::new(format!("{url} answered {}", answer.status())));
        }
        let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
        let text = std::str::from_utf8(answer.body()).map_err(|e| failed(e.into()))?;
        let samples = parse(text, Format::of(kind)).map_err(|e| failed(e.into()))?;
        let (at, wall) = (self.clock.monotonic(), self.clock.wall());
        let samples = samples.into_iter().filter(|sample| self.is_wanted(sample, wall)).collect();
        Ok(Scrape { at, wall, samples })
    }

    /// Whether a query names the series, and the sample is not old news.
    fn is_wanted(&self, sample: &Sample, now: Timestamp) -> bool {
        let fresh = sample.at_ms.is_none_or(|at| now.since(Timestamp(at)) <= STALE);
        let named = self.queries.values().any(|query| match query {
            Query::Rate(selector) | Query::Sum(selector) | Query::Max(selector) => selector.name() == sample.name,
            Query::Ratio { bad, all, .. } => bad.name() == sample.name || all.name() == sample.name,
            Query::Quantile { histogram, .. } => sample.name.strip_suffix("_bucket") == Some(histogram.name()),
        });
        fresh && named
    }

    fn measure_arm(
        &self,
        arm: Arm,
        revision: &RevisionName,
        request: &MeasureRequest,
        seen: &BTreeMap<String, History>,
    ) -> Result<Vec<Measurement>, MonitorError> {
        let urls = self.urls(revision);
        let histories: Vec<&History> = urls.iter().filter_map(|url| seen.get(url)).collect();
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

/// One number out of the histories of all endpoints of a revision.
fn read(
    query: &Query,
    histories: &[&History],
    revision: &RevisionName,
    lookback: Duration,
) -> Result<Reading, Box<dyn std::error::Error + Send + Sync>> {
    let value = |number: Option<f64>| number.and_then(|n| Real::new(n).ok()).map_or(Reading::NoData, Reading::Value);
    // What each endpoint says about growth, with the seconds that it covers; endpoints scraped once are not counted yet.
    let grown = |selector: &Selector| {
        let each = histories.iter().filter_map(|history| {
            let scrapes = history.within(lookback);
            let (first, last) = (scrapes.clone().next()?.at, history.newest()?.at);
            Some((increases(scrapes, selector, revision)?, last.saturating_sub(first).as_secs_f64()))
        });
        each.filter(|(series, seconds)| !series.is_empty() && *seconds > 0.0).collect::<Vec<_>>()
    };
    let total = |selector: &Selector| {
        let grown = grown(selector);
        (!grown.is_empty()).then(|| grown.iter().flat_map(|(series, _)| series.values()).sum::<f64>())
    };
    let gauges = |selector: &Selector| {
        let newest = histories.iter().filter_map(|history| history.newest());
        let samples = newest.flat_map(|scrape| scrape.samples.iter());
        samples.filter(|s| selector.selects(s, revision) && s.value.is_finite()).map(|s| s.value).collect::<Vec<_>>()
    };
    Ok(match query {
        Query::Rate(selector) => {
            let rates = grown(selector).into_iter().map(|(series, seconds)| series.values().sum::<f64>() / seconds);
            value(rates.reduce(|a, b| a + b))
        }
        Query::Ratio { bad, all, absent_is_zero } => {
            match (total(bad).or_else(|| absent_is_zero.then_some(0.0)), total(all)) {
                (Some(bad), Some(all)) => Reading::Counts(Counts::new(whole(all), whole(bad))?),
                _ => Reading::NoData,
            }
        }
        Query::Quantile { q, histogram } => {
            let series = grown(&histogram.buckets()).into_iter().flat_map(|(series, _)| series);
            let buckets = series.filter_map(|(labels, count)| Some((labels.get("le")?.parse().ok()?, count)));
            value(bucket_quantile(*q, buckets.collect::<Vec<_>>()))
        }
        Query::Sum(selector) => value(gauges(selector).into_iter().reduce(|a, b| a + b)),
        Query::Max(selector) => value(gauges(selector).into_iter().reduce(f64::max)),
    })
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
        let urls: BTreeSet<String> = arms.iter().flat_map(|(_, revision)| self.urls(revision)).collect();
        // Held over the scrapes, so that two questions at once do not put their scrapes out of order.
        let mut seen = self.seen.lock().await;
        for url in &urls {
            let scrape = self.scrape(url).await?;
            seen.entry(url.clone()).or_default().push(scrape);
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

//! Reads counters, gauges and histograms from `/metrics` pages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::monitor::{Arm, MeasureContext, MeasureRequest, Measurement, Monitor, MonitorError, Window};
use deploy_core::name::{BlockName, MetricName, RevisionName};
use deploy_core::time::{Clock, SystemClock, Timestamp};
use futures::StreamExt as _;
use http::header;
use tokio::sync::Mutex;

use super::askings::Askings;
use super::exposition::{Format, Sample, parse};
use super::query::{Query, read};
use super::series::{History, Reach, Scrape, bytes};
use super::source::{Origin, Source};
use super::{Urls, haproxy};
use crate::http::{Draft, HttpClient, HttpLimits, PlainHttp, shown};
use crate::secret::Secret;

/// A sample that says it was taken longer ago than this counts as gone, as Prometheus has it (`--query.lookback-delta`).
const STALE: Duration = Duration::from_secs(5 * 60);
/// The formats that are read, the stricter one first.
const KINDS: &str = "application/openmetrics-text;version=1.0.0;q=0.9,text/plain;version=0.0.4;q=0.8";
/// How many endpoints are asked at a time.
const AT_ONCE: usize = 8;
/// How many endpoints are remembered; those asked longest ago are forgotten first.
const MOST_ENDPOINTS: usize = 256;
/// What the series of one scrape may take in memory that some query names: about 3,000 of them.
const MOST_OF_A_SCRAPE: usize = 1024 * 1024;
/// What all scrapes together may take, beyond the newest two of each endpoint: an hour of 40 endpoints with 15 series each.
const MOST_OF_ALL: usize = 64 * 1024 * 1024;

/// Scrapes one or more endpoints of each revision, in the text format of Prometheus or in OpenMetrics, or a [`Source`] that counts in
/// another way.
///
/// It scrapes when it is asked, remembers what it saw, and answers from an earlier scrape to the one just made. So
///
/// - growth needs two scrapes: the first question about an endpoint, also after a restart of the engine, is answered with
///   [`Reading::NoData`](deploy_core::monitor::Reading::NoData), and so is a lookback shorter than the time between two questions;
/// - the window of an answer is what the scrapes really cover.
///
/// The earlier scrape is the one that answered the same question one lookback ago, so that whoever asks each minute about the last
/// minute has windows that follow each other, with each event in one of them, also when it is asked some seconds early or late (a tenth
/// of the lookback), and whoever else asks in between. Any other question is answered from the oldest scrape within the lookback.
///
/// What it holds is bounded: the last 360 scrapes of each of 256 endpoints, and of each scrape only the series that its queries
/// select, 1 MiB of them (about 3,000); more is an error. All scrapes together take 64 MiB, and the newest two of each endpoint in any
/// case: the oldest are forgotten first, and the windows say so. The worst is so 576 MiB, with 256 endpoints of 1 MiB. While a page is
/// read, it is there whole (4 MiB, see [`limits`](Self::limits)), with all of its series; up to eight are read at a time, so that a slow
/// endpoint does not hold up the others.
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
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    histories: BTreeMap<String, History>,
    /// By which moment each asking was through.
    asked: Askings<Duration>,
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
        let samples: Vec<_> = samples.into_iter().filter(|sample| self.is_wanted(sample, wall)).collect();
        let bytes = bytes(&samples);
        if bytes > MOST_OF_A_SCRAPE {
            let (count, origin, most) = (samples.len(), shown(&origin.key()), MOST_OF_A_SCRAPE / 1024);
            return Err(MonitorError::new(format!(
                "{origin} shows {count} series that the queries select, {} KiB of them, and {most} KiB are remembered of a scrape: \
                 select fewer by their labels, or aggregate them",
                bytes / 1024
            )));
        }
        Ok(Scrape { at, wall, samples, bytes })
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

    /// Whether a query may select the series, and the sample is not old news.
    fn is_wanted(&self, sample: &Sample, now: Timestamp) -> bool {
        let fresh = sample.at_ms.is_none_or(|at| now.since(Timestamp(at)) <= STALE);
        let named = self.queries.values().any(|query| query.reads(sample));
        fresh && named
    }

    fn measure_arm(
        &self,
        arm: Arm,
        revision: &RevisionName,
        request: &MeasureRequest,
        reach: Reach,
        seen: &BTreeMap<String, History>,
    ) -> Result<Vec<Measurement>, MonitorError> {
        let origins = self.origins(revision);
        let histories: Vec<&History> = origins.keys().filter_map(|key| seen.get(key)).collect();
        // An endpoint that was scraped once says nothing about growth yet, and so does not shorten what the others cover.
        let covered = |history: &&History| {
            let (mut scrapes, last) = (history.within(reach), history.newest()?);
            let first = scrapes.next()?;
            scrapes.next().map(|_| Window { from: first.wall, to: last.wall })
        };
        let windows = histories.iter().filter_map(covered);
        let window = windows.reduce(|a, b| Window { from: a.from.max(b.from), to: a.to.max(b.to) });
        let now = self.clock.wall();
        let window = window.unwrap_or(Window { from: now, to: now });
        let asked = |metric: &&MetricName| request.metrics.is_empty() || request.metrics.contains(metric);
        let queries = self.queries.iter().filter(|(metric, _)| asked(metric));
        queries
            .map(|(metric, query)| {
                let reading = read(query, &histories, revision, reach)
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
        let began = self.clock.monotonic();
        let scrapes = origins.iter().map(|(key, origin)| async move { (key, self.scrape(origin).await) });
        let mut scrapes = futures::stream::iter(scrapes.collect::<Vec<_>>()).buffered(AT_ONCE);
        while let Some((key, scrape)) = scrapes.next().await {
            seen.histories.entry(key.clone()).or_default().push(scrape?);
        }
        drop(scrapes);
        seen.bound(MOST_OF_ALL);
        let reach = Reach { lookback: request.lookback, before: seen.asked.before(request, began) };
        let mut all = Vec::new();
        for (arm, revision) in arms {
            all.extend(self.measure_arm(arm, revision, request, reach, &seen.histories)?);
        }
        seen.asked.answered(request, began, self.clock.monotonic());
        Ok(all)
    }
}

impl Seen {
    /// Forgets endpoints that are too many, and the oldest scrapes while all together take more bytes than this.
    fn bound(&mut self, most: usize) {
        while self.histories.len() > MOST_ENDPOINTS {
            let asked = |history: &History| history.newest().map(|scrape| scrape.at);
            let oldest = self.histories.iter().min_by_key(|(_, history)| asked(history)).map(|(url, _)| url.clone());
            let Some(oldest) = oldest else { break };
            self.histories.remove(&oldest);
        }
        let mut bytes: usize = self.histories.values().map(History::bytes).sum();
        while bytes > most {
            let spare = self.histories.values_mut().filter_map(|history| Some((history.spare()?, history)));
            let Some((_, oldest)) = spare.min_by_key(|(at, _)| *at) else { break };
            bytes -= oldest.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use async_trait::async_trait;
    use bytes::Bytes;
    use deploy_core::monitor::{MeasureContext, MeasureRequest, Monitor as _, MonitorError, Reading, Window};
    use deploy_core::name::{BlockName, MetricName, RevisionName};
    use deploy_core::release::Release;
    use deploy_core::time::{Clock, Now, Timestamp};
    use http::{Request, Response};

    use super::super::series::{History, Scrape};
    use super::{Query, ScrapeMonitor, Seen};
    use crate::http::{HttpClient, HttpError, HttpLimits};
    use crate::monitors::Selector;

    /// A clock that is set by hand, and a page whose counter is what the clock shows, in milliseconds.
    #[derive(Debug, Default)]
    struct Hand(Mutex<Duration>, Mutex<String>);

    impl Clock for Hand {
        fn wall(&self) -> Timestamp {
            Timestamp(1_000_000).after(self.monotonic())
        }
        fn monotonic(&self) -> Duration {
            *self.0.lock().expect("not poisoned")
        }
    }

    #[async_trait]
    impl HttpClient for Hand {
        async fn send(&self, request: Request<Bytes>, _: HttpLimits) -> Result<Response<Bytes>, HttpError> {
            // The second endpoint answers a little later, as endpoints do.
            *self.0.lock().expect("not poisoned") += Duration::from_millis(3);
            let more = self.1.lock().expect("not poisoned").clone();
            let (counted, host) = (self.monotonic().as_millis(), request.uri().host().unwrap_or_default().to_owned());
            Ok(Response::new(format!("c{{host=\"{host}\"}} {counted}\n{more}").into()))
        }
    }

    fn monitor(hand: &Arc<Hand>) -> ScrapeMonitor {
        let c = || Selector::new("c");
        let metric = |text: &str| MetricName::new(text).expect("a name");
        let all = || Query::Ratio { bad: c().is("host", "none"), all: c(), absent_is_zero: true };
        let events = |absent_is_zero| Query::Events {
            bad: Vec::new(),
            good: vec![c().is("host", "a"), c().is("host", "none")],
            absent_is_zero,
        };
        ScrapeMonitor::new(BlockName::new("scrape").expect("a name"))
            .endpoint("http://a/metrics")
            .endpoint("http://b/metrics")
            .metric(metric("mine"), all())
            .metric(metric("theirs"), all())
            .metric(metric("strict"), events(false))
            .metric(metric("lenient"), events(true))
            .over(Arc::clone(hand) as Arc<dyn HttpClient>)
            .clock(Arc::clone(hand) as Arc<dyn Clock>)
    }

    async fn ask(monitor: &ScrapeMonitor, wanted: &str) -> Result<(Window, u64), MonitorError> {
        let revision = RevisionName::new("v2").expect("a name");
        let request = MeasureRequest {
            monitor: monitor.name.clone(),
            metrics: vec![MetricName::new(wanted).expect("a name")],
            candidate: revision.clone(),
            baseline: None,
            lookback: Duration::from_secs(60),
        };
        let release = Release::new("shop".try_into().expect("a name"), "test".try_into().expect("a name"), revision);
        let all = monitor.measure(&request, &MeasureContext::new(Arc::new(release), Now::default())).await?;
        let events = if let Reading::Counts(counts) = &all[0].reading { counts.events() } else { 0 };
        Ok((all[0].window, events))
    }

    #[tokio::test]
    async fn windows_follow_each_other_whoever_else_asks() {
        let hand = Arc::new(Hand::default());
        let monitor = monitor(&hand);
        // They ask five seconds before we do, and we ask some seconds early and late.
        let (mut mine, mut theirs) = (Vec::new(), Vec::new());
        for (at, who) in
            [(0, 0), (55, 1), (60, 0), (115, 1), (116, 0), (175, 1), (180, 0), (180, 1), (235, 1), (239, 0)]
        {
            *hand.0.lock().expect("not poisoned") = Duration::from_secs(at);
            let (asker, answers) = if who == 0 { ("mine", &mut mine) } else { ("theirs", &mut theirs) };
            answers.push(ask(&monitor, asker).await.expect("an answer"));
        }
        for pair in mine[1..].windows(2) {
            assert_eq!(pair[0].0.to, pair[1].0.from, "{mine:?}");
        }
        let (first, last) = (mine[1].0, mine[mine.len() - 1].0);
        let counted: u64 = mine.iter().map(|(_, events)| events).sum();
        assert_eq!(counted, 2 * u64::try_from(last.to.0 - first.from.0).expect("small"), "each event once: {mine:?}");
        assert_eq!((theirs[1].0.to, theirs[2].0.to), (theirs[2].0.from, theirs[4].0.from), "{theirs:?}");
    }

    #[tokio::test]
    async fn a_page_of_too_many_series_is_refused_and_what_no_query_selects_is_not_kept() {
        let hand = Arc::new(Hand::default());
        let monitor = monitor(&hand);
        let series = |name: &str| (0..20_000).map(|n| format!("{name}{{n=\"{n}\"}} 1\n")).collect::<String>();
        *hand.1.lock().expect("not poisoned") = series("d");
        ask(&monitor, "mine").await.expect("an answer");
        assert!(monitor.seen.lock().await.histories.values().all(|history| history.bytes() < 1_000));
        *hand.1.lock().expect("not poisoned") = series("c");
        let error = ask(&monitor, "mine").await.expect_err("too many").to_string();
        assert!(error.contains("http://a/metrics shows 20001 series") && error.contains("select fewer"), "{error}");
    }

    #[tokio::test]
    async fn a_selector_of_good_events_without_series_is_what_was_declared() {
        let hand = Arc::new(Hand::default());
        let monitor = monitor(&hand);
        let both =
            async || [ask(&monitor, "strict").await.expect("any").1, ask(&monitor, "lenient").await.expect("any").1];
        both().await;
        *hand.0.lock().expect("not poisoned") = Duration::from_secs(60);
        let [strict, lenient] = both().await;
        assert!(strict == 0 && lenient > 0, "no data without a declaration, and the other class with one");
    }

    /// Answers nobody until two have asked.
    #[derive(Debug)]
    struct Together(tokio::sync::Barrier);

    #[async_trait]
    impl HttpClient for Together {
        async fn send(&self, _: Request<Bytes>, _: HttpLimits) -> Result<Response<Bytes>, HttpError> {
            self.0.wait().await;
            Ok(Response::new("c 1\n".into()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn endpoints_do_not_wait_for_each_other() {
        let hand = Arc::<Hand>::default();
        let monitor = monitor(&hand).over(Arc::new(Together(tokio::sync::Barrier::new(2))));
        let asked = tokio::time::timeout(Duration::from_secs(60), ask(&monitor, "mine")).await;
        asked.expect("both are asked at a time").expect("an answer");
    }

    #[test]
    fn the_oldest_scrapes_are_forgotten_first_and_growth_is_left() {
        let mut seen = Seen::default();
        for n in 0..10 {
            for (key, bytes) in [("large", 100), ("small", 1)] {
                let at = Duration::from_secs(n);
                let scrape = Scrape { at, wall: Timestamp(0).after(at), samples: Vec::new(), bytes };
                seen.histories.entry(key.to_owned()).or_insert_with(History::default).push(scrape);
            }
        }
        seen.bound(500);
        assert_eq!([seen.histories["large"].bytes(), seen.histories["small"].bytes()], [400, 5]);
        seen.bound(0);
        assert_eq!([seen.histories["large"].bytes(), seen.histories["small"].bytes()], [200, 2]);
    }
}

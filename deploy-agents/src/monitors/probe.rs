//! Sends requests itself and measures the answers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::monitor::{
    Arm, Counts, MeasureContext, MeasureRequest, Measurement, Monitor, MonitorError, Reading, Window,
};
use deploy_core::name::{BlockName, MetricName, RevisionName};
use deploy_core::real::Real;
use deploy_core::time::{Clock, SystemClock};

use super::Urls;
use crate::http::{Draft, HttpClient, HttpError, HttpLimits, PlainHttp};

/// The most requests for one question: a probe must not become the load.
const MOST: u32 = 1_000;

/// Sends requests to each revision and measures what comes back.
///
/// | metric | reading |
/// |---|---|
/// | `http.probe.errors` | [`Reading::Counts`]: requests, and those without an answer or with a status of 500 or more |
/// | `http.probe.latency_ms` | [`Reading::Samples`]: milliseconds of each answer, good and bad |
/// | `http.probe.latency_p50_ms`, `http.probe.latency_p99_ms` | [`Reading::Value`]: nearest-rank quantiles of the same |
///
/// A service that cannot be reached is a bad event: its users cannot reach it either. A URL that cannot be asked at all is a
/// [`MonitorError`]. Latencies are of requests that were answered; without any there is [`Reading::NoData`].
#[derive(Debug, Clone)]
pub struct ProbeMonitor {
    name: BlockName,
    urls: Urls,
    headers: Vec<(String, String)>,
    requests: u32,
    each_within: Duration,
    all_within: Duration,
    http: Arc<dyn HttpClient>,
    clock: Arc<dyn Clock>,
}

impl ProbeMonitor {
    /// A monitor that sends 20 requests to the URL for each question; `{revision}` in it is replaced.
    #[must_use]
    pub fn new(name: BlockName, url: impl Into<String>) -> Self {
        Self {
            name,
            urls: Urls::template(url),
            headers: Vec::new(),
            requests: 20,
            each_within: Duration::from_secs(2),
            all_within: Duration::from_secs(10),
            http: Arc::new(PlainHttp::new()),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// The same, asking the URLs that `of` gives for a revision in turn.
    #[must_use]
    pub fn urls(mut self, of: impl Fn(&RevisionName) -> Vec<String> + Send + Sync + 'static) -> Self {
        self.urls = Urls(Arc::new(of));
        self
    }

    /// The same with one more header; `{revision}` in the value is replaced. For places that route by header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same with so many requests for each question: at least 1, at most 1000.
    #[must_use]
    pub fn requests(mut self, requests: u32) -> Self {
        self.requests = requests.clamp(1, MOST);
        self
    }

    /// The same with other limits: for one answer, and for all of one question. When the latter has passed, what was measured
    /// until then is the answer.
    #[must_use]
    pub fn within(mut self, each: Duration, all: Duration) -> Self {
        (self.each_within, self.all_within) = (each, all);
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

    async fn probe(&self, arm: Arm, revision: &RevisionName) -> Result<Vec<Measurement>, MonitorError> {
        let urls = self.urls.of(revision);
        let from = self.clock.wall();
        let began = self.clock.monotonic();
        let (mut asked, mut bad, mut latencies) = (0_u64, 0_u64, Vec::new());
        for url in urls.iter().cycle().take(if urls.is_empty() { 0 } else { self.requests as usize }) {
            if self.clock.monotonic().saturating_sub(began) > self.all_within {
                break;
            }
            let sent = self.clock.monotonic();
            asked += 1;
            match self.draft(url, revision).send(self.http.as_ref(), self.limits()).await {
                Ok(answer) => {
                    bad += u64::from(answer.status().as_u16() >= 500);
                    latencies.push(self.clock.monotonic().saturating_sub(sent).as_secs_f64() * 1000.0);
                }
                Err(error @ HttpError::Unsupported { .. }) => {
                    return Err(MonitorError::new(format!("{} cannot ask {revision}", self.name)).because(error));
                }
                Err(_) => bad += 1,
            }
        }
        let counts =
            Counts::new(asked, bad).map_err(|e| MonitorError::new("the requests were miscounted").because(e))?;
        latencies.sort_by(f64::total_cmp);
        let samples: Vec<Real> = latencies.iter().filter_map(|ms| Real::new(*ms).ok()).collect();
        let window = Window { from, to: self.clock.wall().max(deploy_core::time::Timestamp(from.0 + 1)) };
        let quantile = |percent| nearest_rank(&samples, percent).map_or(Reading::NoData, Reading::Value);
        let readings = [
            ("http.probe.errors", if asked == 0 { Reading::NoData } else { Reading::Counts(counts) }),
            ("http.probe.latency_p50_ms", quantile(50)),
            ("http.probe.latency_p99_ms", quantile(99)),
            (
                "http.probe.latency_ms",
                if samples.is_empty() { Reading::NoData } else { Reading::Samples(samples.clone()) },
            ),
        ];
        readings
            .into_iter()
            .map(|(metric, reading)| Ok(Measurement::new(named(metric)?, arm, window, reading)))
            .collect()
    }

    fn draft(&self, url: &str, revision: &RevisionName) -> Draft {
        let header = |draft: Draft, (name, value): &(String, String)| {
            draft.header(name, value.replace("{revision}", revision.as_str()))
        };
        self.headers.iter().fold(Draft::get(url), header)
    }

    fn limits(&self) -> HttpLimits {
        HttpLimits { timeout: self.each_within, ..HttpLimits::default() }
    }
}

fn named(metric: &str) -> Result<MetricName, MonitorError> {
    MetricName::new(metric).map_err(|e| MonitorError::new(format!("{metric:?} is not a metric name")).because(e))
}

/// The smallest sample that at least `percent` of all do not exceed; the samples are in order.
fn nearest_rank(sorted: &[Real], percent: usize) -> Option<Real> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

#[async_trait]
impl Monitor for ProbeMonitor {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    async fn measure(&self, request: &MeasureRequest, _cx: &MeasureContext) -> Result<Vec<Measurement>, MonitorError> {
        let mut all = self.probe(Arm::Candidate, &request.candidate).await?;
        if let Some(baseline) = &request.baseline {
            all.extend(self.probe(Arm::Baseline, baseline).await?);
        }
        let known = |metric: &MetricName| all.iter().any(|m| m.metric == *metric);
        if let Some(unknown) = request.metrics.iter().find(|metric| !known(metric)) {
            return Err(MonitorError::new(format!("{} has no metric {unknown}", self.name)));
        }
        all.retain(|m| request.metrics.is_empty() || request.metrics.contains(&m.metric));
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use deploy_core::real::Real;

    use super::nearest_rank;

    #[test]
    fn quantiles_are_samples() {
        let samples: Vec<Real> = (1_u32..=100).map(Real::from).collect();
        assert_eq!(nearest_rank(&samples, 50), Some(Real::from(50)));
        assert_eq!(nearest_rank(&samples, 99), Some(Real::from(99)));
        assert_eq!(nearest_rank(&samples[..1], 99), Some(Real::from(1)));
        assert_eq!(nearest_rank(&[], 50), None);
    }
}

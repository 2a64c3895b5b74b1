//! Walks through a service as a user would.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::monitor::{
    Arm, Counts, MeasureContext, MeasureRequest, Measurement, Monitor, MonitorError, Reading, Window,
};
use deploy_core::name::{BlockName, MetricName, RevisionName};
use deploy_core::real::Real;
use deploy_core::time::{Clock, SystemClock};

use crate::http::{Draft, HttpClient, HttpLimits, PlainHttp};

/// The most walks for one question: a monitor must not become the load.
const MOST: u32 = 100;

/// One request of a journey, and what its answer must be like.
#[derive(Debug, Clone)]
pub struct JourneyStep {
    name: String,
    url: String,
    holds: Option<String>,
}

impl JourneyStep {
    /// GET of this URL, in which `{revision}` is replaced; a status from 200 to 299 is wanted.
    #[must_use]
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self { name: name.into(), url: url.into(), holds: None }
    }

    /// The same; the body must hold this text: a page that says that something went wrong is answered with 200 too.
    #[must_use]
    pub fn holds(mut self, text: impl Into<String>) -> Self {
        self.holds = Some(text.into());
        self
    }
}

/// Walks a journey of several requests in order, as a user would, and counts how often it comes to its end.
///
/// | metric | reading |
/// |---|---|
/// | `journey.failures` | [`Reading::Counts`]: walks, and those that did not come to their end |
/// | `journey.ms` | [`Reading::Samples`]: milliseconds of each walk that did |
/// | `journey.failed_at` | [`Reading::Value`]: the step, from 1, at which most walks ended early; 0 if none did |
///
/// A service that does not answer fails the walk. Requests are without effect on the service only as far as its own GETs are.
///
/// ```
/// use deploy_agents::monitors::{JourneyMonitor, JourneyStep};
/// use deploy_core::name::BlockName;
///
/// let checkout = JourneyMonitor::new(BlockName::new("checkout")?)
///     .step(JourneyStep::new("home", "http://{revision}.shop.internal/").holds("Welcome"))
///     .step(JourneyStep::new("cart", "http://{revision}.shop.internal/cart").holds("Your cart"))
///     .walks(5);
/// # Ok::<(), deploy_core::name::NameError>(())
/// ```
///
/// Rows: M38, M46.
#[derive(Debug, Clone)]
pub struct JourneyMonitor {
    name: BlockName,
    steps: Vec<JourneyStep>,
    walks: u32,
    limits: HttpLimits,
    http: Arc<dyn HttpClient>,
    clock: Arc<dyn Clock>,
}

impl JourneyMonitor {
    /// A journey without a step, walked five times for each question.
    #[must_use]
    pub fn new(name: BlockName) -> Self {
        let (http, clock) = (Arc::new(PlainHttp::new()), Arc::new(SystemClock::new()));
        Self { name, steps: Vec::new(), walks: 5, limits: HttpLimits::default(), http, clock }
    }

    /// The same with one more step.
    #[must_use]
    pub fn step(mut self, step: JourneyStep) -> Self {
        self.steps.push(step);
        self
    }

    /// The same, walked so often for each question: at least once, at most 100 times.
    #[must_use]
    pub fn walks(mut self, walks: u32) -> Self {
        self.walks = walks.clamp(1, MOST);
        self
    }

    /// The same with another limit for one answer. Default 5 s.
    #[must_use]
    pub fn each_within(mut self, bound: Duration) -> Self {
        self.limits.timeout = bound;
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

    /// Walks once: how long it took, or the step, from 0, at which it ended.
    async fn walk(&self, revision: &RevisionName) -> Result<Result<Duration, usize>, MonitorError> {
        let began = self.clock.monotonic();
        for (index, step) in self.steps.iter().enumerate() {
            let url = step.url.replace("{revision}", revision.as_str());
            let good = match Draft::get(&url).send(self.http.as_ref(), self.limits).await {
                Err(error @ crate::http::HttpError::Unsupported { .. }) => {
                    return Err(MonitorError::new(format!("the step {} cannot be asked", step.name)).because(error));
                }
                Err(_) => false,
                Ok(answer) => {
                    let body = String::from_utf8_lossy(answer.body());
                    answer.status().is_success() && step.holds.as_ref().is_none_or(|text| body.contains(text.as_str()))
                }
            };
            if !good {
                return Ok(Err(index));
            }
        }
        Ok(Ok(self.clock.monotonic().saturating_sub(began)))
    }

    async fn journeys(&self, arm: Arm, revision: &RevisionName) -> Result<Vec<Measurement>, MonitorError> {
        let from = self.clock.wall();
        let (mut took, mut ended_at) = (Vec::new(), vec![0_u32; self.steps.len()]);
        for _ in 0..self.walks {
            match self.walk(revision).await? {
                Ok(span) => took.extend(Real::new(span.as_secs_f64() * 1_000.0)),
                Err(step) => ended_at[step] += 1,
            }
        }
        let failed: u32 = ended_at.iter().sum();
        let worst = ended_at.iter().enumerate().max_by_key(|(at, count)| (**count, std::cmp::Reverse(*at)));
        let worst = worst.filter(|(_, count)| **count > 0).map_or(0, |(at, _)| at + 1);
        let window = Window { from, to: self.clock.wall().max(from.after(Duration::from_millis(1))) };
        let counts = Counts::new(u64::from(self.walks), u64::from(failed));
        let counts = counts.map_err(|error| MonitorError::new("miscounted").because(error))?;
        let samples = if took.is_empty() { Reading::NoData } else { Reading::Samples(took) };
        let worst = Real::new(f64::from(u32::try_from(worst).unwrap_or(u32::MAX)));
        let worst = worst.map_or(Reading::NoData, Reading::Value);
        let readings =
            [("journey.failures", Reading::Counts(counts)), ("journey.ms", samples), ("journey.failed_at", worst)];
        let one = |(name, reading): (&str, Reading)| {
            let metric = MetricName::new(name).map_err(|error| MonitorError::new("no metric name").because(error))?;
            Ok(Measurement::new(metric, arm, window, reading))
        };
        readings.into_iter().map(one).collect()
    }
}

#[async_trait]
impl Monitor for JourneyMonitor {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    async fn measure(&self, request: &MeasureRequest, _cx: &MeasureContext) -> Result<Vec<Measurement>, MonitorError> {
        if self.steps.is_empty() {
            return Err(MonitorError::new(format!("the journey {} has no step: none could fail", self.name)));
        }
        let mut all = self.journeys(Arm::Candidate, &request.candidate).await?;
        if let Some(baseline) = &request.baseline {
            all.extend(self.journeys(Arm::Baseline, baseline).await?);
        }
        if let Some(unknown) = request.metrics.iter().find(|metric| !all.iter().any(|m| m.metric == **metric)) {
            return Err(MonitorError::new(format!("{} has no metric {unknown}", self.name)));
        }
        all.retain(|m| request.metrics.is_empty() || request.metrics.contains(&m.metric));
        Ok(all)
    }
}

//! Connects, and measures how long that takes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::monitor::{
    Arm, Counts, MeasureContext, MeasureRequest, Measurement, Monitor, MonitorError, Reading, Window,
};
use deploy_core::name::{BlockName, MetricName, RevisionName};
use deploy_core::real::Real;
use deploy_core::time::{Clock, SystemClock, Timestamp};
use tokio::net::TcpStream;

/// The most connections for one question: a probe must not become the load.
const MOST: u32 = 200;

/// Connects by TCP, and measures what the way there is like: one round trip a connection.
///
/// | metric | reading |
/// |---|---|
/// | `network.connect.failures` | [`Reading::Counts`]: attempts, and those that were refused, lost or too slow |
/// | `network.connect_ms` | [`Reading::Samples`]: milliseconds of each that succeeded |
///
/// A name that cannot be resolved is a failure too: users cannot resolve it either.
///
/// Rows: M81.
#[derive(Clone)]
pub struct NetworkProbe {
    name: BlockName,
    addresses: Arc<Addresses>,
    attempts: u32,
    within: Duration,
    clock: Arc<dyn Clock>,
}

type Addresses = dyn Fn(&RevisionName) -> Vec<String> + Send + Sync;

impl NetworkProbe {
    /// Ten connections for each question to the addresses (`host:port`) that `of` gives for a revision, in turn; 2 s for each.
    pub fn new(name: BlockName, of: impl Fn(&RevisionName) -> Vec<String> + Send + Sync + 'static) -> Self {
        let (addresses, clock) = (Arc::new(of), Arc::new(SystemClock::new()));
        Self { name, addresses, attempts: 10, within: Duration::from_secs(2), clock }
    }

    /// The same with so many connections for each question: at least 1, at most 200.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.clamp(1, MOST);
        self
    }

    /// The same; a connection that takes longer is a failure.
    #[must_use]
    pub fn within(mut self, bound: Duration) -> Self {
        self.within = bound;
        self
    }

    /// The same with another clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    async fn probe(&self, arm: Arm, revision: &RevisionName) -> Result<Vec<Measurement>, MonitorError> {
        let addresses = (self.addresses)(revision);
        let from = self.clock.wall();
        let (mut failures, mut samples, mut asked) = (0, Vec::new(), 0);
        for address in addresses.iter().cycle().take(if addresses.is_empty() { 0 } else { self.attempts as usize }) {
            let began = self.clock.monotonic();
            asked += 1;
            match tokio::time::timeout(self.within, TcpStream::connect(address.as_str())).await {
                Ok(Ok(_connected)) => {
                    let took = self.clock.monotonic().saturating_sub(began).as_secs_f64() * 1_000.0;
                    samples.extend(Real::new(took));
                }
                Ok(Err(_)) | Err(_) => failures += 1,
            }
        }
        let window = Window { from, to: self.clock.wall().max(Timestamp(from.0 + 1)) };
        let counts = Counts::new(asked, failures).map_err(|e| MonitorError::new("miscounted").because(e))?;
        let counts = if asked == 0 { Reading::NoData } else { Reading::Counts(counts) };
        let samples = if samples.is_empty() { Reading::NoData } else { Reading::Samples(samples) };
        let named = |name: &str| MetricName::new(name).map_err(|e| MonitorError::new("no metric name").because(e));
        Ok(vec![
            Measurement::new(named("network.connect.failures")?, arm, window, counts),
            Measurement::new(named("network.connect_ms")?, arm, window, samples),
        ])
    }
}

impl std::fmt::Debug for NetworkProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NetworkProbe")
            .field("name", &self.name)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Monitor for NetworkProbe {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    async fn measure(&self, request: &MeasureRequest, _cx: &MeasureContext) -> Result<Vec<Measurement>, MonitorError> {
        let mut all = self.probe(Arm::Candidate, &request.candidate).await?;
        if let Some(baseline) = &request.baseline {
            all.extend(self.probe(Arm::Baseline, baseline).await?);
        }
        if let Some(unknown) = request.metrics.iter().find(|metric| !all.iter().any(|m| m.metric == **metric)) {
            return Err(MonitorError::new(format!("{} has no metric {unknown}", self.name)));
        }
        all.retain(|m| request.metrics.is_empty() || request.metrics.contains(&m.metric));
        Ok(all)
    }
}

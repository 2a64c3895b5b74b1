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
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The most connections for one question: a probe must not become the load.
const MOST: u32 = 200;

/// Connects by TCP, and measures what the way there is like: one round trip a connection.
///
/// | metric | reading |
/// |---|---|
/// | `network.connect.failures` | [`Reading::Counts`]: attempts, and those that were refused, lost or too slow |
/// | `network.connect_ms` | [`Reading::Samples`]: milliseconds of each that succeeded |
/// | `network.first_byte_ms` | [`Reading::Samples`]: milliseconds from asking to the first byte of the answer; with [`asking`](Self::asking) |
///
/// A connection is often made by whatever stands in front of a service, or by its kernel. Only an answer has been all the way:
/// with a question to ask, an attempt without an answer is a failure too.
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
    question: Option<Arc<[u8]>>,
    clock: Arc<dyn Clock>,
}

type Addresses = dyn Fn(&RevisionName) -> Vec<String> + Send + Sync;

impl NetworkProbe {
    /// Ten connections for each question to the addresses (`host:port`) that `of` gives for a revision, in turn; 2 s for each.
    pub fn new(name: BlockName, of: impl Fn(&RevisionName) -> Vec<String> + Send + Sync + 'static) -> Self {
        let (addresses, clock) = (Arc::new(of), Arc::new(SystemClock::new()));
        Self { name, addresses, attempts: 10, within: Duration::from_secs(2), question: None, clock }
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

    /// The same, which asks this on each connection and waits for the first byte of an answer: `HEAD / HTTP/1.0` and two line ends, for
    /// example, or whatever the service answers without being changed by it.
    #[must_use]
    pub fn asking(mut self, question: impl AsRef<[u8]>) -> Self {
        self.question = Some(Arc::from(question.as_ref()));
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
        let (mut failures, mut samples, mut first_bytes, mut asked) = (0, Vec::new(), Vec::new(), 0);
        for address in addresses.iter().cycle().take(if addresses.is_empty() { 0 } else { self.attempts as usize }) {
            let began = self.clock.monotonic();
            asked += 1;
            let attempt = async {
                let connection = TcpStream::connect(address.as_str()).await?;
                let connected = self.clock.monotonic();
                let answered = match &self.question {
                    None => None,
                    Some(question) => Some(self.first_byte(connection, question).await?),
                };
                Ok::<_, std::io::Error>((connected, answered))
            };
            let ms = |span: Duration| Real::new(span.as_secs_f64() * 1_000.0);
            match tokio::time::timeout(self.within, attempt).await {
                Ok(Ok((connected, answered))) => {
                    samples.extend(ms(connected.saturating_sub(began)));
                    first_bytes.extend(answered.and_then(|took| ms(took).ok()));
                }
                Ok(Err(_)) | Err(_) => failures += 1,
            }
        }
        let window = Window { from, to: self.clock.wall().max(Timestamp(from.0 + 1)) };
        let counts = Counts::new(asked, failures).map_err(|e| MonitorError::new("miscounted").because(e))?;
        let counts = if asked == 0 { Reading::NoData } else { Reading::Counts(counts) };
        let reading = |samples: Vec<Real>| if samples.is_empty() { Reading::NoData } else { Reading::Samples(samples) };
        let named = |name: &str| MetricName::new(name).map_err(|e| MonitorError::new("no metric name").because(e));
        let mut all = vec![
            Measurement::new(named("network.connect.failures")?, arm, window, counts),
            Measurement::new(named("network.connect_ms")?, arm, window, reading(samples)),
        ];
        if self.question.is_some() {
            all.push(Measurement::new(named("network.first_byte_ms")?, arm, window, reading(first_bytes)));
        }
        Ok(all)
    }

    /// How long the first byte of an answer takes.
    async fn first_byte(&self, mut connection: TcpStream, question: &[u8]) -> std::io::Result<Duration> {
        let began = self.clock.monotonic();
        connection.write_all(question).await?;
        let read = connection.read(&mut [0; 1]).await?;
        // The other end closed without a word.
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.clock.monotonic().saturating_sub(began))
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

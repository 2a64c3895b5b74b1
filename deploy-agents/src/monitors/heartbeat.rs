//! What must happen again and again: scans, policy runs, drills, backups, the feed of audit events.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::monitor::{
    Arm, Counts, MeasureContext, MeasureRequest, Measurement, Monitor, MonitorError, Reading, Window,
};
use deploy_core::name::{BlockName, MetricName};
use deploy_core::time::{Clock, SystemClock, Timestamp};

/// How much of the interval a beat may be late before it is missed, in per cent: schedulers and slow runs are no alarm.
const LATE: u32 = 10;

/// Watches what must happen at least every so often, and with what result.
///
/// | metric | reading |
/// |---|---|
/// | the name of a beat | [`Reading::Counts`]: one check of it in one run that is due, bad if it was missed or found something |
///
/// A beat that is missed is bad, not silent: nobody looked. One that was announced and has never come yet is bad once its
/// interval has passed since it was announced, and no data until then. Beats are of the environment, not of a revision: both
/// arms read the same, so that judges compare them with limits and not with each other.
///
/// Cheap to clone: all clones watch together.
///
/// ```
/// use std::time::Duration;
/// use deploy_agents::monitors::Heartbeats;
/// use deploy_core::name::{BlockName, MetricName};
///
/// let scans = MetricName::new("security.vulnerability_scan")?;
/// let watch = Heartbeats::new(BlockName::new("schedule")?).expects(scans.clone(), Duration::from_secs(86_400));
/// // The job that scans says so, and how many findings there are.
/// watch.beat(&scans, 0)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Rows: M37, M77, M78.
#[derive(Clone)]
pub struct Heartbeats {
    name: BlockName,
    clock: Arc<dyn Clock>,
    beats: Arc<Mutex<BTreeMap<MetricName, Beat>>>,
}

#[derive(Debug)]
struct Beat {
    every: Duration,
    announced: Duration,
    last: Option<(Duration, u32)>,
}

/// A beat that nobody announced: a typing error, or a job that nobody watches.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nobody expects {0}: say how often it must come")]
pub struct HeartbeatsError(MetricName);

impl Heartbeats {
    /// A watch that expects nothing yet.
    #[must_use]
    pub fn new(name: BlockName) -> Self {
        Self { name, clock: Arc::new(SystemClock::new()), beats: Arc::default() }
    }

    /// The same with another clock. To be said before anything is expected.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The same; this must come at least every so often.
    #[must_use]
    pub fn expects(self, what: MetricName, every: Duration) -> Self {
        let announced = self.clock.monotonic();
        self.beats.lock().unwrap_or_else(PoisonError::into_inner).insert(what, Beat { every, announced, last: None });
        self
    }

    /// It came, with so many findings.
    ///
    /// # Errors
    ///
    /// [`HeartbeatsError`] if nobody expects it.
    pub fn beat(&self, what: &MetricName, findings: u32) -> Result<(), HeartbeatsError> {
        let now = self.clock.monotonic();
        let mut beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        let beat = beats.get_mut(what).ok_or_else(|| HeartbeatsError(what.clone()))?;
        beat.last = Some((now, findings));
        Ok(())
    }

    /// It came at that time, with so many findings: for what is read from a report. A time in the future counts as now, and an
    /// older report does not undo a newer one.
    ///
    /// # Errors
    ///
    /// [`HeartbeatsError`] if nobody expects it.
    pub fn beat_at(&self, what: &MetricName, at: Timestamp, findings: u32) -> Result<(), HeartbeatsError> {
        let at = self.clock.monotonic().saturating_sub(self.clock.wall().since(at));
        let mut beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        let beat = beats.get_mut(what).ok_or_else(|| HeartbeatsError(what.clone()))?;
        if beat.last.is_none_or(|(last, _)| last <= at) {
            beat.last = Some((at, findings));
        }
        Ok(())
    }
}

impl Beat {
    fn reading(&self, now: Duration) -> Result<Reading, MonitorError> {
        let due = self.every + self.every * LATE / 100;
        let bad = match self.last {
            Some((at, findings)) => now.saturating_sub(at) > due || findings > 0,
            None if now.saturating_sub(self.announced) > due => true,
            None => return Ok(Reading::NoData),
        };
        let counts = Counts::new(1, u64::from(bad)).map_err(|e| MonitorError::new("miscounted").because(e))?;
        Ok(Reading::Counts(counts))
    }
}

impl fmt::Debug for Heartbeats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heartbeats").field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl Monitor for Heartbeats {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    async fn measure(&self, request: &MeasureRequest, _cx: &MeasureContext) -> Result<Vec<Measurement>, MonitorError> {
        let now = self.clock.monotonic();
        let window = Window::ending(self.clock.wall(), request.lookback);
        let beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(unknown) = request.metrics.iter().find(|metric| !beats.contains_key(metric)) {
            return Err(MonitorError::new(format!("{} has no metric {unknown}", self.name)));
        }
        let arms = if request.baseline.is_some() { vec![Arm::Candidate, Arm::Baseline] } else { vec![Arm::Candidate] };
        let asked = |metric: &MetricName| request.metrics.is_empty() || request.metrics.contains(metric);
        let mut all = Vec::new();
        for arm in arms {
            for (metric, beat) in beats.iter().filter(|(metric, _)| asked(metric)) {
                all.push(Measurement::new(metric.clone(), arm, window, beat.reading(now)?));
            }
        }
        Ok(all)
    }
}

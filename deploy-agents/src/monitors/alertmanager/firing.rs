//! Measures how many alerts fire.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use deploy_core::monitor::{Arm, MeasureContext, MeasureRequest, Measurement, Monitor, MonitorError, Reading, Window};
use deploy_core::name::{BlockName, MetricName, RevisionName};
use deploy_core::real::Real;
use deploy_core::time::{Clock, SystemClock, Timestamp};

use super::{AlertState, Alertmanager, Matcher};

/// What shows that alerts would come if there were a reason. Without it, no alerts and nobody who evaluates rules look alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watchdog {
    /// An alert that always fires. While it does not, nothing is known.
    Alert(Vec<Matcher>),
    /// Nothing, for this reason.
    Nothing {
        /// Why silence is good news here.
        reason: String,
    },
}

/// How many alerts fire now, as a monitor. Silenced ones do not count: somebody knows of them.
///
/// Each metric is a [`Reading::Value`]; [`Reading::NoData`] while the watchdog is silent.
///
/// Rows: M36, M45, M235.
#[derive(Debug, Clone)]
pub struct FiringAlerts {
    name: BlockName,
    alertmanager: Alertmanager,
    watchdog: Watchdog,
    metrics: BTreeMap<MetricName, Vec<Matcher>>,
    clock: Arc<dyn Clock>,
}

impl FiringAlerts {
    /// A monitor without metrics.
    #[must_use]
    pub fn new(name: BlockName, alertmanager: Alertmanager, watchdog: Watchdog) -> Self {
        Self { name, alertmanager, watchdog, metrics: BTreeMap::new(), clock: Arc::new(SystemClock::new()) }
    }

    /// The same with one more metric: how many alerts fire that all of these match. `{revision}` in their values is replaced.
    #[must_use]
    pub fn metric(mut self, metric: MetricName, matchers: impl IntoIterator<Item = Matcher>) -> Self {
        self.metrics.insert(metric, matchers.into_iter().collect());
        self
    }

    /// The same with another clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    async fn firing(&self, matchers: &[Matcher]) -> Result<usize, MonitorError> {
        let all = self.alertmanager.alerts(matchers).await;
        let all =
            all.map_err(|error| MonitorError::new(format!("{} cannot tell what fires", self.name)).because(error))?;
        Ok(all.iter().filter(|alert| alert.state != AlertState::Suppressed).count())
    }

    async fn measure_arm(
        &self,
        arm: Arm,
        revision: &RevisionName,
        request: &MeasureRequest,
        watched: bool,
    ) -> Result<Vec<Measurement>, MonitorError> {
        let now = self.clock.wall();
        let window = Window { from: now, to: Timestamp(now.0 + 1) };
        let mut all = Vec::new();
        let asked = |metric: &MetricName| request.metrics.is_empty() || request.metrics.contains(metric);
        for (metric, matchers) in self.metrics.iter().filter(|(metric, _)| asked(metric)) {
            let filled: Vec<Matcher> = matchers.iter().map(|matcher| matcher.filled(revision.as_str())).collect();
            let reading = if watched {
                let firing = u32::try_from(self.firing(&filled).await?).unwrap_or(u32::MAX);
                Reading::Value(Real::from(firing))
            } else {
                Reading::NoData
            };
            all.push(Measurement::new(metric.clone(), arm, window, reading));
        }
        Ok(all)
    }
}

#[async_trait]
impl Monitor for FiringAlerts {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    async fn measure(&self, request: &MeasureRequest, _cx: &MeasureContext) -> Result<Vec<Measurement>, MonitorError> {
        if let Some(unknown) = request.metrics.iter().find(|metric| !self.metrics.contains_key(metric)) {
            return Err(MonitorError::new(format!("{} has no metric {unknown}", self.name)));
        }
        let watched = match &self.watchdog {
            Watchdog::Alert(matchers) => self.firing(matchers).await? > 0,
            Watchdog::Nothing { .. } => true,
        };
        let mut all = self.measure_arm(Arm::Candidate, &request.candidate, request, watched).await?;
        if let Some(baseline) = &request.baseline {
            all.extend(self.measure_arm(Arm::Baseline, baseline, request, watched).await?);
        }
        Ok(all)
    }
}

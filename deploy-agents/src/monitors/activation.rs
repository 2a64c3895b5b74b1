//! Opens when whoever is to watch a release really sees it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::gate::{Gate, GateContext, GateDecision, GateError};
use deploy_core::monitor::{MeasureContext, MeasureRequest, Monitor, Reading};
use deploy_core::name::{BlockName, MetricName};

use super::alerts::{AlertRules, RulesApi};
use super::of_all_traffic;

/// A gate before traffic: every metric has data of the revision that is being released, every feed is fresh, and every alert rule is
/// evaluated as it was declared.
///
/// What is missing is a hold with everything that is missing, never a no: series come with the first scrape. How long it may hold is
/// the step's to say. A monitor that cannot be asked holds as well: nobody would see the release fail.
///
/// Counters must be there before the first request, at zero; services that expose a series with its first event are seen by something
/// that is there from the start, such as `up`.
///
/// ```
/// use std::sync::Arc;
/// use deploy_agents::monitors::{ActivateMonitors, Meter};
/// use deploy_core::name::{BlockName, MetricName};
///
/// let meter = Arc::new(Meter::new(BlockName::new("shop")?));
/// let gate = ActivateMonitors::new(BlockName::new("monitors-active")?).sees(meter, [MetricName::new("orders.errors")?]);
/// # Ok::<(), deploy_core::name::NameError>(())
/// ```
///
/// Rows: M35, M36, M37, M190.
#[derive(Debug, Clone)]
pub struct ActivateMonitors {
    name: BlockName,
    seen: Vec<(Arc<dyn Monitor>, Vec<MetricName>)>,
    feeds: Vec<(Arc<dyn Monitor>, MetricName)>,
    rules: Vec<(RulesApi, AlertRules)>,
    lookback: Duration,
    ask_again_after: Duration,
}

impl ActivateMonitors {
    /// A gate that asks for nothing yet, and so does not build. Defaults: data of the last minute, asked again after 5 s.
    #[must_use]
    pub fn new(name: BlockName) -> Self {
        Self {
            name,
            seen: Vec::new(),
            feeds: Vec::new(),
            rules: Vec::new(),
            lookback: Duration::from_secs(60),
            ask_again_after: Duration::from_secs(5),
        }
    }

    /// The same; these metrics of this monitor must have data of the new revision.
    #[must_use]
    pub fn sees(mut self, monitor: Arc<dyn Monitor>, metrics: impl IntoIterator<Item = MetricName>) -> Self {
        self.seen.push((monitor, metrics.into_iter().collect()));
        self
    }

    /// The same; this metric must have data, and nothing bad among what it counts: a feed of events, a schedule.
    #[must_use]
    pub fn feed(mut self, monitor: Arc<dyn Monitor>, metric: MetricName) -> Self {
        self.feeds.push((monitor, metric));
        self
    }

    /// The same; the server must evaluate these rules as they are declared.
    #[must_use]
    pub fn rules(mut self, server: RulesApi, declared: AlertRules) -> Self {
        self.rules.push((server, declared));
        self
    }

    /// The same with data of another span of time.
    #[must_use]
    pub fn lookback(mut self, lookback: Duration) -> Self {
        self.lookback = lookback;
        self
    }

    /// The same, asked again after another while.
    #[must_use]
    pub fn ask_again_after(mut self, span: Duration) -> Self {
        self.ask_again_after = span;
        self
    }

    /// What one metric says, or why it says nothing.
    async fn ask(&self, monitor: &dyn Monitor, metric: &MetricName, cx: &GateContext) -> Result<Reading, String> {
        let request = MeasureRequest {
            monitor: monitor.name(),
            metrics: vec![metric.clone()],
            candidate: cx.release.revision.clone(),
            baseline: None,
            lookback: self.lookback,
        };
        let context = MeasureContext::new(Arc::clone(&cx.release), cx.now);
        let what = || format!("{metric} of {}", monitor.name());
        let all = of_all_traffic(monitor, &request, &context).await;
        let all = all.map_err(|error| format!("{} cannot be asked: {}", what(), deploy_core::report::chain(&error)))?;
        match all.into_iter().find(|m| m.metric == *metric).map(|m| m.reading) {
            None | Some(Reading::NoData) => Err(format!("{} has no data of {}", what(), cx.release.revision)),
            Some(reading) => Ok(reading),
        }
    }
}

#[async_trait]
impl Gate for ActivateMonitors {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    fn criterion(&self) -> String {
        let metrics: usize = self.seen.iter().map(|(_, metrics)| metrics.len()).sum();
        let rules: usize = self.rules.iter().map(|(_, declared)| declared.rules().len()).sum();
        let feeds = self.feeds.len();
        format!(
            "{metrics} metrics see the new revision, {feeds} feeds are fresh, {rules} alert rules are loaded as declared"
        )
    }

    async fn evaluate(&self, cx: &GateContext) -> Result<GateDecision, GateError> {
        let mut missing = Vec::new();
        for (monitor, metrics) in &self.seen {
            for metric in metrics {
                missing.extend(self.ask(monitor, metric, cx).await.err());
            }
        }
        for (monitor, metric) in &self.feeds {
            match self.ask(monitor, metric, cx).await {
                Ok(Reading::Counts(counts)) if counts.bad() > 0 => {
                    missing.push(format!("{metric} of {} is stale or has findings", monitor.name()));
                }
                Ok(_) => {}
                Err(why) => missing.push(why),
            }
        }
        for (server, declared) in &self.rules {
            match server.not_loaded(declared).await {
                Ok(not_loaded) => missing.extend(not_loaded.iter().map(|rule| format!("the alert rule {rule}"))),
                Err(error) => missing.push(deploy_core::report::chain(&error)),
            }
        }
        if missing.is_empty() {
            return Ok(GateDecision::Go);
        }
        Ok(GateDecision::hold(missing.join("; "), self.ask_again_after))
    }

    fn flaw(&self) -> Option<String> {
        let asks = self.seen.iter().any(|(_, metrics)| !metrics.is_empty());
        let nothing = !asks && self.feeds.is_empty() && self.rules.is_empty();
        nothing.then(|| "it asks for nothing, so that it would open for a release that nobody watches".to_owned())
    }
}

//! What users were promised, and how much of the tolerated harm is left.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::gate::{Gate, GateContext, GateDecision, GateError};
use deploy_core::monitor::{Counts, MeasureContext, MeasureRequest, Monitor, Reading, Window};
use deploy_core::name::{BlockName, MetricName};
use deploy_core::time::{Spell, Timestamp};
use deploy_strategies::analysis::burn_rate::BurnRate;
use serde::{Deserialize, Serialize};

use super::of_all_traffic;

/// A promise: this share of events is good, over this long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw")]
pub struct ServiceLevel {
    metric: MetricName,
    objective: f64,
    #[serde(with = "deploy_core::time::duration_ms")]
    window: Duration,
}

#[derive(Deserialize)]
struct Raw {
    metric: MetricName,
    objective: f64,
    #[serde(with = "deploy_core::time::duration_ms")]
    window: Duration,
}

impl TryFrom<Raw> for ServiceLevel {
    type Error = ServiceLevelError;
    fn try_from(raw: Raw) -> Result<Self, ServiceLevelError> {
        Self::new(raw.metric, raw.objective, raw.window)
    }
}

/// A promise or a count that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceLevelError {
    /// A share of 1 allows nothing and one of 0 allows everything: state something in between.
    #[error("an objective of {0} is not a share between 0 and 1, both excluded")]
    Objective(f64),
    /// There is no time in it.
    #[error("a window without length promises nothing")]
    Window,
    /// What is counted overlaps what was counted before: count each event once.
    #[error("what was counted from {from} on overlaps what was counted before, up to {before}")]
    Overlap {
        /// Where it begins.
        from: Timestamp,
        /// Up to where events were counted.
        before: Timestamp,
    },
}

impl ServiceLevel {
    /// Of the events of this metric this share is good, over each window of this length.
    ///
    /// # Errors
    ///
    /// [`ServiceLevelError`] if that promises nothing, or everything.
    pub fn new(metric: MetricName, objective: f64, window: Duration) -> Result<Self, ServiceLevelError> {
        // NaN is not inside either.
        if !(objective > 0.0 && objective < 1.0) {
            return Err(ServiceLevelError::Objective(objective));
        }
        if window.is_zero() {
            return Err(ServiceLevelError::Window);
        }
        Ok(Self { metric, objective, window })
    }

    /// The metric, of bad events among all.
    #[must_use]
    pub fn metric(&self) -> &MetricName {
        &self.metric
    }

    /// Over how long.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.window
    }

    fn burn_rate(&self) -> BurnRate {
        BurnRate { period: self.window, ..BurnRate::new(self.metric.clone(), self.objective) }
    }
}

/// How much of the tolerated harm is left at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct BudgetStatus {
    /// When.
    pub at: Timestamp,
    /// What was counted in the window that ends then.
    pub counts: Counts,
    /// The share of the budget that is left: 1 is all of it, 0 none; below zero it is overspent. 1 without events.
    pub left: f64,
    /// How fast it burns over the newest tenth of the window: 1 uses it up exactly at the window's end. Nothing without events.
    pub burning: Option<f64>,
    /// How long until nothing is left, if it goes on burning so; nothing if it does not burn faster than it comes back.
    pub lasts: Option<Duration>,
    /// How much of the window was counted at all.
    pub covered: Duration,
}

/// Follows the budget of a promise over time. Bounded: so many counted spans in the window, and as many points of history.
///
/// ```
/// use std::time::Duration;
/// use deploy_agents::monitors::service_level::{ErrorBudget, ServiceLevel};
/// use deploy_core::monitor::{Counts, Window};
/// use deploy_core::name::MetricName;
/// use deploy_core::time::Timestamp;
///
/// let level = ServiceLevel::new(MetricName::new("http.errors")?, 0.99, Duration::from_secs(3_600))?;
/// let mut budget = ErrorBudget::new(level);
/// let noon = Timestamp::parse("2026-11-22T12:00:00Z")?;
/// budget.take(Window::ending(noon, Duration::from_secs(60)), Counts::new(1_000, 5)?)?;
/// // Ten bad ones of a thousand are tolerated, and five of them were spent.
/// assert!((budget.at(noon).left - 0.5).abs() < 1e-9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Rows: M165.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorBudget {
    level: ServiceLevel,
    counted: VecDeque<(Window, Counts)>,
    history: VecDeque<BudgetStatus>,
}

/// How many spans are kept, and points of history: a month of ten-minute spans and a bit. More are joined two by two.
const MOST: usize = 4_500;

impl ErrorBudget {
    /// Nothing was counted yet.
    #[must_use]
    pub fn new(level: ServiceLevel) -> Self {
        Self { level, counted: VecDeque::new(), history: VecDeque::new() }
    }

    /// The promise.
    #[must_use]
    pub fn level(&self) -> &ServiceLevel {
        &self.level
    }

    /// Takes in what was counted over a span of time. Spans follow each other; gaps are allowed, and are seen in
    /// [`BudgetStatus::covered`].
    ///
    /// # Errors
    ///
    /// [`ServiceLevelError::Overlap`] if a part of it was counted before; nothing changes then.
    pub fn take(&mut self, window: Window, counts: Counts) -> Result<BudgetStatus, ServiceLevelError> {
        if let Some((last, _)) = self.counted.back()
            && window.from < last.to
        {
            return Err(ServiceLevelError::Overlap { from: window.from, before: last.to });
        }
        self.counted.push_back((window, counts));
        let reach = Window::ending(window.to, self.level.window).from;
        while self.counted.front().is_some_and(|(span, _)| span.to <= reach) {
            self.counted.pop_front();
        }
        if self.counted.len() > MOST {
            self.join();
        }
        let status = self.at(window.to);
        self.history.push_back(status);
        if self.history.len() > MOST {
            self.history.pop_front();
        }
        Ok(status)
    }

    /// How much is left at this instant. A span that lies partly before the window counts whole, until it lies before it wholly.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> BudgetStatus {
        let counts = self.within(now, self.level.window);
        let judge = self.level.burn_rate();
        let burning = judge.rate(self.within(now, self.level.window / 10));
        let left = judge.budget_left(counts);
        let lasts = burning.filter(|rate| *rate > 0.0 && left > 0.0).and_then(|rate| {
            let lasts = Duration::try_from_secs_f64(left / rate * self.level.window.as_secs_f64()).ok()?;
            (rate > 1.0).then_some(lasts)
        });
        let covered = self.spans(now, self.level.window).map(|(span, _)| span.to.since(span.from)).sum();
        BudgetStatus { at: now, counts, left, burning, lasts, covered }
    }

    /// The budget over time, oldest first: a point for each span that was taken.
    pub fn history(&self) -> impl Iterator<Item = &BudgetStatus> {
        self.history.iter()
    }

    fn spans(&self, now: Timestamp, reach: Duration) -> impl Iterator<Item = &(Window, Counts)> {
        let from = Window::ending(now, reach).from;
        self.counted.iter().filter(move |(span, _)| span.to > from && span.to <= now)
    }

    fn within(&self, now: Timestamp, reach: Duration) -> Counts {
        self.spans(now, reach).fold(Counts::default(), |all, (_, counts)| all.plus(*counts))
    }

    /// Joins the older half two by two: old spans need no fine resolution.
    fn join(&mut self) {
        let half = self.counted.len() / 2;
        let mut joined = VecDeque::with_capacity(self.counted.len());
        let mut all = std::mem::take(&mut self.counted).into_iter();
        for _ in 0..half / 2 {
            if let (Some((first, a)), Some((second, b))) = (all.next(), all.next()) {
                joined.push_back((Window { from: first.from, to: second.to }, a.plus(b)));
            }
        }
        joined.extend(all);
        self.counted = joined;
    }
}

/// Stays shut while the budget is used up: a service that already harms its users more than was promised is not changed further,
/// unless the change is the cure.
///
/// Rows: M174.
#[derive(Debug)]
pub struct BudgetGate {
    name: BlockName,
    monitor: Arc<dyn Monitor>,
    level: ServiceLevel,
    at_least: f64,
    unknown: Unknown,
    covering: f64,
}

/// What it means that nobody counted, or not over enough of the time. There is no default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// Wait, and ask again after this long.
    Hold(Duration),
    /// Stay shut.
    NoGo,
}

impl BudgetGate {
    /// Opens while more than this share of the budget is left. The monitor is asked about the revision that is being released, over
    /// the whole window of the promise: let it count all revisions together, as users do.
    pub fn new(
        name: BlockName,
        monitor: Arc<dyn Monitor>,
        level: ServiceLevel,
        more_than: f64,
        unknown: Unknown,
    ) -> Self {
        Self { name, monitor, level, at_least: more_than, unknown, covering: 0.9 }
    }

    /// The same where the answer must be about at least this share of the promise's window, more than 0 and at most 1; otherwise the gate
    /// does what it does where nobody counted. A monitor that remembers less than it is asked about answers with what there is, and its
    /// window says so: a meter of 15 minutes knows nothing about a month. Default 0.9, which leaves a tenth for what is not scraped
    /// or not closed yet. Say less for a service that is younger than its promise.
    #[must_use]
    pub fn covering(mut self, share: f64) -> Self {
        self.covering = share;
        self
    }

    /// What is so where nobody counted.
    fn unknown(&self, reason: String) -> GateDecision {
        match self.unknown {
            Unknown::Hold(again) => GateDecision::hold(reason, again),
            Unknown::NoGo => GateDecision::no_go(self.name.as_str(), reason),
        }
    }
}

#[async_trait]
impl Gate for BudgetGate {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    fn criterion(&self) -> String {
        let level = &self.level;
        let (window, left) = (Spell(level.window), self.at_least * 100.0);
        format!("more than {left:.0} % of the error budget of {} over {window} is left", level.metric)
    }

    async fn evaluate(&self, cx: &GateContext) -> Result<GateDecision, GateError> {
        let request = MeasureRequest {
            monitor: self.monitor.name(),
            metrics: vec![self.level.metric.clone()],
            candidate: cx.release.revision.clone(),
            baseline: None,
            lookback: self.level.window,
        };
        let context = MeasureContext::new(Arc::clone(&cx.release), cx.now);
        let all = of_all_traffic(self.monitor.as_ref(), &request, &context).await;
        let all = all.map_err(|error| GateError::new("the error budget could not be read").because(error))?;
        let found = all.into_iter().find(|m| m.metric == self.level.metric).map(|m| (m.window, m.reading));
        let (metric, period) = (&self.level.metric, self.level.window);
        let counts = match found {
            Some((window, Reading::Counts(counts))) => {
                let covered = window.to.since(window.from).min(period);
                // NaN is no share that anything covers.
                let is_enough = covered.as_secs_f64() >= self.covering * period.as_secs_f64();
                if !is_enough {
                    let (covered, period, needed) = (Spell(covered), Spell(period), self.covering * 100.0);
                    return Ok(self.unknown(format!(
                        "over {covered} of {period} alone were {metric} counted, and at least {needed} % are needed"
                    )));
                }
                counts
            }
            None | Some((_, Reading::NoData)) => {
                return Ok(self.unknown(format!("nobody counted {metric} over {}", Spell(period))));
            }
            Some((_, Reading::Value(_) | Reading::Samples(_) | Reading::Histogram(_))) => {
                return Err(GateError::new(format!(
                    "{} does not count events, so it has no budget",
                    self.level.metric
                )));
            }
        };
        let left = self.level.burn_rate().budget_left(counts);
        if left > self.at_least {
            return Ok(GateDecision::Go);
        }
        let (bad, events, percent) = (counts.bad(), counts.events(), left * 100.0);
        let reason = format!(
            "{percent:.1} % of the error budget of {} is left: {bad} of {events} events were bad",
            self.level.metric
        );
        Ok(GateDecision::no_go(self.name.as_str(), reason))
    }

    fn flaw(&self) -> Option<String> {
        let can_be_left = self.at_least.is_finite() && self.at_least < 1.0;
        if !can_be_left {
            return Some(format!("more than {} of a budget can never be left", self.at_least));
        }
        // NaN is not inside either.
        let sound = self.covering > 0.0 && self.covering <= 1.0;
        (!sound).then(|| format!("{} is no share of a window: more than 0, and at most 1", self.covering))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use deploy_core::monitor::{Counts, Window};
    use deploy_core::name::MetricName;
    use deploy_core::time::Timestamp;
    use proptest::prelude::*;

    use super::{ErrorBudget, MOST, ServiceLevel, ServiceLevelError};

    fn level(objective: f64, seconds: u64) -> Result<ServiceLevel, ServiceLevelError> {
        ServiceLevel::new(MetricName::new("errors").expect("a name"), objective, Duration::from_secs(seconds))
    }

    /// The span of this number, ten seconds each.
    fn span(number: i64) -> Window {
        Window::ending(Timestamp(10_000 * (number + 1)), Duration::from_secs(10))
    }

    fn counts(events: u64, bad: u64) -> Counts {
        Counts::new(events, bad).expect("fewer bad than all")
    }

    #[test]
    fn a_promise_of_everything_or_nothing_is_none() {
        for objective in [0.0, 1.0, -0.5, 1.5, f64::NAN] {
            assert!(level(objective, 60).is_err());
        }
        assert!(level(0.99, 0).is_err());
        let text = serde_json::to_string(&level(0.99, 60).expect("sound")).expect("written");
        assert!(serde_json::from_str::<ServiceLevel>(&text.replace("0.99", "1.99")).is_err());
    }

    /// Rows: M165.
    #[test]
    fn what_is_left_falls_with_harm_and_comes_back_with_time() {
        let mut budget = ErrorBudget::new(level(0.99, 100).expect("sound"));
        for n in 0..10 {
            budget.take(span(n), counts(100, 0)).expect("in order");
        }
        let harmed = budget.take(span(10), counts(100, 20)).expect("in order");
        assert!((harmed.left - -1.0).abs() < 1e-9, "twenty of the ten that a thousand allow: {harmed:?}");
        assert_eq!(harmed.covered, Duration::from_secs(100));
        assert!((harmed.burning.expect("events") - 20.0).abs() < 1e-9);
        for n in 11..20 {
            assert!(budget.take(span(n), counts(100, 0)).expect("in order").left < 0.0);
        }
        let over = budget.take(span(20), counts(100, 0)).expect("in order");
        assert_eq!((over.left, over.lasts), (1.0, None), "the harm lies before the window");
        assert_eq!(budget.history().count(), 21);
        assert!(matches!(budget.take(span(20), counts(1, 0)), Err(ServiceLevelError::Overlap { .. })));
        let burning = budget.take(span(22), counts(1_000, 50)).expect("a gap is allowed");
        assert_eq!(burning.covered, Duration::from_secs(90));
        assert!(burning.lasts.is_none(), "it is overspent already: {burning:?}");
        assert_eq!(budget.at(Timestamp(10_000_000)).left, 1.0, "nothing was counted for long");
    }

    proptest! {
        /// Rows: M165.
        #[test]
        fn the_arithmetic_of_a_budget(
            objective in 0.5_f64..0.9999,
            spans in proptest::collection::vec((0_u64..500, 0.0_f64..1.0), 1..40),
        ) {
            let mut budget = ErrorBudget::new(level(objective, 10_000).expect("sound"));
            let (mut events, mut bad) = (0, 0);
            for (n, (more, share)) in (0..).zip(&spans) {
                let more_bad = (*more as f64 * share) as u64;
                let status = budget.take(span(n), counts(*more, more_bad)).expect("in order");
                (events, bad) = (events + more, bad + more_bad);
                // From its definition: the bad ones over those that are allowed.
                let allowed = events as f64 * (1.0 - objective);
                let due = if events == 0 { 1.0 } else { 1.0 - bad as f64 / allowed };
                prop_assert!((status.left - due).abs() <= 1e-6 * due.abs().max(1.0), "{} for {due}", status.left);
                prop_assert!(status.left <= 1.0);
                prop_assert_eq!(status.left >= 0.0 || status.lasts.is_none(), true);
            }
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_loses_no_event() {
        let mut budget = ErrorBudget::new(level(0.9, 10_000_000).expect("sound"));
        let all = i64::try_from(MOST + 200).expect("small");
        for n in 0..all {
            budget.take(span(n), counts(2, 1)).expect("in order");
        }
        assert!(budget.counted.len() <= MOST && budget.history.len() <= MOST);
        let status = budget.at(span(all - 1).to);
        assert_eq!(status.counts, counts(2 * all.unsigned_abs(), all.unsigned_abs()));
    }
}

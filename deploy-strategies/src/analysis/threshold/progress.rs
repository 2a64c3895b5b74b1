//! From measurements to metrics to the whole analysis, as a state machine: what is due when, and where it stands.

use std::time::Duration;

use deploy_core::monitor::{Measured, MeasurementOutcome};
use deploy_core::time::RunTime;
use serde::{Deserialize, Serialize};

use super::assess::{Limits, MetricPhase, PeerOrder, Progress, assess};
use super::run::{MetricResult, RunResult, assess_run};
use super::state::{Answer, ThresholdState};
use super::{MetricLimits, OnError, Threshold};

/// An analysis of a threshold judge under way, with a rhythm for each metric: for hosts that measure outside of a rollout, and
/// for imported analyses. Strategies have their own rhythm, that of their [`Analysis`](crate::analysis::Analysis).
///
/// ```text
///  start ──► due(now) ──► asked ──► answered ──► … ──► result: Running until every metric that counts has ended,
///               ▲                      │                       then the worst of them
///               └──── wake_at() ◄──────┘   the first bad one ends the others
/// ```
///
/// A metric is first due after its initial delay; then at its interval, and after an error sooner: after 10 s, in our own order of
/// outcomes twice as long after each further one. It ends when a limit is broken, when enough are good in a row, after its count (one,
/// where neither a count nor an interval is given), or when it is told to.
///
/// ```
/// use std::time::Duration;
/// use deploy_core::time::RunTime;
/// # use deploy_core::monitor::Comparison;
/// # use deploy_core::name::MetricName;
/// # use deploy_core::real::Real;
/// use deploy_strategies::analysis::threshold::{MetricPhase, Threshold};
/// # use deploy_strategies::analysis::threshold::{Bound, Condition, ErrorPolicy, Limit, MetricLimits, NoData, OnError};
/// # let mut errors = MetricLimits::new(
/// #     MetricName::new("http.error_ratio")?,
/// #     Condition::success(Bound::new(Comparison::AtMost, Real::new(0.01)?)),
/// #     Limit::more_than(0),
/// #     ErrorPolicy::consecutive(Limit::more_than(4), OnError::Inconclusive),
/// #     NoData::Inconclusive,
/// # );
/// errors.initial_delay = Duration::from_secs(30);
/// errors.interval = Some(Duration::from_secs(60));
/// let judge = Threshold::new(vec![errors])?;
/// let mut run = judge.start(RunTime(0));
/// assert_eq!(run.wake_at(), Some(RunTime(30_000)));
/// assert!(run.due(RunTime(29_999)).is_empty());
/// // Ending before anything was measured is not success.
/// run.end(&judge);
/// assert_eq!(run.result(&judge).phase, MetricPhase::Inconclusive);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Run {
    started: RunTime,
    state: ThresholdState,
    metrics: Vec<Slot>,
}

/// One metric of a run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Slot {
    /// When it is to be measured next; nothing while a question is open, and after the end.
    next: Option<RunTime>,
    /// Whether a question is open.
    #[serde(default)]
    open: bool,
    /// Whether it was told to end.
    #[serde(default)]
    ending: bool,
    /// What it ended as. What has ended stays so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<MetricPhase>,
}

/// A call that does not fit the state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// There is no metric with this number: ask with what [`Run::due`] gave.
    #[error("metric {0} of the analysis is not there")]
    NoSuchMetric(usize),
    /// An answer came to a question that was not asked, or was withdrawn: drop it.
    #[error("metric {0} of the analysis has no open question")]
    NotAsked(usize),
    /// A question was asked twice, or after the end.
    #[error("metric {0} of the analysis is not due")]
    NotDue(usize),
}

/// How soon after an error it is asked again, whatever the interval; as Argo Rollouts has it.
const RETRY: Duration = Duration::from_secs(10);

impl Threshold {
    /// Begins an analysis.
    #[must_use]
    pub fn start(&self, now: RunTime) -> Run {
        let slot = |limits: &MetricLimits| Slot {
            next: Some(now + limits.initial_delay),
            open: false,
            ending: false,
            ended: None,
        };
        let mut state = ThresholdState::default();
        state.fit(self.metrics());
        Run { started: now, state, metrics: self.metrics().iter().map(slot).collect() }
    }
}

impl Run {
    /// The numbers, in the judge's list, of the metrics that are due.
    #[must_use]
    pub fn due(&self, now: RunTime) -> Vec<usize> {
        let due = |slot: &Slot| slot.next.is_some_and(|next| next <= now);
        (0..self.metrics.len()).filter(|at| due(&self.metrics[*at])).collect()
    }

    /// When something is due next; nothing while every metric waits for an answer or has ended.
    #[must_use]
    pub fn wake_at(&self) -> Option<RunTime> {
        self.metrics.iter().filter_map(|slot| slot.next).min()
    }

    /// A metric is being measured.
    ///
    /// # Errors
    ///
    /// [`RunError`] if it is not there, is being measured already, or has ended.
    pub fn asked(&mut self, metric: usize) -> Result<(), RunError> {
        let slot = self.metrics.get_mut(metric).ok_or(RunError::NoSuchMetric(metric))?;
        if slot.open || slot.next.is_none() {
            return Err(RunError::NotDue(metric));
        }
        (slot.open, slot.next) = (true, None);
        Ok(())
    }

    /// A metric was measured, or could not be.
    ///
    /// # Errors
    ///
    /// [`RunError`] if it is not there or nothing was asked of it. The run is then as it was.
    pub fn answered(&mut self, judge: &Threshold, metric: usize, answer: &Measured) -> Result<(), RunError> {
        let limits = judge.metrics().get(metric).ok_or(RunError::NoSuchMetric(metric))?;
        let slot = self.metrics.get_mut(metric).ok_or(RunError::NoSuchMetric(metric))?;
        if !slot.open {
            return Err(RunError::NotAsked(metric));
        }
        slot.open = false;
        let kept = self.state.metrics.get_mut(metric).ok_or(RunError::NoSuchMetric(metric))?;
        let before = kept.counters().error;
        // The rhythm is the run's own: an answer is never too soon for its interval.
        let unhurried = MetricLimits { interval: None, ..limits.clone() };
        let outcome = kept.take(&unhurried, judge.order, self.started, &Answer::of(answer));
        let bad = matches!(outcome, Some(MeasurementOutcome::Failed | MeasurementOutcome::Error)) && !limits.dry_run;
        self.state.failed_checks = self.state.failed_checks.saturating_add(u32::from(bad));
        let errors = (kept.counters().error > before).then_some(kept.counters().consecutive_error);
        slot.next = Some(answer.at + pause(limits, judge.order, errors));
        if kept.hold_is_over(limits, answer.at) {
            slot.ended = Some(MetricPhase::Inconclusive);
        }
        self.settle(judge);
        Ok(())
    }

    /// It is told to end: what was measured so far is all there will be, and open questions are withdrawn.
    pub fn end(&mut self, judge: &Threshold) {
        for slot in self.metrics.iter_mut().filter(|slot| slot.ended.is_none()) {
            (slot.ending, slot.open, slot.next) = (true, false, None);
        }
        self.settle(judge);
    }

    /// Where each metric stands, in the judge's order.
    #[must_use]
    pub fn metrics<'a>(&self, judge: &'a Threshold) -> Vec<MetricResult<'a>> {
        let all = judge.metrics().iter().enumerate();
        all.map(|(at, limits)| MetricResult {
            name: limits.metric.as_str(),
            phase: self.phase(judge, at),
            dry_run: limits.dry_run,
        })
        .collect()
    }

    /// Where the whole stands: running until every metric that counts has ended, then the worst of them.
    #[must_use]
    pub fn result<'a>(&self, judge: &'a Threshold) -> RunResult<'a> {
        assess_run(&self.metrics(judge))
    }

    /// Notes what has ended. The first bad one that counts ends the others.
    fn settle(&mut self, judge: &Threshold) {
        let mut bad = false;
        for at in 0..self.metrics.len() {
            let phase = self.phase(judge, at);
            if !matches!(phase, MetricPhase::Running | MetricPhase::Pending) {
                let slot = &mut self.metrics[at];
                (slot.ended, slot.next, slot.open) = (Some(phase), None, false);
                let counts = judge.metrics().get(at).is_some_and(|limits| !limits.dry_run);
                bad |= phase > MetricPhase::Pending && counts;
            }
        }
        if bad && self.metrics.iter().any(|slot| slot.ended.is_none()) {
            self.end(judge);
        }
    }

    fn phase(&self, judge: &Threshold, at: usize) -> MetricPhase {
        // Of another judge than the one that it was begun with, nothing is known.
        let all = (self.metrics.get(at), judge.metrics().get(at), self.state.metrics.get(at));
        let (Some(slot), Some(limits), Some(kept)) = all else { return MetricPhase::Error };
        if let Some(ended) = slot.ended {
            return ended;
        }
        let too_many = judge.failed_checks.is_some_and(|limit| limit.reached(self.state.failed_checks));
        if too_many && !limits.dry_run {
            return MetricPhase::Failed;
        }
        let counters = kept.counters();
        let asked = kept.looked_at() || slot.open;
        let progress = Progress { asked, in_flight: slot.open, ending: slot.ending };
        let count = limits.count.or_else(|| limits.interval.is_none().then_some(1));
        let phase = assess(&Limits { count, ..limits.limits() }, counters, progress, judge.order);
        let counted_out = phase == MetricPhase::Running && !slot.open && kept.counted_out(limits);
        let holds = phase == MetricPhase::Error && matches!(limits.errors.on_error, OnError::Hold { .. });
        match (counted_out, holds && !slot.ending) {
            (true, _) => MetricPhase::Successful,
            // The author wants it asked on; the hold's own end makes it inconclusive.
            (_, true) => MetricPhase::Running,
            _ => phase,
        }
    }
}

/// How long until the next question, after so many errors in a row if the last answer was one.
fn pause(limits: &MetricLimits, order: PeerOrder, errors: Option<u32>) -> Duration {
    let interval = limits.interval.unwrap_or(RETRY);
    match (errors, order) {
        (None, _) => interval,
        (Some(_), PeerOrder::Argo) => RETRY,
        (Some(row), PeerOrder::Ours) => {
            let retry = RETRY.saturating_mul(2_u32.saturating_pow(row.saturating_sub(1).min(16)));
            retry.min(interval.max(RETRY))
        }
    }
}

//! What the threshold judge remembers of each metric: counts and the last number, never samples.

use std::time::Duration;

use deploy_core::monitor::{
    Advice, Arm, Counts, Histogram, Judgement, JudgementResult, Measured, Measurement, MeasurementOutcome, Reading,
};
use deploy_core::name::MetricName;
use deploy_core::real::Real;
use deploy_core::strategy::ReasonCode;
use deploy_core::time::{RunTime, Spell};
use serde::{Deserialize, Serialize};

use super::assess::{Counters, MetricPhase, PeerOrder, Progress, assess};
use super::limits::{NoData, OnError};
use super::metric::{MetricLimits, Subject};
use crate::analysis::Standing;

/// How much of an error's text is remembered, in characters: enough to recognise it, little enough for a record.
const LONGEST_NOTE: usize = 120;

/// An answer that comes sooner than its interval by at most this part of it counts as in time.
const JITTER: u32 = 20;

/// What is remembered between looks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct ThresholdState {
    #[serde(default)]
    pub(super) metrics: Vec<MetricState>,
    /// Answers in which at least one metric that counts was bad, absent or an error.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) failed_checks: u32,
}

/// What a monitor said to a question, or why it said nothing.
#[derive(Debug, Clone, Copy)]
pub(in crate::analysis) struct Answer<'a> {
    /// Which metrics were asked for; empty: all.
    pub(in crate::analysis) metrics: &'a [MetricName],
    pub(in crate::analysis) at: RunTime,
    /// Over how long.
    pub(in crate::analysis) over: Duration,
    pub(in crate::analysis) result: Result<&'a [Measurement], &'a str>,
}

impl<'a> Answer<'a> {
    pub(in crate::analysis) fn of(measured: &'a Measured) -> Self {
        let result = measured.result.as_deref().map_err(String::as_str);
        Self { metrics: &measured.request.metrics, at: measured.at, over: measured.request.lookback, result }
    }
}

impl ThresholdState {
    /// Makes room for exactly these metrics. A state that was kept for other ones is worth nothing and is dropped.
    pub(super) fn fit(&mut self, metrics: &[MetricLimits]) {
        if self.metrics.len() != metrics.len() {
            self.metrics = vec![MetricState::default(); metrics.len()];
            self.failed_checks = 0;
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct MetricState {
    #[serde(flatten)]
    counters: Counters,
    /// Absences that the author said do not matter.
    #[serde(skip_serializing_if = "is_zero")]
    ignored: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<MeasurementOutcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<Real>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<RunTime>,
    /// Over how long the last answer looked; milliseconds.
    over: u64,
    /// Events that are too few to be judged yet.
    pool: Counts,
    baseline_pool: Counts,
    /// Whether the last answer had no data.
    absent: bool,
    /// Since when the author's `hold` is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_since: Option<RunTime>,
    /// The last error, shortened.
    #[serde(skip_serializing_if = "String::is_empty")]
    note: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// What one answer holds for a metric.
enum Read {
    Number(f64),
    NoData,
    TooFew,
    Unfit(String),
}

impl MetricState {
    /// Whether the newest answer held a number that could be judged, and was not bad.
    pub(super) fn is_measured(&self) -> bool {
        let judged = matches!(self.last, Some(MeasurementOutcome::Successful | MeasurementOutcome::Inconclusive));
        self.number.is_some() && !self.absent && judged
    }

    /// Takes in one answer, and says what it came to; nothing if nothing was counted.
    pub(super) fn take(
        &mut self,
        limits: &MetricLimits,
        order: PeerOrder,
        started: RunTime,
        answer: &Answer<'_>,
    ) -> Option<MeasurementOutcome> {
        let asked = answer.metrics.is_empty() || answer.metrics.contains(&limits.metric);
        let ended = matches!(self.phase(limits, order), MetricPhase::Successful | MetricPhase::Failed);
        // How old what is released was when the window of the answer began.
        let age = answer.at.since(started).saturating_sub(answer.over);
        let early = answer.at < started + limits.initial_delay || age < limits.warm_up;
        let again = limits.interval.zip(self.at).is_some_and(|(interval, at)| {
            // Clocks jitter: an answer that is nearly due is due.
            answer.at.since(at) < interval - interval / JITTER
        });
        if !asked || ended || early || again {
            return None;
        }
        self.at = Some(answer.at);
        self.over = deploy_core::time::millis(answer.over);
        let read = match answer.result {
            Err(text) => Read::Unfit(text.to_owned()),
            Ok(list) if list.iter().any(|measurement| measurement.stratum.is_some()) => {
                match Measurement::of_all(list) {
                    Ok(all) => self.read(limits, &all),
                    Err(error) => Read::Unfit(error.to_string()),
                }
            }
            Ok(list) => self.read(limits, list),
        };
        self.absent = matches!(read, Read::NoData);
        let outcome = match read {
            Read::TooFew => {
                self.counters.answered();
                return None;
            }
            Read::Number(number) => {
                self.number = Real::new(number).ok();
                limits.condition.outcome(number)
            }
            Read::Unfit(text) => {
                self.note = text.chars().take(LONGEST_NOTE).collect();
                MeasurementOutcome::Error
            }
            Read::NoData => match &limits.no_data {
                NoData::Fail => MeasurementOutcome::Failed,
                NoData::Inconclusive => MeasurementOutcome::Inconclusive,
                NoData::Hold { .. } => {
                    self.counters.answered();
                    self.held_since.get_or_insert(answer.at);
                    return None;
                }
                NoData::Ignore { .. } => {
                    self.counters.answered();
                    self.ignored = self.ignored.saturating_add(1);
                    return None;
                }
            },
        };
        self.counters.add(outcome);
        self.last = Some(outcome);
        let errors_hold =
            self.phase(limits, order) == MetricPhase::Error && matches!(limits.errors.on_error, OnError::Hold { .. });
        self.held_since = if errors_hold { Some(self.held_since.unwrap_or(answer.at)) } else { None };
        Some(outcome)
    }

    /// Whether an answer came in that was looked at.
    pub(super) fn looked_at(&self) -> bool {
        self.at.is_some()
    }

    /// Whether measurements and absences that do not matter make up the whole count.
    pub(super) fn counted_out(&self, limits: &MetricLimits) -> bool {
        let all = self.counters.count.saturating_add(self.ignored);
        self.ignored > 0 && limits.count.is_some_and(|count| all >= count)
    }

    /// Whether the author's hold has lasted for as long as it may.
    pub(super) fn hold_is_over(&self, limits: &MetricLimits, now: RunTime) -> bool {
        let at_most = match (&limits.no_data, limits.errors.on_error) {
            (NoData::Hold { at_most }, _) if self.absent => *at_most,
            (_, OnError::Hold { at_most }) => at_most,
            _ => return false,
        };
        self.held_since.is_some_and(|since| now.since(since) >= at_most)
    }

    /// What was counted.
    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    fn read(&mut self, limits: &MetricLimits, list: &[Measurement]) -> Read {
        let of = |arm| list.iter().find(|m| m.metric == limits.metric && m.arm == arm).map(|m| &m.reading);
        let candidate = pooled(&mut self.pool, limits, of(Arm::Candidate));
        let read = if limits.of == Subject::Candidate {
            candidate
        } else {
            let baseline = pooled(&mut self.baseline_pool, limits, of(Arm::Baseline));
            match (candidate, baseline) {
                (Read::Number(new), Read::Number(old)) => match limits.of {
                    Subject::Ratio if old == 0.0 => Read::NoData,
                    Subject::Ratio => Read::Number(new / old),
                    Subject::Difference | Subject::Candidate => Read::Number(new - old),
                },
                (Read::Unfit(text), _) | (_, Read::Unfit(text)) => Read::Unfit(text),
                (Read::NoData, _) | (_, Read::NoData) => Read::NoData,
                (Read::TooFew, _) | (_, Read::TooFew) => Read::TooFew,
            }
        };
        if matches!(read, Read::Number(_)) {
            (self.pool, self.baseline_pool) = (Counts::default(), Counts::default());
        }
        read
    }

    fn phase(&self, limits: &MetricLimits, order: PeerOrder) -> MetricPhase {
        let asked = self.counters.count > 0 || self.counters.error > 0;
        assess(&limits.limits(), &self.counters, Progress { asked, ..Progress::default() }, order)
    }

    /// What is to be said of the metric now.
    pub(super) fn say(&self, limits: &MetricLimits, order: PeerOrder, now: RunTime) -> (Standing, Judgement) {
        let phase = self.phase(limits, order);
        let standing = self.standing(limits, phase, now);
        let (result, advice) = match standing {
            Standing::Good => (JudgementResult::Pass, Advice::Promote),
            Standing::NotYet => (JudgementResult::Inconclusive, Advice::Continue),
            Standing::Holding(ReasonCode::AnalysisErrors) | Standing::Unclear(ReasonCode::AnalysisErrors) => {
                (JudgementResult::Error, Advice::Warn)
            }
            Standing::Holding(_) | Standing::Unclear(_) => (JudgementResult::Inconclusive, Advice::Warn),
            Standing::Bad(ReasonCode::AnalysisErrors) => (JudgementResult::Error, Advice::RollBack),
            Standing::Bad(_) => (JudgementResult::Fail, Advice::RollBack),
        };
        let judgement = Judgement {
            metric: limits.metric.clone(),
            result,
            advice,
            measured: self.number,
            limit: limits.condition.shown(),
            at: self.at.unwrap_or(now),
            over: Duration::from_millis(self.over),
            because: self.because(limits, now),
            otherwise: self.otherwise(limits, standing),
        };
        (standing, judgement)
    }

    fn standing(&self, limits: &MetricLimits, phase: MetricPhase, now: RunTime) -> Standing {
        let held = |at_most: Duration, code: ReasonCode| {
            let over = self.held_since.is_some_and(|since| now.since(since) >= at_most);
            if over { Standing::Unclear(code) } else { Standing::Holding(code) }
        };
        let absence = |otherwise: ReasonCode| if self.absent { ReasonCode::NoData } else { otherwise };
        match phase {
            MetricPhase::Failed => Standing::Bad(absence(ReasonCode::AnalysisFailed)),
            MetricPhase::Inconclusive => Standing::Unclear(absence(ReasonCode::AnalysisInconclusive)),
            MetricPhase::Error => match limits.errors.on_error {
                OnError::RollBack => Standing::Bad(ReasonCode::AnalysisErrors),
                OnError::Inconclusive => Standing::Unclear(ReasonCode::AnalysisErrors),
                OnError::Hold { at_most } => held(at_most, ReasonCode::AnalysisErrors),
            },
            MetricPhase::Successful => Standing::Good,
            MetricPhase::Running | MetricPhase::Pending => match &limits.no_data {
                NoData::Hold { at_most } if self.held_since.is_some() => held(*at_most, ReasonCode::NoData),
                _ if self.enough(limits) => Standing::Good,
                _ => Standing::NotYet,
            },
        }
    }

    /// Whether a metric that goes on has been measured well enough to go on with. Nothing measured never is, unless the
    /// author said that absence does not matter.
    fn enough(&self, limits: &MetricLimits) -> bool {
        if limits.consecutive_success_limit.is_some() {
            return false;
        }
        let ignored_last = self.absent && self.ignored > 0;
        match limits.count {
            Some(count) => self.ignored > 0 && self.counters.count.saturating_add(self.ignored) >= count,
            None => ignored_last || self.last == Some(MeasurementOutcome::Successful),
        }
    }

    fn because(&self, limits: &MetricLimits, now: RunTime) -> String {
        let c = &self.counters;
        let Some(at) = self.at else {
            return format!("{} has not been measured yet", limits.metric);
        };
        let subject = match limits.of {
            Subject::Candidate => "",
            Subject::Difference => " (new minus old)",
            Subject::Ratio => " (new divided by old)",
        };
        let number = match (self.number, self.absent) {
            (_, true) => match &limits.no_data {
                NoData::Ignore { reason } => format!("had no data, which is ignored: {reason}"),
                NoData::Fail => "had no data, which counts as bad".to_owned(),
                NoData::Inconclusive => "had no data, which is inconclusive".to_owned(),
                NoData::Hold { at_most } => format!("had no data; held for at most {}", Spell(*at_most)),
            },
            (Some(number), false) => format!("was {number}, {}", limits.condition),
            (None, false) if self.last == Some(MeasurementOutcome::Error) => {
                format!("could not be measured: {}", self.note)
            }
            (None, false) => format!("has {} of {} events needed", self.pool.events(), limits.min_events),
        };
        let mut text = format!(
            "{}{subject} {number}; asked {} ago over {}; {} good, {} bad, {} inconclusive, {} errors",
            limits.metric,
            Spell(now.since(at)),
            Spell(Duration::from_millis(self.over)),
            c.successful,
            c.failed,
            c.inconclusive,
            c.error
        );
        if let Some(limit) = limits.failure_limit {
            text.push_str(&format!("; fails at {limit} bad"));
        }
        if let Some(limit) = limits.consecutive_failure_limit {
            text.push_str(&format!("; fails at {limit} bad in a row ({} now)", c.consecutive_failed));
        }
        text
    }

    fn otherwise(&self, limits: &MetricLimits, standing: Standing) -> String {
        let c = &self.counters;
        match standing {
            Standing::Good => {
                let left = |limit: super::Limit, have: u32| limit.least().saturating_sub(have);
                let total = limits.failure_limit.map(|limit| left(limit, c.failed));
                let row = limits.consecutive_failure_limit.map(|limit| left(limit, c.consecutive_failed));
                let more = total.into_iter().chain(row).min().unwrap_or(0);
                format!("{more} more bad ones would fail it")
            }
            Standing::NotYet => match (limits.count, limits.consecutive_success_limit) {
                (_, Some(limit)) => {
                    format!("{} good ones in a row would pass it ({} now)", limit.least(), c.consecutive_success)
                }
                (Some(count), None) => format!("{count} measurements would end it ({} now)", c.count),
                (None, None) => "one good measurement would pass it".to_owned(),
            },
            Standing::Holding(_) => "a measurement would end the hold".to_owned(),
            Standing::Unclear(_) => "clear measurements, or a person's yes, would let it go on".to_owned(),
            Standing::Bad(ReasonCode::AnalysisErrors) => "answers in time would have kept it going".to_owned(),
            Standing::Bad(_) => match limits.failure_limit.filter(|limit| limit.reached(c.failed)) {
                Some(limit) => {
                    format!("with fewer than {} bad ones it would not have failed ({} now)", limit.least(), c.failed)
                }
                None => "with a good one in between it would not have failed".to_owned(),
            },
        }
    }
}

fn pooled(pool: &mut Counts, limits: &MetricLimits, reading: Option<&Reading>) -> Read {
    let min_events = limits.min_events;
    let sizes = |histogram: &Histogram| {
        let Some(quantile) = limits.quantile else {
            let text = "the metric came as sizes; say by `quantile` which of them is compared with the limit";
            return Read::Unfit(text.to_owned());
        };
        match histogram.quantile(quantile.get()) {
            None => Read::NoData,
            // Sizes are not added up from window to window: too few are too few.
            Some(_) if histogram.count() < min_events => Read::TooFew,
            Some(size) => Read::Number(size),
        }
    };
    match reading {
        None | Some(Reading::NoData) => Read::NoData,
        Some(Reading::Samples(samples)) => match Histogram::of(samples) {
            Ok(histogram) => sizes(&histogram),
            Err(error) => Read::Unfit(error.to_string()),
        },
        Some(Reading::Histogram(histogram)) => sizes(histogram),
        Some(Reading::Value(value)) if min_events == 0 => Read::Number(value.get()),
        Some(Reading::Value(_)) => Read::Unfit(
            "the metric came as a value without a count of events, so min_events cannot be checked".to_owned(),
        ),
        Some(Reading::Counts(counts)) => {
            if counts.events() == 0 && pool.events() < min_events.max(1) {
                return Read::NoData;
            }
            *pool = pool.plus(*counts);
            match pool.ratio() {
                Some(ratio) if pool.events() >= min_events => Read::Number(ratio),
                _ => Read::TooFew,
            }
        }
    }
}

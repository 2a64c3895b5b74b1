//! A judge of batches at work in a strategy: measurements of both arms in, batch by batch, and a standing out.

use std::time::Duration;

use deploy_core::monitor::{Arm, Batch, BatchKey, Measured, Measurement, Traffic, Window};
use deploy_core::real::Real;
use deploy_core::strategy::ReasonCode;
use deploy_core::time::{RunTime, Timestamp, millis};
use serde::{Deserialize, Serialize};

use super::absence::{Absence, Absent};
use super::judge::{Judge, JudgeError, JudgeState};
use super::sequential::Look;
use super::taken::Taken;
use super::verdict::{Cause, Verdict as Said};
use super::{Standing, Verdict};

/// An overlap of two windows by less than this part of the later one is the jitter of clocks; beyond it events would be
/// counted twice.
const JITTER: i64 = 20;

/// How many strata an analysis may have, and how many characters the name of each: so much is remembered of each of them.
const MOST_STRATA: usize = 16;
const LONGEST_STRATUM: usize = 32;

/// How many windows in a row may lack what decides before it counts as absent.
const STALE_AFTER: u32 = 3;

/// What is remembered of a judge of batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ComparedState {
    sums: JudgeState,
    /// Whether the judge took a batch into `sums` at this look: then they are known to be of its configuration.
    #[serde(skip)]
    fitting: bool,
    /// The stage of the strategy.
    stage: u32,
    /// How many batches there were.
    windows: u64,
    /// How many of this stage count: those of a warm-up do not.
    counted: u32,
    /// The end of the newest window that was taken in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    /// For how long the stage has been observed; milliseconds.
    observed: u64,
    /// Whether the stage was judged, by a judge that does so once.
    #[serde(default, skip_serializing_if = "is_false")]
    judged: bool,
    /// The share of both arms' traffic that the candidate should see, where traffic is split by weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<Real>,
    #[serde(default, skip_serializing_if = "Absent::is_nothing")]
    absent: Absent,
}

impl ComparedState {
    /// The state before the first batch.
    pub(super) fn begin(judge: &Judge) -> Result<Self, JudgeError> {
        Ok(Self {
            sums: judge.begin()?,
            fitting: false,
            stage: 0,
            windows: 0,
            counted: 0,
            until: None,
            observed: 0,
            judged: false,
            share: None,
            absent: Absent::default(),
        })
    }

    /// The strategy is in this stage, has observed it for so long, and gives the candidate this share of both arms' traffic.
    pub(super) fn at(&mut self, stage: u32, observed_for: Duration, share: Option<Real>) {
        if stage > self.stage {
            (self.stage, self.counted, self.judged) = (stage, 0, false);
        }
        (self.observed, self.share) = (millis(observed_for), share);
    }

    /// Takes in an answer, as one batch. `started` is when the stage went live.
    pub(super) fn take(&mut self, judge: &Judge, started: RunTime, measured: &Measured) {
        if !self.judged {
            let taken = self.try_take(judge, started, measured);
            self.absent.answered(taken.as_ref().map(|_| ()).map_err(String::as_str));
        }
    }

    /// Notes what follows from what was taken in, and says what the judge says now, of windows of this length.
    pub(super) fn settle(&mut self, judge: &Judge, absence: &Absence, now: RunTime, lookback: Duration) -> Verdict {
        // The judge is asked once a look: it is what a look costs.
        let fitting = std::mem::take(&mut self.fitting);
        let said = self.said(judge, fitting);
        let absent = said.as_ref().is_ok_and(|said| self.is_absent(judge, said));
        self.absent.settle(absence, absent, now);
        let due = |after: Duration| self.counted > 0 && Duration::from_millis(self.observed) >= after;
        self.judged |= judge.judged_after().is_some_and(due);
        self.verdict_of(said, judge, absence, now, lookback)
    }

    fn try_take(&mut self, judge: &Judge, started: RunTime, measured: &Measured) -> Result<(), String> {
        let measurements = measured.result.as_ref().map_err(Clone::clone)?;
        // An empty answer is an answer: of no data.
        let at = self.until.unwrap_or_default();
        let window = around(measurements).unwrap_or(Window { from: at, to: at });
        let jitter = window.to.0.saturating_sub(window.from.0) / JITTER;
        if self.until.is_some_and(|until| window.from.0.saturating_add(jitter) < until.0) {
            return Err("its window overlaps the one before, so that events would be counted twice".to_owned());
        }
        let age = measured.at.since(started).saturating_sub(measured.request.lookback);
        let batch = Batch::new(BatchKey::new(self.stage, self.windows), window).youngest(age);
        let mut batches = in_batches(judge, &batch, measurements)?;
        if let (Judge::Sequential(sequential), Some(share)) = (judge, self.share) {
            // The share is of all traffic: one part of it may see more, and another less.
            let each = batches.iter().filter_map(|batch| sequential.traffic(batch, share));
            let all = each.reduce(|a, b| Traffic {
                candidate: a.candidate.saturating_add(b.candidate),
                baseline: a.baseline.saturating_add(b.baseline),
                share,
            });
            if let Some(first) = batches.first_mut() {
                first.traffic = all;
            }
        }
        if judge.take_window(&mut self.sums, &batches).map_err(|error| error.to_string())? == Taken::Counted {
            self.counted = self.counted.saturating_add(1);
        }
        self.fitting = true;
        self.windows += 1;
        self.until = Some(window.to);
        Ok(())
    }

    fn said(&self, judge: &Judge, fitting: bool) -> Result<Said, JudgeError> {
        let look = Look { stage: self.stage, observed_for: Duration::from_millis(self.observed) };
        if fitting { judge.verdict_of_fitting(&self.sums, &look) } else { judge.verdict(&self.sums, &look) }
    }

    /// Whether what decides was looked for and is not there.
    fn is_absent(&self, judge: &Judge, said: &Said) -> bool {
        let stale_after = if let Judge::Sequential(judge) = judge { judge.stale_after } else { STALE_AFTER };
        said.cause == Cause::NoData && self.counted >= stale_after.max(1)
    }

    /// What the judge says now, of windows of this length.
    pub(super) fn verdict(&self, judge: &Judge, absence: &Absence, now: RunTime, lookback: Duration) -> Verdict {
        self.verdict_of(self.said(judge, false), judge, absence, now, lookback)
    }

    fn verdict_of(
        &self,
        said: Result<Said, JudgeError>,
        judge: &Judge,
        absence: &Absence,
        now: RunTime,
        lookback: Duration,
    ) -> Verdict {
        let Ok(said) = said else {
            // Only another configuration than that of the state gets here: what it knew is void.
            return Verdict::of_errors();
        };
        let mut judgements = said.judgements(now, lookback);
        if judgements.is_empty() {
            // Something must be said even where nothing is said of any metric yet.
            judgements.extend(judge.metrics().into_iter().next().map(|metric| said.alone(metric, now, lookback)));
        }
        let absent = self.is_absent(judge, &said);
        let mut why = vec![self.absent.note().to_owned()];
        let (standing, compared) = match self.absent.standing(absence, absent, now) {
            Some((standing, sentence)) if said.cause != Cause::Harm => {
                why.push(sentence);
                (standing, false)
            }
            _ => (standing(said.cause), is_of_meaning(said.cause)),
        };
        why.push(said.because);
        why.retain(|part| !part.is_empty());
        let mut verdict = Verdict { standing, compared, judgements };
        // What is said of all together is said once, where it is looked for; the others keep to what is so of their own metric.
        if let Some(worst) = verdict.worst_mut() {
            if !worst.because.is_empty() {
                why.push(format!("{}: {}", worst.metric, worst.because));
            }
            (worst.because, worst.otherwise) = (why.join("; "), said.otherwise);
        }
        verdict
    }
}

/// What a cause means for a strategy.
fn standing(cause: Cause) -> Standing {
    match cause {
        Cause::Harm => Standing::Bad(ReasonCode::AnalysisFailed),
        Cause::Proven => Standing::Good,
        Cause::WithinMargin | Cause::SampleRatio => Standing::Unclear(ReasonCode::AnalysisInconclusive),
        Cause::Error => Standing::Unclear(ReasonCode::AnalysisErrors),
        // Patience is the strategy's: when it ends, these are doubts.
        Cause::NoData | Cause::NoBaseline | Cause::TooShort | Cause::LowTraffic | Cause::Undecided => Standing::NotYet,
    }
}

/// Whether what was measured could be compared, whatever it means.
fn is_of_meaning(cause: Cause) -> bool {
    match cause {
        Cause::Harm | Cause::Proven | Cause::WithinMargin | Cause::LowTraffic | Cause::Undecided => true,
        // A judge that looks once has not looked yet.
        Cause::TooShort | Cause::SampleRatio | Cause::Error | Cause::NoData | Cause::NoBaseline => false,
    }
}

/// The span that these cover together.
fn around(measurements: &[Measurement]) -> Option<Window> {
    let from = measurements.iter().map(|m| m.window.from).min()?;
    let to = measurements.iter().map(|m| m.window.to).max()?;
    Some(Window { from, to })
}

/// What was measured, as the judge takes it: part by part of the traffic, or all of it together.
fn in_batches(judge: &Judge, batch: &Batch, measurements: &[Measurement]) -> Result<Vec<Batch>, String> {
    if judge.stratifies() {
        let batches = batch.by_stratum(measurements).map_err(|error| error.to_string())?;
        let strata = || batches.iter().filter_map(|batch| batch.key.stratum.as_ref());
        if let Some(long) = strata().find(|stratum| stratum.as_str().len() > LONGEST_STRATUM) {
            return Err(format!("the name of the stratum {long} has more than {LONGEST_STRATUM} characters"));
        }
        let count = strata().count();
        if count > MOST_STRATA {
            return Err(format!(
                "{count} strata were measured, and at most {MOST_STRATA} are compared: put some together"
            ));
        }
        return Ok(batches);
    }
    let all = Measurement::of_all(measurements).map_err(|error| error.to_string())?;
    let all = if judge.needs_baseline() { all } else { in_both_arms(&all) };
    Ok(vec![batch.clone().measured(&all).map_err(|error| error.to_string())?])
}

/// What was measured of the candidate, in both arms: a judge that compares with nobody looks at the candidate's alone, and a
/// batch holds pairs.
fn in_both_arms(measurements: &[Measurement]) -> Vec<Measurement> {
    let own = measurements.iter().filter(|measurement| measurement.arm == Arm::Candidate);
    own.flat_map(|own| [own.clone(), Measurement { arm: Arm::Baseline, ..own.clone() }]).collect()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_false(b: &bool) -> bool {
    !*b
}

//! What is asked of which monitor, how often, and who says what the answers mean.

use std::collections::BTreeSet;
use std::time::Duration;

use deploy_core::monitor::{Judgement, MeasureRequest, Measured};
use deploy_core::name::{BlockName, MetricName, RevisionName};
use deploy_core::real::Real;
use deploy_core::strategy::{ReasonCode, Situation};
use deploy_core::time::RunTime;
use serde::{Deserialize, Serialize};

use super::absence::Absence;
use super::compared::ComparedState;
use super::judge::Judge;
use super::threshold::ThresholdState;
use super::written::compared_as_written;
use crate::refusal::Problems;
use crate::span;

/// What is kept of a judge between looks.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    /// Nothing yet.
    #[default]
    Fresh,
    /// Of a threshold judge.
    Threshold(ThresholdState),
    /// Of a judge of batches.
    Batches(Box<ComparedState>),
}

/// Where an analysis stands. Worst wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// Well enough to go on.
    Good,
    /// Not measured enough.
    NotYet,
    /// The author said to hold, for a limited time.
    Holding(ReasonCode),
    /// It cannot be told; a person decides.
    Unclear(ReasonCode),
    /// The release must go back.
    Bad(ReasonCode),
}

/// What a judge says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The worst of all metrics.
    pub standing: Standing,
    /// Whether everything that decides was measured, and was comparable: that nothing but its meaning is open. Never so where data were
    /// missing, a question failed, or the arms do not see the traffic that they should.
    pub compared: bool,
    /// One for each metric.
    pub judgements: Vec<Judgement>,
}

impl Verdict {
    /// Where nothing could be judged at all.
    pub(super) fn of_errors() -> Self {
        let standing = Standing::Unclear(ReasonCode::AnalysisErrors);
        Self { standing, compared: false, judgements: Vec::new() }
    }

    /// The judgement that decides: its reasons are those of the whole.
    pub(crate) fn worst_mut(&mut self) -> Option<&mut Judgement> {
        self.judgements.iter_mut().max_by_key(|judgement| (judgement.advice, judgement.result))
    }
}

/// Which side the new revision is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparand {
    /// With nobody: limits are absolute.
    Nothing,
    /// With the revision that served before.
    Stable,
}

/// A monitor that is asked again and again, and the judge of its answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Analysis {
    /// The monitor.
    pub monitor: BlockName,
    /// How often it is asked. After an error sooner: 10 s, then twice as long each time, at most this.
    #[serde(with = "span")]
    pub every: Duration,
    /// How far back each question looks. The first one is asked when its window lies wholly in the stage.
    #[serde(with = "span")]
    pub lookback: Duration,
    /// Who judges.
    pub judge: Judge,
    /// What it means that there was nothing to be judged. It has no default, and must be written; except for a threshold judge, of
    /// which every metric has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absence: Option<Absence>,
}

/// How long after the first error the question is asked again; twice as long after each further one. As Argo Rollouts has it.
const FIRST_RETRY: Duration = Duration::from_secs(10);

/// How many characters may be remembered of the judges that are at work at the same time: so many stay well below what a record
/// may hold beside the rest of a strategy's memory.
const MOST_REMEMBERED: usize = 12_000;

/// What is remembered of an analysis.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AnalysisState {
    judge: Kept,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<RunTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<RunTime>,
    /// Errors in a row, for the back-off.
    errors: u32,
    /// The strategy's stage, where the analysis goes on through several.
    #[serde(skip_serializing_if = "is_first")]
    stage: u32,
}

compared_as_written!(AnalysisState);

impl Analysis {
    /// A question each minute about the last minute, so that windows do not overlap.
    #[must_use]
    pub fn new(monitor: BlockName, judge: Judge) -> Self {
        let minute = Duration::from_secs(60);
        Self { monitor, every: minute, lookback: minute, judge, absence: None }
    }

    /// The same analysis; this is what absence of data and errors of the question mean. Every judge but the threshold judge
    /// needs it.
    #[must_use]
    pub fn absence(mut self, absence: Absence) -> Self {
        self.absence = Some(absence);
        self
    }

    /// The same analysis, asked this often about this long.
    #[must_use]
    pub fn every(mut self, every: Duration) -> Self {
        (self.every, self.lookback) = (every, every);
        self
    }

    /// How long it takes at least until it can say yes.
    #[must_use]
    pub fn at_least(&self) -> Duration {
        match &self.judge {
            Judge::Threshold(judge) => {
                let longest = judge.metrics().iter().map(|limits| {
                    let successes = limits.consecutive_success_limit.map_or(u32::MAX, |limit| limit.least());
                    let needed = limits.count.unwrap_or(u32::MAX).min(successes);
                    let needed = if needed == u32::MAX { 1 } else { needed };
                    self.lookback + limits.warm_up + self.every * needed.saturating_sub(1)
                });
                longest.max().unwrap_or_default()
            }
            Judge::Sequential(judge) => judge.least_observed.max(judge.warm_up + self.lookback + self.every),
            Judge::BurnRate(_) => self.lookback + self.every,
            Judge::Kayenta(_) | Judge::ServiceScore(_) => {
                self.judge.judged_after().unwrap_or_default().max(self.lookback) + self.every
            }
        }
    }

    /// The metrics that are asked for.
    #[must_use]
    pub fn metrics(&self) -> Vec<MetricName> {
        self.judge.metrics()
    }

    /// Whether the revision that served before is measured too.
    #[must_use]
    pub fn comparand(&self) -> Comparand {
        if self.judge.needs_baseline() { Comparand::Stable } else { Comparand::Nothing }
    }

    /// The question.
    #[must_use]
    pub fn request(&self, candidate: &RevisionName, stable: Option<&RevisionName>) -> MeasureRequest {
        let baseline = stable.filter(|_| self.comparand() == Comparand::Stable);
        MeasureRequest {
            monitor: self.monitor.clone(),
            metrics: self.metrics(),
            candidate: candidate.clone(),
            baseline: baseline.cloned(),
            lookback: self.lookback,
        }
    }

    /// Takes in what was measured since the last look. While it is not `live` (the new revision gets no traffic, or not yet
    /// that of its stage) nothing is counted, and the next window starts anew when it is again.
    pub fn look(
        &self,
        state: &mut AnalysisState,
        situation: &Situation<'_>,
        stable: Option<&RevisionName>,
        live: bool,
    ) -> Verdict {
        let now = situation.now;
        if matches!(state.judge, Kept::Fresh) {
            state.judge = match &self.judge {
                Judge::Threshold(_) => Kept::Threshold(ThresholdState::default()),
                judge => ComparedState::begin(judge).map_or(Kept::Fresh, |kept| Kept::Batches(Box::new(kept))),
            };
        }
        if let Kept::Batches(kept) = &mut state.judge
            && live
        {
            kept.at(state.stage, situation.observed_for, share(situation, stable));
        }
        if !live {
            state.due = None;
            return self.verdict(state, now);
        }
        let started = *state.started.get_or_insert(now);
        if state.due.is_some() {
            let request = self.request(&situation.release.revision, stable);
            let answers: Vec<&Measured> = situation.measured.iter().filter(|m| m.request == request).collect();
            if let Some(last) = answers.iter().map(|m| m.at).max() {
                self.observe(state, started, &answers);
                let failed = answers.iter().all(|m| m.result.is_err());
                state.errors = if failed { state.errors.saturating_add(1) } else { 0 };
                let retry = FIRST_RETRY * 2_u32.saturating_pow(state.errors.saturating_sub(1).min(16));
                state.due = Some(last + if failed { retry.min(self.every) } else { self.every });
            }
        }
        // One look may come right after a change of ours, so the first window leaves room for a whole interval of looks.
        state.due.get_or_insert(now + self.lookback + situation.observe_every);
        match (&mut state.judge, &self.absence) {
            (Kept::Batches(kept), Some(absence)) => kept.settle(&self.judge, absence, now, self.lookback),
            _ => self.verdict(state, now),
        }
    }

    /// When it is to be asked next; nothing while it is not live.
    #[must_use]
    pub fn due(&self, state: &AnalysisState) -> Option<RunTime> {
        state.due
    }

    /// Adds what is wrong with it.
    pub(crate) fn check(&self, problems: &mut Problems, at: &str) {
        problems.require(!self.every.is_zero(), format!("{at}.every"), "it is 0s", "more than 0s");
        problems.require(!self.lookback.is_zero(), format!("{at}.lookback"), "it is 0s", "more than 0s");
        let written =
            || "no_data and errors, for example {no_data: inconclusive, errors: {consecutive_limit: …, on_error: …}}";
        match (&self.judge, &self.absence) {
            (Judge::Threshold(_), given) => {
                let once = given.is_none();
                problems.require(once, format!("{at}.absence"), "each metric has its own", "nothing");
                return;
            }
            (_, None) => {
                problems.add(format!("{at}.absence"), "what no data and errors mean is not written", written())
            }
            (judge, Some(absence)) => {
                absence.check(problems, &format!("{at}.absence"), matches!(judge, Judge::BurnRate(_)));
            }
        }
        if let Err(wrong) = self.judge.check() {
            problems.require(false, format!("{at}.judge"), wrong.to_string(), "figures that make sense");
        }
        let apart = self.every >= self.lookback;
        problems.require(apart, format!("{at}.every"), "windows overlap", "at least as long as the lookback");
        let size = self.judge.remembers(self.every);
        problems.require(
            size <= MOST_REMEMBERED,
            format!("{at}.judge"),
            format!("it would remember up to {size} characters"),
            format!("at most {MOST_REMEMBERED}: fewer metrics, a longer `every`, or for Kayenta a shorter `after`"),
        );
    }

    /// Adds a problem if those that go on at the same time judge too many metrics.
    pub(crate) fn check_all<'a>(problems: &mut Problems, at: &str, all: impl Iterator<Item = &'a Self>) {
        let size = all.map(|analysis| analysis.judge.remembers(analysis.every)).fold(0, usize::saturating_add);
        let wrong = format!("what is judged at a time would take up to {size} characters to remember");
        let allowed = format!("at most {MOST_REMEMBERED}: fewer metrics, or fewer analyses at a time");
        problems.require(size <= MOST_REMEMBERED, at, wrong, allowed);
    }

    fn observe(&self, state: &mut AnalysisState, started: RunTime, answers: &[&Measured]) {
        match (&self.judge, &mut state.judge) {
            (Judge::Threshold(judge), Kept::Threshold(kept)) => judge.observe(kept, started, answers),
            (judge, Kept::Batches(kept)) => answers.iter().for_each(|answer| kept.take(judge, started, answer)),
            // It could not even begin, or was kept for another kind of judge: what it says is that it cannot tell.
            (_, Kept::Fresh | Kept::Threshold(_)) => {}
        }
    }

    /// What the judge says now.
    #[must_use]
    pub fn verdict(&self, state: &AnalysisState, now: RunTime) -> Verdict {
        match (&self.judge, &state.judge, &self.absence) {
            (Judge::Threshold(judge), Kept::Threshold(kept), _) => judge.verdict(kept, now),
            (Judge::Threshold(judge), ..) => judge.verdict(&ThresholdState::default(), now),
            (judge, Kept::Batches(kept), Some(absence)) => kept.verdict(judge, absence, now, self.lookback),
            _ => Verdict::of_errors(),
        }
    }
}

impl AnalysisState {
    /// The strategy went on to this stage while the analysis goes on. For judges that compare stage by stage the next window
    /// starts anew, so that none covers two stages.
    pub(crate) fn enter(&mut self, stage: u32) {
        if stage > self.stage {
            self.stage = stage;
            if matches!(self.judge, Kept::Batches(_)) {
                (self.started, self.due) = (None, None);
            }
        }
    }
}

/// The share of both arms' traffic that the candidate should see by the weights that are in force; nothing where nothing is split by
/// weight, or one arm gets it all.
fn share(situation: &Situation<'_>, stable: Option<&RevisionName>) -> Option<Real> {
    let candidate = f64::from(situation.observed.weight(&situation.release.revision));
    let baseline = f64::from(situation.observed.weight(stable?));
    if candidate > 0.0 && baseline > 0.0 { Real::new(candidate / (candidate + baseline)).ok() } else { None }
}

/// Every monitor that these ask, once.
pub(crate) fn monitors_of<'a>(all: impl Iterator<Item = &'a Analysis>) -> Vec<BlockName> {
    let names: BTreeSet<&BlockName> = all.map(|analysis| &analysis.monitor).collect();
    names.into_iter().cloned().collect()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_first(stage: &u32) -> bool {
    *stage == 0
}

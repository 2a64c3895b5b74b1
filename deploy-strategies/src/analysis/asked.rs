//! What is asked of which monitor, how often, and who says what the answers mean.

use std::collections::BTreeSet;
use std::time::Duration;

use deploy_core::monitor::{Judgement, MeasureRequest, Measured};
use deploy_core::name::{BlockName, MetricName, RevisionName};
use deploy_core::strategy::{ReasonCode, Situation};
use deploy_core::time::RunTime;
use serde::{Deserialize, Serialize};

use super::compared::ComparedState;
use super::sequential::Sequential;
use super::threshold::{Threshold, ThresholdState};
use crate::refusal::Problems;
use crate::span;

/// The judges there are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judge {
    /// Each measurement against a fixed limit.
    Threshold(Threshold),
    /// Both arms against each other, at any look, with one chance of error. Where an analysis belongs to one step, that
    /// chance is the step's, and the step is left only with the judge's proof. In the background of a canary it is that of the
    /// whole rollout, and the proof is asked for in the last step: with all traffic on one side there is nothing to compare.
    /// Give it then as many stages as there are steps, and steps that are longer than a window: none covers two steps.
    ///
    /// The warm-up counts from when the stage went live. The check of the sample ratio needs the weights, which it is not
    /// given here. Where the baseline gets no traffic any more, as after the switch of a blue-green release, it never says yes.
    Sequential(Sequential),
}

impl Judge {
    /// Whether it says nothing without traffic on both sides.
    pub(crate) fn compares_sides(&self) -> bool {
        matches!(self, Self::Sequential(_))
    }
}

/// What a judge remembers between looks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JudgeState {
    /// Nothing yet.
    #[default]
    Fresh,
    /// Of a threshold judge.
    Threshold(ThresholdState),
    /// Of a sequential judge.
    Sequential(Box<ComparedState>),
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
    /// One for each metric.
    pub judgements: Vec<Judgement>,
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
}

/// How long after the first error the question is asked again; twice as long after each further one. As Argo Rollouts has it.
const FIRST_RETRY: Duration = Duration::from_secs(10);

/// How many metrics may be judged at a time. What is remembered of so many stays well below what a record may hold.
const MOST_METRICS: usize = 24;

/// As many metrics of a threshold judge take the room of one series of a sequential judge: a number of errors is one, a
/// latency one for each quantile.
const SERIES_SIZE: usize = 2;

/// What is remembered of an analysis.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AnalysisState {
    judge: JudgeState,
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

impl Analysis {
    /// A question each minute about the last minute, so that windows do not overlap.
    #[must_use]
    pub fn new(monitor: BlockName, judge: Judge) -> Self {
        let minute = Duration::from_secs(60);
        Self { monitor, every: minute, lookback: minute, judge }
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
                    self.lookback.max(limits.warm_up) + self.every * needed.saturating_sub(1)
                });
                longest.max().unwrap_or_default()
            }
            Judge::Sequential(judge) => judge.least_observed.max(judge.warm_up + self.lookback + self.every),
        }
    }

    /// The metrics that are asked for.
    #[must_use]
    pub fn metrics(&self) -> Vec<MetricName> {
        match &self.judge {
            Judge::Threshold(judge) => {
                let mut names: Vec<_> = judge.metrics().iter().map(|limits| limits.metric.clone()).collect();
                names.sort();
                names.dedup();
                names
            }
            Judge::Sequential(judge) => {
                let names: BTreeSet<_> = judge.metrics.iter().map(|watched| watched.metric.clone()).collect();
                names.into_iter().collect()
            }
        }
    }

    /// Whether the revision that served before is measured too.
    #[must_use]
    pub fn comparand(&self) -> Comparand {
        let compares = match &self.judge {
            Judge::Threshold(judge) => judge.metrics().iter().any(|limits| limits.of.needs_baseline()),
            Judge::Sequential(_) => true,
        };
        if compares { Comparand::Stable } else { Comparand::Nothing }
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
        if let (Judge::Sequential(judge), JudgeState::Fresh) = (&self.judge, &state.judge)
            && let Ok(kept) = ComparedState::begin(judge)
        {
            state.judge = JudgeState::Sequential(Box::new(kept));
        }
        if let JudgeState::Sequential(kept) = &mut state.judge
            && live
        {
            kept.at(state.stage, situation.observed_for);
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
        self.verdict(state, now)
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
        if let Judge::Sequential(judge) = &self.judge {
            let wrong = judge.check().err().map(|error| error.to_string());
            let fits = wrong.is_none();
            problems.require(fits, format!("{at}.judge"), wrong.unwrap_or_default(), "figures that make sense");
            let apart = self.every >= self.lookback;
            problems.require(apart, format!("{at}.every"), "windows overlap", "at least as long as the lookback");
        }
    }

    /// Adds a problem if those that go on at the same time judge too many metrics.
    pub(crate) fn check_all<'a>(problems: &mut Problems, at: &str, all: impl Iterator<Item = &'a Self>) {
        let metrics: usize = all.map(Self::size).sum();
        let wrong = format!("{metrics} metrics are judged at a time");
        problems.require(metrics <= MOST_METRICS, at, wrong, format!("at most {MOST_METRICS}"));
    }

    fn observe(&self, state: &mut AnalysisState, started: RunTime, answers: &[&Measured]) {
        match (&self.judge, &mut state.judge) {
            (Judge::Threshold(judge), JudgeState::Threshold(kept)) => judge.observe(kept, started, answers),
            (Judge::Threshold(judge), other) => {
                let mut kept = ThresholdState::default();
                judge.observe(&mut kept, started, answers);
                *other = JudgeState::Threshold(kept);
            }
            (Judge::Sequential(judge), JudgeState::Sequential(kept)) => {
                answers.iter().for_each(|answer| kept.take(judge, started, answer));
            }
            // It could not even begin: what it says is that it cannot tell.
            (Judge::Sequential(_), _) => {}
        }
    }

    /// What the judge says now.
    #[must_use]
    pub fn verdict(&self, state: &AnalysisState, now: RunTime) -> Verdict {
        match (&self.judge, &state.judge) {
            (Judge::Threshold(judge), JudgeState::Threshold(kept)) => judge.verdict(kept, now),
            (Judge::Threshold(judge), _) => judge.verdict(&ThresholdState::default(), now),
            (Judge::Sequential(judge), JudgeState::Sequential(kept)) => kept.verdict(judge, now, self.lookback),
            (Judge::Sequential(_), _) => {
                Verdict { standing: Standing::Unclear(ReasonCode::AnalysisErrors), judgements: Vec::new() }
            }
        }
    }

    /// How much of what may be remembered it takes, in metrics of a threshold judge.
    fn size(&self) -> usize {
        match &self.judge {
            Judge::Threshold(_) => self.metrics().len(),
            Judge::Sequential(judge) => SERIES_SIZE * judge.series(),
        }
    }
}

impl AnalysisState {
    /// The strategy went on to this stage while the analysis goes on. For judges that compare stage by stage the next window
    /// starts anew, so that none covers two stages.
    pub(crate) fn enter(&mut self, stage: u32) {
        if stage > self.stage {
            self.stage = stage;
            if matches!(self.judge, JudgeState::Sequential(_)) {
                (self.started, self.due) = (None, None);
            }
        }
    }
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

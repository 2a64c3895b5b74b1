//! The judges as one.

use std::collections::BTreeMap;
use std::time::Duration;

use deploy_core::monitor::{Arm, Batch, Counts, Histogram, Measurement, Paired, Reading};
use deploy_core::name::{MetricName, StratumName};
use deploy_core::time::{RunTime, millis};
use serde::{Deserialize, Serialize};

use super::burn_rate::BurnRate;
use super::figure::FigureError;
use super::history::{BurnHistory, History, PairOfNumbers};
use super::kayenta::{Kayenta, Points};
use super::sequential::{Look, Sequential, SequentialError, SequentialState};
use super::service_score::{Measured, ServiceScore};
use super::taken::{Scattered, Taken, TakenKeys};
use super::threshold::{Answer, Threshold, ThresholdState};
use super::verdict::Verdict;

/// The judges there are: a closed list, so that a plan can be read anywhere.
///
/// Strategies ask through an [`Analysis`](super::Analysis). Elsewhere call it with batches of your own: [`Judge::judge`] over all of them
/// at once, or [`Judge::take`] one by one with a state in between. Both give the same.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use deploy_core::monitor::{Advice, Batch, BatchKey, Counts, Paired, Window};
/// use deploy_core::name::MetricName;
/// use deploy_core::time::Timestamp;
/// use deploy_strategies::analysis::Judge;
/// use deploy_strategies::analysis::sequential::{Look, Sequential, Watch, Watched};
///
/// let errors = MetricName::new("errors")?;
/// let judge = Judge::Sequential(Sequential::new(1, vec![Watched::required(errors.clone(), Watch::errors())]));
/// let minute = |number: u64| {
///     let window = Window::ending(Timestamp(60_000 * (number as i64 + 1)), Duration::from_secs(60));
///     let (candidate, baseline) = (Counts::new(600, 60)?, Counts::new(5_400, 54)?);
///     let batch = Batch::new(BatchKey::new(0, number), window);
///     Ok::<_, deploy_core::monitor::CountsError>(batch.metric(errors.clone(), Paired::Counts { candidate, baseline }))
/// };
/// let verdict = judge.judge(&[minute(0)?, minute(1)?], &Look { stage: 0, observed_for: Duration::from_secs(120) })?;
/// assert_eq!(verdict.advice, Advice::RollBack);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judge {
    /// Each measurement against a fixed limit.
    Threshold(Threshold),
    /// Both arms against each other, at any look, with one chance of error. The default for releases.
    ///
    /// Where an analysis belongs to one step, that chance is the step's, and the step is left only with the judge's proof. In the
    /// background of a canary it is that of the whole rollout, and the proof is asked for in the last step: with all traffic on one
    /// side there is nothing to compare. Give it then as many stages as there are steps, and steps that are longer than a window:
    /// none covers two steps.
    ///
    /// The warm-up counts from when the stage went live. Where the baseline gets no traffic any more, as after the switch of a
    /// blue-green release, it never says yes.
    Sequential(Sequential),
    /// As Kayenta does, once in a stage, after the time that it names.
    Kayenta(Kayenta),
    /// How fast an error budget burns, on the candidate alone.
    BurnRate(BurnRate),
    /// A weighted score of the newest numbers of the candidate, against those of the baseline, once in a stage.
    ServiceScore(ServiceScore),
}

/// What a judge remembers between batches: sums and bounded rows of numbers, never samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JudgeState {
    /// Of [`Judge::Threshold`].
    Threshold(Checks),
    /// Of [`Judge::Sequential`].
    Sequential(Box<SequentialState>),
    /// Of [`Judge::Kayenta`] and [`Judge::ServiceScore`].
    Numbers(History),
    /// Of [`Judge::BurnRate`].
    Counts(BurnHistory),
}

/// What a threshold judge remembers of batches.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Checks {
    taken: TakenKeys,
    started: Option<RunTime>,
    now: RunTime,
    metrics: ThresholdState,
}

/// A batch that cannot be taken, or a state that belongs to another judge.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum JudgeError {
    /// The sequential judge refuses.
    #[error(transparent)]
    Sequential(#[from] SequentialError),
    /// A figure of the configuration makes no sense.
    #[error(transparent)]
    Figure(#[from] FigureError),
    /// Too many gaps between batches.
    #[error(transparent)]
    Scattered(#[from] Scattered),
    /// This judge compares all traffic at once: give it batches of all traffic (`Measurement::of_all`), or use the sequential one.
    #[error("a batch is of {0} alone, and this judge compares all traffic at once")]
    Stratum(StratumName),
    /// The state is of another kind of judge: begin anew.
    #[error("the state belongs to another kind of judge")]
    OtherJudge,
}

impl Judge {
    /// Whether the configuration makes sense. One that does not would pass every release, or none.
    ///
    /// # Errors
    ///
    /// [`JudgeError`] names the first figure that does not.
    pub fn check(&self) -> Result<(), JudgeError> {
        match self {
            // One that makes no sense cannot be made.
            Self::Threshold(_) => Ok(()),
            Self::Sequential(judge) => Ok(judge.check()?),
            Self::Kayenta(judge) => Ok(judge.check()?),
            Self::BurnRate(judge) => Ok(judge.check()?),
            Self::ServiceScore(judge) => Ok(judge.check()?),
        }
    }

    /// The state before the first batch.
    ///
    /// # Errors
    ///
    /// [`JudgeError`] if the configuration makes no sense.
    pub fn begin(&self) -> Result<JudgeState, JudgeError> {
        self.begin_after(&BTreeMap::new())
    }

    /// The state before the first batch, with the baseline's latencies from before the release.
    ///
    /// # Errors
    ///
    /// [`JudgeError`] if the configuration makes no sense.
    pub fn begin_after(&self, before: &BTreeMap<MetricName, Histogram>) -> Result<JudgeState, JudgeError> {
        self.check()?;
        Ok(match self {
            Self::Threshold(_) => JudgeState::Threshold(Checks::default()),
            Self::Sequential(judge) => JudgeState::Sequential(Box::new(judge.begin_after(before)?)),
            Self::Kayenta(_) | Self::ServiceScore(_) => JudgeState::Numbers(History::default()),
            Self::BurnRate(_) => JudgeState::Counts(BurnHistory::default()),
        })
    }

    /// Takes a batch in, once; all strata of a window together by [`Judge::take_window`].
    ///
    /// # Errors
    ///
    /// [`JudgeError`] if the batch or the state does not fit. The state is then as it was.
    pub fn take(&self, state: &mut JudgeState, batch: &Batch) -> Result<Taken, JudgeError> {
        if let Some(stratum) = batch.key.stratum.as_ref().filter(|_| !self.stratifies()) {
            return Err(JudgeError::Stratum(stratum.clone()));
        }
        match (self, state) {
            (Self::Threshold(judge), JudgeState::Threshold(limits)) => limits.take(judge, batch),
            (Self::Sequential(judge), JudgeState::Sequential(state)) => Ok(judge.take(state, batch)?),
            (Self::Kayenta(_) | Self::ServiceScore(_), JudgeState::Numbers(history)) => {
                if !history.taken.insert(&batch.key)? {
                    return Ok(Taken::Repeated);
                }
                let most = if matches!(self, Self::ServiceScore(_)) { 1 } else { History::LONGEST };
                for (metric, quantile) in self.numbers() {
                    let numbers = batch.metrics.get(metric).map_or((None, None), |paired| numbers(paired, quantile));
                    history.push(batch.key.stage, metric, numbers, most);
                }
                Ok(Taken::Counted)
            }
            (Self::BurnRate(burn), JudgeState::Counts(counters)) => {
                if !counters.taken.insert(&batch.key)? {
                    return Ok(Taken::Repeated);
                }
                if let Some(Paired::Counts { candidate, .. }) = batch.metrics.get(&burn.metric) {
                    counters.add(burn, batch.window, *candidate);
                }
                Ok(Taken::Counted)
            }
            _ => Err(JudgeError::OtherJudge),
        }
    }

    /// Takes the batches of all strata of one window in, each once: all or none of them. A metric that one of them misses was not measured in
    /// this window.
    ///
    /// # Errors
    ///
    /// [`JudgeError`] if a batch or the state does not fit. The state is then as it was.
    pub fn take_window(&self, state: &mut JudgeState, batches: &[Batch]) -> Result<Taken, JudgeError> {
        if let (Self::Sequential(judge), JudgeState::Sequential(state)) = (self, &mut *state) {
            return Ok(judge.take_window(state, batches)?);
        }
        let mut next = state.clone();
        let mut taken = Taken::Repeated;
        for batch in batches {
            taken = self.take(&mut next, batch)?;
        }
        *state = next;
        Ok(taken)
    }

    /// What is to be said at this look.
    ///
    /// # Errors
    ///
    /// [`JudgeError`] if the state belongs to another judge or another configuration.
    pub fn verdict(&self, state: &JudgeState, look: &Look) -> Result<Verdict, JudgeError> {
        if let (Self::Sequential(judge), JudgeState::Sequential(state)) = (self, state) {
            judge.fits(state)?;
        }
        self.verdict_of_fitting(state, look)
    }

    /// The same of a state that is known to belong to this configuration, as after a batch was taken into it.
    pub(super) fn verdict_of_fitting(&self, state: &JudgeState, look: &Look) -> Result<Verdict, JudgeError> {
        match (self, state) {
            (Self::Threshold(judge), JudgeState::Threshold(limits)) => {
                Ok(judge.verdict(&limits.metrics, limits.now).into())
            }
            (Self::Sequential(judge), JudgeState::Sequential(state)) => Ok(judge.verdict_of_fitting(state, look)),
            (Self::Kayenta(judge), JudgeState::Numbers(history)) => {
                let points = |metric: &MetricName| Points {
                    experiment: history.of(metric).map(|(number, _)| number.unwrap_or(f64::NAN)).collect(),
                    control: history.of(metric).map(|(_, number)| number.unwrap_or(f64::NAN)).collect(),
                };
                let points = judge.metrics.iter().map(|metric| (metric.name.clone(), points(&metric.name))).collect();
                Ok(judge.verdict(&points, look))
            }
            (Self::BurnRate(burn), JudgeState::Counts(counters)) => Ok(burn.judge(counters.counted(), counters.now())),
            (Self::ServiceScore(score), JudgeState::Numbers(_)) if look.observed_for < score.after => {
                Ok(Verdict::too_short(score.after))
            }
            (Self::ServiceScore(score), JudgeState::Numbers(history)) => Ok(score.judge(|metric| {
                let newest = history.of(metric).next_back();
                newest.map_or_else(Measured::default, |(now, previous)| Measured { now, previous })
            })),
            _ => Err(JudgeError::OtherJudge),
        }
    }

    /// Judges batches all at once.
    ///
    /// # Errors
    ///
    /// [`JudgeError`] if the configuration makes no sense or a batch does not fit it.
    pub fn judge(&self, batches: &[Batch], look: &Look) -> Result<Verdict, JudgeError> {
        let mut state = self.begin()?;
        for window in batches.chunk_by(Batch::is_of_the_window_of) {
            self.take_window(&mut state, window)?;
        }
        self.verdict(&state, look)
    }

    /// The metrics that it looks at, in order and each once.
    #[must_use]
    pub fn metrics(&self) -> Vec<MetricName> {
        let mut names: Vec<MetricName> = match self {
            Self::Threshold(judge) => judge.metrics().iter().map(|limits| limits.metric.clone()).collect(),
            Self::Sequential(judge) => judge.metrics.iter().map(|watched| watched.metric.clone()).collect(),
            Self::Kayenta(judge) => judge.metrics.iter().map(|metric| metric.name.clone()).collect(),
            Self::BurnRate(burn) => vec![burn.metric.clone()],
            Self::ServiceScore(score) => score.objectives.iter().map(|objective| objective.metric.clone()).collect(),
        };
        names.sort();
        names.dedup();
        names
    }

    /// Whether it needs numbers of the revision that served before.
    #[must_use]
    pub fn needs_baseline(&self) -> bool {
        match self {
            Self::Threshold(judge) => judge.metrics().iter().any(|limits| limits.of.needs_baseline()),
            Self::Sequential(_) | Self::Kayenta(_) => true,
            Self::BurnRate(_) => false,
            Self::ServiceScore(score) => score.compares(),
        }
    }

    /// Whether it compares part by part what is measured of parts of the traffic. The others take all of it together.
    #[must_use]
    pub fn stratifies(&self) -> bool {
        match self {
            Self::Sequential(_) => true,
            Self::Threshold(_) | Self::Kayenta(_) | Self::BurnRate(_) | Self::ServiceScore(_) => false,
        }
    }

    /// Whether it says nothing without traffic on both sides.
    pub(crate) fn compares_sides(&self) -> bool {
        match self {
            Self::Threshold(_) | Self::BurnRate(_) => false,
            Self::Sequential(_) | Self::Kayenta(_) => true,
            Self::ServiceScore(score) => score.compares(),
        }
    }

    /// After how long a stage is judged, once; nothing for judges that may look at any time.
    pub(crate) fn judged_after(&self) -> Option<Duration> {
        match self {
            Self::Threshold(_) | Self::Sequential(_) | Self::BurnRate(_) => None,
            Self::Kayenta(judge) => Some(judge.after),
            Self::ServiceScore(score) => Some(score.after),
        }
    }

    /// How many characters its state takes at the most when it is written down, asked this often.
    pub(crate) fn remembers(&self, every: Duration) -> usize {
        let name = |metric: &MetricName| metric.as_str().len() + 6;
        match self {
            Self::Threshold(judge) => METRIC * judge.metrics().len(),
            Self::Sequential(judge) => SERIES * judge.series(),
            Self::Kayenta(judge) => {
                let windows = judge.after.as_millis() / u128::from(millis(every).max(1)) + 2;
                let windows = usize::try_from(windows).unwrap_or(usize::MAX).min(History::LONGEST);
                let all = judge.metrics.iter().map(|metric| name(&metric.name) + History::WINDOW * windows);
                COMMON + all.fold(0, usize::saturating_add)
            }
            Self::BurnRate(burn) => COMMON + BurnHistory::size(burn, every),
            Self::ServiceScore(score) => {
                COMMON + score.objectives.iter().map(|o| name(&o.metric) + History::WINDOW).sum::<usize>()
            }
        }
    }

    /// The metrics that are kept as numbers, with the quantile by which a histogram becomes one.
    fn numbers(&self) -> Vec<(&MetricName, f64)> {
        match self {
            Self::Kayenta(judge) => judge.metrics.iter().map(|metric| (&metric.name, metric.quantile)).collect(),
            Self::ServiceScore(score) => {
                score.objectives.iter().map(|objective| (&objective.metric, objective.quantile)).collect()
            }
            Self::Threshold(_) | Self::Sequential(_) | Self::BurnRate(_) => Vec::new(),
        }
    }
}

/// How many characters a metric of a threshold judge takes, at the most.
const METRIC: usize = 500;

/// How many characters one series of a sequential judge takes, at the most: a number of errors is one, a latency one for each
/// quantile.
const SERIES: usize = 1_000;

/// How many characters any judge takes beside what it remembers of metrics.
const COMMON: usize = 400;

impl Checks {
    fn take(&mut self, judge: &Threshold, batch: &Batch) -> Result<Taken, JudgeError> {
        if !self.taken.insert(&batch.key)? {
            return Ok(Taken::Repeated);
        }
        let begin = RunTime(u64::try_from(batch.window.from.0).unwrap_or(0));
        let at = RunTime(u64::try_from(batch.window.to.0).unwrap_or(0));
        let started = *self.started.get_or_insert(begin);
        self.now = self.now.max(at);
        let measurements = measurements(batch);
        let answer = Answer { metrics: &[], at, over: at.since(begin), result: Ok(&measurements) };
        judge.take(&mut self.metrics, started, &answer);
        Ok(Taken::Counted)
    }
}

/// A batch as a monitor would have answered it.
fn measurements(batch: &Batch) -> Vec<Measurement> {
    let both = |paired: &Paired| match paired {
        Paired::Counts { candidate, baseline } => (Reading::Counts(*candidate), Reading::Counts(*baseline)),
        Paired::Values { candidate, baseline } => (Reading::Value(*candidate), Reading::Value(*baseline)),
        Paired::Histograms { candidate, baseline } => {
            (Reading::Histogram(candidate.clone()), Reading::Histogram(baseline.clone()))
        }
        Paired::Missing { .. } => (Reading::NoData, Reading::NoData),
    };
    let measured = batch.metrics.iter().flat_map(|(metric, paired)| {
        let (candidate, baseline) = both(paired);
        [(Arm::Candidate, candidate), (Arm::Baseline, baseline)]
            .map(|(arm, reading)| Measurement::new(metric.clone(), arm, batch.window, reading))
    });
    measured.collect()
}

/// One number per arm: the value itself, the percentage of bad events, or a quantile.
fn numbers(paired: &Paired, quantile: f64) -> PairOfNumbers {
    match paired {
        Paired::Values { candidate, baseline } => (Some(candidate.get()), Some(baseline.get())),
        Paired::Counts { candidate, baseline } => {
            let percent = |counts: &Counts| counts.ratio().map(|ratio| 100.0 * ratio);
            (percent(candidate), percent(baseline))
        }
        Paired::Histograms { candidate, baseline } => (candidate.quantile(quantile), baseline.quantile(quantile)),
        Paired::Missing { .. } => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use deploy_core::monitor::{Advice, Batch, BatchKey, Comparison, Counts, Paired, Window};
    use deploy_core::name::MetricName;
    use deploy_core::real::Real;
    use deploy_core::time::Timestamp;

    use super::{History, Judge, JudgeError, JudgeState};
    use crate::analysis::burn_rate::BurnRate;
    use crate::analysis::sequential::{Look, Sequential, Watch, Watched};
    use crate::analysis::taken::Taken;
    use crate::analysis::threshold::{Bound, Condition, ErrorPolicy, Limit, MetricLimits, NoData, OnError, Threshold};
    use crate::analysis::verdict::Cause;

    fn errors() -> MetricName {
        MetricName::new("errors").expect("a name")
    }

    fn minute(number: u64, candidate: u64, baseline: u64) -> Batch {
        let end = Timestamp(60_000 * (i64::try_from(number).expect("few") + 1));
        let counts = |bad| Counts::new(1000, bad).expect("fewer than all");
        Batch::new(BatchKey::new(0, number), Window::ending(end, Duration::from_secs(60)))
            .metric(errors(), Paired::Counts { candidate: counts(candidate), baseline: counts(baseline) })
    }

    fn threshold() -> Judge {
        let limits = MetricLimits::new(
            errors(),
            Condition::success(Bound::new(Comparison::AtMost, Real::new(0.05).expect("finite"))),
            Limit::more_than(2),
            ErrorPolicy::consecutive(Limit::more_than(4), OnError::Inconclusive),
            NoData::Inconclusive,
        );
        Judge::Threshold(Threshold::new(vec![limits]).expect("limits that make sense"))
    }

    /// One of each kind, as a plan would hold it.
    fn all() -> Vec<Judge> {
        let kayenta = r#"{"kayenta":{"metrics":[{"name":"errors","groups":["errors"]}],
            "pass":95.0,"marginal":75.0,"after":600000}}"#;
        let score = r#"{"service_score":{"pass":90.0,"warning":75.0,"without_previous":"inconclusive",
            "objectives":[{"metric":"errors","pass":[[{"comparison":"<=","limit":{"percent_of_previous":50.0}}]]}]}}"#;
        vec![
            Judge::Sequential(Sequential::new(1, vec![Watched::required(errors(), Watch::errors())])),
            serde_json::from_str(kayenta).expect("a Kayenta configuration"),
            Judge::BurnRate(BurnRate::new(errors(), 0.99)),
            serde_json::from_str(score).expect("objectives"),
            threshold(),
        ]
    }

    fn look() -> Look {
        Look { stage: 0, observed_for: Duration::from_secs(1200) }
    }

    #[test]
    fn every_judge_tells_good_from_bad() {
        for judge in all() {
            let run = |candidate: u64| {
                let batches: Vec<Batch> = (0..20).map(|w| minute(w, candidate + w % 3, 10 + (w + 1) % 3)).collect();
                judge.judge(&batches, &look()).expect("batches that fit")
            };
            assert_eq!(run(400).advice, Advice::RollBack, "{judge:?}");
            assert_ne!(run(10).advice, Advice::RollBack, "{judge:?}");
            let verdict = run(400);
            let text = serde_json::to_string(&verdict).expect("written");
            assert_eq!(serde_json::from_str::<crate::analysis::verdict::Verdict>(&text).expect("read"), verdict);
        }
    }

    #[test]
    fn figures_with_which_every_release_would_pass_or_none_are_refused() {
        let changes: [(usize, &str, serde_json::Value, &str); 26] = [
            (1, "/kayenta/pass", 0.0.into(), "pass of the Kayenta judge is 0"),
            (1, "/kayenta/pass", 101.0.into(), "pass"),
            (1, "/kayenta/marginal", 96.0.into(), "marginal"),
            (1, "/kayenta/marginal", (-1.0).into(), "marginal"),
            (1, "/kayenta/metrics", serde_json::json!([]), "metrics"),
            (1, "/kayenta/metrics/0/muted", true.into(), "metrics"),
            (1, "/kayenta/metrics/0/quantile", 1.5.into(), "quantile of errors"),
            (1, "/kayenta/metrics/0/classifier/confidence", 1.0.into(), "confidence of errors"),
            (2, "/burn_rate/objective", 1.0.into(), "objective of the burn rate is 1"),
            (2, "/burn_rate/objective", 1.5.into(), "objective"),
            (2, "/burn_rate/alpha", 0.0.into(), "alpha"),
            (2, "/burn_rate/alpha", 2.0.into(), "alpha"),
            (2, "/burn_rate/pairs", serde_json::json!([]), "pairs"),
            (2, "/burn_rate/pairs/1/factor", (-6.0).into(), "pairs[1].factor"),
            (2, "/burn_rate/pairs/0/short", 7_200_000.into(), "pairs[0].long"),
            (3, "/service_score/pass", 0.0.into(), "pass of the service score"),
            (1, "/kayenta/metrics/0/groups", serde_json::json!([]), "number of groups of errors"),
            (1, "/kayenta/weights", serde_json::json!({ "errors": 150.0 }), "weight of errors"),
            (1, "/kayenta/weights", serde_json::json!({ "errors": 50.0 }), "sum of the weights"),
            (1, "/kayenta/weights", serde_json::json!({ "errors": 100.0, "others": 1.0 }), "sum of the weights"),
            (1, "/kayenta/metrics/0/classifier/measure", "common_language".into(), "allowed.decrease of errors"),
            (1, "/kayenta/metrics/0/classifier/allowed/increase", 0.5.into(), "allowed.increase of errors"),
            (
                1,
                "/kayenta/metrics/0/outliers",
                serde_json::json!({ "standard_deviations": { "factor": -100.0 } }),
                "factor of",
            ),
            (3, "/service_score/objectives/0/pass", serde_json::json!([[]]), "number of groups without"),
            (3, "/service_score/objectives/0/pass", serde_json::json!([]), "weight of all"),
            (3, "/service_score/objectives/0/weight", 0.0.into(), "weight of all"),
        ];
        let all = all();
        for judge in &all {
            judge.check().expect("figures that make sense");
        }
        for (at, field, value, said) in changes {
            let mut json = serde_json::to_value(&all[at]).expect("written");
            *json.pointer_mut(field).expect("a field") = value.clone();
            let judge: Judge = serde_json::from_value(json).expect("it has its shape");
            let error = judge.begin().expect_err("it makes no sense");
            assert!(matches!(error, JudgeError::Figure(_)) && error.to_string().starts_with(said), "{field}: {error}");
            let look = judge.judge(&[minute(0, 10, 10)], &look());
            assert_eq!(look.map(|_| ()), Err(error), "{field} {value}");
        }
    }

    /// What went in, what it was held against or how far it is decided, why, and what would change it.
    #[test]
    fn every_judgement_is_whole() {
        for judge in all() {
            for candidate in [10, 400] {
                let batches: Vec<Batch> = (0..20).map(|w| minute(w, candidate + w % 3, 10 + (w + 1) % 3)).collect();
                let verdict = judge.judge(&batches, &look()).expect("batches that fit");
                assert!(!verdict.because.is_empty() && !verdict.otherwise.is_empty(), "{judge:?} {verdict}");
                assert!(!verdict.explanations.is_empty(), "{judge:?} {verdict}");
                for explanation in &verdict.explanations {
                    let held = explanation.limit.is_some() || !explanation.evidence.is_empty();
                    let whole = !explanation.inputs.is_empty() && explanation.estimate.is_some() && held;
                    let words = !explanation.because.is_empty() && !explanation.otherwise.is_empty();
                    assert!(whole && words, "{explanation:?}");
                }
            }
        }
    }

    #[test]
    fn every_judge_says_the_same_batch_by_batch_and_takes_each_once() {
        for judge in all() {
            let batches: Vec<Batch> = (0..20).map(|w| minute(w, 10 + w % 5, 10)).collect();
            let mut state = judge.begin().expect("a configuration that makes sense");
            for batch in &batches {
                let text = serde_json::to_string(&state).expect("written");
                state = serde_json::from_str(&text).expect("read");
                assert_eq!(judge.take(&mut state, batch), Ok(Taken::Counted));
                assert_eq!(judge.take(&mut state, batch), Ok(Taken::Repeated));
            }
            let at_once = judge.judge(&batches, &look()).expect("batches that fit");
            assert_eq!(judge.verdict(&state, &look()).expect("its own state"), at_once);
            let text = serde_json::to_string(&judge).expect("written");
            assert_eq!(serde_json::from_str::<Judge>(&text).expect("read"), judge);
        }
    }

    #[test]
    fn no_judge_passes_what_was_not_measured() {
        for judge in all() {
            let verdict = judge.judge(&[], &look()).expect("nothing fits");
            assert_ne!(verdict.advice, Advice::Promote, "{judge:?}");
        }
    }

    #[test]
    fn kayenta_is_asked_once() {
        let judge = all().swap_remove(1);
        let early = Look { observed_for: Duration::from_secs(599), ..look() };
        let batches: Vec<Batch> = (0..20).map(|w| minute(w, 400, 10)).collect();
        assert_eq!(judge.judge(&batches, &early).expect("batches that fit").cause, Cause::TooShort);
    }

    #[test]
    fn a_state_of_another_judge_is_refused() {
        let judges = all();
        let mut state = judges[0].begin().expect("a configuration that makes sense");
        assert_eq!(judges[1].take(&mut state, &minute(0, 1, 1)), Err(JudgeError::OtherJudge));
        let mut state = JudgeState::Numbers(History::default());
        assert_eq!(judges[0].take(&mut state, &minute(0, 1, 1)), Err(JudgeError::OtherJudge));
    }

    #[test]
    fn a_history_is_bounded() {
        let judge = all().swap_remove(1);
        let mut state = judge.begin().expect("a configuration that makes sense");
        for w in 0..400 {
            let value = Paired::Values { candidate: Real::from(1), baseline: Real::from(2) };
            judge.take(&mut state, &minute(w, 1, 1).metric(errors(), value)).expect("a batch that fits");
        }
        let JudgeState::Numbers(history) = state else { panic!("numbers") };
        assert_eq!(history.of(&errors()).count(), History::LONGEST);
    }
}

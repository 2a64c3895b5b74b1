//! The judges over batches as one.

use std::collections::BTreeMap;

use deploy_core::monitor::{Advice, Batch, Comparison, Counts, Histogram, JudgementResult, Paired, Window};
use deploy_core::name::MetricName;
use serde::{Deserialize, Serialize};

use super::burn_rate::BurnRate;
use super::kayenta::{Class, Kayenta, KayentaResult, Points};
use super::sequential::{Look, Sequential, SequentialError, SequentialState};
use super::service_score::{Measured, ServiceScore};
use super::taken::{Scattered, Taken, TakenKeys};
use super::verdict::{Cause, Estimate, Explanation, Limit, Verdict, finite, short};

/// The judges that weigh whole batches, candidate beside baseline: a closed list, so that a plan can be read anywhere.
///
/// Call it with batches of your own. The strategies of this crate ask by an [`Analysis`](super::Analysis), whose
/// [`Judge`](super::Judge) knows thresholds and the sequential judge: the others remember numbers window by window, which is
/// more than a strategy may remember.
///
/// Each is a pure function of the batches: [`BatchJudge::judge`] over all of them at once, or [`BatchJudge::take`] one by one with a
/// state in between. Both give the same.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use deploy_core::monitor::{Advice, Batch, BatchKey, Counts, Paired, Window};
/// use deploy_core::name::MetricName;
/// use deploy_core::time::Timestamp;
/// use deploy_strategies::analysis::batch_judge::BatchJudge;
/// use deploy_strategies::analysis::sequential::{Look, Sequential, Watch, Watched};
///
/// let errors = MetricName::new("errors")?;
/// let judge = BatchJudge::Sequential(Sequential::new(1, vec![Watched::required(errors.clone(), Watch::errors())]));
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "judge")]
pub enum BatchJudge {
    /// Look after every batch, with one chance of error for the whole rollout. The default for releases.
    Sequential(Sequential),
    /// As Kayenta does, once, at the end of a stage.
    Kayenta(Kayenta),
    /// How fast an error budget burns, on the candidate alone.
    BurnRate(BurnRate),
    /// A weighted score of the newest numbers of the candidate, against those of the baseline.
    ServiceScore(ServiceScore),
}

/// What a judge remembers between batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchJudgeState {
    /// Of [`BatchJudge::Sequential`].
    Sequential(SequentialState),
    /// Of the others.
    History(History),
}

/// The candidate's number and the baseline's; nothing where there was none.
type PairOfNumbers = (Option<f64>, Option<f64>);

/// The numbers of the batches that were taken, window by window: at most [`History::LONGEST`] of each metric, the oldest
/// are forgotten first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct History {
    taken: TakenKeys,
    /// For each metric and window: candidate and baseline.
    numbers: BTreeMap<MetricName, Vec<PairOfNumbers>>,
    /// For each window: what the candidate counted of the metric that a budget is about.
    counted: Vec<(Window, Counts)>,
}

impl History {
    /// As many windows are remembered: five hours of minutes.
    pub const LONGEST: usize = 300;
}

/// A batch that cannot be taken, or a state that belongs to another judge.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchJudgeError {
    /// The sequential judge refuses.
    #[error(transparent)]
    Sequential(#[from] SequentialError),
    /// Too many gaps between batches.
    #[error(transparent)]
    Scattered(#[from] Scattered),
    /// The state is of another kind of judge: begin anew.
    #[error("the state belongs to another kind of judge")]
    OtherJudge,
}

impl BatchJudge {
    /// The state before the first batch.
    ///
    /// # Errors
    ///
    /// [`BatchJudgeError`] if the configuration makes no sense.
    pub fn begin(&self) -> Result<BatchJudgeState, BatchJudgeError> {
        self.begin_after(&BTreeMap::new())
    }

    /// The state before the first batch, with the baseline's latencies from before the release.
    ///
    /// # Errors
    ///
    /// [`BatchJudgeError`] if the configuration makes no sense.
    pub fn begin_after(&self, before: &BTreeMap<MetricName, Histogram>) -> Result<BatchJudgeState, BatchJudgeError> {
        Ok(match self {
            Self::Sequential(judge) => BatchJudgeState::Sequential(judge.begin_after(before)?),
            Self::Kayenta(_) | Self::BurnRate(_) | Self::ServiceScore(_) => {
                BatchJudgeState::History(History::default())
            }
        })
    }

    /// Takes a batch in, once.
    ///
    /// # Errors
    ///
    /// [`BatchJudgeError`] if the batch or the state does not fit. The state is then as it was.
    pub fn take(&self, state: &mut BatchJudgeState, batch: &Batch) -> Result<Taken, BatchJudgeError> {
        match (self, state) {
            (Self::Sequential(judge), BatchJudgeState::Sequential(state)) => Ok(judge.take(state, batch)?),
            (Self::Kayenta(_) | Self::BurnRate(_) | Self::ServiceScore(_), BatchJudgeState::History(history)) => {
                if !history.taken.insert(&batch.key)? {
                    return Ok(Taken::Repeated);
                }
                if let Self::BurnRate(burn) = self {
                    if let Some(Paired::Counts { candidate, .. }) = batch.metrics.get(&burn.metric) {
                        history.counted.push((batch.window, *candidate));
                    }
                } else {
                    for (metric, quantile) in self.numbers() {
                        let numbers =
                            batch.metrics.get(metric).map_or((None, None), |paired| numbers(paired, quantile));
                        history.numbers.entry(metric.clone()).or_default().push(numbers);
                    }
                }
                history.forget();
                Ok(Taken::Counted)
            }
            _ => Err(BatchJudgeError::OtherJudge),
        }
    }

    /// What is to be said at this look.
    ///
    /// # Errors
    ///
    /// [`BatchJudgeError`] if the state belongs to another judge or another configuration.
    pub fn verdict(&self, state: &BatchJudgeState, look: &Look) -> Result<Verdict, BatchJudgeError> {
        match (self, state) {
            (Self::Sequential(judge), BatchJudgeState::Sequential(state)) => Ok(judge.verdict(state, look)?),
            (Self::Kayenta(judge), BatchJudgeState::History(history)) => Ok(kayenta(judge, history, look)),
            (Self::BurnRate(burn), BatchJudgeState::History(history)) => {
                let now = history.counted.iter().map(|(window, _)| window.to).max().unwrap_or_default();
                Ok(burn.judge(&history.counted, now))
            }
            (Self::ServiceScore(score), BatchJudgeState::History(history)) => Ok(score.judge(|metric| {
                let newest = history.numbers.get(metric).and_then(|numbers| numbers.last());
                newest.map_or_else(Measured::default, |(now, previous)| Measured { now: *now, previous: *previous })
            })),
            _ => Err(BatchJudgeError::OtherJudge),
        }
    }

    /// Judges batches all at once.
    ///
    /// # Errors
    ///
    /// [`BatchJudgeError`] if the configuration makes no sense or a batch does not fit it.
    pub fn judge(&self, batches: &[Batch], look: &Look) -> Result<Verdict, BatchJudgeError> {
        let mut state = self.begin()?;
        for batch in batches {
            self.take(&mut state, batch)?;
        }
        self.verdict(&state, look)
    }

    /// The metrics that are kept as numbers, with the quantile by which a histogram becomes one.
    fn numbers(&self) -> Vec<(&MetricName, f64)> {
        match self {
            Self::Kayenta(judge) => judge.metrics.iter().map(|metric| (&metric.name, metric.quantile)).collect(),
            Self::ServiceScore(score) => {
                score.objectives.iter().map(|objective| (&objective.metric, objective.quantile)).collect()
            }
            Self::Sequential(_) | Self::BurnRate(_) => Vec::new(),
        }
    }
}

impl History {
    fn forget(&mut self) {
        let too_many = self.counted.len().saturating_sub(Self::LONGEST);
        self.counted.drain(..too_many);
        for numbers in self.numbers.values_mut() {
            let too_many = numbers.len().saturating_sub(Self::LONGEST);
            numbers.drain(..too_many);
        }
    }
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

fn kayenta(judge: &Kayenta, history: &History, look: &Look) -> Verdict {
    let points: BTreeMap<&MetricName, Points> = history
        .numbers
        .iter()
        .map(|(metric, numbers)| {
            let experiment = numbers.iter().map(|(number, _)| number.unwrap_or(f64::NAN)).collect();
            let control = numbers.iter().map(|(_, number)| number.unwrap_or(f64::NAN)).collect();
            (metric, Points { experiment, control })
        })
        .collect();
    let report = judge.judge(|metric| points.get(metric));
    let explanations: Vec<Explanation> = judge
        .metrics
        .iter()
        .zip(&report.classified)
        .map(|(metric, (_, classified))| {
            let (result, advice, because) = match classified {
                Ok(classified) => match classified.class {
                    Class::Pass => (JudgementResult::Pass, Advice::Promote, "no difference that counts".to_owned()),
                    Class::High => (JudgementResult::Fail, Advice::RollBack, "higher than the baseline".to_owned()),
                    Class::Low => (JudgementResult::Fail, Advice::RollBack, "lower than the baseline".to_owned()),
                    Class::Nodata => (JudgementResult::Inconclusive, Advice::Continue, "no data".to_owned()),
                    Class::NodataFailMetric => {
                        (JudgementResult::Fail, Advice::RollBack, "no data, which fails it".to_owned())
                    }
                },
                Err(error) => (JudgementResult::Error, Advice::Continue, error.to_string()),
            };
            let shift = classified.as_ref().ok().and_then(|classified| classified.interval);
            Explanation {
                metric: metric.name.clone(),
                subject: String::new(),
                decides: !metric.muted,
                result,
                advice,
                inputs: Vec::new(),
                estimate: shift.and_then(|shift| {
                    Some(Estimate {
                        name: "shift".to_owned(),
                        value: finite(shift.estimate)?,
                        low: finite(shift.low),
                        high: finite(shift.high),
                        confidence: finite(metric.classifier.confidence)?,
                    })
                }),
                limit: shift.and_then(|shift| {
                    Some(Limit {
                        name: "end of the interval that is nearer to zero".to_owned(),
                        comparison: Comparison::AtMost,
                        value: finite(metric.classifier.tolerance * shift.estimate.abs())?,
                    })
                }),
                evidence: Vec::new(),
                because,
                otherwise: String::new(),
            }
        })
        .collect();
    let otherwise =
        format!("from {} on it passes, from {} on it is marginal", short(judge.pass), short(judge.marginal));
    if look.observed_for < judge.after {
        // Looked at more than once it would not keep its false alarm rate.
        return Verdict {
            result: JudgementResult::Inconclusive,
            advice: Advice::Continue,
            cause: Cause::TooShort,
            because: format!("it is judged once, after {} s", judge.after.as_secs()),
            otherwise,
            explanations: Vec::new(),
        };
    }
    let (cause, result, advice) = match report.result {
        KayentaResult::Pass => (Cause::Proven, JudgementResult::Pass, Advice::Promote),
        KayentaResult::Marginal => (Cause::WithinMargin, JudgementResult::Inconclusive, Advice::Warn),
        KayentaResult::Fail => (Cause::Harm, JudgementResult::Fail, Advice::RollBack),
        KayentaResult::Error => (Cause::Error, JudgementResult::Error, Advice::Continue),
    };
    let zero = report.scored.zero_because.map_or_else(String::new, |why| format!(", since {why}"));
    let because = format!("the score is {} of 100{zero}", short(report.scored.score));
    Verdict { result, advice, cause, because, otherwise, explanations }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use deploy_core::monitor::{Advice, Batch, BatchKey, Counts, Paired, Window};
    use deploy_core::name::MetricName;
    use deploy_core::real::Real;
    use deploy_core::time::Timestamp;

    use super::{BatchJudge, BatchJudgeError, BatchJudgeState, History};
    use crate::analysis::burn_rate::BurnRate;
    use crate::analysis::sequential::{Look, Sequential, Watch, Watched};
    use crate::analysis::taken::Taken;
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

    /// One of each kind, as a plan would hold it.
    fn all() -> Vec<BatchJudge> {
        let kayenta = r#"{"judge":"kayenta","metrics":[{"name":"errors","groups":["errors"]}],
            "pass":95.0,"marginal":75.0,"after":600000}"#;
        let score = r#"{"judge":"service_score","pass":90.0,"warning":75.0,"without_previous":"inconclusive",
            "objectives":[{"metric":"errors","pass":[[{"comparison":"<=","limit":{"percent_of_previous":50.0}}]]}]}"#;
        vec![
            BatchJudge::Sequential(Sequential::new(1, vec![Watched::required(errors(), Watch::errors())])),
            serde_json::from_str(kayenta).expect("a Kayenta configuration"),
            BatchJudge::BurnRate(BurnRate::new(errors(), 0.99)),
            serde_json::from_str(score).expect("objectives"),
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
            assert_eq!(serde_json::from_str::<BatchJudge>(&text).expect("read"), judge);
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
        assert_eq!(judges[1].take(&mut state, &minute(0, 1, 1)), Err(BatchJudgeError::OtherJudge));
        let mut state = BatchJudgeState::History(History::default());
        assert_eq!(judges[0].take(&mut state, &minute(0, 1, 1)), Err(BatchJudgeError::OtherJudge));
    }

    #[test]
    fn a_history_is_bounded() {
        let judge = all().swap_remove(3);
        let mut state = judge.begin().expect("a configuration that makes sense");
        for w in 0..400 {
            let value = Paired::Values { candidate: Real::from(1), baseline: Real::from(2) };
            judge.take(&mut state, &minute(w, 1, 1).metric(errors(), value)).expect("a batch that fits");
        }
        let BatchJudgeState::History(history) = state else { panic!("a history") };
        assert_eq!(history.numbers[&errors()].len(), History::LONGEST);
    }
}

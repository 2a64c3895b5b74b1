//! Tests at a fixed number of values, in the words of a judgement: more is worse, and they may be looked at once.

use deploy_core::monitor::{Advice, Comparison, Counts, JudgementResult};
use deploy_core::name::MetricName;
use deploy_core::real::Real;
use deploy_strategies::analysis::means::Means;
use deploy_strategies::analysis::proportion::Proportions;
use deploy_strategies::analysis::rank::compare;
use deploy_strategies::analysis::sample::SampleError;
use deploy_strategies::analysis::shift::Differences;
use deploy_strategies::analysis::verdict::{Cause, Estimate, Explanation, Input, Limit, Verdict};

/// What a test found out about one metric.
struct Found {
    name: &'static str,
    estimate: f64,
    interval: (f64, f64),
    /// The chance of at least this much more of the candidate, if there were no difference.
    chance: f64,
    /// The size of the baseline, which the tolerance is a share of.
    level: f64,
    inputs: Vec<(&'static str, f64)>,
}

/// What is asked of a test.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) alpha: f64,
    /// Up to which share of the baseline's size more is no harm.
    pub(crate) tolerance: f64,
}

/// Mann–Whitney's test, with Hodges' and Lehmann's estimate of the shift.
pub(crate) fn rank(metric: MetricName, candidate: &[f64], baseline: &[f64], asked: Asked) -> Explanation {
    let found = || {
        let (ranks, chances) = compare(candidate, baseline)?;
        let differences = Differences::of(candidate, baseline)?;
        let interval = differences.normal_interval(1.0 - asked.alpha)?;
        let inputs = vec![
            ("candidate, values", length(candidate)),
            ("baseline, values", length(baseline)),
            ("chance that a value of the candidate is larger", ranks.superiority()),
        ];
        let interval = (interval.low, interval.high);
        let estimate = differences.median();
        Ok(Found { name: "shift", estimate, interval, chance: chances.greater, level: middle(baseline), inputs })
    };
    explained(metric, found(), asked)
}

/// Welch's test of the means.
pub(crate) fn means(metric: MetricName, candidate: &[f64], baseline: &[f64], asked: Asked) -> Explanation {
    let found = || {
        let means = Means::of(candidate, baseline)?;
        let inputs = vec![
            ("candidate, values", length(candidate)),
            ("baseline, values", length(baseline)),
            ("degrees of freedom", means.freedom),
        ];
        Ok(Found {
            name: "difference of the means",
            estimate: means.difference,
            interval: means.interval(1.0 - asked.alpha)?,
            chance: means.greater(),
            level: baseline.iter().sum::<f64>() / length(baseline),
            inputs,
        })
    };
    explained(metric, found(), asked)
}

/// Two shares of bad events: Fisher's test, with Newcombe's interval of the difference.
pub(crate) fn proportions(metric: MetricName, candidate: Counts, baseline: Counts, asked: Asked) -> Explanation {
    let found = || {
        let both = Proportions::of(candidate, baseline)?;
        let inputs = vec![
            ("candidate, events", candidate.events() as f64),
            ("candidate, bad", candidate.bad() as f64),
            ("baseline, events", baseline.events() as f64),
            ("baseline, bad", baseline.bad() as f64),
        ];
        Ok(Found {
            name: "difference of the shares",
            estimate: both.difference(),
            interval: both.newcombe(1.0 - asked.alpha)?,
            chance: both.exact().greater,
            level: baseline.ratio().unwrap_or_default(),
            inputs,
        })
    };
    explained(metric, found(), asked)
}

fn explained(metric: MetricName, found: Result<Found, SampleError>, asked: Asked) -> Explanation {
    let real = |number: f64| Real::new(number).ok();
    let empty = |result, because: String| Explanation {
        metric: metric.clone(),
        subject: String::new(),
        decides: true,
        result,
        advice: Advice::Continue,
        inputs: Vec::new(),
        estimate: None,
        limit: None,
        evidence: Vec::new(),
        because,
        otherwise: "values of both arms would be judged".to_owned(),
    };
    let found = match found {
        Ok(found) => found,
        Err(error @ SampleError::TooFew { .. }) => return empty(JudgementResult::Inconclusive, error.to_string()),
        Err(error) => return empty(JudgementResult::Error, error.to_string()),
    };
    let tolerated = asked.tolerance * found.level.abs();
    let small = if found.chance < 0.001 { "below 0.001".to_owned() } else { format!("of {:.3}", found.chance) };
    let chance = format!("chance alone would show as much with a chance {small}");
    let (result, advice, because, otherwise) = if found.chance <= asked.alpha && found.estimate > 0.0 {
        let otherwise = format!("at a chance above {} it would not fail", asked.alpha);
        (JudgementResult::Fail, Advice::RollBack, format!("the candidate's are larger; {chance}"), otherwise)
    } else if found.interval.1 <= tolerated {
        let because = format!("larger by more than what is tolerated is ruled out; {chance}");
        (
            JudgementResult::Pass,
            Advice::Promote,
            because,
            "an interval beyond what is tolerated would leave it open".to_owned(),
        )
    } else {
        let because = format!("neither harm nor its absence is shown; {chance}");
        (
            JudgementResult::Inconclusive,
            Advice::Continue,
            because,
            "a new comparison of more values would decide it".to_owned(),
        )
    };
    let inputs = found.inputs.into_iter();
    Explanation {
        inputs: inputs.filter_map(|(name, value)| Some(Input { name: name.to_owned(), value: real(value)? })).collect(),
        estimate: real(found.estimate).map(|value| Estimate {
            name: found.name.to_owned(),
            value,
            low: real(found.interval.0),
            high: real(found.interval.1),
            confidence: real(1.0 - asked.alpha).unwrap_or_default(),
        }),
        limit: real(tolerated).map(|value| Limit {
            name: "what is tolerated".to_owned(),
            comparison: Comparison::AtMost,
            value,
        }),
        advice,
        otherwise,
        ..empty(result, because)
    }
}

/// The whole of several metrics: the worst of them.
pub(crate) fn whole(explanations: Vec<Explanation>) -> Verdict {
    let worst = explanations.iter().max_by_key(|explanation| explanation.result);
    let (result, because, otherwise) = worst.map_or_else(
        || (JudgementResult::Inconclusive, "there was nothing to judge".to_owned(), String::new()),
        |worst| (worst.result, format!("{}: {}", worst.metric, worst.because), worst.otherwise.clone()),
    );
    let (cause, advice) = match result {
        JudgementResult::Fail => (Cause::Harm, Advice::RollBack),
        JudgementResult::Error => (Cause::Error, Advice::Warn),
        JudgementResult::Inconclusive => (Cause::Undecided, Advice::Continue),
        JudgementResult::Pass => (Cause::Proven, Advice::Promote),
    };
    Verdict { result, advice, cause, because, otherwise, explanations }
}

fn length(values: &[f64]) -> f64 {
    values.len() as f64
}

fn middle(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

//! What a Kayenta judgement says to a release.

use std::collections::BTreeMap;

use deploy_core::monitor::{Advice, Comparison, JudgementResult};
use deploy_core::name::MetricName;

use super::{Class, Kayenta, KayentaResult, Points};
use crate::analysis::sequential::Look;
use crate::analysis::special::length;
use crate::analysis::verdict::{Cause, Estimate, Explanation, Input, Limit, Verdict, finite, short};

impl Kayenta {
    /// What is to be said of these points at this look.
    #[must_use]
    pub fn verdict(&self, points: &BTreeMap<MetricName, Points>, look: &Look) -> Verdict {
        verdict(self, points, look)
    }
}

fn verdict(judge: &Kayenta, points: &BTreeMap<MetricName, Points>, look: &Look) -> Verdict {
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
                inputs: points.get(&metric.name).map(inputs).unwrap_or_default(),
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
                otherwise: match result {
                    JudgementResult::Fail => "an interval that reaches nearer to zero would have passed it",
                    JudgementResult::Pass => "an interval wholly on one side, and far enough from zero, would fail it",
                    _ => "points of both arms would be classified",
                }
                .to_owned(),
            }
        })
        .collect();
    let otherwise =
        format!("from {} on it passes, from {} on it is marginal", short(judge.pass), short(judge.marginal));
    if look.observed_for < judge.after {
        return Verdict { otherwise, ..Verdict::too_short(judge.after) };
    }
    let counted = || judge.metrics.iter().zip(&report.classified).filter(|(metric, _)| !metric.muted);
    let empty = |class: &Class| matches!(class, Class::Nodata | Class::NodataFailMetric);
    if counted().all(|(_, (_, classified))| classified.as_ref().is_ok_and(|classified| empty(&classified.class))) {
        return Verdict {
            result: JudgementResult::Inconclusive,
            advice: Advice::Continue,
            cause: Cause::NoData,
            because: "none of the metrics has any points".to_owned(),
            otherwise: "points of both arms would be judged".to_owned(),
            explanations,
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

/// How many points there are, and their means.
fn inputs(points: &Points) -> Vec<Input> {
    let arm = |name: &str, values: &[f64]| {
        let numbers: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        let count = length(numbers.len());
        let mean = numbers.iter().sum::<f64>() / count;
        let input = |name: String, value: f64| finite(value).map(|value| Input { name, value });
        [input(format!("{name}, points"), count), input(format!("{name}, mean"), mean)]
    };
    let all = arm("candidate", &points.experiment).into_iter().chain(arm("baseline", &points.control));
    all.flatten().collect()
}

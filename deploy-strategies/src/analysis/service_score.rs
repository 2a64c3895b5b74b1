//! A weighted score of objectives, as Keptn's quality gates add it up, for releases that are judged by it today.
//!
//! A score informs; what must not fail is marked as key and decides on its own.

use std::time::Duration;

use deploy_core::monitor::{Advice, Comparison, JudgementResult};
use deploy_core::name::MetricName;
use serde::{Deserialize, Serialize};

use super::figure::{FigureError, Figures};
use super::verdict::{Cause, Estimate, Explanation, Input, Limit, Verdict, finite, short};
use super::written::compared_as_written;

/// Objectives and the score to reach.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServiceScore {
    /// The objectives.
    pub objectives: Vec<Objective>,
    /// The score, from 0 to 100, from which on the release passes. 90 in the original's examples.
    pub pass: f64,
    /// The score from which on it is a warning. 75 in the original's examples.
    pub warning: f64,
    /// What a comparison with the last release means if there was none.
    pub without_previous: WithoutPrevious,
    /// After how long a stage is judged, once. Before, nothing is said. At once by default.
    #[serde(default, with = "deploy_core::time::duration_ms")]
    pub after: Duration,
}

compared_as_written!(ServiceScore);

/// What a comparison with the last release means if there was none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithoutPrevious {
    /// It is kept: so it is in the original.
    Kept,
    /// It cannot be told.
    Inconclusive,
}

/// One objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// The metric.
    pub metric: MetricName,
    /// It passes if all criteria of any of these groups are kept. Without groups it is shown and not scored.
    #[serde(default)]
    pub pass: Vec<Vec<Criterion>>,
    /// It is a warning if it does not pass and all criteria of any of these groups are kept; then half of its weight counts.
    #[serde(default)]
    pub warning: Vec<Vec<Criterion>>,
    /// Its weight. 1 by default.
    #[serde(default = "default_weight")]
    pub weight: f64,
    /// Whether its failure alone fails the release.
    #[serde(default)]
    pub key: bool,
    /// The quantile that stands for a window whose sizes were counted. 0.95 by default.
    #[serde(default = "default_quantile")]
    pub quantile: f64,
}

/// A limit for a number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Criterion {
    /// How it has to compare.
    pub comparison: Comparison,
    /// With what.
    pub limit: CriterionLimit,
}

/// What a number is held against.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CriterionLimit {
    /// This number.
    Fixed(f64),
    /// The last release's number, this many percent more (or, if negative, less).
    PercentOfPrevious(f64),
    /// The last release's number and this much more (or, if negative, less).
    MoreThanPrevious(f64),
}

/// The numbers of one metric.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Measured {
    /// Of this release.
    pub now: Option<f64>,
    /// Of the last one, or the mean of the last few.
    pub previous: Option<f64>,
}

/// What an objective comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Pass,
    Warning,
    Fail,
    Unknown,
    Shown,
}

impl Criterion {
    /// The number that has to be kept; nothing if it depends on a last release that there was not.
    #[must_use]
    pub fn number(&self, previous: Option<f64>) -> Option<f64> {
        match self.limit {
            CriterionLimit::Fixed(limit) => Some(limit),
            CriterionLimit::PercentOfPrevious(percent) => previous.map(|previous| previous * (1.0 + percent / 100.0)),
            CriterionLimit::MoreThanPrevious(more) => previous.map(|previous| previous + more),
        }
    }
}

impl ServiceScore {
    /// Whether the figures make sense.
    ///
    /// # Errors
    ///
    /// [`FigureError`] names the first that does not.
    pub fn check(&self) -> Result<(), FigureError> {
        let figures = Figures("service score");
        figures.scores(self.pass, ("warning", self.warning))?;
        let scored = self.objectives.iter().filter(|objective| !objective.pass.is_empty());
        let weight: f64 = scored.map(|objective| objective.weight).sum();
        figures.positive("weight of all objectives with a criterion", weight)?;
        for objective in &self.objectives {
            let of = |field: &str| format!("{field} of {}", objective.metric);
            let weight = objective.weight;
            figures.within(of("weight"), weight, weight >= 0.0 && weight.is_finite(), "a number of 0 or more")?;
            let empty = objective.pass.iter().chain(&objective.warning).filter(|group| group.is_empty()).count();
            let empty = super::special::length(empty);
            figures.within(
                of("number of groups without a criterion"),
                empty,
                empty == 0.0,
                "none, since each would always be kept,",
            )?;
            let never = objective.key && objective.pass.is_empty();
            figures.within(of("number of criteria of the key"), 0.0, !never, "at least one")?;
            figures.open(of("quantile"), objective.quantile)?;
        }
        Ok(())
    }

    /// Judges the numbers of a release. `measured` is asked for each metric by name.
    #[must_use]
    pub fn judge(&self, measured: impl Fn(&MetricName) -> Measured) -> Verdict {
        let (mut reached, mut possible) = (0.0, 0.0);
        let (mut failed_key, mut unknown) = (None, None);
        let mut explanations = Vec::with_capacity(self.objectives.len());
        for objective in &self.objectives {
            let numbers = measured(&objective.metric);
            let kept = self.kept(objective, numbers);
            if kept != Kept::Shown {
                possible += objective.weight;
            }
            match kept {
                Kept::Pass => reached += objective.weight,
                Kept::Warning => reached += objective.weight / 2.0,
                Kept::Fail if objective.key => failed_key = failed_key.or(Some(&objective.metric)),
                Kept::Unknown => unknown = unknown.or(Some(&objective.metric)),
                Kept::Fail | Kept::Shown => {}
            }
            explanations.push(explanation(objective, numbers, kept));
        }
        // Weights such as 0.3 do not add up exactly; a score that is shown as the limit is the limit.
        let score = if possible > 0.0 { (1e11 * reached / possible).round() / 1e9 } else { 0.0 };
        let (cause, result, advice, because) = if let Some(metric) = failed_key {
            let because = format!("the key objective {metric} is missed");
            (Cause::Harm, JudgementResult::Fail, Advice::RollBack, because)
        } else if let Some(metric) = unknown {
            let because = format!("{metric} was not measured or has nothing to be compared with");
            (Cause::NoData, JudgementResult::Inconclusive, Advice::Continue, because)
        } else {
            let because = format!("the score is {} of 100", short(score));
            if Comparison::AtLeast.holds(score, self.pass) {
                (Cause::Proven, JudgementResult::Pass, Advice::Promote, because)
            } else if Comparison::AtLeast.holds(score, self.warning) {
                (Cause::WithinMargin, JudgementResult::Inconclusive, Advice::Warn, because)
            } else {
                (Cause::Harm, JudgementResult::Fail, Advice::RollBack, because)
            }
        };
        let otherwise =
            format!("from {} on it passes, from {} on it is a warning", short(self.pass), short(self.warning));
        Verdict { result, advice, cause, because, otherwise, explanations }
    }

    /// Whether any criterion is held against the last release, or the baseline in its place.
    #[must_use]
    pub fn compares(&self) -> bool {
        let groups = self.objectives.iter().flat_map(|objective| objective.pass.iter().chain(&objective.warning));
        groups.flatten().any(|criterion| !matches!(criterion.limit, CriterionLimit::Fixed(_)))
    }

    fn kept(&self, objective: &Objective, numbers: Measured) -> Kept {
        if objective.pass.is_empty() {
            return Kept::Shown;
        }
        let Some(now) = numbers.now.filter(|now| now.is_finite()) else { return Kept::Unknown };
        let one = |criterion: &Criterion| match criterion.number(numbers.previous) {
            Some(limit) => Some(criterion.comparison.holds(now, limit)),
            None if self.without_previous == WithoutPrevious::Kept => Some(true),
            None => None,
        };
        // Any group of which all are kept; unknown only where no known group is kept.
        let any = |groups: &[Vec<Criterion>]| {
            let mut unknown = false;
            for group in groups {
                let kept: Vec<Option<bool>> = group.iter().map(one).collect();
                if kept.iter().all(|kept| *kept == Some(true)) {
                    return Some(true);
                }
                unknown |= !kept.contains(&Some(false));
            }
            if unknown { None } else { Some(false) }
        };
        match (any(&objective.pass), any(&objective.warning)) {
            (Some(true), _) => Kept::Pass,
            (None, _) | (_, None) => Kept::Unknown,
            (Some(false), Some(true)) => Kept::Warning,
            (Some(false), Some(false)) => Kept::Fail,
        }
    }
}

fn explanation(objective: &Objective, numbers: Measured, kept: Kept) -> Explanation {
    let (result, advice, because) = match kept {
        Kept::Pass => (JudgementResult::Pass, Advice::Promote, "kept"),
        Kept::Warning => (JudgementResult::Inconclusive, Advice::Warn, "a warning: half of its weight counts"),
        Kept::Fail => (JudgementResult::Fail, Advice::RollBack, "missed"),
        Kept::Unknown => (JudgementResult::Inconclusive, Advice::Continue, "not measured, or nothing to compare with"),
        Kept::Shown => (JudgementResult::Pass, Advice::Continue, "shown and not scored"),
    };
    let first = objective.pass.first().and_then(|group| group.first());
    Explanation {
        metric: objective.metric.clone(),
        subject: String::new(),
        decides: kept != Kept::Shown,
        result,
        advice,
        inputs: [("this release", numbers.now), ("the last one, or the baseline", numbers.previous)]
            .into_iter()
            .filter_map(|(name, number)| Some(Input { name: name.to_owned(), value: finite(number?)? }))
            .collect(),
        estimate: numbers.now.and_then(finite).map(|value| Estimate {
            name: "measured".to_owned(),
            value,
            low: None,
            high: None,
            confidence: finite(0.0).unwrap_or_default(),
        }),
        limit: first.and_then(|criterion| {
            let value = criterion.number(numbers.previous).and_then(finite)?;
            Some(Limit { name: "first criterion".to_owned(), comparison: criterion.comparison, value })
        }),
        evidence: Vec::new(),
        because: because.to_owned(),
        otherwise: match (kept, objective.key) {
            (Kept::Unknown, _) => "a number would be held against its criteria".to_owned(),
            (Kept::Shown, _) => "nothing: it is not scored".to_owned(),
            (_, true) => "missed, it alone fails the release".to_owned(),
            (_, false) => {
                format!("its weight is {}: it moves the score by as much of all weights", short(objective.weight))
            }
        },
    }
}

fn default_quantile() -> f64 {
    0.95
}

fn default_weight() -> f64 {
    1.0
}

#[cfg(test)]
mod tests {
    use deploy_core::monitor::{Comparison, JudgementResult};
    use deploy_core::name::MetricName;

    use super::{Criterion, CriterionLimit, Measured, Objective, ServiceScore, WithoutPrevious};

    fn at_most(limit: CriterionLimit) -> Criterion {
        Criterion { comparison: Comparison::AtMost, limit }
    }

    /// Four of weight 0.3, of which three are kept, come to the 75 that is shown.
    #[test]
    fn a_score_at_the_limit_is_at_the_limit_whatever_the_weights_add_up_to() {
        let one = |at: usize| Objective {
            metric: MetricName::new(format!("m{at}")).expect("a name"),
            pass: vec![vec![at_most(CriterionLimit::Fixed(5.0))]],
            warning: Vec::new(),
            weight: 0.3,
            key: false,
            quantile: 0.95,
        };
        let score = ServiceScore { objectives: (0..4).map(one).collect(), ..score() };
        let number = |metric: &MetricName| if metric.as_str() == "m3" { 9.0 } else { 1.0 };
        let verdict = score.judge(|metric| Measured { now: Some(number(metric)), previous: None });
        assert_eq!(verdict.result, JudgementResult::Inconclusive, "{verdict}");
    }

    /// Response time: at most 10 % more than last time and below 600; a warning up to 800. Errors: key, at most 5.
    fn score() -> ServiceScore {
        let below = |limit| Criterion { comparison: Comparison::Less, limit: CriterionLimit::Fixed(limit) };
        ServiceScore {
            objectives: vec![
                Objective {
                    metric: MetricName::new("response_time").expect("a name"),
                    pass: vec![vec![at_most(CriterionLimit::PercentOfPrevious(10.0)), below(600.0)]],
                    warning: vec![vec![Criterion {
                        comparison: Comparison::AtMost,
                        limit: CriterionLimit::Fixed(800.0),
                    }]],
                    weight: 1.0,
                    key: false,
                    quantile: 0.95,
                },
                Objective {
                    metric: MetricName::new("errors").expect("a name"),
                    pass: vec![vec![at_most(CriterionLimit::Fixed(5.0))]],
                    warning: Vec::new(),
                    weight: 3.0,
                    key: true,
                    quantile: 0.95,
                },
            ],
            pass: 90.0,
            warning: 75.0,
            without_previous: WithoutPrevious::Inconclusive,
            after: std::time::Duration::ZERO,
        }
    }

    fn result(now: f64, previous: Option<f64>, errors: Option<f64>) -> JudgementResult {
        let judged = score().judge(|metric| match metric.as_str() {
            "errors" => Measured { now: errors, previous: None },
            _ => Measured { now: Some(now), previous },
        });
        judged.result
    }

    #[test]
    fn a_score_adds_weights_up_and_a_key_objective_decides_alone() {
        assert_eq!(result(500.0, Some(480.0), Some(1.0)), JudgementResult::Pass);
        // Half of one of four: 87.5.
        assert_eq!(result(700.0, Some(480.0), Some(1.0)), JudgementResult::Inconclusive);
        // None of one of four: 75, at the edge still a warning.
        assert_eq!(result(900.0, Some(480.0), Some(1.0)), JudgementResult::Inconclusive);
        assert_eq!(result(500.0, Some(480.0), Some(6.0)), JudgementResult::Fail);
    }

    #[test]
    fn what_was_not_measured_is_not_passed() {
        assert_eq!(result(500.0, Some(480.0), None), JudgementResult::Inconclusive);
        assert_eq!(result(500.0, None, Some(1.0)), JudgementResult::Inconclusive);
    }
}

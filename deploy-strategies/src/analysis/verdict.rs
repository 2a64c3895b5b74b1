//! What a judge says, and why.

use std::fmt;
use std::time::Duration;

use deploy_core::monitor::{Advice, Comparison, Judgement, JudgementResult};
use deploy_core::name::MetricName;
use deploy_core::real::Real;
use deploy_core::strategy::ReasonCode;
use deploy_core::time::{RunTime, Spell};
use serde::{Deserialize, Serialize};

use super::Standing;

/// What a judge says about a release, with everything that it was said on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Verdict {
    /// What is said.
    pub result: JudgementResult,
    /// What to do about it.
    pub advice: Advice,
    /// What it rests on.
    pub cause: Cause,
    /// Why, in a sentence with the numbers in it.
    pub because: String,
    /// What would have to be so for it to be said otherwise.
    pub otherwise: String,
    /// Metric by metric.
    pub explanations: Vec<Explanation>,
}

/// What a verdict rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// The candidate is worse, beyond the margin or the limit.
    Harm,
    /// It is worse for certain, but within the margin.
    WithinMargin,
    /// It was shown in this stage not to be worse than what promotion must rule out; or the limits are kept.
    Proven,
    /// Neither could be shown yet.
    Undecided,
    /// The candidate does not see the share of traffic that it should: no comparison is valid.
    SampleRatio,
    /// A metric that decides was not measured. The author says what that means.
    NoData,
    /// The baseline saw nothing: there is nothing to compare with.
    NoBaseline,
    /// The stage was not observed for long enough.
    TooShort,
    /// There were too few events.
    LowTraffic,
    /// A metric could not be judged.
    Error,
}

/// What is said about one metric, with what it was said on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Explanation {
    /// The metric.
    pub metric: MetricName,
    /// What about it was looked at, for example `slower than 412 (99 %)`; empty where there is only one thing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// Whether it decides.
    pub decides: bool,
    /// What is said.
    pub result: JudgementResult,
    /// What to do about it.
    pub advice: Advice,
    /// What went in.
    pub inputs: Vec<Input>,
    /// What it is taken to be, with bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    /// What it is held against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// How far each question is decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<SoFar>,
    /// Why, in a sentence.
    pub because: String,
    /// What would have to be so for it to be said otherwise.
    pub otherwise: String,
}

/// A number that went in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Input {
    /// What it is.
    pub name: String,
    /// The number.
    pub value: Real,
}

/// A number that was found, with bounds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Estimate {
    /// What it is.
    pub name: String,
    /// The number.
    pub value: Real,
    /// The least that it may be; nothing if there is no bound.
    pub low: Option<Real>,
    /// The most that it may be; nothing if there is no bound.
    pub high: Option<Real>,
    /// How sure the bounds are, between 0 and 1.
    pub confidence: Real,
}

/// What a number is held against.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Limit {
    /// What it is.
    pub name: String,
    /// How the number has to compare with it.
    pub comparison: Comparison,
    /// The number.
    pub value: Real,
}

/// How far a question is decided: the evidence as a factor, and the factor at which it is decided. One is none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SoFar {
    /// The question.
    pub question: String,
    /// The factor so far.
    pub factor: Real,
    /// The factor at which it is decided.
    pub needed: Real,
}

impl Verdict {
    /// The same as journaled judgements, one for each metric that decides: taken at `at`, over `over`.
    #[must_use]
    pub fn judgements(&self, at: RunTime, over: Duration) -> Vec<Judgement> {
        self.explanations
            .iter()
            .filter(|explanation| explanation.decides)
            .map(|explanation| Judgement {
                metric: explanation.metric.clone(),
                result: explanation.result,
                advice: explanation.advice,
                measured: explanation.estimate.as_ref().map(|estimate| estimate.value),
                limit: explanation.limit.as_ref().map(|limit| (limit.comparison, limit.value)),
                at,
                over,
                because: explanation.because.clone(),
                otherwise: explanation.otherwise.clone(),
            })
            .collect()
    }
}

impl Verdict {
    /// The whole as the judgement of one metric, where nothing is said of any; without a reason of its own.
    pub(crate) fn alone(&self, metric: MetricName, at: RunTime, over: Duration) -> Judgement {
        Judgement {
            metric,
            result: self.result,
            advice: self.advice,
            measured: None,
            limit: None,
            at,
            over,
            because: String::new(),
            otherwise: self.otherwise.clone(),
        }
    }

    /// Nothing is said before this time has passed: looked at more than once a judgement at a fixed time would not keep its
    /// rate of false alarms.
    pub(crate) fn too_short(after: Duration) -> Self {
        Self {
            result: JudgementResult::Inconclusive,
            advice: Advice::Continue,
            cause: Cause::TooShort,
            because: format!("it is judged once, after {}", Spell(after)),
            otherwise: "time alone changes this".to_owned(),
            explanations: Vec::new(),
        }
    }
}

/// What limits said, in the words of a judge over batches.
impl From<super::Verdict> for Verdict {
    fn from(said: super::Verdict) -> Self {
        let (result, advice, cause) = match said.standing {
            Standing::Good => (JudgementResult::Pass, Advice::Promote, Cause::Proven),
            Standing::NotYet => (JudgementResult::Inconclusive, Advice::Continue, Cause::Undecided),
            Standing::Holding(code) | Standing::Unclear(code) => match code {
                ReasonCode::NoData => (JudgementResult::Inconclusive, Advice::Warn, Cause::NoData),
                ReasonCode::AnalysisErrors => (JudgementResult::Error, Advice::Warn, Cause::Error),
                _ => (JudgementResult::Inconclusive, Advice::Warn, Cause::Undecided),
            },
            Standing::Bad(ReasonCode::AnalysisErrors) => (JudgementResult::Error, Advice::RollBack, Cause::Error),
            Standing::Bad(ReasonCode::NoData) => (JudgementResult::Fail, Advice::RollBack, Cause::NoData),
            Standing::Bad(_) => (JudgementResult::Fail, Advice::RollBack, Cause::Harm),
        };
        let worst = said.judgements.iter().max_by_key(|judgement| (judgement.advice, judgement.result));
        let (because, otherwise) = worst.map_or_else(
            || ("nothing was measured".to_owned(), String::new()),
            |judgement| (judgement.because.clone(), judgement.otherwise.clone()),
        );
        let explanations = said.judgements.into_iter().map(Explanation::of_limit).collect();
        Self { result, advice, cause, because, otherwise, explanations }
    }
}

impl Explanation {
    fn of_limit(judgement: Judgement) -> Self {
        Self {
            metric: judgement.metric,
            subject: String::new(),
            decides: true,
            result: judgement.result,
            advice: judgement.advice,
            inputs: judgement.measured.map(|value| Input { name: "measured".to_owned(), value }).into_iter().collect(),
            estimate: judgement.measured.map(|value| Estimate {
                name: "measured".to_owned(),
                value,
                low: None,
                high: None,
                confidence: Real::ZERO,
            }),
            limit: judgement.limit.map(|(comparison, value)| Limit { name: "limit".to_owned(), comparison, value }),
            evidence: Vec::new(),
            because: judgement.because,
            otherwise: judgement.otherwise,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", advice(self.advice), self.because)?;
        if !self.otherwise.is_empty() {
            writeln!(f, "  otherwise: {}", self.otherwise)?;
        }
        self.explanations.iter().try_for_each(|explanation| write!(f, "{explanation}"))
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "- {}", self.metric)?;
        if !self.subject.is_empty() {
            write!(f, ", {}", self.subject)?;
        }
        if !self.decides {
            write!(f, " (does not decide)")?;
        }
        writeln!(f, ": {}", self.because)?;
        if let Some(estimate) = self.estimate.as_ref().filter(|e| e.low.is_some() || e.high.is_some()) {
            let end = |end: Option<Real>| end.map_or_else(|| "?".to_owned(), |end| short(end.get()));
            let (low, high) = (end(estimate.low), end(estimate.high));
            let sure = short(100.0 * estimate.confidence.get());
            writeln!(
                f,
                "    {} {}, between {low} and {high} ({sure} % sure)",
                estimate.name,
                short(estimate.value.get())
            )?;
        }
        for so_far in &self.evidence {
            let (factor, needed) = (short(so_far.factor.get()), short(so_far.needed.get()));
            writeln!(f, "    {}: {factor} of {needed}", so_far.question)?;
        }
        if !self.otherwise.is_empty() {
            writeln!(f, "    otherwise: {}", self.otherwise)?;
        }
        Ok(())
    }
}

/// Three significant digits.
pub(crate) fn short(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    let size = libm::floor(libm::log10(number.abs()));
    if !(-4.0..6.0).contains(&size) {
        return format!("{number:.2e}");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 6")]
    let decimals = (2.0 - size).max(0.0) as usize;
    format!("{number:.decimals$}")
}

/// e to this power, as a number that can be recorded: at most 10³⁰⁰.
pub(crate) fn factor(ln: f64) -> Real {
    Real::new(libm::exp(ln.min(690.0))).unwrap_or_default()
}

/// A number that can be recorded; nothing if it is not finite.
pub(crate) fn finite(number: f64) -> Option<Real> {
    Real::new(number).ok()
}

pub(super) fn advice(advice: Advice) -> &'static str {
    match advice {
        Advice::Promote => "promote",
        Advice::Continue => "continue",
        Advice::Warn => "hold and tell somebody",
        Advice::RollBack => "roll back",
    }
}

#[cfg(test)]
mod tests {
    use super::{factor, short};

    #[test]
    fn numbers_are_short() {
        for (number, text) in [
            (0.0, "0"),
            (1.0, "1.00"),
            (0.012_345, "0.0123"),
            (123.4, "123"),
            (99_999.0, "99999"),
            (1e9, "1.00e9"),
            (-2.5, "-2.50"),
            (1e-7, "1.00e-7"),
        ] {
            assert_eq!(short(number), text);
        }
        assert!(factor(1e6).get() > 1e299);
    }
}

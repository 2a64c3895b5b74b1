//! What is left of an error budget: may anything be released at all?

use std::time::Duration;

use deploy_core::monitor::{Advice, Comparison, Counts, JudgementResult};
use deploy_core::name::MetricName;
use deploy_core::time::{Spell, Timestamp};
use serde::{Deserialize, Serialize};

use super::burn_rate::{Counted, within};
use super::figure::{FigureError, Figures};
use super::special::real;
use super::verdict::{Cause, Estimate, Explanation, Input, Limit, Verdict, finite, short};
use super::written::compared_as_written;

/// An objective over a period, and how much of its budget has to be left for a release.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorBudget {
    /// The metric: bad events among events.
    pub metric: MetricName,
    /// The share of good events that is promised, between 0 and 1, for example 0.999.
    pub objective: f64,
    /// Over how long. 30 days by default.
    #[serde(default = "default_period", with = "deploy_core::time::duration_ms")]
    pub period: Duration,
    /// The share of the budget, 0 to 1, from which on releases are held. 0 by default: until it is used up.
    #[serde(default)]
    pub reserve: f64,
}

compared_as_written!(ErrorBudget);

/// What is left of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BudgetLeft {
    /// Of the whole, from 1 downwards; below zero it is overspent.
    pub share: f64,
    /// How many more bad events the period allows, at the events counted so far; below zero it is overspent.
    pub bad_events: f64,
    /// What was counted in the period.
    pub counted: Counts,
}

impl ErrorBudget {
    /// An objective over 30 days, all of whose budget may be used.
    #[must_use]
    pub fn new(metric: MetricName, objective: f64) -> Self {
        Self { metric, objective, period: default_period(), reserve: 0.0 }
    }

    /// Whether the figures make sense: an objective of 1 has no budget that could be left.
    ///
    /// # Errors
    ///
    /// [`FigureError`] names the first that does not.
    pub fn check(&self) -> Result<(), FigureError> {
        let figures = Figures("error budget");
        figures.open("objective", self.objective)?;
        figures.positive("period", self.period.as_secs_f64())?;
        figures.within("reserve", self.reserve, (0.0..1.0).contains(&self.reserve), "a share of 0 or more, and below 1")
    }

    /// What is left after these counts of one period.
    #[must_use]
    pub fn left(&self, counted: Counts) -> BudgetLeft {
        let allowed = (1.0 - self.objective) * real(counted.events());
        let bad_events = allowed - real(counted.bad());
        let share = if counted.events() == 0 { 1.0 } else { bad_events / allowed };
        BudgetLeft { share, bad_events, counted }
    }

    /// What is left at `now`, of the period that ends there.
    #[must_use]
    pub fn left_at(&self, counted: &[Counted], now: Timestamp) -> BudgetLeft {
        self.left(within(counted, now, self.period))
    }

    /// How long what is left lasts, to the second, at this burn rate (1 uses a whole budget up in one period); nothing if it does not burn. Zero if none
    /// is left.
    #[must_use]
    pub fn lasts(&self, left: &BudgetLeft, rate: f64) -> Option<Duration> {
        let seconds = left.share.max(0.0) * self.period.as_secs_f64() / rate;
        let seconds = seconds.round();
        Duration::try_from_secs_f64(seconds).ok().filter(|_| rate > 0.0)
    }

    /// Whether a release may begin: it passes above the reserve, fails once the budget is used up, and without any event of the period it
    /// cannot be told. Figures that make no sense are an error, as [`ErrorBudget::check`] says them.
    ///
    /// It advises to go on or to hold, never to roll back: who used the budget up is not said.
    #[must_use]
    pub fn judge(&self, counted: &[Counted], now: Timestamp) -> Verdict {
        let left = self.left_at(counted, now);
        let percent = |share: f64| short(100.0 * share);
        let period = Spell(self.period);
        let (cause, result, advice, because) = if let Err(error) = self.check() {
            (Cause::Error, JudgementResult::Error, Advice::Warn, error.to_string())
        } else if left.counted.events() == 0 {
            let because = format!("nothing was counted in the last {period}");
            (Cause::NoData, JudgementResult::Inconclusive, Advice::Warn, because)
        } else if left.share <= 0.0 {
            let over = short(-left.bad_events);
            let because = format!("the error budget of {period} is used up, and overspent by {over} bad events");
            (Cause::Harm, JudgementResult::Fail, Advice::Warn, because)
        } else if Comparison::AtMost.holds(left.share, self.reserve) {
            let because =
                format!("{} % of the error budget of {period} is left, all of it reserve", percent(left.share));
            (Cause::WithinMargin, JudgementResult::Inconclusive, Advice::Warn, because)
        } else {
            let because = format!("{} % of the error budget of {period} is left", percent(left.share));
            (Cause::Proven, JudgementResult::Pass, Advice::Promote, because)
        };
        let otherwise = match cause {
            Cause::Proven => {
                format!("{} more bad events would use it up", short(left.bad_events.max(0.0).ceil()))
            }
            Cause::NoData => "events would be judged".to_owned(),
            Cause::Error => "an objective that can be kept and missed would be judged".to_owned(),
            _ => "as bad windows leave the period, budget comes back".to_owned(),
        };
        let explanation = self.explanation(&left, result, advice, &because, &otherwise);
        Verdict { result, advice, cause, because, otherwise, explanations: vec![explanation] }
    }

    fn explanation(
        &self,
        left: &BudgetLeft,
        result: JudgementResult,
        advice: Advice,
        because: &str,
        otherwise: &str,
    ) -> Explanation {
        let input = |name: &str, value: f64| finite(value).map(|value| Input { name: name.to_owned(), value });
        let inputs = [
            input("events in the period", real(left.counted.events())),
            input("bad", real(left.counted.bad())),
            input("share of good events that is promised", self.objective),
        ];
        Explanation {
            metric: self.metric.clone(),
            subject: "error budget".to_owned(),
            decides: true,
            result,
            advice,
            inputs: inputs.into_iter().flatten().collect(),
            estimate: finite(left.share).filter(|_| left.counted.events() > 0).map(|value| Estimate {
                name: "share of the budget that is left".to_owned(),
                value,
                low: None,
                high: None,
                confidence: finite(0.0).unwrap_or_default(),
            }),
            limit: finite(self.reserve).map(|value| Limit {
                name: "reserve".to_owned(),
                comparison: Comparison::Greater,
                value,
            }),
            evidence: Vec::new(),
            because: because.to_owned(),
            otherwise: otherwise.to_owned(),
        }
    }
}

fn default_period() -> Duration {
    Duration::from_secs(30 * 86_400)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use deploy_core::monitor::{Advice, Counts, JudgementResult, Window};
    use deploy_core::name::MetricName;
    use deploy_core::time::Timestamp;
    use proptest::prelude::{prop_assert, proptest};

    use super::ErrorBudget;

    const DAY: i64 = 86_400_000;

    fn budget() -> ErrorBudget {
        ErrorBudget { reserve: 0.1, ..ErrorBudget::new(MetricName::new("errors").expect("a name"), 0.999) }
    }

    fn day(number: i64, bad: u64) -> (Window, Counts) {
        let window = Window::ending(Timestamp(DAY * (number + 1)), Duration::from_secs(86_400));
        (window, Counts::new(100_000, bad).expect("fewer than all"))
    }

    /// Rows: M165, M174.
    #[test]
    fn an_objective_without_a_budget_is_an_error_and_no_pass() {
        for objective in [1.0, 1.5, 0.0, f64::NAN] {
            let budget = ErrorBudget { objective, ..ErrorBudget::new(MetricName::new("errors").expect("a name"), 0.9) };
            let window = Window::ending(Timestamp(60_000), Duration::from_secs(60));
            let counted = [(window, Counts::new(1_000, 0).expect("fewer"))];
            let verdict = budget.judge(&counted, Timestamp(60_000));
            assert_eq!(
                (verdict.cause, verdict.result),
                (crate::analysis::verdict::Cause::Error, JudgementResult::Error),
                "{verdict}"
            );
            assert!(verdict.because.starts_with("objective of the error budget"), "{verdict}");
        }
    }

    #[test]
    fn a_budget_that_is_used_up_stops_releases_until_bad_days_leave_the_period() {
        let mut days: Vec<_> = (0..30).map(|number| day(number, 10)).collect();
        let judge = |days: &[(Window, Counts)], at: i64| {
            let said = budget().judge(days, Timestamp(DAY * at));
            (said.result, said.advice)
        };
        assert_eq!(judge(&days, 30), (JudgementResult::Pass, Advice::Promote));
        days[3] = day(3, 2_450);
        assert_eq!(judge(&days, 30), (JudgementResult::Inconclusive, Advice::Warn), "what is left is reserve");
        days[4] = day(4, 500);
        let used_up = budget().judge(&days, Timestamp(DAY * 30));
        assert_eq!(used_up.result, JudgementResult::Fail);
        assert!(used_up.because.contains("used up"), "{used_up}");
        days.extend((30..36).map(|number| day(number, 10)));
        assert_eq!(judge(&days, 36), (JudgementResult::Pass, Advice::Promote));
        assert_eq!(judge(&[], 36), (JudgementResult::Inconclusive, Advice::Warn), "nothing counted is no budget");
    }

    #[test]
    fn what_is_left_lasts_as_long_as_it_burns_slowly() {
        let left = budget().left(Counts::new(1_000_000, 500).expect("fewer"));
        assert!((left.share - 0.5).abs() < 1e-9 && (left.bad_events - 500.0).abs() < 1e-6);
        assert_eq!(budget().lasts(&left, 1.0), Some(Duration::from_secs(15 * 86_400)));
        assert_eq!(budget().lasts(&left, 30.0), Some(Duration::from_secs(86_400 / 2)));
        assert_eq!(budget().lasts(&left, 0.0), None);
    }

    proptest! {
        /// Rows: M165.
        #[test]
        fn what_two_spans_spend_is_spent_by_both_together(
            (a, bad_a) in (1u64..1_000_000, 0u64..1000), (b, bad_b) in (1u64..1_000_000, 0u64..1000),
        ) {
            let counts = |n: u64, bad: u64| Counts::new(n, bad.min(n)).expect("fewer");
            let (one, other) = (counts(a, bad_a), counts(b, bad_b));
            let budget = budget();
            let apart = budget.left(one).bad_events + budget.left(other).bad_events;
            let both = budget.left(one.plus(other));
            prop_assert!((apart - both.bad_events).abs() < 1e-6);
            prop_assert!(both.share <= 1.0);
            prop_assert!((both.share <= 0.0) == (both.bad_events <= 0.0));
        }
    }
}

//! How fast an error budget burns (B. Beyer et al., The Site Reliability Workbook, 2018, chapter 5), with a statistical
//! form that tells "burning" from "cannot tell".
//!
//! It needs no baseline, and so it catches what no comparison can: harm that the candidate does to both arms.

use std::time::Duration;

use deploy_core::monitor::{Advice, Comparison, Counts, JudgementResult, Window};
use deploy_core::name::MetricName;
use deploy_core::time::{Timestamp, millis};
use serde::{Deserialize, Serialize};

use super::evidence::ratio::confidence_interval;
use super::figure::{FigureError, Figures};
use super::special::real;
use super::verdict::{Cause, Estimate, Explanation, Input, Limit, Verdict, finite, short};
use super::written::compared_as_written;

/// An objective and the rates at which its budget may not burn.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BurnRate {
    /// The metric: bad events among events.
    pub metric: MetricName,
    /// The share of good events that is promised, for example 0.999.
    pub objective: f64,
    /// Over how long. 30 days by default.
    #[serde(default = "default_period", with = "deploy_core::time::duration_ms")]
    pub period: Duration,
    /// The pairs of windows. By default the four of the workbook for a period of 30 days.
    #[serde(default = "default_pairs")]
    pub pairs: Vec<BurnPair>,
    /// The chance of taking chance for burning, at a look, all pairs together. Nothing: the plain form, which compares the
    /// observed rates and never says that it cannot tell. 0.01 by default.
    #[serde(default = "default_alpha")]
    pub alpha: Option<f64>,
}

/// A rate that may not be exceeded over a long window and a short one at once: the long one makes it matter, the short one
/// makes it be over when it is over.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BurnPair {
    /// The rate: 1 uses the budget up exactly at the end of the period.
    pub factor: f64,
    /// The long window.
    #[serde(with = "deploy_core::time::duration_ms")]
    pub long: Duration,
    /// The short window.
    #[serde(with = "deploy_core::time::duration_ms")]
    pub short: Duration,
}

compared_as_written!(BurnRate);

/// What was counted in a span of time.
pub type Counted = (Window, Counts);

impl BurnRate {
    /// An objective with the defaults.
    #[must_use]
    pub fn new(metric: MetricName, objective: f64) -> Self {
        Self { metric, objective, period: default_period(), pairs: default_pairs(), alpha: default_alpha() }
    }

    /// Whether the figures make sense.
    ///
    /// # Errors
    ///
    /// [`FigureError`] names the first that does not.
    pub fn check(&self) -> Result<(), FigureError> {
        let figures = Figures("burn rate");
        figures.open("objective", self.objective)?;
        if let Some(alpha) = self.alpha {
            figures.open("alpha", alpha)?;
        }
        figures.positive("period", self.period.as_secs_f64())?;
        figures.within("pairs", super::special::length(self.pairs.len()), !self.pairs.is_empty(), "at least one")?;
        for (at, pair) in self.pairs.iter().enumerate() {
            let (long, short) = (pair.long.as_secs_f64(), pair.short.as_secs_f64());
            figures.positive(format!("pairs[{at}].factor"), pair.factor)?;
            figures.positive(format!("pairs[{at}].short"), short)?;
            figures.within(
                format!("pairs[{at}].long"),
                long,
                long >= short,
                "a window at least as long as the short one",
            )?;
        }
        Ok(())
    }

    /// The share of bad events that the objective allows.
    #[must_use]
    pub fn allowed(&self) -> f64 {
        1.0 - self.objective
    }

    /// How fast the budget burns at these counts; nothing without events.
    #[must_use]
    pub fn rate(&self, counts: Counts) -> Option<f64> {
        counts.ratio().map(|ratio| ratio / self.allowed())
    }

    /// What is left of the budget of a whole period after these counts of it, from 1 downwards; below zero it is overspent.
    /// 1 without events.
    #[must_use]
    pub fn budget_left(&self, period: Counts) -> f64 {
        1.0 - self.rate(period).unwrap_or(0.0)
    }

    /// What share of the period's budget a candidate spends that serves `share` of the traffic and burns at `rate` for `span`.
    #[must_use]
    pub fn spent_by(&self, share: f64, rate: f64, span: Duration) -> f64 {
        share * rate * span.as_secs_f64() / self.period.as_secs_f64()
    }

    /// Judges what was counted up to `now`. Windows longer than what was counted are taken as far as it goes, so that a
    /// candidate is judged on its own stage.
    #[must_use]
    pub fn judge(&self, counted: &[Counted], now: Timestamp) -> Verdict {
        let pairs: Vec<Burning> = self.pairs.iter().map(|pair| self.burning(*pair, counted, now)).collect();
        let decisive = pairs.iter().find(|pair| pair.state == State::Burning);
        let open = pairs.iter().find(|pair| pair.state == State::Unknown);
        let none = pairs.iter().all(|pair| pair.long.events() == 0);
        let (cause, result, advice) = if decisive.is_some() {
            (Cause::Harm, JudgementResult::Fail, Advice::RollBack)
        } else if none {
            (Cause::NoData, JudgementResult::Inconclusive, Advice::Continue)
        } else if open.is_some() {
            (Cause::Undecided, JudgementResult::Inconclusive, Advice::Continue)
        } else {
            (Cause::Proven, JudgementResult::Pass, Advice::Promote)
        };
        let shown = decisive.or(open).or_else(|| pairs.first());
        let because = match shown {
            Some(shown) if !none => format!(
                "the budget burns at {} times its rate over {} and {} over {}, where {} is the limit",
                self.rate(shown.long).map_or_else(|| "no".to_owned(), short),
                span(shown.pair.long),
                self.rate(shown.short).map_or_else(|| "no".to_owned(), short),
                span(shown.pair.short),
                short(shown.pair.factor)
            ),
            _ => "nothing was counted".to_owned(),
        };
        let otherwise = match cause {
            Cause::Harm => "a rate below the limit over either window would not fail it".to_owned(),
            Cause::NoData => "events would be judged".to_owned(),
            Cause::Undecided => "more events would decide it".to_owned(),
            _ => "a rate for certain above the limit over both windows would fail it".to_owned(),
        };
        let explanations = pairs.iter().map(|pair| self.explanation(pair)).collect();
        Verdict { result, advice, cause, because, otherwise, explanations }
    }

    fn burning(&self, pair: BurnPair, counted: &[Counted], now: Timestamp) -> Burning {
        let long = within(counted, now, pair.long);
        let brief = within(counted, now, pair.short);
        let limit = pair.factor * self.allowed();
        let exceeds = |counts: Counts| counts.ratio().is_some_and(|ratio| Comparison::Greater.holds(ratio, limit));
        let bounds = self.alpha.map(|alpha| {
            let alpha = alpha / super::special::length(self.pairs.len().max(1));
            confidence_interval(long, alpha, real(long.events().max(1)), alpha)
        });
        let state = match bounds {
            None if exceeds(long) && exceeds(brief) => State::Burning,
            // Whether it still burns, nobody has counted.
            None if exceeds(long) && brief.events() == 0 => State::Unknown,
            None => State::Within,
            // The long window must be above the limit for certain; the short one says that it still is.
            Some((low, _)) if low > limit && exceeds(brief) => State::Burning,
            Some((_, high)) if long.events() > 0 && high < limit => State::Within,
            Some((low, _)) if low > limit && brief.events() > 0 => State::Within,
            Some(_) => State::Unknown,
        };
        Burning { pair, long, short: brief, bounds, state }
    }

    fn explanation(&self, burning: &Burning) -> Explanation {
        let (result, advice, because) = match burning.state {
            State::Burning => (JudgementResult::Fail, Advice::RollBack, "it burns faster than allowed"),
            State::Within => (JudgementResult::Pass, Advice::Promote, "it burns within what is allowed"),
            State::Unknown if burning.short.events() == 0 => {
                let because = "nothing was counted over the short window, so that it cannot be told whether it burns";
                (JudgementResult::Inconclusive, Advice::Continue, because)
            }
            State::Unknown => (JudgementResult::Inconclusive, Advice::Continue, "it cannot be told"),
        };
        let input = |name: String, value: f64| finite(value).map(|value| Input { name, value });
        let bound = |number: f64| finite(number / self.allowed());
        let confidence = finite(1.0 - self.alpha.unwrap_or(0.0)).unwrap_or_default();
        Explanation {
            metric: self.metric.clone(),
            subject: format!("over {} and {}", span(burning.pair.long), span(burning.pair.short)),
            decides: true,
            result,
            advice,
            inputs: [
                input(format!("events over {}", span(burning.pair.long)), real(burning.long.events())),
                input("bad".to_owned(), real(burning.long.bad())),
                input(format!("events over {}", span(burning.pair.short)), real(burning.short.events())),
                input("bad".to_owned(), real(burning.short.bad())),
            ]
            .into_iter()
            .flatten()
            .collect(),
            estimate: self.rate(burning.long).and_then(finite).map(|value| Estimate {
                name: "burn rate".to_owned(),
                value,
                low: burning.bounds.and_then(|(low, _)| bound(low)),
                high: burning.bounds.and_then(|(_, high)| bound(high)),
                confidence,
            }),
            limit: finite(burning.pair.factor).map(|value| Limit {
                name: "burn rate".to_owned(),
                comparison: Comparison::AtMost,
                value,
            }),
            evidence: Vec::new(),
            because: because.to_owned(),
            otherwise: match burning.state {
                State::Burning => "a rate below the limit over either window would pass it",
                State::Within => "a rate for certain above the limit over both windows would fail it",
                State::Unknown => "more events would decide it",
            }
            .to_owned(),
        }
    }
}

/// One pair of windows, looked at.
#[derive(Debug, Clone, Copy)]
struct Burning {
    pair: BurnPair,
    long: Counts,
    short: Counts,
    bounds: Option<(f64, f64)>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Burning,
    Within,
    Unknown,
}

/// What was counted in the last `span` before `now`: the windows that begin in it.
pub(super) fn within(counted: &[Counted], now: Timestamp, span: Duration) -> Counts {
    let from = now.0.saturating_sub(i64::try_from(millis(span)).unwrap_or(i64::MAX));
    counted
        .iter()
        .filter(|(window, _)| window.from.0 >= from && window.from < now)
        .fold(Counts::default(), |sum, (_, counts)| sum.plus(*counts))
}

fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        s if s > 0 && s % 86_400 == 0 => format!("{} d", s / 86_400),
        s if s > 0 && s % 3600 == 0 => format!("{} h", s / 3600),
        s if s > 0 && s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

fn default_period() -> Duration {
    Duration::from_secs(30 * 86_400)
}

fn default_pairs() -> Vec<BurnPair> {
    let hour = 3600;
    let pair =
        |factor, long, short| BurnPair { factor, long: Duration::from_secs(long), short: Duration::from_secs(short) };
    vec![
        pair(14.4, hour, 300),
        pair(6.0, 6 * hour, 1800),
        pair(3.0, 24 * hour, 2 * hour),
        pair(1.0, 72 * hour, 6 * hour),
    ]
}

#[expect(clippy::unnecessary_wraps, reason = "the type of the field")]
fn default_alpha() -> Option<f64> {
    Some(0.01)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use deploy_core::monitor::{Counts, Window};
    use deploy_core::name::MetricName;
    use deploy_core::time::Timestamp;

    use super::{BurnPair, BurnRate, Counted};
    use crate::analysis::verdict::Cause;

    fn minutes(count: u64, events: u64, bad: impl Fn(u64) -> u64) -> (Vec<Counted>, Timestamp) {
        let end = |minute: u64| Timestamp(i64::try_from(minute).expect("few") * 60_000 + 60_000);
        let counted = (0..count).map(|minute| {
            let window = Window::ending(end(minute), Duration::from_secs(60));
            (window, Counts::new(events, bad(minute)).expect("fewer than all"))
        });
        (counted.collect(), end(count - 1))
    }

    fn objective() -> BurnRate {
        BurnRate::new(MetricName::new("errors").expect("a name"), 0.999)
    }

    fn cause(burn: &BurnRate, (counted, now): (Vec<Counted>, Timestamp)) -> Cause {
        burn.judge(&counted, now).cause
    }

    /// The workbook's table 5-8: at these rates the pairs have spent 2, 5, 10 and 10 % of the budget of 30 days.
    #[test]
    fn the_standard_pairs_spend_what_the_workbook_says() {
        let burn = objective();
        for (pair, spent) in burn.pairs.iter().zip([0.02, 0.05, 0.10, 0.10]) {
            let got = burn.spent_by(1.0, pair.factor, pair.long);
            assert!((got - spent).abs() < 1e-12, "{got}");
        }
        assert!((burn.spent_by(0.05, 14.4, Duration::from_secs(3600)) - 0.001).abs() < 1e-12);
    }

    #[test]
    fn a_budget_is_spent_by_bad_events_alone() {
        let burn = objective();
        assert!((burn.budget_left(Counts::new(1_000_000, 250).expect("fewer")) - 0.75).abs() < 1e-9);
        assert!(burn.budget_left(Counts::new(1000, 2).expect("fewer")) < 0.0);
        assert!((burn.budget_left(Counts::default()) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn both_windows_must_burn() {
        let burn = objective();
        // An hour at 2 %: twenty times the rate.
        assert_eq!(cause(&burn, minutes(60, 6000, |_| 120)), Cause::Harm);
        // It stopped ten minutes ago: no longer burning by the fast pair.
        let fast = BurnRate { pairs: burn.pairs[..1].to_vec(), ..burn.clone() };
        assert_eq!(cause(&fast, minutes(60, 6000, |minute| if minute < 50 { 120 } else { 0 })), Cause::Proven);
        assert_eq!(cause(&burn, minutes(60, 6000, |_| 1)), Cause::Proven);
    }

    /// A candidate that no longer answers has not stopped burning: nobody counts whether it does.
    #[test]
    fn silence_over_the_short_window_is_not_recovery() {
        let burn = objective();
        let fast = BurnRate { pairs: burn.pairs[..1].to_vec(), ..burn };
        let (mut counted, now) = minutes(60, 6000, |_| 120);
        for (window, counts) in &mut counted {
            if now.0 - window.from.0 <= 10 * 60_000 {
                *counts = Counts::default();
            }
        }
        for alpha in [Some(0.01), None] {
            let fast = BurnRate { alpha, ..fast.clone() };
            let verdict = fast.judge(&counted, now);
            assert_eq!(verdict.cause, Cause::Undecided, "{verdict}");
        }
        assert!(fast.judge(&counted, now).explanations[0].because.starts_with("nothing was counted over the short"));
    }

    #[test]
    fn few_events_are_no_verdict_where_the_plain_form_fires() {
        let pair = BurnPair { factor: 1.0, long: Duration::from_secs(3600), short: Duration::from_secs(300) };
        let burn = BurnRate { pairs: vec![pair], ..objective() };
        let few = || minutes(10, 12, |minute| u64::from(minute == 9));
        assert_eq!(cause(&burn, few()), Cause::Undecided);
        assert_eq!(cause(&BurnRate { alpha: None, ..burn.clone() }, few()), Cause::Harm);
        assert_eq!(cause(&burn, (Vec::new(), Timestamp(0))), Cause::NoData);
    }

    #[test]
    fn no_bad_event_certifies_only_enough_events() {
        let pair = BurnPair { factor: 1.0, long: Duration::from_secs(36_000), short: Duration::from_secs(300) };
        let burn = BurnRate { pairs: vec![pair], alpha: Some(0.05), ..objective() };
        assert_eq!(cause(&burn, minutes(10, 200, |_| 0)), Cause::Undecided);
        assert_eq!(cause(&burn, minutes(10, 2000, |_| 0)), Cause::Proven);
    }
}

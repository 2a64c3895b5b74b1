//! From the evidence to what is said.

use std::time::Duration;

use deploy_core::monitor::{Advice, Comparison, Counts, JudgementResult};

use super::events::EventSeries;
use super::power::expected_requests;
use super::values::ValueSeries;
use super::{Role, Sequential, SequentialError, SequentialState, Series, Watch, Watched, WithinMargin, Worse};
use crate::analysis::evidence::combine::{discoveries, ln_average};
use crate::analysis::special::{ln_sum_exp, real};
use crate::analysis::verdict::{Cause, Estimate, Explanation, Input, Limit, SoFar, Verdict, factor, finite, short};

/// When a judge is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The stage of the rollout, from 0.
    pub stage: u32,
    /// How long it has been observed.
    pub observed_for: Duration,
}

/// What the evidence comes to, all metrics together, as log factors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Totals {
    /// That the candidate is worse beyond the margins: at ln 1/α it is rolled back.
    pub ln_harm: f64,
    /// That it is worse at all: at ln 1/α it is held.
    pub ln_warn: f64,
    /// That it does not see the share of traffic that it should.
    pub ln_sample_ratio: f64,
    /// That it is not worse than what must be ruled out, from this stage: the least over the metrics that decide.
    pub ln_proof: f64,
}

impl Sequential {
    /// What the evidence comes to.
    ///
    /// # Errors
    ///
    /// [`SequentialError`] if the state belongs to another configuration.
    pub fn totals(&self, state: &SequentialState) -> Result<Totals, SequentialError> {
        self.fits(state)?;
        Ok(self.totals_of(state))
    }

    fn totals_of(&self, state: &SequentialState) -> Totals {
        let (mut harm, mut warn, mut proof) = (Vec::new(), Vec::new(), f64::INFINITY);
        for (series, (watched, _, weight)) in state.series.iter().zip(self.layout()) {
            if let Some(weight) = weight {
                harm.push((series.ln_harm(), weight));
                warn.push((series.ln_warn(), weight));
                proof = proof.min(series.ln_proof(&watched.watch) * self.damping);
            }
        }
        Totals {
            ln_harm: ln_average(&harm) * self.damping,
            ln_warn: ln_average(&warn) * self.damping,
            ln_sample_ratio: state.ratio.ln_evidence(),
            ln_proof: proof,
        }
    }

    /// What is to be said at this look. The state does not change, and any number of looks is as good as one.
    ///
    /// # Errors
    ///
    /// [`SequentialError`] if the state belongs to another configuration.
    pub fn verdict(&self, state: &SequentialState, look: &Look) -> Result<Verdict, SequentialError> {
        self.fits(state)?;
        Ok(self.verdict_of_fitting(state, look))
    }

    /// The same of a state that is known to belong to this configuration.
    pub(in crate::analysis) fn verdict_of_fitting(&self, state: &SequentialState, look: &Look) -> Verdict {
        let totals = self.totals_of(state);
        let enough = -libm::log(self.alpha);
        // The stage of the look may have no batch yet; then nothing of it is proven.
        let begun = state.stage == look.stage;
        let explanations = self.explanations(state, begun);
        let names = |wanted: &dyn Fn(&Series, &Watch) -> bool| {
            let required = state.series.iter().zip(self.layout()).filter(|(_, (_, _, weight))| weight.is_some());
            let mut names: Vec<&str> = required
                .filter(|(series, (watched, ..))| wanted(series, &watched.watch))
                .map(|(_, (watched, ..))| watched.metric.as_str())
                .collect();
            names.dedup();
            names.join(", ")
        };
        let absent = names(&|series, _| !begun || series.is_absent(self.stale_after));
        let alone = names(&|series, _| series.lacks_baseline());
        let few = names(&|series, _| series.candidate_events() < self.least_events_of(series));
        let unproven = names(&|series, watch| series.ln_proof(watch) * self.damping < -libm::log(self.beta));
        let worst = explanations.iter().filter(|e| e.decides).max_by_key(|e| e.result).map(Explanation::name);
        let (cause, because, otherwise) = if totals.ln_harm >= enough {
            (
                Cause::Harm,
                format!(
                    "the candidate is worse beyond its margin, foremost in {}: evidence {} where {} decides",
                    worst.unwrap_or_default(),
                    short(factor(totals.ln_harm).get()),
                    short(1.0 / self.alpha)
                ),
                format!("at an evidence below {} it would not be rolled back", short(1.0 / self.alpha)),
            )
        } else if totals.ln_sample_ratio >= -libm::log(self.sample_ratio.alpha) {
            let seen = state.ratio.observed().map_or_else(String::new, |seen| short(100.0 * seen));
            (
                Cause::SampleRatio,
                format!("the candidate sees {seen} % of the traffic that it should, so that no comparison is valid"),
                format!(
                    "within {} % of its share it would be judged; look for lost records or a router off its weights",
                    short(100.0 * self.sample_ratio.tolerance)
                ),
            )
        } else if !absent.is_empty() {
            (
                Cause::NoData,
                match &state.lacking {
                    Some(stratum) => format!("there are no measurements of {absent} of {stratum} any more"),
                    None => format!("there are no measurements of {absent} in this stage"),
                },
                "measurements of both arms would be judged".to_owned(),
            )
        } else if !alone.is_empty() {
            (
                Cause::NoBaseline,
                format!("the baseline saw nothing of {alone}, so that there is nothing to compare with"),
                "traffic on the baseline would make a comparison".to_owned(),
            )
        } else if totals.ln_warn >= enough && self.within_margin == WithinMargin::Hold {
            (
                Cause::WithinMargin,
                format!(
                    "the candidate is worse for certain, within its margin: evidence {} where {} decides",
                    short(factor(totals.ln_warn).get()),
                    short(1.0 / self.alpha)
                ),
                "a person may promote it; beyond the margin it would be rolled back".to_owned(),
            )
        } else if look.observed_for < self.least_observed {
            (
                Cause::TooShort,
                format!(
                    "the stage was observed for {} s of at least {} s",
                    look.observed_for.as_secs(),
                    self.least_observed.as_secs()
                ),
                "time alone changes this".to_owned(),
            )
        } else if !few.is_empty() {
            (
                Cause::LowTraffic,
                format!("{few}: fewer than {} events of the candidate in this stage", self.least_events),
                "more traffic would be judged".to_owned(),
            )
        } else if unproven.is_empty() {
            (
                Cause::Proven,
                "every metric that decides was shown in this stage to be no worse than what must be ruled out"
                    .to_owned(),
                format!("at a proof below {} the stage would go on", short(1.0 / self.beta)),
            )
        } else {
            (
                Cause::Undecided,
                format!("neither harm nor its absence is shown yet; still open: {unproven}"),
                self.further(state),
            )
        };
        let (result, advice) = match cause {
            Cause::Harm => (JudgementResult::Fail, Advice::RollBack),
            Cause::Proven => (JudgementResult::Pass, Advice::Promote),
            Cause::SampleRatio | Cause::WithinMargin => (JudgementResult::Inconclusive, Advice::Warn),
            _ => (JudgementResult::Inconclusive, Advice::Continue),
        };
        Verdict { result, advice, cause, because, otherwise, explanations }
    }

    fn least_events_of(&self, series: &Series) -> u64 {
        match series {
            Series::Events(_) => self.least_events,
            // Windows are few: two make a comparison.
            Series::Values(_) => 2,
        }
    }

    /// How much more traffic the open proofs are expected to take.
    fn further(&self, state: &SequentialState) -> String {
        let needed = -libm::log(self.beta);
        let most = state
            .series
            .iter()
            .zip(self.layout())
            .filter(|(_, (_, _, weight))| weight.is_some())
            .filter_map(|(series, (watched, _, _))| series.further(watched, needed, self.damping))
            .fold(0.0, f64::max);
        if most.is_finite() && most > 0.0 {
            format!("about {} more requests would show that it is no worse, if it is not", short(most.ceil()))
        } else {
            // Where neither arm has a bad event there is nothing to compare, however much traffic there is.
            "more traffic would decide it; without a single bad event it takes the share of them that is negligible"
                .to_owned()
        }
    }

    fn explanations(&self, state: &SequentialState, begun: bool) -> Vec<Explanation> {
        let layout = self.layout();
        let advisory: Vec<usize> = (0..layout.len()).filter(|at| layout[*at].2.is_none()).collect();
        let shown: Vec<f64> = advisory.iter().map(|at| state.series[*at].ln_harm() * self.damping).collect();
        let discovered: Vec<usize> = discoveries(&shown, self.alpha).into_iter().map(|i| advisory[i]).collect();
        let strata = state.taken.strata();
        let both = state.series.iter().zip(layout).enumerate();
        both.map(|(at, (series, (watched, quantile, weight)))| {
            let harmed = weight.map_or_else(
                || discovered.contains(&at),
                // Its own share of α: what it would take alone.
                |weight| series.ln_harm() * self.damping + libm::log(weight) >= -libm::log(self.alpha),
            );
            let mut explanation = self.explanation(watched, quantile, weight.is_some(), harmed, begun, series);
            if let Series::Events(events) = series {
                explanation.tell_strata(events.moved(), &strata);
            }
            explanation
        })
        .collect()
    }

    fn explanation(
        &self,
        watched: &Watched,
        quantile: Option<f64>,
        decides: bool,
        harmed: bool,
        begun: bool,
        series: &Series,
    ) -> Explanation {
        let (ln_harm, ln_warn) = (series.ln_harm() * self.damping, series.ln_warn() * self.damping);
        let ln_proof = series.ln_proof(&watched.watch) * self.damping;
        let enough = -libm::log(self.alpha);
        let proven = begun && ln_proof >= -libm::log(self.beta);
        let (result, advice, said) = if harmed {
            (JudgementResult::Fail, Advice::RollBack, "worse beyond its margin")
        } else if begun && series.is_absent(self.stale_after) {
            (JudgementResult::Inconclusive, Advice::Continue, "not measured")
        } else if ln_warn >= enough {
            (JudgementResult::Inconclusive, Advice::Warn, "worse, within its margin")
        } else if proven {
            (JudgementResult::Pass, Advice::Promote, "no worse than what must be ruled out")
        } else {
            (JudgementResult::Inconclusive, Advice::Continue, "open")
        };
        let facts = match series {
            Series::Events(events) => Facts::of_events(events, watched, quantile, self.alpha),
            Series::Values(values) => Facts::of_values(values, watched, self.alpha),
        };
        let question = |question: &str, ln: f64, level: f64| SoFar {
            question: question.to_owned(),
            factor: factor(ln),
            needed: factor(-libm::log(level)),
        };
        let needed_proof = -libm::log(self.beta);
        let otherwise = match (result, series.further(watched, needed_proof, self.damping)) {
            (JudgementResult::Fail, _) => "less evidence of harm would not fail it".to_owned(),
            (JudgementResult::Pass, _) => "less proof would leave it open".to_owned(),
            (_, Some(further)) if further.is_finite() && further > 0.0 => {
                format!("about {} more requests would show that it is no worse, if it is not", short(further.ceil()))
            }
            _ => "more traffic would decide it".to_owned(),
        };
        Explanation {
            metric: watched.metric.clone(),
            subject: facts.subject,
            decides,
            result,
            advice,
            inputs: facts.inputs,
            estimate: facts.estimate,
            limit: facts.limit,
            evidence: vec![
                question("worse beyond the margin", ln_harm, self.alpha),
                question("worse at all", ln_warn, self.alpha),
                question("no worse than what must be ruled out, this stage", ln_proof, self.beta),
            ],
            because: if facts.seen.is_empty() { said.to_owned() } else { format!("{said}; {}", facts.seen) },
            otherwise,
        }
    }
}

impl Explanation {
    /// What each part of the traffic added, and which of them moved most.
    fn tell_strata(&mut self, moved: &[f64], strata: &[&str]) {
        let parts = || moved.iter().zip(strata);
        self.inputs.extend(parts().filter_map(|(more, stratum)| {
            Some(Input { name: format!("{stratum}, bad events beyond an equal share"), value: finite(*more)? })
        }));
        if moved.is_empty() {
            return;
        }
        let mut because = format!("{}; each of {} strata is compared with itself", self.because, moved.len());
        // Less than one event has not moved, and of no difference there is no most.
        let most = parts().max_by(|(a, _), (b, _)| a.abs().total_cmp(&b.abs()));
        if let Some((more, stratum)) =
            most.filter(|(more, _)| more.abs() >= 1.0 && self.result != JudgementResult::Pass)
        {
            let (by, which) = (short(more.abs()), if *more < 0.0 { "fewer" } else { "more" });
            because.push_str(&format!(
                ", and most of the difference is in {stratum}: {by} bad ones {which} than an equal share"
            ));
        }
        self.because = because;
    }

    fn name(&self) -> String {
        if self.subject.is_empty() { self.metric.to_string() } else { format!("{} ({})", self.metric, self.subject) }
    }
}

/// What a series has to show.
struct Facts {
    subject: String,
    seen: String,
    inputs: Vec<Input>,
    estimate: Option<Estimate>,
    limit: Option<Limit>,
}

impl Facts {
    fn of_events(events: &EventSeries, watched: &Watched, quantile: Option<f64>, alpha: f64) -> Self {
        let (candidate, baseline) = events.here;
        let threshold = events.threshold.map(|(slow, _)| slow.value());
        let subject = match (quantile, threshold) {
            (Some(quantile), Some(slow)) => format!("slower than {} ({} %)", short(slow), short(100.0 * quantile)),
            (Some(quantile), None) => format!("slower than {} % of the baseline", short(100.0 * quantile)),
            (None, _) => String::new(),
        };
        let seen = |counts: Counts| {
            let share = counts.ratio().map_or_else(|| "none".to_owned(), |ratio| format!("{} %", short(100.0 * ratio)));
            format!("{} of {} ({share})", counts.bad(), counts.events())
        };
        let input = |name: &str, value: f64| finite(value).map(|value| Input { name: name.to_owned(), value });
        let inputs = [
            input("candidate, events in this stage", real(candidate.events())),
            input("candidate, bad", real(candidate.bad())),
            input("baseline, events in this stage", real(baseline.events())),
            input("baseline, bad", real(baseline.bad())),
            threshold.and_then(|slow| input("slow from", slow)),
        ];
        let (low, high) = events.interval(alpha);
        let bound = |d: Option<f64>| d.and_then(|d| finite(libm::exp(d)));
        let estimate = events.odds_ratio().and_then(finite).map(|value| Estimate {
            name: "odds ratio".to_owned(),
            value,
            low: bound(low),
            high: bound(high),
            confidence: finite(1.0 - alpha).unwrap_or_default(),
        });
        let limit = match &watched.watch {
            Watch::Errors { margin, .. } => finite(*margin).map(|value| Limit {
                name: "odds ratio up to which there is no rollback".to_owned(),
                comparison: Comparison::AtMost,
                value,
            }),
            Watch::Latency { rule_out, .. } => finite(*rule_out).map(|value| Limit {
                name: "odds ratio that promotion must rule out".to_owned(),
                comparison: Comparison::Less,
                value,
            }),
            Watch::Values { .. } => None,
        };
        let seen = match events.choosing() {
            Some((there, needed)) => {
                format!("what is slow is chosen from {needed} values of the baseline, of which there are {there}")
            }
            None => format!("candidate {}, baseline {} in this stage", seen(candidate), seen(baseline)),
        };
        Self { subject, seen, inputs: inputs.into_iter().flatten().collect(), estimate, limit }
    }

    fn of_values(values: &ValueSeries, watched: &Watched, alpha: f64) -> Self {
        let Watch::Values { range, margin, worse, .. } = &watched.watch else {
            return Self {
                subject: String::new(),
                seen: String::new(),
                inputs: Vec::new(),
                estimate: None,
                limit: None,
            };
        };
        let mean = values.mean().map(|mean| mean * range);
        let direction = match worse {
            Worse::Larger => "larger",
            Worse::Smaller => "smaller",
        };
        let windows = values.windows;
        Self {
            subject: String::new(),
            seen: mean.map_or_else(String::new, |mean| {
                format!("on average {} {direction} over {windows} windows of this stage", short(mean))
            }),
            inputs: finite(real(windows))
                .map(|value| Input { name: "windows in this stage".to_owned(), value })
                .into_iter()
                .collect(),
            estimate: mean.and_then(finite).map(|value| Estimate {
                name: format!("mean difference, {direction}"),
                value,
                low: None,
                high: None,
                confidence: finite(1.0 - alpha).unwrap_or_default(),
            }),
            limit: finite(*margin).map(|value| Limit {
                name: "mean difference up to which there is no rollback".to_owned(),
                comparison: Comparison::AtMost,
                value,
            }),
        }
    }
}

impl Series {
    pub(super) fn ln_harm(&self) -> f64 {
        match self {
            Self::Events(events) => events.ln_harm(),
            Self::Values(values) => values.ln_harm(),
        }
    }

    fn ln_warn(&self) -> f64 {
        match self {
            Self::Events(events) => events.ln_warn(),
            Self::Values(values) => values.ln_warn(),
        }
    }

    /// The log evidence that the candidate may be promoted: that it is no worse than what must be ruled out, or that what is bad of it
    /// is negligible. Where both are asked, half of the stake is on each, so that together they are wrong no more often than one.
    fn ln_proof(&self, watch: &Watch) -> f64 {
        match (self, watch) {
            (Self::Events(events), Watch::Errors { negligible: Some(share), .. }) => {
                let half = libm::log(0.5);
                ln_sum_exp([events.ln_proof() + half, events.ln_negligible(*share) + half].into_iter())
            }
            (Self::Events(events), _) => events.ln_proof(),
            (Self::Values(values), _) => values.ln_proof(),
        }
    }

    /// Whether there is nothing of the candidate in this stage, or nothing lately.
    fn is_absent(&self, stale_after: u32) -> bool {
        match self {
            Self::Events(events) => {
                (events.here.0.events() == 0 && events.choosing().is_none()) || events.stale >= stale_after
            }
            Self::Values(values) => values.windows == 0 || values.stale >= stale_after,
        }
    }

    fn lacks_baseline(&self) -> bool {
        match self {
            Self::Events(events) => events.here.1.events() == 0 && events.choosing().is_none(),
            Self::Values(values) => values.windows == 0,
        }
    }

    fn candidate_events(&self) -> u64 {
        match self {
            Self::Events(events) => events.here.0.events(),
            Self::Values(values) => values.windows,
        }
    }

    /// The requests, of both arms, that the proof is expected to take from here; nothing where that cannot be said.
    fn further(&self, watched: &Watched, needed: f64, damping: f64) -> Option<f64> {
        let Self::Events(events) = self else { return None };
        let (Watch::Errors { rule_out, .. } | Watch::Latency { rule_out, .. }) = &watched.watch else { return None };
        let (candidate, baseline) = events.here;
        let both = candidate.plus(baseline);
        let share = real(candidate.events()) / real(both.events());
        let open = needed - self.ln_proof(&watched.watch) * damping;
        let compared = expected_requests(both.ratio()?, share, *rule_out, open);
        let negligible = match &watched.watch {
            Watch::Errors { negligible: Some(negligible), .. } => {
                let gain = events.negligible_per_event(*negligible);
                if gain > 0.0 { open / (gain * share) } else { f64::INFINITY }
            }
            _ => f64::INFINITY,
        };
        Some(compared.min(negligible) / damping)
    }
}

impl Role {
    /// Whether the metric decides.
    #[must_use]
    pub fn decides(self) -> bool {
        matches!(self, Self::Required { .. })
    }
}

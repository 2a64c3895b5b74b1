//! The sequential judge: the default for releases.
//!
//! It may look after every batch and decide at any look: the chance that it ever rolls back a release that is no worse
//! than its margin is at most α, whatever the number of looks, stages, pauses and metrics. It compares the two arms batch
//! by batch, so that neither a drift of both nor the growth of the candidate's share can fool it. And it says
//! "cannot tell" where it cannot tell.
//!
//! ```text
//!  Batch ──► Sequential::take ──► SequentialState ──► Sequential::verdict ──► Verdict
//!            once per key           ≤ 2 KiB a metric      at any look            result, advice, why, what would change it
//! ```
//!
//! Its evidence is the conditional e-process of [`super::evidence::stratified`]: for errors as they are, for latency on
//! the events "slower than τ" at several quantiles, with τ chosen before the batch. Two tiers keep it from rolling back
//! for a difference that nobody minds: beyond the margin it rolls back, within the margin it warns. Promotion needs
//! proof of not being worse from the *current* stage: what was shown at 5 % of traffic says nothing about harm that only
//! a higher load brings out.
//!
//! It assumes that requests within a batch are exchangeable between the arms where there is no difference. Retry storms,
//! differences between single instances and arms with other endpoints break that; margins, strata and
//! [`Sequential::damping`] are the answers.

mod error;
mod events;
mod power;
mod ratio;
mod sample_ratio;
mod sums;
mod trace;
mod values;
mod verdict;
mod watched;

use std::collections::BTreeMap;
use std::time::Duration;

use deploy_core::digest::Digest;
use deploy_core::monitor::{Batch, Counts, Histogram, Paired, Traffic};
use deploy_core::name::{MetricName, StratumName};
use deploy_core::real::Real;
use serde::{Deserialize, Serialize};

pub use self::error::SequentialError;
use self::error::within;
use self::events::{EventSeries, Tuned};
pub use self::power::{Power, PowerReport, expected_requests};
use self::ratio::RatioSeries;
pub use self::sample_ratio::{Requests, SampleRatio};
pub(in crate::analysis) use self::sums::{from_six_bytes, kept, six_bytes};
pub use self::trace::{Decided, Trace, TraceLine, TracePoint};
use self::values::ValueSeries;
pub use self::verdict::{Look, Totals};
pub use self::watched::{Role, Watch, Watched, Worse};
use super::taken::{Taken, TakenKeys};
use super::written::{compared_as_written, written};

/// The sequential judge's configuration. It is fixed for a rollout: its hash stands in the state.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequential {
    /// What is judged.
    pub metrics: Vec<Watched>,
    /// How many stages the rollout has: harm may begin with any of them.
    pub stages: u32,
    /// The chance of rolling back, at any look of the whole rollout, a release that is no worse than its margins. 0.01 by
    /// default: at 50 releases a day at most one false rollback in two days, and measured far fewer.
    #[serde(default = "default_alpha")]
    pub alpha: f64,
    /// The chance of promoting from a stage a release that is as bad as [`Watch`] says it must not be. 0.05 by default.
    #[serde(default = "default_beta")]
    pub beta: f64,
    /// How long a fresh instance of the candidate is left out of account: cold caches are not what is released. 180 s by
    /// default. A batch counts if its youngest instance was older than this when its window began. In a rollout that is the age of the
    /// stage: an instance that starts anew in the middle of it counts at once, for what fails again and again would otherwise never
    /// be looked at.
    #[serde(default = "default_warm_up", with = "deploy_core::time::duration_ms")]
    pub warm_up: Duration,
    /// The shortest time that a stage is observed before it is promoted. 5 minutes by default.
    #[serde(default = "default_least_observed", with = "deploy_core::time::duration_ms")]
    pub least_observed: Duration,
    /// The fewest events of the candidate, per stage and metric, on which it is promoted. 100 by default.
    #[serde(default = "default_least_events")]
    pub least_events: u64,
    /// How many batches in a row may lack a metric before it counts as not there. 3 by default.
    #[serde(default = "default_stale_after")]
    pub stale_after: u32,
    /// What a difference within the margin means for promotion.
    #[serde(default)]
    pub within_margin: WithinMargin,
    /// The check that the candidate sees the share of traffic that it should.
    #[serde(default)]
    pub sample_ratio: SampleRatio,
    /// The power, above 0 and at most 1, to which the evidence is taken. 1 by default. A smaller one makes the judge slower and
    /// forgives requests that are not independent: choose it so that comparisons of a release with itself stay below α.
    #[serde(default = "default_damping")]
    pub damping: f64,
}

/// What a difference that is certain but within the margin means for promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithinMargin {
    /// The stage holds and somebody is told.
    #[default]
    Hold,
    /// Promotion goes on once its own proof is there; the report shows the difference.
    Promote,
}

/// What the judge remembers: sums, never samples. It is versioned, written with the hash of its configuration, and a
/// replay of the same batches in the same order gives the same bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SequentialState {
    version: u32,
    config: String,
    stage: u32,
    taken: TakenKeys,
    /// Batches that were left out since an instance was warming up.
    warming: u32,
    /// A part of the traffic of which the newest window lacks a metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lacking: Option<StratumName>,
    ratio: RatioSeries,
    series: Vec<Series>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Series {
    Events(EventSeries),
    Values(ValueSeries),
}

const VERSION: u32 = 1;

impl Sequential {
    /// A judge of these metrics with the default figures, for a rollout of so many stages.
    #[must_use]
    pub fn new(stages: u32, metrics: Vec<Watched>) -> Self {
        Self {
            metrics,
            stages,
            alpha: default_alpha(),
            beta: default_beta(),
            warm_up: default_warm_up(),
            least_observed: default_least_observed(),
            least_events: default_least_events(),
            stale_after: default_stale_after(),
            within_margin: WithinMargin::default(),
            sample_ratio: SampleRatio::default(),
            damping: default_damping(),
        }
    }

    /// Whether the figures make sense.
    ///
    /// # Errors
    ///
    /// [`SequentialError`] names the first that does not.
    pub fn check(&self) -> Result<(), SequentialError> {
        let open = |field, value: f64| within(field, value, value > 0.0 && value < 1.0, "a number between 0 and 1");
        open("alpha", self.alpha)?;
        open("beta", self.beta)?;
        open("sample_ratio.alpha", self.sample_ratio.alpha)?;
        let tolerance = self.sample_ratio.tolerance;
        within("sample_ratio.tolerance", tolerance, (0.0..1.0).contains(&tolerance), "0 or more, and below 1")?;
        within("damping", self.damping, self.damping > 0.0 && self.damping <= 1.0, "above 0, and at most 1")?;
        within("stages", f64::from(self.stages), self.stages > 0, "at least one")?;
        for watched in &self.metrics {
            if let Role::Required { weight } = watched.role {
                within("weight", weight, weight > 0.0 && weight.is_finite(), "a number above 0")?;
            }
            match &watched.watch {
                Watch::Errors { margin, rule_out, negligible } => {
                    if let Some(share) = *negligible {
                        within("negligible", share, share > 0.0 && share < 1.0, "a number between 0 and 1")?;
                    }
                    within("margin", *margin, *margin >= 1.0 && margin.is_finite(), "an odds ratio of at least 1")?;
                    within("rule_out", *rule_out, *rule_out > 1.0 && rule_out.is_finite(), "an odds ratio above 1")?;
                }
                Watch::Latency { quantiles, margin, rule_out } => {
                    let count = super::special::length(quantiles.len());
                    within("quantiles", count, !quantiles.is_empty(), "at least one")?;
                    let mut least = 0.0;
                    for quantile in quantiles {
                        let right = *quantile > least && *quantile < 1.0;
                        within("quantiles", *quantile, right, "one number after the other, rising, between 0 and 1")?;
                        least = *quantile;
                    }
                    within("margin", *margin, *margin >= 0.0 && margin.is_finite(), "a share of 0 or more")?;
                    within("rule_out", *rule_out, *rule_out > 1.0 && rule_out.is_finite(), "an odds ratio above 1")?;
                }
                Watch::Values { range, margin, rule_out, .. } => {
                    within("range", *range, *range > 0.0 && range.is_finite(), "a number above 0")?;
                    within("margin", *margin, *margin >= 0.0 && margin < range, "0 or more, and below the range")?;
                    within("rule_out", *rule_out, *rule_out > 0.0 && rule_out < range, "above 0, and below the range")?;
                }
            }
        }
        if self.metrics.iter().any(|watched| matches!(watched.role, Role::Required { .. })) {
            Ok(())
        } else {
            Err(SequentialError::NothingRequired)
        }
    }

    /// The state before the first batch. Thresholds of latency are then taken from the first batch with enough values of
    /// the baseline, which is not judged by them.
    ///
    /// # Errors
    ///
    /// [`SequentialError`] if the configuration makes no sense.
    pub fn begin(&self) -> Result<SequentialState, SequentialError> {
        self.begin_after(&BTreeMap::new())
    }

    /// The state before the first batch, with the baseline's latencies from before the release: they set the thresholds.
    ///
    /// # Errors
    ///
    /// [`SequentialError`] if the configuration makes no sense.
    pub fn begin_after(&self, before: &BTreeMap<MetricName, Histogram>) -> Result<SequentialState, SequentialError> {
        self.check()?;
        let mut series = Vec::new();
        for watched in &self.metrics {
            match &watched.watch {
                Watch::Errors { .. } => series.push(Series::Events(EventSeries::new(self.onsets()))),
                Watch::Latency { quantiles, margin, .. } => {
                    for quantile in quantiles {
                        let mut events = EventSeries::new(self.onsets());
                        if let Some(histogram) = before.get(&watched.metric) {
                            events.choose_threshold(histogram, *quantile, *margin);
                        }
                        series.push(Series::Events(events));
                    }
                }
                Watch::Values { range, margin, rule_out, .. } => {
                    series.push(Series::Values(ValueSeries::new(self, *range, *margin, *rule_out)));
                }
            }
        }
        Ok(SequentialState {
            version: VERSION,
            config: self.hash(),
            stage: 0,
            taken: TakenKeys::default(),
            warming: 0,
            lacking: None,
            ratio: RatioSeries::new(),
            series,
        })
    }

    /// Takes a batch in, once. Where a window has several strata, take them together, by [`Sequential::take_window`]: one by one, a stratum
    /// that is measured would make up for another that is not.
    ///
    /// # Errors
    ///
    /// [`SequentialError`] if the state belongs to another configuration or the batch does not fit it. The state is then
    /// as it was.
    pub fn take(&self, state: &mut SequentialState, batch: &Batch) -> Result<Taken, SequentialError> {
        self.take_window(state, std::slice::from_ref(batch))
    }

    /// Takes the batches of all strata of one window in, each once: all or none of them. A metric that one of them misses was not measured in
    /// this window, however much there is of it in the others: nobody knows what the rest would have said.
    ///
    /// # Errors
    ///
    /// [`SequentialError`] if the state belongs to another configuration or a batch does not fit it. The state is then
    /// as it was.
    pub fn take_window(&self, state: &mut SequentialState, batches: &[Batch]) -> Result<Taken, SequentialError> {
        self.fits(state)?;
        let mut next = state.clone();
        let mut counted = Vec::with_capacity(batches.len());
        let mut last = Taken::Repeated;
        for batch in batches {
            last = self.take_into(&mut next, batch)?;
            if last == Taken::Counted {
                counted.push(batch);
            }
        }
        // What came late has what came late, and nothing else.
        if counted.iter().any(|batch| batch.key.part == 0) {
            next.lacking = None;
            let mut at = 0;
            for watched in &self.metrics {
                let metric = &watched.metric;
                let is_missing = |batch: &&&Batch| matches!(batch.metrics.get(metric), Some(Paired::Missing { .. }));
                let missing = counted.iter().find(is_missing);
                if missing.is_some() || counted.iter().all(|batch| !batch.metrics.contains_key(metric)) {
                    next.lacking = missing.and_then(|batch| batch.key.stratum.clone()).or(next.lacking);
                    for index in at..at + watched.watch.series() {
                        let before = state.series[index].stale();
                        next.series[index].missed(before);
                    }
                }
                at += watched.watch.series();
            }
        }
        *state = next;
        Ok(if counted.is_empty() { last } else { Taken::Counted })
    }

    fn take_into(&self, state: &mut SequentialState, batch: &Batch) -> Result<Taken, SequentialError> {
        if !state.taken.insert(&batch.key)? {
            return Ok(Taken::Repeated);
        }
        let of_strata = |name: &StratumName| state.taken.strata().iter().position(|known| *known == name.as_str());
        let stratum = batch.key.stratum.as_ref().and_then(of_strata);
        let stage = batch.key.stage;
        if stage > state.stage {
            state.stage = stage;
            for series in &mut state.series {
                match series {
                    Series::Events(events) => events.next_stage(),
                    Series::Values(values) => values.next_stage(),
                }
            }
        }
        if batch.youngest.is_some_and(|age| age < self.warm_up) {
            state.warming = state.warming.saturating_add(1);
            return Ok(Taken::Warming);
        }
        if let Some(traffic) = batch.traffic {
            let share = traffic.share.get();
            if !(share > 0.0 && share < 1.0) {
                return Err(SequentialError::Share(share));
            }
            state.ratio.take(traffic.candidate, traffic.baseline, share, self.sample_ratio.tolerance);
        }
        let tuned = Tuned { onsets: self.onsets(), stages: self.stages, stage, current: stage == state.stage, stratum };
        let mut at = 0;
        for watched in &self.metrics {
            let paired = batch.metrics.get(&watched.metric);
            let kind = |measured| SequentialError::Kind {
                metric: watched.metric.clone(),
                watched: watched.watch.kind(),
                measured,
            };
            let count = watched.watch.series();
            let series = &mut state.series[at..at + count];
            at += count;
            match (&watched.watch, paired) {
                (_, None | Some(Paired::Missing { .. })) => {}
                (Watch::Errors { margin, rule_out, .. }, Some(Paired::Counts { candidate, baseline })) => {
                    if let [Series::Events(events)] = series {
                        let pair = (*candidate, *baseline);
                        events.take(pair, pair, libm::log(*margin), libm::log(*rule_out), &tuned);
                    }
                }
                (Watch::Latency { quantiles, margin, rule_out }, Some(Paired::Histograms { candidate, baseline })) => {
                    for (series, quantile) in series.iter_mut().zip(quantiles) {
                        if let Series::Events(events) = series {
                            let sides = (candidate, baseline);
                            events.take_sizes(sides, *quantile, *margin, libm::log(*rule_out), &tuned);
                        }
                    }
                }
                (Watch::Values { range, worse, .. }, Some(Paired::Values { candidate, baseline })) => {
                    if let [Series::Values(values)] = series {
                        let difference = candidate.get() - baseline.get();
                        let harm = if *worse == Worse::Larger { difference } else { -difference };
                        values.take(harm / range, tuned.current);
                    }
                }
                (_, Some(Paired::Counts { .. })) => return Err(kind("counts")),
                (_, Some(Paired::Histograms { .. })) => return Err(kind("sizes")),
                (_, Some(Paired::Values { .. })) => return Err(kind("values")),
            }
        }
        Ok(Taken::Counted)
    }

    /// That the state belongs to this configuration.
    pub(in crate::analysis) fn fits(&self, state: &SequentialState) -> Result<(), SequentialError> {
        if state.version != VERSION {
            return Err(SequentialError::Version(state.version));
        }
        let config = self.hash();
        if state.config == config {
            Ok(())
        } else {
            Err(SequentialError::ConfigurationChanged { state: state.config.clone(), config })
        }
    }

    /// What both arms saw in a batch, of which the candidate should have seen `share`; nothing where it is not counted.
    #[must_use]
    pub fn traffic(&self, batch: &Batch, share: Real) -> Option<Traffic> {
        let metric = match &self.sample_ratio.requests {
            Requests::FirstErrors => {
                &self.metrics.iter().find(|watched| matches!(watched.watch, Watch::Errors { .. }))?.metric
            }
            Requests::Metric(metric) => metric,
            Requests::Uncounted => return None,
        };
        match batch.metrics.get(metric) {
            Some(Paired::Counts { candidate, baseline }) => {
                Some(Traffic { candidate: candidate.events(), baseline: baseline.events(), share })
            }
            _ => None,
        }
    }

    /// The hash of the configuration, as far as it is needed to tell two apart.
    fn hash(&self) -> String {
        Digest::of(&written(self)).as_bytes()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Of how many series the state consists.
    pub(crate) fn series(&self) -> usize {
        self.metrics.iter().map(|watched| watched.watch.series()).sum()
    }

    /// At how many stages harm is considered to begin.
    fn onsets(&self) -> usize {
        usize::try_from(self.stages).unwrap_or(events::MOST_ONSETS).clamp(1, events::MOST_ONSETS)
    }

    /// Of each series: the metric that it belongs to, its quantile if it has one, and its share of α; none if it is only
    /// shown.
    fn layout(&self) -> Vec<(&Watched, Option<f64>, Option<f64>)> {
        let total: f64 = self
            .metrics
            .iter()
            .map(|watched| if let Role::Required { weight } = watched.role { weight } else { 0.0 })
            .sum();
        let mut layout = Vec::new();
        for watched in &self.metrics {
            let weight = match watched.role {
                Role::Required { weight } => Some(weight / total),
                Role::Advisory => None,
            };
            match &watched.watch {
                Watch::Latency { quantiles, .. } => {
                    // The highest quantile counts twice: harm to a few is harm, and only it can show that.
                    let part = 1.0 / super::special::length(quantiles.len() + 1);
                    for (at, quantile) in quantiles.iter().enumerate() {
                        let times = if at + 1 == quantiles.len() { 2.0 } else { 1.0 };
                        layout.push((watched, Some(*quantile), weight.map(|weight| weight * part * times)));
                    }
                }
                Watch::Errors { .. } | Watch::Values { .. } => layout.push((watched, None, weight)),
            }
        }
        layout
    }
}

impl SequentialState {
    /// The stage of the newest batch.
    #[must_use]
    pub fn stage(&self) -> u32 {
        self.stage
    }

    /// How many batches were left out since an instance of the candidate was warming up.
    #[must_use]
    pub fn warming(&self) -> u32 {
        self.warming
    }
}

compared_as_written!(Sequential, SequentialState);

impl Series {
    /// For how many windows in a row it was not measured.
    fn stale(&self) -> u32 {
        match self {
            Self::Events(events) => events.stale,
            Self::Values(values) => values.stale,
        }
    }

    /// It was not measured in this window, as in so many before it.
    fn missed(&mut self, before: u32) {
        let stale = match self {
            Self::Events(events) => &mut events.stale,
            Self::Values(values) => &mut values.stale,
        };
        *stale = before.saturating_add(1);
    }
}

/// Both arms' counts.
type Pair = (Counts, Counts);

fn default_alpha() -> f64 {
    0.01
}
fn default_beta() -> f64 {
    0.05
}
fn default_warm_up() -> Duration {
    Duration::from_secs(180)
}
fn default_least_observed() -> Duration {
    Duration::from_secs(300)
}
fn default_least_events() -> u64 {
    100
}
fn default_stale_after() -> u32 {
    3
}
fn default_damping() -> f64 {
    1.0
}
#[cfg(test)]
mod tests;

//! The evidence on one kind of bad event.

use deploy_core::monitor::{Counts, Histogram, Threshold};
use serde::{Deserialize, Serialize, Serializer};

use super::Pair;
use super::sums::{Joined, Sums};
use crate::analysis::evidence::stratified::ln_likelihood;
use crate::analysis::special::{length, ln_sum_exp, real};

/// The evidence on one kind of bad event: an error, or an event slower than a threshold.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Read")]
pub(super) struct EventSeries {
    /// For each onset and each effect: the log likelihood beyond the margin, relative to the margin.
    harm: Sums,
    /// The log likelihood of the log odds ratio, all batches, on the points of [`CURVE`].
    curve: Sums,
    /// The log likelihood on the points of [`PROOF`], relative to what must be ruled out, this stage alone.
    proof: Sums,
    /// For the estimate of Mantel and Haenszel: Σ a d / n and Σ b c / n.
    ratio: Sums,
    /// This stage's events.
    pub(super) here: Pair,
    /// From which size on an event is slow, and from which on one of the candidate is beyond the margin.
    pub(super) threshold: Option<(Threshold, Threshold)>,
    /// The baseline's sizes until there are [`FEWEST_VALUES`] of them, from which the threshold is chosen.
    gathered: Histogram,
    /// Windows in a row that lacked this metric.
    pub(super) stale: u32,
    /// By stratum: how many more of the candidate's events of this stage were bad than their share of all of its.
    moved: Sums,
}

/// As it is written: all sums in one text, those last that are zero before their stage.
#[derive(Serialize)]
struct Written<'a> {
    sums: Joined<'a, 4>,
    #[serde(with = "four")]
    here: Pair,
    #[serde(rename = "slow", skip_serializing_if = "Option::is_none")]
    threshold: Option<(Threshold, Threshold)>,
    #[serde(skip_serializing_if = "is_empty")]
    gathered: &'a Histogram,
    #[serde(skip_serializing_if = "is_zero")]
    stale: u32,
    #[serde(skip_serializing_if = "Sums::is_empty")]
    moved: &'a Sums,
}

fn is_empty(histogram: &&Histogram) -> bool {
    histogram.count() == 0
}

impl Serialize for EventSeries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sums = Joined([&self.proof, &self.ratio, &self.curve, &self.harm]);
        let Self { here, threshold, stale, ref gathered, ref moved, .. } = *self;
        Written { sums, here, threshold, gathered, stale, moved }.serialize(serializer)
    }
}

/// As it is read: all sums in one text, or each in its own, as they were written before.
#[derive(Deserialize)]
struct Read {
    sums: Option<Sums>,
    harm: Option<Sums>,
    curve: Option<Sums>,
    proof: Option<Sums>,
    ratio: Option<Sums>,
    #[serde(with = "four")]
    here: Pair,
    #[serde(rename = "slow", default)]
    threshold: Option<(Threshold, Threshold)>,
    #[serde(default)]
    gathered: Histogram,
    #[serde(default)]
    stale: u32,
    #[serde(default)]
    moved: Sums,
}

impl TryFrom<Read> for EventSeries {
    type Error = &'static str;

    fn try_from(read: Read) -> Result<Self, Self::Error> {
        let Read { sums, harm, curve, proof, ratio, here, threshold, gathered, stale, moved } = read;
        let (proof, ratio, curve, harm) = match (sums, proof, ratio, curve, harm) {
            (Some(sums), None, None, None, None) => {
                let counts = [PROOF.len(), ESTIMATE, BETTER.len() + EFFECTS.len()];
                let ([proof, ratio, curve], harm) =
                    sums.parts(counts).ok_or("there are fewer sums than a series has")?;
                (proof, ratio, curve, harm)
            }
            (None, Some(proof), Some(ratio), Some(curve), Some(harm)) => (proof, ratio, curve, harm),
            _ => return Err("a series has all its sums in one text, or each in its own"),
        };
        Ok(Self { harm, curve, proof, ratio, here, threshold, gathered, stale, moved })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// Where in the rollout a batch stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tuned {
    pub(super) onsets: usize,
    pub(super) stages: u32,
    pub(super) stage: u32,
    /// Whether it belongs to the newest stage.
    pub(super) current: bool,
    /// The number of its stratum, where it is of a part of the traffic.
    pub(super) stratum: Option<usize>,
}

/// Harm is considered to begin with the first stage or with one of so many in all: each costs state and, at the start,
/// a little evidence.
pub(super) const MOST_ONSETS: usize = 4;

/// The stake on harm that is there from the start; the rest is shared among the later beginnings. Most harm is.
const FROM_THE_START: f64 = 0.75;

/// The log odds ratios beyond the margin that harm is sought at, with their weights: from 5 % to twentyfold, centred
/// where harm is neither found at once nor below notice. Measured against twenty even ones of the
/// same range, errors of 1.5 times the rate are found in an eighth less time.
const EFFECTS: [(f64, f64); 12] = [
    (0.08, 0.03),
    (0.15, 0.06),
    (0.24, 0.12),
    (0.33, 0.16),
    (0.43, 0.17),
    (0.55, 0.15),
    (0.70, 0.12),
    (0.90, 0.08),
    (1.20, 0.05),
    (1.60, 0.03),
    (2.20, 0.02),
    (3.00, 0.01),
];

/// Log odds ratios below zero at which the curve is known besides zero and those of [`EFFECTS`].
const BETTER: [f64; 5] = [-3.0, -1.2, -0.5, -0.2, -0.08];

/// The log odds ratios that are expected of a release that does no harm, with their weights.
const PROOF: [(f64, f64); 3] = [(-0.3, 0.2), (0.0, 0.6), (0.15, 0.2)];

/// How many sums the estimate is made of.
const ESTIMATE: usize = 2;

/// The shares of bad events, as parts of what is negligible, that are expected of a release with next to none, with their weights.
const BELOW: [(f64, f64); 3] = [(0.01, 0.5), (0.2, 0.25), (0.5, 0.25)];

/// The fewest values of the baseline from which a threshold is chosen.
const FEWEST_VALUES: u64 = 100;

impl EventSeries {
    pub(super) fn new(onsets: usize) -> Self {
        Self {
            harm: Sums::zero(onsets * EFFECTS.len()),
            curve: Sums::zero(BETTER.len() + EFFECTS.len()),
            proof: Sums::zero(PROOF.len()),
            ratio: Sums::zero(ESTIMATE),
            here: (Counts::default(), Counts::default()),
            threshold: None,
            gathered: Histogram::new(),
            stale: 0,
            moved: Sums::default(),
        }
    }

    /// Chooses what is slow by the baseline's own sizes, as soon as there are enough of them.
    pub(super) fn choose_threshold(&mut self, baseline: &Histogram, quantile: f64, margin: f64) {
        // It overflows only where there are by far enough.
        if self.gathered.merge(baseline).is_err() {
            self.gathered = baseline.clone();
        }
        if self.gathered.count() >= FEWEST_VALUES
            && let Some(slow) = self.gathered.threshold_at(quantile)
            && let Some(beyond) = slow.scaled(1.0 + margin)
        {
            self.threshold = Some((slow, beyond));
            self.gathered = Histogram::new();
        }
    }

    /// How many values of the baseline there are to choose from what is slow, and how many are needed; nothing once it is chosen, and
    /// before the first.
    pub(super) fn choosing(&self) -> Option<(u64, u64)> {
        let count = self.gathered.count();
        (count > 0).then_some((count, FEWEST_VALUES))
    }

    /// Takes sizes in: as events slower than the threshold, which was chosen before.
    pub(super) fn take_sizes(
        &mut self,
        (candidate, baseline): (&Histogram, &Histogram),
        quantile: f64,
        margin: f64,
        rule_out: f64,
        tuned: &Tuned,
    ) {
        let Some((slow, beyond)) = self.threshold else {
            self.choose_threshold(baseline, quantile, margin);
            self.stale = 0;
            return;
        };
        let counts = |histogram: &Histogram, threshold| {
            // The slow ones are among all of them.
            Counts::new(histogram.count(), histogram.at_least(threshold)).unwrap_or_default()
        };
        let plain = (counts(candidate, slow), counts(baseline, slow));
        let margined = (counts(candidate, beyond), plain.1);
        self.take(plain, margined, 0.0, rule_out, tuned);
    }

    /// Takes a batch in: the events as they are, those that count beyond the margin, the margin as a log odds ratio, and
    /// the log odds ratio to rule out.
    pub(super) fn take(&mut self, plain: Pair, margined: Pair, margin: f64, rule_out: f64, tuned: &Tuned) {
        let null = ln_likelihood(margined, margin);
        let harm = EFFECTS.map(|(effect, _)| ln_likelihood(margined, margin + effect) - null);
        let begun = (0..tuned.onsets).map(|onset| starts(onset, tuned) <= tuned.stage);
        self.harm.add(begun.flat_map(|begun| harm.map(|term| if begun { term } else { 0.0 })));
        let curve = BETTER.into_iter().chain(EFFECTS.map(|(effect, _)| effect));
        self.curve.add(curve.map(|d| ln_likelihood(plain, d)));
        let (candidate, baseline) = plain;
        let all = real(candidate.events() + baseline.events());
        if all > 0.0 {
            let good = |counts: Counts| real(counts.events() - counts.bad());
            let crossed = [(candidate, baseline), (baseline, candidate)];
            self.ratio.add(crossed.map(|(one, other)| real(one.bad()) * good(other) / all));
        }
        if tuned.current {
            let null = ln_likelihood(plain, rule_out);
            self.proof.add(PROOF.map(|(d, _)| ln_likelihood(plain, d) - null));
            self.here = (self.here.0.plus(candidate), self.here.1.plus(baseline));
            self.stale = 0;
            if let Some(stratum) = tuned.stratum
                && all > 0.0
            {
                let bad = real(candidate.bad() + baseline.bad());
                self.moved.add_at(stratum, real(candidate.bad()) - bad * real(candidate.events()) / all);
            }
        }
    }

    /// Proof starts anew with each stage; evidence of harm goes on.
    pub(super) fn next_stage(&mut self) {
        self.proof.clear();
        self.here = (Counts::default(), Counts::default());
        self.moved = Sums::default();
    }

    /// By stratum: how many more of the candidate's events of this stage were bad than their share of all of its.
    pub(super) fn moved(&self) -> &[f64] {
        self.moved.get()
    }

    /// The log evidence that the odds ratio is beyond the margin.
    pub(super) fn ln_harm(&self) -> f64 {
        let onsets = self.harm.get().len() / EFFECTS.len();
        let stake = |onset: usize| match (onset, onsets) {
            (_, 1) => 1.0,
            (0, _) => FROM_THE_START,
            _ => (1.0 - FROM_THE_START) / length(onsets - 1),
        };
        let terms: Vec<f64> = self
            .harm
            .get()
            .chunks(EFFECTS.len())
            .enumerate()
            .flat_map(|(onset, sums)| {
                let stake = libm::log(stake(onset));
                sums.iter().zip(EFFECTS).map(move |(sum, (_, weight))| sum + libm::log(weight) + stake)
            })
            .collect();
        ln_sum_exp(terms.into_iter())
    }

    /// The log evidence that the odds ratio is above one at all.
    pub(super) fn ln_warn(&self) -> f64 {
        let above = &self.curve.get()[BETTER.len()..];
        let terms = above.iter().zip(EFFECTS).map(|(sum, (_, weight))| sum + libm::log(weight));
        ln_sum_exp(terms.collect::<Vec<_>>().into_iter())
    }

    /// The log evidence that the candidate's share of bad events is below `negligible`, from this stage.
    ///
    /// With any share of at least `negligible`, which may change from event to event, the expected factor of each event is at most one, so
    /// that this is an e-process; the smaller shares that are bet on are the points of [`BELOW`].
    pub(super) fn ln_negligible(&self, negligible: f64) -> f64 {
        let (bad, good) = (real(self.here.0.bad()), real(self.here.0.events() - self.here.0.bad()));
        let terms = BELOW.map(|(part, weight)| {
            let share = part * negligible;
            bad * libm::log(part) + good * (libm::log1p(-share) - libm::log1p(-negligible)) + libm::log(weight)
        });
        ln_sum_exp(terms.into_iter())
    }

    /// How much the candidate's share of bad events in this stage adds to that with each further event.
    pub(super) fn negligible_per_event(&self, negligible: f64) -> f64 {
        let share = self.here.0.ratio().unwrap_or_default();
        let gain = |part: f64| {
            share * libm::log(part) + (1.0 - share) * (libm::log1p(-part * negligible) - libm::log1p(-negligible))
        };
        BELOW.map(|(part, _)| gain(part)).into_iter().fold(f64::NEG_INFINITY, f64::max)
    }

    /// The log evidence that the odds ratio is below what must be ruled out, from this stage.
    pub(super) fn ln_proof(&self) -> f64 {
        let terms = self.proof.get().iter().zip(PROOF).map(|(sum, (_, weight))| sum + libm::log(weight));
        ln_sum_exp(terms.collect::<Vec<_>>().into_iter())
    }

    /// The odds ratio by Mantel and Haenszel (1959), all batches; nothing without bad events of the baseline.
    pub(super) fn odds_ratio(&self) -> Option<f64> {
        let [above, below] = self.ratio.get() else { return None };
        (*below > 0.0).then(|| above / below)
    }

    /// The log odds ratios that have not been refuted at level `alpha` at any look; an end is nothing where there is no bound.
    ///
    /// The log likelihood is concave and known on a few points. Between two of them it lies below the prolonged chords on
    /// either side, so that an interval read from the chords contains the exact one.
    pub(super) fn interval(&self, alpha: f64) -> (Option<f64>, Option<f64>) {
        let sums = self.curve.get();
        let mut points: Vec<(f64, f64)> = BETTER.into_iter().zip(sums.iter().copied()).collect();
        points.push((0.0, 0.0));
        points.extend(EFFECTS.iter().zip(&sums[BETTER.len()..]).map(|((d, _), sum)| (*d, *sum)));
        let half = libm::log(0.5);
        let better = libm::log(1.0 / length(BETTER.len()));
        let below = sums[..BETTER.len()].iter().map(|sum| sum + half + better);
        let above = sums[BETTER.len()..].iter().zip(EFFECTS).map(|(sum, (_, weight))| sum + half + libm::log(weight));
        let mixed: Vec<f64> = below.chain(above).collect();
        let least = ln_sum_exp(mixed.into_iter()) + libm::log(alpha);
        let high = outer_crossing(&points, least);
        let mirrored: Vec<(f64, f64)> = points.iter().rev().map(|(d, sum)| (-d, *sum)).collect();
        (outer_crossing(&mirrored, least).map(|d| -d), high)
    }
}

/// The furthest place to the right at which a concave function through `points` may still be at `least`; nothing if it may
/// be so however far.
fn outer_crossing(points: &[(f64, f64)], least: f64) -> Option<f64> {
    // Where no point is that high, the top lies between two of them: start from the highest.
    let at = points
        .iter()
        .rposition(|(_, sum)| *sum >= least)
        .unwrap_or_else(|| (0..points.len()).max_by(|a, b| points[*a].1.total_cmp(&points[*b].1)).unwrap_or(0));
    let slope = |i: usize, j: usize| (points[j].1 - points[i].1) / (points[j].0 - points[i].0);
    let mut ends = Vec::new();
    if at > 0 {
        let before = slope(at - 1, at);
        if before < 0.0 {
            ends.push(points[at].0 + (least - points[at].1) / before);
        }
    }
    if at + 1 < points.len() {
        ends.push(points[at + 1].0);
    }
    if at + 2 < points.len() {
        let after = slope(at + 1, at + 2);
        if after < 0.0 {
            ends.push(points[at + 1].0 + (least - points[at + 1].1) / after);
        }
    }
    ends.into_iter().reduce(f64::min)
}

/// The stage with which an onset begins: all of them where they are few, evenly spread otherwise.
fn starts(onset: usize, tuned: &Tuned) -> u32 {
    let stages = usize::try_from(tuned.stages).unwrap_or(usize::MAX);
    u32::try_from(onset.saturating_mul(stages) / tuned.onsets).unwrap_or(u32::MAX)
}

/// Both arms' counts as four numbers.
mod four {
    use deploy_core::monitor::Counts;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>((one, other): &(Counts, Counts), serializer: S) -> Result<S::Ok, S::Error> {
        [one.events(), one.bad(), other.events(), other.bad()].serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(Counts, Counts), D::Error> {
        let [a, b, c, d] = <[u64; 4]>::deserialize(deserializer)?;
        let counts = |events, bad| Counts::new(events, bad).map_err(D::Error::custom);
        Ok((counts(a, b)?, counts(c, d)?))
    }
}

#[cfg(test)]
mod tests {
    use deploy_core::monitor::Counts;
    use proptest::prelude::{prop_assert, proptest};

    use super::{BETTER, EFFECTS, EventSeries, PROOF, Tuned};
    use crate::analysis::evidence::effects::Effects;
    use crate::analysis::evidence::stratified::{confidence_interval, ln_harm, ln_likelihood, ln_not_inferior};

    fn tuned(stage: u32) -> Tuned {
        Tuned { onsets: 4, stages: 4, stage, current: true, stratum: None }
    }

    fn some_batches() -> EventSeries {
        let mut series = EventSeries::new(4);
        for stage in 0..2 {
            let counts = |n, bad| Counts::new(n, bad).expect("fewer than all");
            let batch = (counts(300, 6), counts(5700, 50));
            series.take(batch, batch, 0.1, 0.4, &tuned(stage));
        }
        series
    }

    #[test]
    fn all_sums_are_in_one_text_and_those_of_later_stages_take_no_room() {
        let series = some_batches();
        let text = serde_json::to_string(&series).expect("written");
        assert_eq!(serde_json::from_str::<EventSeries>(&text).expect("read"), series);
        assert!(text.contains("*24\""), "{text}");
        assert!(text.len() < 430, "{text}");
    }

    #[test]
    fn what_was_written_with_each_sum_in_its_own_text_is_read() {
        let series = some_batches();
        let own = |sums: &super::Sums| serde_json::to_value(sums).expect("written");
        let mut before = serde_json::json!({
            "harm": own(&series.harm), "curve": own(&series.curve), "proof": own(&series.proof), "ratio": own(&series.ratio),
            "here": [600, 12, 11_400, 100],
        });
        assert_eq!(serde_json::from_value::<EventSeries>(before.clone()).expect("read"), series);
        let both = serde_json::to_value(&series).expect("written")["sums"].clone();
        before["sums"] = both;
        assert!(serde_json::from_value::<EventSeries>(before.clone()).is_err(), "it would be said twice");
        for missing in ["harm", "curve", "proof", "ratio"] {
            let mut part = before.clone();
            let fields = part.as_object_mut().expect("an object");
            fields.remove("sums");
            fields.remove(missing);
            assert!(serde_json::from_value::<EventSeries>(part).is_err(), "without {missing}");
        }
        let few = serde_json::json!({ "sums": "*21", "here": [0, 0, 0, 0] });
        assert!(serde_json::from_value::<EventSeries>(few).is_err());
    }

    /// From the record of a run that an earlier build drove.
    #[test]
    fn a_series_of_an_earlier_build_is_read_and_goes_on() {
        const HARM: &str = "wHu7bd2ewI0fqUvowJqGK201wKR1KR7nwK3gR/XHwLWSoZvo\
            wL9bWOnZwMd1JT9uwNLXikidwN57mUpmwOncFtJjwPU6qagZ";
        const CURVE: &str = "wO4PxcaKwMhbzGFpwKIBr5sfwHd3d9tXwE40GNaOwE5hG/LFwGrA2baJwIEoJsQewJA9+JxV\
            wJuaVzxCwKaVW/CAwLJEx3MgwL4T9f7vwMpxshccwNb4kPEfwOSr4YpewPGrOBRi";
        const PROOF: &str = "QIbRfcOCQJiJ8ht+QJUx1uSp";
        const RATIO: &str = "QNJ9OzeVQNJ9OzeV";
        let none = "AAAAAAAA".repeat(36);
        let before = format!(
            r#"{{"harm":"{HARM}{none}","curve":"{CURVE}","proof":"{PROOF}","ratio":"{RATIO}","here":[80928,35568,1537632,675792],"slow":[1708,1719]}}"#
        );
        let mut series: EventSeries = serde_json::from_str(&before).expect("read");
        let after = format!(
            r#"{{"sums":"{PROOF}{RATIO}{CURVE}{HARM}*36","here":[80928,35568,1537632,675792],"slow":[1708,1719]}}"#
        );
        assert_eq!(serde_json::to_string(&series).expect("written"), after, "the same numbers, to the bit");
        assert_eq!(series.harm.get().len(), 48);
        let counts = |n, bad| Counts::new(n, bad).expect("fewer than all");
        let batch = (counts(1000, 440), counts(5000, 2200));
        let (harm, proof) = (series.ln_harm(), series.ln_proof());
        series.take(batch, batch, 0.1, 0.4, &tuned(3));
        assert!(series.ln_harm() < harm && series.ln_proof() > proof, "a good batch counts on top");
    }

    #[test]
    fn weights_add_up_to_one() {
        assert!((EFFECTS.iter().map(|(_, weight)| weight).sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((PROOF.iter().map(|(_, weight)| weight).sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_sums_are_the_process_of_the_formulas() {
        let counts = |n, bad| Counts::new(n, bad).expect("fewer than all");
        let batches = [
            (counts(300, 6), counts(5700, 50)),
            (counts(310, 2), counts(5600, 61)),
            (counts(290, 9), counts(5720, 58)),
        ];
        let mut series = EventSeries::new(1);
        let (margin, rule_out) = (1.2f64.ln(), 1.5f64.ln());
        for batch in batches {
            series.take(batch, batch, margin, rule_out, &Tuned { onsets: 1, ..tuned(0) });
        }
        let harm = Effects::weighted(EFFECTS.map(|(d, weight)| (margin + d, weight)));
        assert!((series.ln_harm() - ln_harm(&batches, &harm, margin)).abs() < 1e-8);
        let warn = Effects::weighted(EFFECTS);
        assert!((series.ln_warn() - ln_harm(&batches, &warn, 0.0)).abs() < 1e-8);
        let proof = Effects::weighted(PROOF);
        assert!((series.ln_proof() - ln_not_inferior(&batches, &proof, rule_out)).abs() < 1e-8);
        let estimate = series.odds_ratio().expect("errors");
        assert!(estimate > 0.8 && estimate < 2.5, "{estimate}");
    }

    #[test]
    fn harm_that_begins_late_is_found_by_the_onset_that_begins_with_it() {
        let counts = |n, bad| Counts::new(n, bad).expect("fewer than all");
        let (good, bad) = ((counts(1000, 10), counts(5000, 50)), (counts(1000, 20), counts(5000, 50)));
        let run = |onsets: usize| {
            let mut series = EventSeries::new(onsets);
            for minute in 0..30u32 {
                let batch = if minute < 20 { good } else { bad };
                let tuned = Tuned { onsets, ..tuned(minute / 10) };
                series.take(batch, batch, 0.0, 0.4, &tuned);
            }
            series.ln_harm()
        };
        assert!(run(4) > run(1) + 5.0, "{} {}", run(4), run(1));
    }

    proptest! {
        #[test]
        fn the_interval_contains_the_exact_one_and_little_more(
            tables in proptest::collection::vec((0u64..8, 20u64..60), 1..30), n_c in 100u64..1000,
        ) {
            let mut series = EventSeries::new(1);
            let mut batches = Vec::new();
            for (bad_c, bad_b) in tables {
                let batch = (Counts::new(n_c, bad_c).expect("c"), Counts::new(5000, bad_b).expect("b"));
                series.take(batch, batch, 0.0, 0.4, &Tuned { onsets: 1, ..tuned(0) });
                batches.push(batch);
            }
            // The exact interval, for the same bets.
            let better = Effects::uniform(BETTER);
            let both = Effects::weighted(EFFECTS.into_iter().chain(better.points()));
            let total = |d: f64| -> f64 { batches.iter().map(|b| ln_likelihood(*b, d)).sum() };
            let terms: f64 = both.points().map(|(d, weight)| weight * total(d).exp()).sum();
            let least = terms.ln() + 0.05f64.ln();
            let (low, high) = series.interval(0.05);
            if let Some(high) = high {
                prop_assert!(total(high) <= least + 1e-6, "{} {}", total(high), least);
            }
            if let Some(low) = low {
                prop_assert!(total(low) <= least + 1e-6);
            }
            // Upwards, where the points are close together, it is hardly wider.
            let (exact_low, exact_high) = confidence_interval(&batches, &Effects::default20(), 0.05);
            if let Some(high) = high && exact_low > -1.2 && (0.1..1.2).contains(&exact_high) {
                prop_assert!(high <= exact_high + 0.5 * (exact_high - exact_low), "{high} {exact_low} {exact_high}");
            }
        }
    }
}

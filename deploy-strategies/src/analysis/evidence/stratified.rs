//! The core: bad events of two arms, batch by batch, whatever the common rate does from batch to batch.
//!
//! Given how many bad events a batch had in all, the number S of those in the candidate is Fisher's noncentral
//! hypergeometric with the odds ratio as its only parameter. The log likelihood of a common log odds ratio d is
//! L(d) = Σ (S d − ln M(d)) over the batches, with M(d) the moment of [`super::hypergeometric`]. The common rate has
//! gone, and with it the drift of a day, the growth of the candidate's share, and Simpson's paradox.
//!
//! For the hypothesis that the log odds ratio is at most m in every batch, the factor e^{L(d) − L(m)} of a batch with
//! d > m has mean M(d₀ + h) M(m) / (M(d₀) M(m + h)) ≤ 1 at any true d₀ ≤ m, with h = d − m, since ln M is convex. The same
//! holds from above. Averages over d chosen beforehand keep the property.

use deploy_core::monitor::Counts;

use super::effects::Effects;
use super::hypergeometric::ln_moment;
use crate::analysis::special::{bisect, ln_sum_exp, real};

/// One batch: the candidate's counts and the baseline's.
pub type Pair = (Counts, Counts);

/// The log likelihood of the log odds ratio `d` in one batch, relative to none. Zero where one arm saw nothing or
/// nothing bad happened.
#[must_use]
pub fn ln_likelihood((candidate, baseline): Pair, d: f64) -> f64 {
    let bad = candidate.bad() + baseline.bad();
    if bad == 0 || candidate.events() == 0 || baseline.events() == 0 {
        return 0.0;
    }
    real(candidate.bad()) * d - ln_moment(candidate, baseline, d)
}

/// The log evidence against "the odds ratio is at most e^`margin` in every batch".
#[must_use]
pub fn ln_harm(batches: &[Pair], effects: &Effects, margin: f64) -> f64 {
    against(batches, &effects.above(margin), margin)
}

/// The log evidence against "the odds ratio is at least e^`margin` in every batch": proof that the candidate is not that
/// much worse.
#[must_use]
pub fn ln_not_inferior(batches: &[Pair], effects: &Effects, margin: f64) -> f64 {
    against(batches, &effects.below(margin), margin)
}

/// The log odds ratios that have not been refuted at level `alpha`, whatever the number of looks: an interval, since the
/// likelihood is concave. An end is infinite where the data set no bound.
#[must_use]
pub fn confidence_interval(batches: &[Pair], effects: &Effects, alpha: f64) -> (f64, f64) {
    let total = |d: f64| -> f64 { batches.iter().map(|pair| ln_likelihood(*pair, d)).sum() };
    let both = effects.two_sided();
    let average = average(&both, &total);
    let least = average + libm::log(alpha);
    let (lowest, highest) = (-40.0, 40.0);
    // Golden section for the top of a concave function.
    let (mut low, mut high) = (lowest, highest);
    let golden = 0.618_033_988_749_894_8;
    for _ in 0..120 {
        let left = high - golden * (high - low);
        let right = low + golden * (high - low);
        if total(left) < total(right) { low = left } else { high = right }
    }
    let top = low.midpoint(high);
    let lower = if total(lowest) > least { f64::NEG_INFINITY } else { bisect(lowest, top, |d| total(d) <= least) };
    let upper = if total(highest) > least { f64::INFINITY } else { bisect(top, highest, |d| total(d) > least) };
    (lower, upper)
}

fn against(batches: &[Pair], effects: &Effects, margin: f64) -> f64 {
    let total = |d: f64| -> f64 { batches.iter().map(|pair| ln_likelihood(*pair, d)).sum() };
    average(effects, &total) - total(margin)
}

fn average(effects: &Effects, total: &impl Fn(f64) -> f64) -> f64 {
    let terms: Vec<f64> = effects.points().map(|(d, weight)| libm::log(weight) + total(d)).collect();
    ln_sum_exp(terms.into_iter())
}

#[cfg(test)]
mod tests {
    use deploy_core::monitor::Counts;
    use proptest::prelude::{prop_assert, proptest};

    use super::{Pair, confidence_interval, ln_harm, ln_likelihood, ln_not_inferior};
    use crate::analysis::evidence::effects::Effects;
    use crate::analysis::tables::{self, Row};

    fn pair(n_c: u64, n_b: u64, s: u64, n: u64) -> Pair {
        (Counts::new(n_c, s).expect("candidate"), Counts::new(n_b, n - s).expect("baseline"))
    }

    fn batches(row: &Row) -> Vec<Pair> {
        let field = |v: &serde_json::Value, i: usize| v[i].as_u64().expect("a count");
        let all = row.input["batches"].as_array().expect("batches");
        all.iter().map(|b| pair(field(b, 0), field(b, 1), field(b, 2), field(b, 3))).collect()
    }

    #[test]
    fn the_rows_of_the_conditional_process() {
        use super::super::hypergeometric::{ln_moment, ln_moment_bound};
        tables::vectors("stratified_conditional_eprocess", |row| {
            let batches = batches(row);
            let effects = Effects::default20();
            row.near("log_e_harm", ln_harm(&batches, &effects, 0.0));
            row.near("log_e_harm_margin_1_25", ln_harm(&batches, &effects, 1.25f64.ln()));
            let grid =
                Effects::uniform(effects.points().chain(effects.mirrored().points()).map(|(d, _)| d).chain([0.0]));
            row.near("log_e_noninferior_1_5", ln_not_inferior(&batches, &grid, 1.5f64.ln()));
            let (candidate, baseline) = batches[0];
            row.near("log_mgf_first_batch_at_log2", ln_moment(candidate, baseline, 2f64.ln()));
            let bounded: f64 = {
                let total = |d: f64| -> f64 {
                    batches.iter().map(|(c, b)| c.bad() as f64 * d - ln_moment_bound(*c, *b, d)).sum()
                };
                super::average(&effects, &total)
            };
            row.near("log_e_harm_bound", bounded);
            if row.expects("cs95_log_or") {
                let (low, high) = confidence_interval(&batches, &effects, 0.05);
                row.near_pair("cs95_log_or", (low, high));
            }
        });
    }

    proptest! {
        #[test]
        fn the_mean_of_a_batch_factor_is_at_most_one_under_its_hypothesis(
            n_c in 1u64..30, n_b in 1u64..60, share in 0.0f64..1.0, truth in -2.0f64..1.0, margin in 0.0f64..1.0,
        ) {
            // Sum over every table, weighted by its probability at the true log odds ratio.
            let truth = truth.min(margin);
            let bad = (share * (n_c + n_b) as f64) as u64;
            let effects = Effects::default20();
            let (mut weight, mut mean) = (0.0, 0.0);
            for s in bad.saturating_sub(n_b)..=bad.min(n_c) {
                let table = pair(n_c, n_b, s, bad);
                let p = (ln_likelihood(table, truth) + ln_choose(n_c, s) + ln_choose(n_b, bad - s)).exp();
                weight += p;
                mean += p * ln_harm(&[table], &effects, margin).exp();
            }
            prop_assert!(mean <= weight * (1.0 + 1e-9), "{}", mean / weight);
        }

        #[test]
        fn an_empty_batch_changes_nothing_and_more_bad_in_the_candidate_is_more_evidence(
            n_c in 2u64..200, n_b in 2u64..200, bad in 1u64..100,
        ) {
            let bad = bad.min(n_c + n_b - 1);
            let effects = Effects::default20();
            let (least, most) = (bad.saturating_sub(n_b), bad.min(n_c));
            let mut before = f64::NEG_INFINITY;
            for s in least..=most {
                let now = ln_harm(&[pair(n_c, n_b, s, bad)], &effects, 0.0);
                prop_assert!(now >= before - 1e-12);
                before = now;
            }
            let one = [pair(n_c, n_b, least, bad)];
            let two = [one[0], pair(n_c, 0, 0, 0), pair(0, n_b, 0, 0), pair(n_c, n_b, 0, 0)];
            let (a, b) = (ln_harm(&one, &effects, 0.0), ln_harm(&two, &effects, 0.0));
            prop_assert!((a - b).abs() < 1e-14);
        }

        #[test]
        fn swapping_the_arms_mirrors_the_interval(n_c in 5u64..200, n_b in 5u64..200, a in 1u64..5, b in 1u64..5) {
            let effects = Effects::default20();
            let one = (Counts::new(n_c, a).expect("c"), Counts::new(n_b, b).expect("b"));
            let (low, high) = confidence_interval(&[one], &effects, 0.05);
            let (swapped_low, swapped_high) = confidence_interval(&[(one.1, one.0)], &effects, 0.05);
            prop_assert!((low + swapped_high).abs() < 1e-6 || low.is_infinite());
            prop_assert!((high + swapped_low).abs() < 1e-6 || high.is_infinite());
        }
    }

    fn ln_choose(n: u64, k: u64) -> f64 {
        (0..k).map(|i| ((n - i) as f64 / (i + 1) as f64).ln()).sum()
    }
}

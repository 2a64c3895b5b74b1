//! Whose event comes next, where the candidate's share of traffic is known.
//!
//! Under a rate ratio e^d the next bad event falls to the candidate with probability ρ e^d / (1 − ρ + ρ e^d), ρ being the
//! candidate's share (M. Lindon and A. Malek, Anytime-valid inference for multinomial count data, 2022). The common rate
//! may do what it likes.

use super::effects::Effects;
use crate::analysis::special::{deviance, ln_sum_exp, real, stirling_remainder};

/// Events of a batch by arm, at a known share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assigned {
    /// The share of the events that should fall to the candidate if the arms are alike; between 0 and 1, exclusive.
    pub share: f64,
    /// The events that did fall to it.
    pub candidate: u64,
    /// All events.
    pub all: u64,
}

impl Assigned {
    /// The log likelihood of the log rate ratio `d`, relative to none.
    #[must_use]
    pub fn ln_likelihood(&self, d: f64) -> f64 {
        real(self.candidate) * d - real(self.all) * libm::log1p(self.share * libm::expm1(d))
    }
}

/// The log evidence against "the rate ratio is at most e^`null` in every batch".
#[must_use]
pub fn ln_rate_ratio(batches: &[Assigned], effects: &Effects, null: f64) -> f64 {
    let total = |d: f64| -> f64 { batches.iter().map(|batch| batch.ln_likelihood(d)).sum() };
    let terms: Vec<f64> = effects.above(null).points().map(|(d, weight)| libm::log(weight) + total(d)).collect();
    ln_sum_exp(terms.into_iter()) - total(null)
}

/// The log evidence against "each event falls into class i with probability `shares[i]`", with a Dirichlet prior of
/// weight `prior` around those shares (the same source, equation 10). Shares are positive and add up to one.
#[must_use]
pub fn ln_multinomial(counts: &[u64], shares: &[f64], prior: f64) -> f64 {
    let events: f64 = counts.iter().map(|count| real(*count)).sum();
    let all = prior + events;
    // Differences of ln Γ, with Stirling's main terms gathered into deviances so that a million events keep their digits.
    let mut sum = stirling_remainder(prior) - stirling_remainder(all) + 0.5 * libm::log(all / prior);
    for (count, share) in counts.iter().zip(shares) {
        let before = prior * share;
        let after = before + real(*count);
        // The deviances' linear parts cancel over the classes: Σ (all·share − after) = 0.
        sum += deviance(after, all * share) + stirling_remainder(after)
            - stirling_remainder(before)
            - 0.5 * libm::log(after / before);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::{Assigned, ln_multinomial, ln_rate_ratio};
    use crate::analysis::evidence::effects::Effects;
    use crate::analysis::tables;

    #[test]
    fn the_rows_of_the_rate_ratio() {
        tables::vectors("rate_ratio_binomial_eprocess", |row| {
            let batches: Vec<Assigned> = row.input["batches"]
                .as_array()
                .expect("batches")
                .iter()
                .map(|b| Assigned {
                    share: tables::number(&b[0]),
                    candidate: b[1].as_u64().expect("a count"),
                    all: b[2].as_u64().expect("a count"),
                })
                .collect();
            row.near("log_e", ln_rate_ratio(&batches, &Effects::default20(), row.number("log_rr_null")));
        });
    }

    #[test]
    fn the_rows_of_the_sample_ratio() {
        tables::vectors("srm_multinomial", |row| {
            let counts: Vec<u64> =
                row.input["counts"].as_array().expect("counts").iter().map(|c| c.as_u64().expect("a count")).collect();
            let got = ln_multinomial(&counts, &row.numbers("theta0"), row.number("k"));
            row.near("log_e", got);
            if got < 30.0 {
                row.near("p_anytime", (-got).exp().min(1.0));
            }
        });
    }
}

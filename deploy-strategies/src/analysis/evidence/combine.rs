//! Several e-values together.

use crate::analysis::special::{length, ln_sum_exp};

/// The log of the weighted average: valid whatever the dependence (V. Vovk and R. Wang, E-values: calibration,
/// combination and applications, 2021). Weights are positive and add up to one.
#[must_use]
pub fn ln_average(terms: &[(f64, f64)]) -> f64 {
    let shifted: Vec<f64> = terms.iter().map(|(ln_e, weight)| ln_e + libm::log(*weight)).collect();
    ln_sum_exp(shifted.into_iter())
}

/// The log of the product: valid only across independent strata, or stage after stage.
#[must_use]
pub fn ln_product(ln_e: &[f64]) -> f64 {
    ln_e.iter().sum()
}

/// Which of these hypotheses to reject, with a false discovery rate of at most `alpha` whatever their dependence
/// (R. Wang and A. Ramdas, False discovery rate control with e-values, 2022): the k largest, for the largest k whose
/// smallest member is at least M / (α k). Positions in the given order, smallest first.
#[must_use]
pub fn discoveries(ln_e: &[f64], alpha: f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..ln_e.len()).collect();
    order.sort_by(|a, b| ln_e[*b].total_cmp(&ln_e[*a]));
    let all = length(ln_e.len());
    let enough = |k: usize| libm::log(all / (alpha * length(k)));
    let found = (1..=order.len()).rev().find(|k| ln_e[order[k - 1]] >= enough(*k)).unwrap_or(0);
    order.truncate(found);
    order.sort_unstable();
    order
}

/// The log of the e-value of a p-value from data that nothing else has used: e = κ p^(κ−1) (Vovk and Wang, section 2).
/// κ lies between 0 and 1; ½ is the usual choice.
#[must_use]
pub fn ln_calibrated(p: f64, kappa: f64) -> f64 {
    libm::log(kappa) + (kappa - 1.0) * libm::log(p)
}

#[cfg(test)]
mod tests {
    use super::{discoveries, ln_average, ln_calibrated, ln_product};
    use crate::analysis::tables;

    #[test]
    fn the_rows_of_combinations() {
        tables::vectors("e_combine", |row| {
            let e = row.numbers("e");
            let ln_e: Vec<f64> = e.iter().map(|e| e.ln()).collect();
            let terms: Vec<(f64, f64)> = ln_e.iter().copied().zip(row.numbers("weights")).collect();
            let alpha = row.number("alpha");
            let average = ln_average(&terms);
            row.near("weighted_average", average.exp());
            row.near("product", ln_product(&ln_e).exp());
            assert_eq!(row.expected["reject_global"].as_bool(), Some(average >= -alpha.ln()), "{}", row.name);
            let found: Vec<u64> = discoveries(&ln_e, alpha).into_iter().map(|i| i as u64).collect();
            let want: Vec<u64> = row.expected["ebh_rejected"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|i| i.as_u64().expect("a position"))
                .collect();
            assert_eq!(found, want, "{}", row.name);
            let most = e.iter().fold(0.0f64, |a, b| a.max(*b));
            row.near("p_anytime_from_max_single", (1.0 / most).min(1.0));
        });
    }

    #[test]
    fn a_p_value_of_one_in_a_hundred_is_an_e_value_of_five() {
        assert!((ln_calibrated(0.01, 0.5).exp() - 5.0).abs() < 1e-12);
    }
}

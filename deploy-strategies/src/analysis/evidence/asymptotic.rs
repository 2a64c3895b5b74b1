//! Sequential quantities that other tools report. For explanation and comparison, within a stage, never pooled over a
//! ramp: they assume large samples of stationary arms, and no judge here decides by them.

use crate::analysis::special::real;

/// The precision of the mixture behind [`half_width`], tightest at `tuned_for` values for level `alpha`.
#[must_use]
pub fn mixture_scale(alpha: f64, tuned_for: f64) -> f64 {
    let twice = -2.0 * libm::log(alpha);
    ((twice + libm::log1p(twice)) / tuned_for).sqrt()
}

/// Half of the width of an asymptotic confidence sequence for a mean after `n` values of standard deviation `deviation`
/// (I. Waudby-Smith, D. Arbour, R. Sinha, E. Kennedy, A. Ramdas, Time-uniform central limit theory and asymptotic
/// confidence sequences, 2024, theorem 2.2).
#[must_use]
pub fn half_width(n: u64, deviation: f64, alpha: f64, tuned_for: f64) -> f64 {
    let n = real(n);
    let scale = mixture_scale(alpha, tuned_for);
    let wide = n * scale * scale + 1.0;
    deviation * (2.0 * wide / (n * n * scale * scale) * libm::log(wide.sqrt() / alpha)).sqrt()
}

/// The log likelihood ratio of an estimate with `variance`, mixed over N(0, `prior_variance`), against zero (R. Johari,
/// P. Koomen, L. Pekelis, D. Walsh, Always valid inference, 2022, equation 4).
#[must_use]
pub fn ln_mixture_ratio(estimate: f64, variance: f64, prior_variance: f64) -> f64 {
    let wide = variance + prior_variance;
    0.5 * libm::log(variance / wide) + prior_variance * estimate * estimate / (2.0 * variance * wide)
}

/// The log e-value of a block of two Bernoulli samples for guesses of their rates made from the past alone (R. Turner,
/// A. Ly, P. Grünwald, Generic E-variables for exact sequential k-sample tests, 2024, equation 4). Guesses lie between
/// 0 and 1, exclusive.
#[must_use]
pub fn ln_block(a: (u64, u64), b: (u64, u64), guess_a: f64, guess_b: f64) -> f64 {
    let ((n_a, y_a), (n_b, y_b)) = ((real(a.0), real(a.1)), (real(b.0), real(b.1)));
    let common = (n_a * guess_a + n_b * guess_b) / (n_a + n_b);
    let ln = |y: f64, n: f64, p: f64| y * libm::log(p) + (n - y) * libm::log1p(-p);
    ln(y_a, n_a, guess_a) + ln(y_b, n_b, guess_b) - ln(y_a + y_b, n_a + n_b, common)
}

#[cfg(test)]
mod tests {
    use super::{half_width, ln_block, ln_mixture_ratio, mixture_scale};
    use crate::analysis::tables;

    #[test]
    fn the_rows_of_the_asymptotic_sequence() {
        tables::vectors("asymptotic_cs_msprt", |row| {
            let (alpha, tuned_for) = (row.number("alpha"), row.number("n_star"));
            row.near("rho", mixture_scale(alpha, tuned_for));
            row.near("half_width", half_width(row.count("n"), row.number("sd"), alpha, tuned_for));
            row.near("msprt_log_lr", ln_mixture_ratio(row.number("theta_hat"), row.number("V"), row.number("tau2")));
        });
    }

    #[test]
    fn the_rows_of_two_sample_blocks() {
        tables::vectors("two_sample_block_evariable", |row| {
            let got = ln_block(
                (row.count("n_a"), row.count("y_a")),
                (row.count("n_b"), row.count("y_b")),
                row.number("theta_a"),
                row.number("theta_b"),
            );
            row.near("log_e", got);
        });
    }
}

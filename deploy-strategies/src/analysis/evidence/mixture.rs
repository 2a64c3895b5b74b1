//! Boundaries for sums that hold at every look (S. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, Time-uniform,
//! nonparametric, nonasymptotic confidence sequences, 2021).

use crate::analysis::special::{bisect, ln_beta, ln_gamma, ln_lower_gamma, ln_normal_cdf};

/// A mixture over the tilts of a sum S with intrinsic time V: an e-process, and the boundary that it implies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mixture {
    /// Sub-Gaussian, both directions (proposition 5).
    Normal {
        /// The precision of the prior.
        rho: f64,
    },
    /// Sub-Gaussian, upwards (proposition 6).
    NormalUpward {
        /// The precision of the prior.
        rho: f64,
    },
    /// Sub-exponential with scale `c`, upwards (proposition 9).
    GammaExponential {
        /// The precision of the prior.
        rho: f64,
        /// The scale.
        c: f64,
    },
    /// Sub-Bernoulli with range −`g` to `h`, both directions (proposition 7).
    BetaBinomial {
        /// The concentration of the prior.
        r: f64,
        /// How far a step may go down.
        g: f64,
        /// How far a step may go up.
        h: f64,
    },
}

/// The precision that makes a two-sided boundary tightest at intrinsic time `v` for level `alpha` (equation 26, first
/// order). For one side, give twice the level.
#[must_use]
pub fn best_rho(v: f64, alpha: f64) -> f64 {
    let twice = -2.0 * libm::log(alpha);
    v / (twice + libm::log1p(twice))
}

impl Mixture {
    /// Beta-binomial in both directions, tightest at intrinsic time `v` for level `alpha`.
    #[must_use]
    pub fn beta_binomial(v: f64, alpha: f64, g: f64, h: f64) -> Self {
        Self::BetaBinomial { r: (best_rho(v, alpha) - g * h).max(1e-3 * g * h), g, h }
    }

    /// The log evidence of a sum `s` at intrinsic time `v`.
    #[must_use]
    pub fn ln_evidence(&self, s: f64, v: f64) -> f64 {
        match *self {
            Self::Normal { rho } => 0.5 * libm::log(rho / (v + rho)) + s * s / (2.0 * (v + rho)),
            Self::NormalUpward { rho } => {
                let wide = v + rho;
                0.5 * libm::log(4.0 * rho / wide) + s * s / (2.0 * wide) + ln_normal_cdf(s / wide.sqrt())
            }
            Self::GammaExponential { rho, c } => {
                let prior = rho / (c * c);
                let after = (v + rho) / (c * c);
                let sum = (c * s + v) / (c * c);
                prior * libm::log(prior) - ln_gamma(prior) - ln_lower_gamma(prior, prior)
                    + ln_gamma(after)
                    + ln_lower_gamma(after, sum + prior)
                    - after * libm::log(sum + prior)
                    + sum
            }
            Self::BetaBinomial { r, g, h } => {
                let both = g + h;
                v / (g * h) * libm::log(both)
                    - (v + h * s) / (h * both) * libm::log(g)
                    - (v - g * s) / (g * both) * libm::log(h)
                    + ln_beta((r + v - g * s) / (g * both), (r + v + h * s) / (h * both))
                    - ln_beta(r / (g * both), r / (h * both))
            }
        }
    }

    /// The sum that refutes at level `alpha` at intrinsic time `v`.
    #[must_use]
    pub fn bound(&self, v: f64, alpha: f64) -> f64 {
        let enough = -libm::log(alpha);
        if let Self::Normal { rho } = *self {
            return ((v + rho) * (libm::log1p(v / rho) + 2.0 * enough)).sqrt();
        }
        let high = if let Self::BetaBinomial { g, .. } = *self {
            // No sum can be larger.
            let most = v / g;
            if self.ln_evidence(most, v) < enough {
                return most;
            }
            most
        } else {
            let mut high = v.max(1.0);
            while self.ln_evidence(high, v) < enough {
                high *= 2.0;
            }
            high
        };
        bisect(0.0, high, |s| self.ln_evidence(s, v) < enough)
    }
}

#[cfg(test)]
mod tests {
    use super::{Mixture, best_rho};
    use crate::analysis::tables;

    #[test]
    fn the_rows_of_the_boundaries() {
        tables::vectors("mixture_boundary", |row| {
            let (s, v, v_opt, alpha) = (row.number("s"), row.number("v"), row.number("v_opt"), row.number("alpha"));
            let (mixture, rho) = match row.input["kind"].as_str().expect("a kind") {
                "normal2" => (Mixture::Normal { rho: best_rho(v_opt, alpha) }, best_rho(v_opt, alpha)),
                "normal1" => {
                    (Mixture::NormalUpward { rho: best_rho(v_opt, 2.0 * alpha) }, best_rho(v_opt, 2.0 * alpha))
                }
                "gammaexp" => {
                    let rho = best_rho(v_opt, 2.0 * alpha);
                    (Mixture::GammaExponential { rho, c: row.number("c") }, rho)
                }
                "betabinom2" => {
                    (Mixture::beta_binomial(v_opt, alpha, row.number("g"), row.number("h")), best_rho(v_opt, alpha))
                }
                other => panic!("unknown kind {other}"),
            };
            row.near("rho", rho);
            row.near("log_mixture", mixture.ln_evidence(s, v));
            row.near("bound", mixture.bound(v, alpha));
        });
    }
}

//! A ratio of bad events, with bounds that hold at every look.

use deploy_core::monitor::Counts;

use super::mixture::Mixture;
use crate::analysis::special::{bisect, real};

/// The ratios that have not been refuted at level `alpha` at any look, tightest at about `tuned_for` events of a level of
/// `tuned_alpha` (beta-binomial mixture). From 0 to 1 if there were no events.
#[must_use]
pub fn confidence_interval(counts: Counts, alpha: f64, tuned_for: f64, tuned_alpha: f64) -> (f64, f64) {
    let Some(observed) = counts.ratio() else { return (0.0, 1.0) };
    let events = real(counts.events());
    let refuted = |p: f64| {
        if p <= 0.0 || p >= 1.0 {
            return true;
        }
        let spread = p * (1.0 - p);
        let mixture = Mixture::beta_binomial(spread * tuned_for, tuned_alpha, p, 1.0 - p);
        mixture.ln_evidence((observed - p) * events, spread * events) > -libm::log(alpha)
    };
    let low = if observed > 0.0 { bisect(0.0, observed, refuted) } else { 0.0 };
    let high = if observed < 1.0 { bisect(observed, 1.0, |p| !refuted(p)) } else { 1.0 };
    (low, high)
}

#[cfg(test)]
mod tests {
    use deploy_core::monitor::Counts;

    use super::confidence_interval;
    use crate::analysis::tables;

    #[test]
    fn the_rows_of_the_ratio() {
        tables::vectors("bernoulli_cs", |row| {
            let counts = Counts::new(row.count("n"), row.count("successes")).expect("fewer than all");
            let (low, high) =
                confidence_interval(counts, row.number("alpha"), row.number("t_opt"), row.number("alpha_opt"));
            row.near("lower", low);
            row.near("upper", high);
        });
    }
}

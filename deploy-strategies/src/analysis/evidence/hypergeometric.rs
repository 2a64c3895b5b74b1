//! The bad events of the candidate, given how many there were in all.

use deploy_core::monitor::Counts;

use crate::analysis::special::{ln_binomial, real};

/// ln E\[e^{dS}\] for the number S of bad events that fall to the candidate, given the margins of the two arms and no
/// difference between them: S is hypergeometric. Exact to about ten digits at any size.
///
/// The sum runs from the mode of the tilted distribution outwards until nothing more is added, so that its cost grows
/// with the standard deviation of S and not with the number of events; and from a deviation of some ten thousand on it does not grow.
#[must_use]
pub fn ln_moment(candidate: Counts, baseline: Counts, d: f64) -> f64 {
    let (n_c, n_b, bad) = margins(candidate, baseline);
    let low = (bad - n_b).max(0.0);
    let high = n_c.min(bad);
    if low >= high {
        // Only one value is possible.
        return d * low;
    }
    let tilt = libm::exp(d);
    let mode = tilted_mode(n_c, n_b, bad, tilt).clamp(low, high);
    let ln_at_mode = ln_probability(n_c, n_b, bad, mode);
    let width = width(n_c, n_b, bad, mode);
    if width > WIDE {
        let stride = (width / PARTS).floor();
        let term = |s: f64| libm::exp(ln_probability(n_c, n_b, bad, s) - ln_at_mode + d * (s - mode));
        return ln_at_mode + d * mode + libm::log(stride * in_strides(mode, (low, high), stride, term));
    }
    let mut sum = 1.0;
    // Neighbouring terms differ by the factor e^d (N − s)(n_c − s) / ((s + 1)(n_b − N + s + 1)).
    let (mut term, mut s) = (1.0, mode);
    while s < high {
        term *= tilt * (bad - s) * (n_c - s) / ((s + 1.0) * (n_b - bad + s + 1.0));
        s += 1.0;
        sum += term;
        if term < NOTHING * sum {
            break;
        }
    }
    (term, s) = (1.0, mode);
    while s > low {
        term *= s * (n_b - bad + s) / (tilt * (bad - s + 1.0) * (n_c - s + 1.0));
        s -= 1.0;
        sum += term;
        if term < NOTHING * sum {
            break;
        }
    }
    ln_at_mode + d * mode + libm::log(sum)
}

/// The sum of the terms at the mode and at every so many steps from it, as far as they add anything. That of all terms is as many times as
/// large where terms follow a bell that is many strides wide: the rule of trapezoids is exact there to exp(−2π² (width / stride)²).
fn in_strides(mode: f64, (low, high): (f64, f64), stride: f64, term: impl Fn(f64) -> f64) -> f64 {
    let mut sum = 1.0;
    for step in [stride, -stride] {
        let mut s = mode + step;
        while s >= low && s <= high {
            let term = term(s);
            sum += term;
            if term < NOTHING * sum {
                break;
            }
            s += step;
        }
    }
    sum
}

/// The standard deviation around the mode, by how fast the terms fall from there.
fn width(n_c: f64, n_b: f64, bad: f64, mode: f64) -> f64 {
    let falls = [mode, bad - mode, n_c - mode, n_b - bad + mode].map(|count| 1.0 / (count + 1.0));
    falls.into_iter().sum::<f64>().sqrt().recip()
}

/// An upper bound of [`ln_moment`] in constant time (Hoeffding 1963: sums without replacement are dominated by sums with
/// it). Tight when the event or the arm is rare; half of the evidence is lost when neither is.
#[must_use]
pub fn ln_moment_bound(candidate: Counts, baseline: Counts, d: f64) -> f64 {
    let (n_c, n_b, bad) = margins(candidate, baseline);
    let all = n_c + n_b;
    if all == 0.0 {
        return 0.0;
    }
    let step = libm::expm1(d);
    (bad * libm::log1p(n_c / all * step)).min(n_c * libm::log1p(bad / all * step))
}

/// A term this small relative to the sum no longer changes what is left after it by a digit that counts.
const NOTHING: f64 = 1e-18;
/// From this standard deviation on terms are added in strides.
const WIDE: f64 = 10_000.0;
/// So many strides make a standard deviation.
const PARTS: f64 = 16.0;

fn margins(candidate: Counts, baseline: Counts) -> (f64, f64, f64) {
    (real(candidate.events()), real(baseline.events()), real(candidate.plus(baseline).bad()))
}

/// The mode of Fisher's noncentral hypergeometric distribution (Liao and Rosen 2001, equation 3).
fn tilted_mode(n_c: f64, n_b: f64, bad: f64, tilt: f64) -> f64 {
    let a = tilt - 1.0;
    let b = (n_c + bad + 2.0) * tilt + (n_b - bad);
    let c = (n_c + 1.0) * (bad + 1.0) * tilt;
    (2.0 * c / (b + (b * b - 4.0 * a * c).max(0.0).sqrt())).floor()
}

/// ln P(S = s), as three binomials at the common rate (Loader 2000, `dhyper`).
fn ln_probability(n_c: f64, n_b: f64, bad: f64, s: f64) -> f64 {
    let all = n_c + n_b;
    let rate = bad / all;
    if rate >= 1.0 {
        return 0.0;
    }
    ln_binomial(s, n_c, rate) + ln_binomial(bad - s, n_b, rate) - ln_binomial(bad, all, rate)
}

#[cfg(test)]
mod tests {
    use deploy_core::monitor::Counts;
    use proptest::prelude::{prop_assert, proptest};

    use super::{ln_moment, ln_moment_bound};

    fn counts(events: u64, bad: u64) -> Counts {
        Counts::new(events, bad).expect("fewer bad than all")
    }

    /// Σ C(n_c, s) C(n_b, N − s) e^{ds} / C(n, N), term by term.
    fn brute(n_c: u64, n_b: u64, bad: u64, d: f64) -> f64 {
        fn choose(n: u64, k: u64) -> f64 {
            if k > n {
                return 0.0;
            }
            (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product()
        }
        let all: f64 = (0..=bad).map(|s| choose(n_c, s) * choose(n_b, bad - s) * (d * s as f64).exp()).sum();
        (all / choose(n_c + n_b, bad)).ln()
    }

    #[test]
    fn no_tilt_is_no_moment() {
        for (n_c, n_b, bad) in [(10, 90, 5), (5000, 5000, 5000), (300_000, 700_000, 400_000), (3, 3, 6)] {
            let m = ln_moment(counts(n_c, bad.min(n_c)), counts(n_b, bad.saturating_sub(n_c)), 0.0);
            assert!(m.abs() < 1e-9, "{n_c} {n_b} {bad}: {m}");
        }
    }

    #[test]
    fn in_strides_it_is_the_same_and_takes_no_longer_for_more() {
        // Strides of one are all terms, one by one.
        for (n_c, n_b, bad) in [(4e8, 6e8, 5e8), (5e8, 9e9, 4e9), (1e9, 1e9, 1e9)] {
            let (low, high) = ((bad - n_b as f64).max(0.0), (n_c as f64).min(bad));
            for d in [-0.5, 0.0, 0.08, 1.2] {
                let mode = super::tilted_mode(n_c, n_b, bad, libm::exp(d)).clamp(low, high);
                let width = super::width(n_c, n_b, bad, mode);
                assert!(width > super::WIDE / 2.0, "{width}");
                let top = super::ln_probability(n_c, n_b, bad, mode);
                let term = |s: f64| libm::exp(super::ln_probability(n_c, n_b, bad, s) - top + d * (s - mode));
                let coarse = (width / super::PARTS).floor();
                // A hundredth of that is as good as every one.
                let (all, some) = ((coarse / 100.0).floor(), coarse);
                let [all, some] = [all, some].map(|stride| stride * super::in_strides(mode, (low, high), stride, term));
                assert!((all / some - 1.0).abs() < 1e-6, "{n_c} {n_b} {bad} {d}: {all} {some}");
            }
        }
        let most = Counts::MOST;
        let tilted = ln_moment(counts(most, most / 2), counts(most, most / 2), 0.08);
        assert!(tilted.is_finite() && tilted > 0.0, "{tilted}");
    }

    #[test]
    fn where_only_one_value_is_possible_it_is_that_one() {
        assert_eq!(ln_moment(counts(5, 0), counts(0, 0), 1.0).to_bits(), 0f64.to_bits());
        assert!((ln_moment(counts(5, 5), counts(7, 7), 0.5) - 2.5).abs() < 1e-15);
    }

    proptest! {
        #[test]
        fn it_is_the_sum_over_all_tables(n_c in 0u64..40, n_b in 0u64..60, share in 0.0f64..=1.0, d in -3.0f64..3.0) {
            let bad = (share * (n_c + n_b) as f64) as u64;
            let in_candidate = bad.min(n_c);
            let got = ln_moment(counts(n_c, in_candidate), counts(n_b, bad - in_candidate), d);
            let want = brute(n_c, n_b, bad, d);
            prop_assert!((got - want).abs() < 1e-11 * (1.0 + want.abs()), "{got} {want}");
            let bound = ln_moment_bound(counts(n_c, in_candidate), counts(n_b, bad - in_candidate), d);
            prop_assert!(bound >= want - 1e-12);
        }
    }
}

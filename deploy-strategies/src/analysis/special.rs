//! Special functions on finite numbers. What goes into recorded state uses `libm` alone, so that it has the same bits on
//! every platform.

use std::f64::consts::{PI, SQRT_2};

/// ln √(2π).
const LN_SQRT_2PI: f64 = 0.918_938_533_204_672_8;

/// A count as a number. Counts of events stay far below 2⁵³, so that nothing is lost.
#[expect(clippy::cast_precision_loss, reason = "counts of events stay far below 2^53")]
pub(crate) fn real(count: u64) -> f64 {
    count as f64
}

/// A length as a number.
#[expect(clippy::cast_precision_loss, reason = "lengths stay far below 2^53")]
pub(crate) fn length(count: usize) -> f64 {
    count as f64
}

/// The standard normal distribution below `z`.
pub(crate) fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z / SQRT_2)
}

/// ln Φ(z), also far out in the lower tail, where Φ itself is zero in floating point.
pub(crate) fn ln_normal_cdf(z: f64) -> f64 {
    if z > -30.0 {
        return libm::log(normal_cdf(z));
    }
    // Mills' ratio, asymptotic (Abramowitz and Stegun 26.2.12).
    let y = 1.0 / (z * z);
    -0.5 * z * z - libm::log(-z) - LN_SQRT_2PI + libm::log1p(y * (-1.0 + y * (3.0 + y * (-15.0 + 105.0 * y))))
}

/// The `p` quantile of the standard normal distribution, `p` between 0 and 1 exclusive.
pub(crate) fn normal_quantile(p: f64) -> f64 {
    -SQRT_2 * statrs::function::erf::erfc_inv(2.0 * p)
}

/// The upper tail of Student's t with `df` degrees of freedom.
pub(crate) fn student_upper(t: f64, df: f64) -> f64 {
    let tail = 0.5 * statrs::function::beta::beta_reg(0.5 * df, 0.5, df / (df + t * t));
    if t >= 0.0 { tail } else { 1.0 - tail }
}

/// The value that Student's t with `df` degrees of freedom passes with probability `tail`, between 0 and ½.
pub(crate) fn student_quantile_upper(tail: f64, df: f64) -> f64 {
    let mut high = 1.0;
    while student_upper(high, df) > tail && high < 1e300 {
        high *= 2.0;
    }
    bisect(0.0, high, |t| student_upper(t, df) > tail)
}

/// Where `below` turns from true to false between `low` and `high`, to the last bit.
pub(crate) fn bisect(mut low: f64, mut high: f64, below: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..2100 {
        let middle = low.midpoint(high);
        if middle <= low || middle >= high {
            break;
        }
        if below(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low.midpoint(high)
}

/// ln Γ(x) for x > 0.
pub(crate) fn ln_gamma(x: f64) -> f64 {
    (x - 0.5) * libm::log(x) - x + LN_SQRT_2PI + stirling_remainder(x)
}

/// ln B(a, b).
pub(crate) fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// What Stirling's formula leaves out: ln Γ(x) − \[(x − ½) ln x − x + ½ ln 2π\], for x > 0. Differences of ln Γ at large
/// arguments lose digits; differences of this do not.
pub(crate) fn stirling_remainder(x: f64) -> f64 {
    let mut sum = 0.0;
    let mut x = x;
    // Upwards by δ(x) = δ(x + 1) + (x + ½) ln(1 + 1/x) − 1, to where five terms of the series are exact to the last bit.
    while x < 16.0 {
        sum += (x + 0.5) * libm::log1p(1.0 / x) - 1.0;
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    sum + (1.0 / 12.0 - y * (1.0 / 360.0 - y * (1.0 / 1260.0 - y * (1.0 / 1680.0 - y / 1188.0)))) / x
}

/// x ln(x/m) + m − x without cancellation near x = m (C. Loader, Fast and accurate computation of binomial
/// probabilities, 2000, `bd0`). Zero for x = 0 is m.
pub(crate) fn deviance(x: f64, m: f64) -> f64 {
    if x == 0.0 {
        return m;
    }
    let difference = x - m;
    if difference.abs() < 0.1 * (x + m) {
        let v = difference / (x + m);
        let mut sum = difference * v;
        let mut term = 2.0 * x * v;
        let square = v * v;
        let mut odd = 3.0;
        loop {
            term *= square;
            let next = sum + term / odd;
            if next.to_bits() == sum.to_bits() {
                return sum;
            }
            sum = next;
            odd += 2.0;
        }
    }
    x * libm::log(x / m) - difference
}

/// ln of the binomial probability of `x` among `n` at probability `p`, by Loader's saddle point form.
pub(crate) fn ln_binomial(x: f64, n: f64, p: f64) -> f64 {
    let q = 1.0 - p;
    if x == 0.0 {
        return if p < 0.1 { n * libm::log1p(-p) } else { n * libm::log(q) };
    }
    if x >= n {
        return n * libm::log(p);
    }
    let rest = n - x;
    stirling_remainder(n)
        - stirling_remainder(x)
        - stirling_remainder(rest)
        - deviance(x, n * p)
        - deviance(rest, n * q)
        + 0.5 * libm::log(n / (2.0 * PI * x * rest))
}

/// ln Σ exp, without overflow. Minus infinity for nothing.
pub(crate) fn ln_sum_exp(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    if most.is_infinite() {
        return most;
    }
    most + libm::log(terms.map(|term| libm::exp(term - most)).sum())
}

/// ln of the regularised lower incomplete gamma function P(a, x), by the series that converges everywhere
/// (Abramowitz and Stegun 6.5.29).
pub(crate) fn ln_lower_gamma(a: f64, x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    let mut n = a;
    while n <= x || term > sum * 1e-17 {
        n += 1.0;
        term *= x / n;
        sum += term;
        if sum > 1e280 {
            // The series is too long for this scale; P is 1 to the last bit.
            return 0.0;
        }
    }
    // a ln x − x − ln Γ(a + 1), arranged around the deviance so that large arguments keep their digits.
    -deviance(a, x) - 0.5 * libm::log(2.0 * PI * a) - stirling_remainder(a) + libm::log(sum)
}

#[cfg(test)]
mod tests {
    use super::{
        deviance, ln_binomial, ln_gamma, ln_lower_gamma, ln_normal_cdf, ln_sum_exp, normal_cdf, normal_quantile,
        stirling_remainder, student_quantile_upper, student_upper,
    };

    fn near(got: f64, want: f64, relative: f64) {
        assert!((got - want).abs() <= relative * want.abs(), "{got} for {want}");
    }

    /// Abramowitz and Stegun, tables 26.1 and 26.2: P(1.96) = 0.975 002 104 851 780, the 97.5 % point 1.959 963 984 540 054.
    #[test]
    fn the_normal_distribution_agrees_with_the_tables() {
        near(normal_cdf(1.96), 0.975_002_104_851_780, 1e-15);
        near(normal_quantile(0.975), 1.959_963_984_540_054, 1e-15);
        near(normal_quantile(0.01), -2.326_347_874_040_841, 1e-15);
        near(normal_cdf(-10.0), 7.619_853_024_160_527e-24, 1e-13);
        near(ln_normal_cdf(-29.9), normal_cdf(-29.9).ln(), 1e-14);
        near(ln_normal_cdf(-30.1), normal_cdf(-30.1).ln(), 1e-12);
        near(ln_normal_cdf(-100.0), -5_005.524_208_694_205, 1e-14);
    }

    /// Student's t: 5 % two-sided at 10 degrees of freedom is 2.228 138 852, at 1 it is 12.706 204 736 (any table).
    #[test]
    fn student_agrees_with_the_tables() {
        near(student_quantile_upper(0.025, 10.0), 2.228_138_851_964_939, 1e-9);
        near(student_quantile_upper(0.025, 1.0), 12.706_204_736_174_7, 1e-9);
        near(student_upper(0.0, 3.0), 0.5, 1e-14);
        near(student_upper(-2.0, 7.0) + student_upper(2.0, 7.0), 1.0, 1e-14);
    }

    #[test]
    fn the_gamma_function_agrees_with_factorials() {
        let mut factorial = 0.0f64;
        for n in 1..60u32 {
            let got = ln_gamma(f64::from(n));
            assert!((got - factorial).abs() <= 1e-15 * (1.0 + factorial), "{got} for {factorial}");
            factorial += f64::from(n).ln();
        }
        near(ln_gamma(0.5), std::f64::consts::PI.sqrt().ln(), 1e-14);
        near(stirling_remainder(1e6), 1.0 / 12e6, 1e-12);
    }

    #[test]
    fn the_binomial_sums_to_one_and_keeps_its_digits() {
        for (n, p) in [(1u32, 0.3), (7, 0.5), (40, 0.01), (3000, 0.7)] {
            let sum: f64 = (0..=n).map(|x| ln_binomial(f64::from(x), f64::from(n), p).exp()).sum();
            near(sum, 1.0, 1e-12);
        }
        near(deviance(1_000_000.0, 1_000_001.0), 5e-7, 1e-5);
    }

    #[test]
    fn the_incomplete_gamma_function_agrees_with_its_closed_form() {
        // P(1, x) = 1 − e⁻ˣ, P(3, x) = 1 − e⁻ˣ (1 + x + x²/2).
        near(ln_lower_gamma(1.0, 0.7), (1.0 - (-0.7f64).exp()).ln(), 1e-14);
        let exact = 1.0 - (-2.0f64).exp() * (1.0 + 2.0 + 2.0);
        near(ln_lower_gamma(3.0, 2.0), exact.ln(), 1e-13);
    }

    #[test]
    fn sums_of_exponentials_do_not_overflow() {
        near(ln_sum_exp([1000.0, 1000.0].into_iter()), 1000.0 + 2.0f64.ln(), 1e-15);
        assert!(ln_sum_exp(std::iter::empty()).is_infinite());
    }
}

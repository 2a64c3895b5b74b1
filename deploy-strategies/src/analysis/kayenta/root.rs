//! Where a function crosses zero (R. Brent, Algorithms for Minimization without Derivatives, 1973, chapter 4, `zero`).

/// The root of `f` between `low` and `high`, whose values there have opposite signs, to within the absolute `tolerance`.
/// The steps are those of Brent's procedure in its own order, since on a step function the result depends on them.
pub(crate) fn root(f: impl Fn(f64) -> f64, low: f64, high: f64, tolerance: f64) -> f64 {
    let (mut before, mut best) = (low, high);
    let (mut f_before, mut f_best) = (f(low), f(high));
    if f_before == 0.0 {
        return before;
    }
    if f_best == 0.0 {
        return best;
    }
    // The root lies between `best` and `across`.
    let (mut across, mut f_across) = (before, f_before);
    for _ in 0..MOST_STEPS {
        let last_step = best - before;
        if f_across.abs() < f_best.abs() {
            (before, best, across) = (best, across, best);
            (f_before, f_best, f_across) = (f_best, f_across, f_best);
        }
        let close = 2.0 * f64::EPSILON * best.abs() + tolerance / 2.0;
        let mut step = (across - best) / 2.0;
        if step.abs() <= close || f_best == 0.0 {
            return best;
        }
        if last_step.abs() >= close && f_before.abs() > f_best.abs() {
            let width = across - best;
            let ratio = f_best / f_before;
            let (mut p, mut q) = if before.to_bits() == across.to_bits() {
                // Two points: the secant.
                (width * ratio, 1.0 - ratio)
            } else {
                // Three: inverse quadratic interpolation.
                let (q, t) = (f_before / f_across, f_best / f_across);
                (ratio * (width * q * (q - t) - (best - before) * (t - 1.0)), (q - 1.0) * (t - 1.0) * (ratio - 1.0))
            };
            if p > 0.0 {
                q = -q
            } else {
                p = -p
            }
            if p < 0.75 * width * q - (close * q).abs() / 2.0 && p < (last_step * q / 2.0).abs() {
                step = p / q;
            }
        }
        if step.abs() < close {
            step = if step > 0.0 { close } else { -close };
        }
        (before, f_before) = (best, f_best);
        best += step;
        f_best = f(best);
        if (f_best > 0.0 && f_across > 0.0) || (f_best < 0.0 && f_across < 0.0) {
            (across, f_across) = (before, f_before);
        }
    }
    best
}

/// As many as the original allows.
const MOST_STEPS: usize = 1001;

#[cfg(test)]
mod tests {
    use super::root;

    #[test]
    fn it_finds_the_roots_of_smooth_functions() {
        let cubic = root(|x| x * x * x - 2.0, 0.0, 2.0, 1e-12);
        assert!((cubic - 2f64.cbrt()).abs() < 1e-12);
        let end = root(|x| x, 0.0, 2.0, 1e-4);
        assert_eq!(end.to_bits(), 0f64.to_bits());
    }
}

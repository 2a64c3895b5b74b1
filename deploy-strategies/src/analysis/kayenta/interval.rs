//! The interval and the estimate of the shift between two series, as R's `wilcox.test` and Kayenta find them.

use serde::{Deserialize, Serialize};

use super::root::root;
use crate::analysis::rank::deviation;
use crate::analysis::sample::{SampleError, check, check_share};
use crate::analysis::special::{length, normal_quantile};

/// The shift of the experiment against the control.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end. The solver's tolerance may put it below the lower one; it is left as it comes out.
    pub high: f64,
    /// The estimate.
    pub estimate: f64,
}

/// The interval at `confidence` and the estimate: where the standardised statistic crosses the normal quantiles, and zero.
///
/// # Errors
///
/// [`SampleError`] if a series is empty, holds something that is not a finite number, the two are further apart than numbers reach, or
/// nothing varies.
pub fn interval(experiment: &[f64], control: &[f64], confidence: f64) -> Result<Interval, SampleError> {
    check(experiment, 1)?;
    check(control, 1)?;
    check_share(confidence)?;
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_unstable_by(f64::total_cmp);
        values
    };
    let (x, y) = (sorted(experiment), sorted(control));
    let least = x[0] - y[y.len() - 1];
    let most = x[x.len() - 1] - y[0];
    if !(least.is_finite() && most.is_finite()) {
        return Err(SampleError::Range);
    }
    if least >= most {
        // Both are constant: every shift but this one is refuted.
        return Ok(Interval { low: least, high: least, estimate: least });
    }
    let at = |shift: f64, quantile: f64| statistic(&x, &y, shift) - quantile;
    let end = |quantile: f64| {
        if at(least, quantile) <= 0.0 {
            least
        } else if at(most, quantile) >= 0.0 {
            most
        } else {
            root(|shift| at(shift, quantile), least, most, TOLERANCE)
        }
    };
    let quantile = normal_quantile((1.0 - confidence) / 2.0);
    Ok(Interval {
        low: end(-quantile),
        high: end(quantile),
        estimate: root(|shift| at(shift, 0.0), least, most, TOLERANCE),
    })
}

/// The standardised rank statistic of the experiment lowered by `shift` against the control, with the continuity step of
/// one half towards zero and the ties of the shifted values. Not a number if all values are then equal, or one of them is not finite.
#[must_use]
pub fn standardised(experiment: &[f64], control: &[f64], shift: f64) -> f64 {
    let finite = |values: &[f64]| values.iter().all(|value| (value - shift).is_finite() && value.is_finite());
    if !finite(experiment) || !finite(control) {
        return f64::NAN;
    }
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_unstable_by(f64::total_cmp);
        values
    };
    statistic(&sorted(experiment), &sorted(control), shift)
}

/// Absolute, whatever the unit: so it is in R and in Kayenta.
const TOLERANCE: f64 = 1e-4;

/// Both sorted: lowering all values by the same shift keeps them so, and one merge ranks them.
fn statistic(x: &[f64], y: &[f64], shift: f64) -> f64 {
    let (mut i, mut j, mut doubled_u) = (0, 0, 0u64);
    let mut ties = Vec::new();
    while i < x.len() || j < y.len() {
        let value = match (x.get(i), y.get(j)) {
            (Some(a), Some(b)) => (a - shift).min(*b),
            (Some(a), None) => a - shift,
            (None, Some(b)) => *b,
            (None, None) => break,
        };
        let in_x = x[i..].iter().take_while(|a| **a - shift <= value).count();
        let in_y = y[j..].iter().take_while(|b| **b <= value).count();
        doubled_u += in_x as u64 * (2 * j as u64 + in_y as u64);
        ties.push(length(in_x + in_y));
        i += in_x;
        j += in_y;
    }
    let distance = crate::analysis::special::real(doubled_u) / 2.0 - length(x.len()) * length(y.len()) / 2.0;
    let step = if distance == 0.0 { 0.0 } else { distance.signum() * 0.5 };
    (distance - step) / deviation(x.len(), y.len(), ties.into_iter())
}

#[cfg(test)]
mod tests {
    use super::{interval, standardised};
    use crate::analysis::special::normal_quantile;
    use crate::analysis::tables;

    #[test]
    fn what_is_no_number_has_no_place_and_what_is_too_far_apart_is_refused() {
        use crate::analysis::sample::SampleError;
        for (x, y, shift) in
            [(f64::NAN, 1.0, 0.0), (1.0, f64::INFINITY, 0.0), (1.0, 1.0, f64::NAN), (f64::MAX, 0.0, f64::MIN)]
        {
            assert!(standardised(&[x], &[y], shift).is_nan(), "{x} {y} {shift}");
        }
        let far = interval(&[1.7e308, 1.6e308], &[-1.7e308, -1.6e308], 0.98);
        assert_eq!(far, Err(SampleError::Range));
    }

    #[test]
    fn the_rows_of_the_interval() {
        tables::rows("kayenta_mannwhitney.json", |row| {
            match row.table.as_str() {
                "interval" => {
                    let got =
                        interval(&row.numbers("experiment"), &row.numbers("control"), row.number("confidence_level"))
                            .expect("two series");
                    row.near_by("interval_low", "interval_tolerance", got.low);
                    row.near_by("interval_high", "interval_tolerance", got.high);
                    row.near_by("estimate", "estimate_tolerance", got.estimate);
                }
                "normalised_u" => {
                    let got = standardised(&row.numbers("x"), &row.numbers("y"), row.number("shift"));
                    row.near_by("value", "tolerance", got - row.number("quantile"));
                }
                "normal_quantile" => row.near_by("value", "tolerance", normal_quantile(row.number("probability"))),
                "intermediate" => {
                    let (x, y) = (row.numbers("x"), row.numbers("y"));
                    let got = interval(&x, &y, 0.95).expect("two series");
                    let least = row.expected["shift_min"].as_f64().expect("a number");
                    let most = row.expected["shift_max"].as_f64().expect("a number");
                    let quantile = -normal_quantile(0.025);
                    row.near_by("quantile_lower", "tolerance", quantile);
                    row.near_by("quantile_upper", "tolerance", -quantile);
                    row.near_by("lower_root_at_shift_min", "tolerance", standardised(&x, &y, least) - quantile);
                    row.near_by("lower_root_at_shift_max", "tolerance", standardised(&x, &y, most) - quantile);
                    row.near_by("upper_root_at_shift_min", "tolerance", standardised(&x, &y, least) + quantile);
                    row.near_by("upper_root_at_shift_max", "tolerance", standardised(&x, &y, most) + quantile);
                    row.near_by("interval_low", "tolerance", got.low);
                    row.near_by("interval_high", "tolerance", got.high);
                    row.near_by("estimate", "tolerance", got.estimate);
                }
                other => panic!("unknown table {other}"),
            }
            true
        });
    }

    #[test]
    fn the_rows_of_the_solver() {
        tables::vectors("hodges_lehmann", |row| {
            let got = interval(&row.numbers("x"), &row.numbers("y"), row.number("conf")).expect("two series");
            row.near_pair("kayenta_ci", (got.low, got.high));
            row.near("kayenta_estimate", got.estimate);
        });
    }

    /// D17 of `docs/differences.md`.
    #[test]
    fn two_constants_differ_by_exactly_their_difference() {
        let got = interval(&[3.0, 3.0], &[1.0, 1.0, 1.0], 0.98).expect("two series");
        assert_eq!((got.low, got.high, got.estimate), (2.0, 2.0, 2.0));
    }
}

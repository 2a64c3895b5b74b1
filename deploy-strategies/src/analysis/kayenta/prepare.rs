//! Cleaning a series, and how large an effect is.

use serde::{Deserialize, Serialize};

use crate::analysis::rank::Ranks;
use crate::analysis::sample::mean;
use crate::analysis::special::length;

/// What becomes of points that are not numbers.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// They are left out.
    #[default]
    Remove,
    /// They are replaced by this number.
    ReplaceBy(f64),
}

impl Missing {
    /// The series without them.
    #[must_use]
    pub fn treat(self, values: &[f64]) -> Vec<f64> {
        match self {
            Self::Remove => values.iter().copied().filter(|v| !v.is_nan()).collect(),
            Self::ReplaceBy(number) => values.iter().map(|v| if v.is_nan() { number } else { *v }).collect(),
        }
    }
}

/// Which points are left out as outliers.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outliers {
    /// None.
    #[default]
    Keep,
    /// Those outside the quartiles widened by `factor` times their distance (3 by default in the original).
    InterquartileRange {
        /// How many times.
        factor: f64,
        /// Whether the fences are moved out to the first and the 99th percentile at the least. So they are in the original.
        reduce_sensitivity: bool,
    },
    /// Those further from the mean than `factor` standard deviations of the series.
    StandardDeviations {
        /// How many.
        factor: f64,
    },
}

impl Outliers {
    /// How far a point may be out; 1 where none is left out.
    pub(super) fn factor(self) -> f64 {
        match self {
            Self::Keep => 1.0,
            Self::InterquartileRange { factor, .. } | Self::StandardDeviations { factor } => factor,
        }
    }

    /// Which points are outliers.
    #[must_use]
    pub fn among(self, values: &[f64]) -> Vec<bool> {
        match self {
            Self::Keep => vec![false; values.len()],
            Self::InterquartileRange { factor, reduce_sensitivity } => {
                let at = |percent: f64| percentile(values, percent).unwrap_or(0.0);
                let (lower, upper) = (at(25.0), at(75.0));
                let wide = factor * (upper - lower);
                let (mut low, mut high) = (lower - wide, upper + wide);
                if reduce_sensitivity {
                    low = low.min(at(1.0));
                    high = high.max(at(99.0));
                }
                values.iter().map(|v| *v < low || *v > high).collect()
            }
            Self::StandardDeviations { factor } => {
                let centre = mean(values);
                let square = values.iter().map(|v| (v - centre) * (v - centre)).sum::<f64>() / length(values.len());
                let wide = factor * square.sqrt();
                values.iter().map(|v| (v - centre).abs() > wide).collect()
            }
        }
    }

    /// The series without them.
    #[must_use]
    pub fn remove(self, values: &[f64]) -> Vec<f64> {
        values.iter().zip(self.among(values)).filter(|(_, outlier)| !outlier).map(|(v, _)| *v).collect()
    }
}

/// The value that `percent` of the points do not exceed, interpolated between neighbours (R's type 7); nothing for no
/// points.
#[must_use]
pub fn percentile(values: &[f64], percent: f64) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let position = (percent / 100.0).clamp(0.0, 1.0) * length(sorted.len() - 1);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the length")]
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    Some(sorted[below] + (position - position.floor()) * (sorted[above] - sorted[below]))
}

/// What stands in a report about a series. All zero for no points.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// The smallest point.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The mean.
    pub mean: f64,
    /// The sample standard deviation.
    pub standard_deviation: f64,
    /// How many points there are.
    pub count: usize,
}

impl Summary {
    /// Of these points.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        let centre = mean(values);
        let squares: f64 = values.iter().map(|v| (v - centre) * (v - centre)).sum();
        let standard_deviation = if values.len() < 2 { 0.0 } else { (squares / length(values.len() - 1)).sqrt() };
        Self {
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            mean: centre,
            standard_deviation,
            count: values.len(),
        }
    }
}

/// Mean of the experiment by mean of the control; not a number if either is zero.
#[must_use]
pub fn mean_ratio(experiment: &[f64], control: &[f64]) -> f64 {
    let (x, y) = (mean(experiment), mean(control));
    if x == 0.0 || y == 0.0 { f64::NAN } else { x / y }
}

/// The share of pairs in which the experiment has the larger value, ties counting a half; not a number where a series is
/// empty or holds what is no number.
#[must_use]
pub fn superiority(experiment: &[f64], control: &[f64]) -> f64 {
    Ranks::of(experiment, control).map_or(f64::NAN, |ranks| ranks.superiority())
}

/// The difference of the means in pooled standard deviations (J. Cohen, Statistical power analysis, 1988).
#[must_use]
pub fn cohens_d(experiment: &[f64], control: &[f64]) -> f64 {
    let (x, y) = (Summary::of(experiment), Summary::of(control));
    let (a, b) = (length(x.count) - 1.0, length(y.count) - 1.0);
    let pooled = (a * x.standard_deviation.powi(2) + b * y.standard_deviation.powi(2)) / (a + b);
    (x.mean - y.mean) / pooled.sqrt()
}

#[cfg(test)]
mod tests {
    use super::{Missing, Outliers, Summary, cohens_d, mean_ratio, percentile, superiority};
    use crate::analysis::tables::{self, Row, number, numbers};

    fn outliers(row: &Row) -> Outliers {
        let detector = &row.input["detector"];
        let factor = number(&detector["factor"]);
        match detector["kind"].as_str().expect("a kind") {
            "interquartile_range" => Outliers::InterquartileRange {
                factor,
                reduce_sensitivity: detector["reduce_sensitivity"].as_bool().expect("yes or no"),
            },
            "standard_deviations" => Outliers::StandardDeviations { factor },
            other => panic!("unknown detector {other}"),
        }
    }

    #[test]
    fn the_rows_of_preparation() {
        tables::rows("kayenta_preprocessing.json", |row| {
            let pair = || (row.numbers("experiment"), row.numbers("control"));
            match row.table.as_str() {
                "missing_values" => {
                    let missing = match row.input["action"].as_str().expect("an action") {
                        "remove" => Missing::Remove,
                        _ => Missing::ReplaceBy(row.number("replace_by")),
                    };
                    assert_eq!(missing.treat(&row.numbers("values")), numbers(&row.expected["values"]), "{}", row.name);
                }
                "outliers" => {
                    let want: Vec<bool> = serde_json::from_value(row.expected["is_outlier"].clone()).expect("flags");
                    assert_eq!(outliers(row).among(&row.numbers("values")), want, "{}", row.name);
                }
                "remove_outliers" => {
                    let got = outliers(row).remove(&row.numbers("values"));
                    assert_eq!(got, numbers(&row.expected["values"]), "{}", row.name);
                }
                "summary" => {
                    let got = Summary::of(&row.numbers("values"));
                    let count = row.expected["count"].as_u64().expect("a count");
                    assert_eq!(got.count as u64, count, "{}", row.name);
                    row.near("min", got.min);
                    row.near("max", got.max);
                    row.near("mean", got.mean);
                    row.near("standard_deviation", got.standard_deviation);
                }
                "percentile" => {
                    let got = percentile(&row.numbers("values"), row.number("percent")).expect("points");
                    row.near_by("value", "tolerance", got);
                }
                "effect_mean_ratio" => row.near_by("value", "tolerance", mean_ratio(&pair().0, &pair().1)),
                "effect_common_language" => row.near_by("value", "tolerance", superiority(&pair().0, &pair().1)),
                "effect_cohen_d" => row.near_by("value", "tolerance", cohens_d(&pair().0, &pair().1)),
                other => panic!("unknown table {other}"),
            }
            true
        });
    }

    #[test]
    fn fences_are_moved_out_to_the_outer_percentiles() {
        let mut values: Vec<f64> = vec![10.0; 50];
        values.extend([11.0, 9.0, 30.0]);
        let narrow = Outliers::InterquartileRange { factor: 3.0, reduce_sensitivity: false };
        let wide = Outliers::InterquartileRange { factor: 3.0, reduce_sensitivity: true };
        assert_eq!(narrow.remove(&values).len(), 50);
        assert!(wide.remove(&values).len() > 50);
    }
}

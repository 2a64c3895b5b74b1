//! Two series to one class.

use serde::{Deserialize, Serialize};

use super::interval::{Interval, interval};
use super::prepare::{mean_ratio, superiority};
use crate::analysis::sample::{SampleError, mean, sorted_keys};

/// How a metric of the experiment compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Class {
    /// No difference that counts.
    Pass,
    /// Larger than in the control.
    High,
    /// Smaller than in the control.
    Low,
    /// A series is empty.
    Nodata,
    /// A series is empty that had to have points.
    NodataFailMetric,
}

/// Which direction is a deviation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Only larger.
    Increase,
    /// Only smaller.
    Decrease,
    /// Both.
    #[default]
    Either,
}

/// What an empty series means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingData {
    /// That there is no data.
    #[default]
    Remove,
    /// That all is zero, as in the other series.
    Replace,
}

/// How the size of an effect is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectSize {
    /// As the ratio of the means; 1 is none.
    #[default]
    MeanRatio,
    /// As the chance that a point of the experiment is the larger one; ½ is none.
    CommonLanguage,
}

impl EffectSize {
    /// What no effect measures.
    #[must_use]
    pub fn none(self) -> f64 {
        match self {
            Self::MeanRatio => 1.0,
            Self::CommonLanguage => 0.5,
        }
    }

    /// With these limits every effect counts: the default of the original.
    #[must_use]
    pub fn every(self) -> EffectLimits {
        EffectLimits { decrease: self.none(), increase: self.none() }
    }

    /// Where it ends: no limit there is ever passed.
    pub(super) fn most(self) -> f64 {
        match self {
            Self::MeanRatio => f64::INFINITY,
            Self::CommonLanguage => 1.0,
        }
    }
}

/// From where on an effect counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EffectLimits {
    /// A decrease to this or less.
    pub decrease: f64,
    /// An increase to this or more.
    pub increase: f64,
}

/// How one metric is classified.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Classifier {
    /// Which direction is a deviation.
    pub direction: Direction,
    /// The share of the estimate that the interval must keep clear of zero. 0.25 in the original, whatever is configured.
    pub tolerance: f64,
    /// The confidence of the interval. 0.98 in the original, whatever is configured.
    pub confidence: f64,
    /// How the size of the effect is measured.
    pub measure: EffectSize,
    /// From where on an effect is a deviation. Not written: every effect, by how it is measured.
    pub allowed: EffectLimits,
    /// From where on a deviation of a critical metric is critical. Not written: every one.
    pub critical_from: EffectLimits,
    /// Whether a deviation of this metric alone fails the release.
    pub critical: bool,
    /// What an empty series means.
    pub missing_data: MissingData,
    /// Whether an empty series counts as a deviation.
    pub must_have_data: bool,
}

/// As it is written: what is left out depends on how the effect is measured.
#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    direction: Direction,
    tolerance: Option<f64>,
    confidence: Option<f64>,
    #[serde(default)]
    measure: EffectSize,
    allowed: Option<EffectLimits>,
    critical_from: Option<EffectLimits>,
    #[serde(default)]
    critical: bool,
    #[serde(default)]
    missing_data: MissingData,
    #[serde(default)]
    must_have_data: bool,
}

impl From<Written> for Classifier {
    fn from(written: Written) -> Self {
        let Written { direction, measure, critical, missing_data, must_have_data, .. } = written;
        let (default, every) = (Self::default(), measure.every());
        Self {
            direction,
            tolerance: written.tolerance.unwrap_or(default.tolerance),
            confidence: written.confidence.unwrap_or(default.confidence),
            measure,
            allowed: written.allowed.unwrap_or(every),
            critical_from: written.critical_from.unwrap_or(every),
            critical,
            missing_data,
            must_have_data,
        }
    }
}

impl Default for Classifier {
    /// The figures of the original: tolerance 0.25, confidence 0.98, every mean ratio counts.
    fn default() -> Self {
        let every = EffectSize::MeanRatio.every();
        Self {
            direction: Direction::Either,
            tolerance: 0.25,
            confidence: 0.98,
            measure: EffectSize::MeanRatio,
            allowed: every,
            critical_from: every,
            critical: false,
            missing_data: MissingData::Remove,
            must_have_data: false,
        }
    }
}

/// A class with what led to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Classified {
    /// The class.
    pub class: Class,
    /// Whether this alone fails the release.
    pub critical: bool,
    /// The ratio of the means; 1 where nothing was tested, not a number where a mean is zero.
    pub mean_ratio: f64,
    /// The shift, where one was estimated.
    pub interval: Option<Interval>,
}

impl Classifier {
    /// Classifies two series of finite points.
    ///
    /// # Errors
    ///
    /// [`SampleError`] if a point is not finite or the confidence is not between 0 and 1.
    pub fn classify(&self, experiment: &[f64], control: &[f64]) -> Result<Classified, SampleError> {
        let untested = |class, critical| Classified { class, critical, mean_ratio: 1.0, interval: None };
        if experiment.is_empty() || control.is_empty() {
            return Ok(match self.missing_data {
                MissingData::Replace => untested(Class::Pass, false),
                MissingData::Remove if self.must_have_data && !self.critical => {
                    untested(Class::NodataFailMetric, false)
                }
                MissingData::Remove => untested(Class::Nodata, self.critical),
            });
        }
        if sorted_keys(experiment) == sorted_keys(control) || one_value(experiment, control) {
            return Ok(untested(Class::Pass, false));
        }
        let shift = interval(experiment, control, self.confidence)?;
        let ratio = mean_ratio(experiment, control);
        let effect = match self.measure {
            EffectSize::MeanRatio => ratio,
            EffectSize::CommonLanguage => superiority(experiment, control),
        };
        // An effect that is not a number is left out of account.
        let up_to = |limit: f64| effect.is_nan() || effect <= limit;
        let from = |limit: f64| effect.is_nan() || effect >= limit;
        let clear = self.tolerance * shift.estimate.abs();
        let (up, down) = (self.direction != Direction::Decrease, self.direction != Direction::Increase);
        let (class, critical) = if up && shift.low > clear && from(self.allowed.increase) {
            (Class::High, from(self.critical_from.increase))
        } else if down && shift.high < -clear && up_to(self.allowed.decrease) {
            (Class::Low, up_to(self.critical_from.decrease))
        } else {
            (Class::Pass, false)
        };
        Ok(Classified { class, critical: critical && self.critical, mean_ratio: ratio, interval: Some(shift) })
    }

    /// Classifies by comparing the plain means, as the original's simpler classifier does.
    #[must_use]
    pub fn classify_by_means(&self, experiment: &[f64], control: &[f64]) -> Class {
        if experiment.is_empty() || control.is_empty() {
            return match self.missing_data {
                MissingData::Replace => Class::Pass,
                MissingData::Remove => Class::Nodata,
            };
        }
        let (x, y) = (mean(experiment), mean(control));
        if self.direction != Direction::Decrease && x > y {
            Class::High
        } else if self.direction != Direction::Increase && x < y {
            Class::Low
        } else {
            Class::Pass
        }
    }
}

fn one_value(experiment: &[f64], control: &[f64]) -> bool {
    #[expect(clippy::float_cmp, reason = "the same value, to the bit but for the sign of zero")]
    experiment.iter().chain(control).all(|v| *v == experiment[0])
}

#[cfg(test)]
mod tests {
    use super::{Class, Classifier, Direction, EffectLimits, EffectSize, MissingData};
    use crate::analysis::tables::{self, Row, number, numbers};

    #[test]
    fn what_is_not_written_depends_on_how_the_effect_is_measured() {
        let read = |json| serde_json::from_value::<Classifier>(json).expect("a classifier");
        assert_eq!(read(serde_json::json!({})), Classifier::default());
        let chance = read(serde_json::json!({ "measure": "common_language", "tolerance": 0.3 }));
        let every = EffectLimits { decrease: 0.5, increase: 0.5 };
        assert_eq!(
            (chance.allowed, chance.critical_from, chance.tolerance.to_bits()),
            (every, every, 0.3f64.to_bits())
        );
        // 36 of 40 points about eight higher are a deviation.
        let control: Vec<f64> = (0..40).map(|i| 100.0 + f64::from(i % 7)).collect();
        let experiment: Vec<f64> =
            control.iter().enumerate().map(|(i, x)| if i < 4 { x - 8.0 } else { x + 8.0 }).collect();
        assert_eq!(chance.classify(&experiment, &control).expect("they vary").class, Class::High);
        assert_eq!(read(serde_json::to_value(&chance).expect("written")), chance);
    }

    fn class(text: &str) -> Class {
        serde_json::from_value(serde_json::json!(text)).expect("a class")
    }

    fn direction(row: &Row) -> Direction {
        serde_json::from_value(row.input["direction"].clone()).expect("a direction")
    }

    fn limits(row: &Row, field: &str) -> EffectLimits {
        let limits = &row.input[field];
        if limits.is_array() {
            EffectLimits { decrease: number(&limits[0]), increase: number(&limits[1]) }
        } else {
            EffectLimits { decrease: number(&limits["decrease"]), increase: number(&limits["increase"]) }
        }
    }

    fn flag(row: &Row, field: &str) -> bool {
        row.input[field].as_bool().unwrap_or(false)
    }

    #[test]
    fn the_rows_of_the_classifier() {
        tables::rows("kayenta_classifier.json", |row| {
            let missing = |row: &Row| match row.input["missing_data"].as_str() {
                Some("replace") => MissingData::Replace,
                _ => MissingData::Remove,
            };
            let (x, y) = (row.numbers("experiment"), row.numbers("control"));
            let want = class(row.expected["classification"].as_str().expect("a class"));
            if row.input["classifier"] == "mean_inequality" {
                let classifier =
                    Classifier { direction: direction(row), missing_data: missing(row), ..Classifier::default() };
                assert_eq!(classifier.classify_by_means(&x, &y), want, "{}", row.name);
                return true;
            }
            let classifier = Classifier {
                direction: direction(row),
                tolerance: row.number("tolerance"),
                confidence: row.number("confidence_level"),
                measure: match row.input["effect_size_measure"].as_str() {
                    Some("common_language") => EffectSize::CommonLanguage,
                    _ => EffectSize::MeanRatio,
                },
                allowed: limits(row, "effect_size_allowed"),
                critical_from: limits(row, "effect_size_critical"),
                critical: flag(row, "critical_metric"),
                missing_data: missing(row),
                must_have_data: flag(row, "data_required"),
            };
            let got = classifier.classify(&x, &y).expect("finite");
            assert_eq!(got.class, want, "{}", row.name);
            if let Some(critical) = row.expected["critical"].as_bool() {
                assert_eq!(got.critical, critical, "{}", row.name);
            }
            row.near("mean_ratio", got.mean_ratio);
            true
        });
    }

    #[test]
    fn the_rows_of_the_judge() {
        tables::vectors("kayenta_judge", |row| {
            let classifier = Classifier {
                direction: direction(row),
                tolerance: row.number("tol"),
                confidence: row.number("conf"),
                measure: if row.input["measure"] == "cles" {
                    EffectSize::CommonLanguage
                } else {
                    EffectSize::MeanRatio
                },
                allowed: limits(row, "eff"),
                critical_from: limits(row, "crit"),
                critical: flag(row, "critical"),
                missing_data: if row.input["nan"] == "replace" { MissingData::Replace } else { MissingData::Remove },
                must_have_data: flag(row, "must_have"),
            };
            let got = classifier.classify(&row.numbers("experiment"), &row.numbers("control")).expect("finite");
            assert_eq!(got.class, class(row.expected["classification"].as_str().expect("a class")), "{}", row.name);
            assert_eq!(Some(got.critical), row.expected["critical"].as_bool(), "{}", row.name);
            row.near("mean_ratio", got.mean_ratio);
            if let Some(interval) = got.interval {
                row.near_pair("ci", (interval.low, interval.high));
                row.near("estimate", interval.estimate);
            }
        });
    }

    /// Real metrics of a cloud, split at random and with effects multiplied in.
    #[test]
    fn the_blocks_of_real_metrics() {
        let Some(file) = tables::read("nab_canary_blocks.json") else { return };
        let mut ran = 0;
        for block in file["blocks"].as_array().expect("blocks") {
            let baseline = numbers(&block["baseline"]);
            for (factor, want) in block["kayenta_label_by_canary_factor"].as_object().expect("labels") {
                let factor: f64 = factor.parse().expect("a factor");
                let canary: Vec<f64> = numbers(&block["canary"]).iter().map(|v| v * factor).collect();
                let got = Classifier::default().classify(&canary, &baseline).expect("finite");
                let name = format!("{} from {} times {factor}", block["file"], block["start"]);
                assert_eq!(got.class, class(want.as_str().expect("a class")), "{name}");
                ran += 1;
            }
        }
        tables::say(&format!("nab_canary_blocks.json: {ran} labels"));
        assert!(ran > 0);
    }
}

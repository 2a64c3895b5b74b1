//! The judge of Spinnaker's Kayenta, class by class and score by score, for releases that are judged by it today.
//!
//! It compares two short series of points (one per interval) with a rank test at a fixed time. Its weaknesses come with
//! it: it is blind to harm in fewer than half of the points, its solver's tolerance is an absolute 10⁻⁴ so that the class
//! depends on the unit, and it must not be looked at twice. The [sequential judge](super::sequential) has none of them.
//!
//! Two differences are deliberate. Where both series are constant and differ, the original adds random noise and this one
//! takes the difference itself as its estimate and interval. And where a metric cannot be classified, the original leaves it out and may pass; here
//! the judgement is an [`Error`](deploy_core::monitor::JudgementResult::Error).

mod classify;
mod interval;
mod prepare;
mod root;
mod score;
mod verdict;

pub use self::classify::{Class, Classified, Classifier, Direction, EffectLimits, EffectSize, MissingData};
pub use self::interval::{Interval, interval, standardised};
pub use self::prepare::{Missing, Outliers, Summary, cohens_d, mean_ratio, percentile, superiority};
pub use self::score::{GroupScore, Scored, Weights, score};

use std::time::Duration;

use deploy_core::name::MetricName;
use serde::{Deserialize, Serialize};

use super::figure::{FigureError, Figures};
use super::sample::SampleError;
use super::written::compared_as_written;

/// A Kayenta configuration: metrics, weights of their groups, and the score to reach.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kayenta {
    /// The metrics, each with its classifier.
    pub metrics: Vec<KayentaMetric>,
    /// Weights of the groups, in percent. Groups without one share what is left of 100.
    #[serde(default)]
    pub weights: Weights,
    /// The score, from 0 to 100, from which on the release passes.
    pub pass: f64,
    /// The score from which on it does not fail. At exactly this score it is marginal.
    pub marginal: f64,
    /// After how long a stage is judged, once. Before, nothing is said.
    #[serde(default, with = "deploy_core::time::duration_ms")]
    pub after: Duration,
}

compared_as_written!(Kayenta);

/// One metric of a Kayenta configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KayentaMetric {
    /// Its name.
    pub name: MetricName,
    /// How its points are classified.
    #[serde(default)]
    pub classifier: Classifier,
    /// What becomes of points that are not numbers.
    #[serde(default)]
    pub missing: Missing,
    /// Which points are left out as outliers; by default none.
    #[serde(default)]
    pub outliers: Outliers,
    /// The groups that it counts in.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Whether it is shown but not counted.
    #[serde(default)]
    pub muted: bool,
    /// The quantile that stands for a window whose sizes were counted. 0.99 by default.
    #[serde(default = "default_quantile")]
    pub quantile: f64,
}

/// The points of one metric, one for each interval. NaN stands for an interval without a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Points {
    /// Of the revision that is being released.
    pub experiment: Vec<f64>,
    /// Of the revision that it is compared with.
    pub control: Vec<f64>,
}

/// What a Kayenta judgement comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KayentaResult {
    /// The score is at least that for passing.
    Pass,
    /// It is between the two.
    Marginal,
    /// It is below the lower one.
    Fail,
    /// A metric could not be classified.
    Error,
}

/// A Kayenta judgement with what led to it.
#[derive(Debug, Clone, PartialEq)]
pub struct KayentaReport {
    /// What it comes to.
    pub result: KayentaResult,
    /// The score.
    pub scored: Scored,
    /// Each metric's class, or why there is none.
    pub classified: Vec<(MetricName, Result<Classified, SampleError>)>,
}

impl Kayenta {
    /// Whether the figures make sense.
    ///
    /// # Errors
    ///
    /// [`FigureError`] names the first that does not.
    pub fn check(&self) -> Result<(), FigureError> {
        let figures = Figures("Kayenta judge");
        figures.scores(self.pass, ("marginal", self.marginal))?;
        let counted = super::special::length(self.metrics.iter().filter(|metric| !metric.muted).count());
        figures.within("metrics", counted, counted > 0.0, "at least one that is not muted")?;
        for metric in &self.metrics {
            let of = |field: &str| format!("{field} of {}", metric.name);
            figures.open(of("quantile"), metric.quantile)?;
            figures.open(of("confidence"), metric.classifier.confidence)?;
            let tolerance = metric.classifier.tolerance;
            let right = tolerance >= 0.0 && tolerance.is_finite();
            figures.within(of("tolerance"), tolerance, right, "a share of 0 or more")?;
            let groups = super::special::length(metric.groups.len());
            figures.within(
                of("number of groups"),
                groups,
                metric.muted || groups > 0.0,
                "at least one, or it would not count,",
            )?;
            let factor = metric.outliers.factor();
            figures.within(of("factor of outliers"), factor, factor > 0.0 && factor.is_finite(), "a number above 0")?;
            let none = metric.classifier.measure.none();
            for (name, limits) in
                [("allowed", metric.classifier.allowed), ("critical_from", metric.classifier.critical_from)]
            {
                let EffectLimits { decrease, increase } = limits;
                let below = "at most that of no effect";
                figures.within(of(&format!("{name}.decrease")), decrease, (0.0..=none).contains(&decrease), below)?;
                let most = metric.classifier.measure.most();
                let above = "at least that of no effect, and one that can be reached,";
                figures.within(
                    of(&format!("{name}.increase")),
                    increase,
                    increase >= none && increase < most,
                    above,
                )?;
            }
        }
        let all: f64 = self.weights.values().sum();
        for (group, weight) in &self.weights {
            figures.within(format!("weight of {group}"), *weight, (0.0..=100.0).contains(weight), "0 to 100")?;
        }
        let counted = self.metrics.iter().filter(|metric| !metric.muted).flat_map(|metric| &metric.groups);
        let rest = counted.filter(|group| !self.weights.contains_key(*group)).count();
        let right = all <= 100.0 + 1e-9 && (rest > 0 || all >= 100.0 - 1e-9);
        figures.within(
            "sum of the weights",
            all,
            self.weights.is_empty() || right,
            "100, or less if a group without one shares the rest,",
        )
    }

    /// Judges the points of all metrics. `points` is asked for each by name; a metric that is not there has no data.
    #[must_use]
    pub fn judge<'a>(&self, points: impl Fn(&MetricName) -> Option<&'a Points>) -> KayentaReport {
        let mut classified = Vec::with_capacity(self.metrics.len());
        let mut counted = Vec::with_capacity(self.metrics.len());
        let mut error = false;
        for metric in &self.metrics {
            let none = Points { experiment: Vec::new(), control: Vec::new() };
            let points = points(&metric.name).unwrap_or(&none);
            let clean = |values: &[f64]| metric.outliers.remove(&metric.missing.treat(values));
            let class = metric.classifier.classify(&clean(&points.experiment), &clean(&points.control));
            if !metric.muted {
                match &class {
                    Ok(class) => counted.push((class.clone(), metric.groups.as_slice())),
                    Err(_) => error = true,
                }
            }
            classified.push((metric.name.clone(), class));
        }
        let scored = score(&counted, &self.weights);
        let result = if error {
            KayentaResult::Error
        } else if scored.score >= self.pass {
            KayentaResult::Pass
        } else if scored.score >= self.marginal {
            KayentaResult::Marginal
        } else {
            KayentaResult::Fail
        };
        KayentaReport { result, scored, classified }
    }
}

fn default_quantile() -> f64 {
    0.99
}

#[cfg(test)]
mod tests {
    use deploy_core::name::MetricName;

    use super::{Classifier, Direction, Kayenta, KayentaMetric, KayentaResult, Missing, Outliers, Points, Weights};

    fn kayenta() -> Kayenta {
        Kayenta {
            metrics: vec![KayentaMetric {
                name: MetricName::new("errors").expect("a name"),
                classifier: Classifier { direction: Direction::Increase, ..Classifier::default() },
                missing: Missing::Remove,
                outliers: Outliers::Keep,
                groups: vec!["errors".to_owned()],
                muted: false,
                quantile: 0.99,
            }],
            weights: Weights::default(),
            pass: 95.0,
            marginal: 75.0,
            after: std::time::Duration::ZERO,
        }
    }

    fn result(experiment: Vec<f64>, control: Vec<f64>) -> KayentaResult {
        let points = Points { experiment, control };
        kayenta().judge(|_| Some(&points)).result
    }

    #[test]
    fn a_clear_rise_fails_and_none_passes() {
        let series = |around: f64| (0..30).map(|i| around + f64::from(i % 7) / 10.0).collect::<Vec<_>>();
        assert_eq!(result(series(2.0), series(1.0)), KayentaResult::Fail);
        assert_eq!(result(series(1.0), series(1.0)), KayentaResult::Pass);
    }

    /// At the lower limit it is marginal, and at the upper one it passes.
    #[test]
    fn both_edges_belong_to_the_better_side() {
        let metric =
            |name: &str| KayentaMetric { name: MetricName::new(name).expect("a name"), ..kayenta().metrics[0].clone() };
        let series = |around: f64| (0..30).map(|i| around + f64::from(i % 7) / 10.0).collect::<Vec<_>>();
        let good = Points { experiment: series(1.0), control: series(1.0) };
        let bad = Points { experiment: series(2.0), control: series(1.0) };
        let judge = |pass: f64, marginal: f64| {
            let metrics = ["a", "b", "c", "d"].map(metric).to_vec();
            let judge = Kayenta { metrics, pass, marginal, ..kayenta() };
            judge.judge(|name| Some(if name.as_str() == "a" { &bad } else { &good })).result
        };
        assert_eq!(judge(95.0, 75.0), KayentaResult::Marginal);
        assert_eq!(judge(95.0, 75.01), KayentaResult::Fail);
        assert_eq!(judge(75.0, 50.0), KayentaResult::Pass);
    }

    /// D17 of `docs/differences.md`: the original leaves such a metric out, and the others pass.
    #[test]
    fn what_cannot_be_classified_never_passes() {
        let series = |around: f64| (0..30).map(|i| around + f64::from(i % 7) / 10.0).collect::<Vec<_>>();
        let metric =
            |name: &str| KayentaMetric { name: MetricName::new(name).expect("a name"), ..kayenta().metrics[0].clone() };
        let good = Points { experiment: series(1.0), control: series(1.0) };
        let endless = Points { experiment: vec![f64::INFINITY; 30], control: series(1.0) };
        let judge = Kayenta { metrics: ["a", "b"].map(metric).to_vec(), ..kayenta() };
        let report = judge.judge(|name| Some(if name.as_str() == "a" { &endless } else { &good }));
        assert_eq!(report.result, KayentaResult::Error, "{report:?}");
        assert_eq!(judge.judge(|_| Some(&good)).result, KayentaResult::Pass);
    }

    /// What it gets wrong, so that nobody takes it for the default: harm in 7 of 10 points passes whatever its size.
    #[test]
    fn it_is_blind_to_harm_in_seven_of_ten_points() {
        let control = vec![1.0; 10];
        let harmed =
            |points: usize| (0..10).map(|i| control[i] * if i < points { 100.0 } else { 1.0 }).collect::<Vec<_>>();
        assert_eq!(result(harmed(7), control.clone()), KayentaResult::Pass);
        assert_eq!(result(harmed(8), control.clone()), KayentaResult::Fail);
    }

    /// The other: errors in one interval of two pass against none at all.
    #[test]
    fn it_is_blind_to_sparse_errors() {
        let sparse = vec![0.0, 1.0, 2.0, 1.0, 0.0, 0.0];
        assert_eq!(result(sparse, vec![0.0; 6]), KayentaResult::Pass);
    }

    /// And its class depends on the unit: twice the errors pass as a share and fail as parts per million.
    #[test]
    fn its_class_depends_on_the_unit() {
        let control: Vec<f64> = (0..60).map(|i| f64::from(i % 10) * 3e-6).collect();
        let doubled: Vec<f64> = control.iter().map(|v| v * 2.0).collect();
        let million = |values: &[f64]| values.iter().map(|v| v * 1e6).collect::<Vec<_>>();
        assert_eq!(result(doubled.clone(), control.clone()), KayentaResult::Pass);
        assert_eq!(result(million(&doubled), million(&control)), KayentaResult::Fail);
    }
}

//! From the phases of all metrics to that of the whole analysis.

use super::assess::MetricPhase;

/// One metric of an analysis, as it counts for the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricResult<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where it stands.
    pub phase: MetricPhase,
    /// Whether it is only shown and never counts.
    pub dry_run: bool,
}

/// Where the whole analysis stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunResult<'a> {
    /// The worst phase of the metrics that count; [`MetricPhase::Running`] until all of them have ended.
    pub phase: MetricPhase,
    /// The first metric that has it, if it is a bad one.
    pub blamed: Option<&'a str>,
}

/// Folds the metrics of an analysis: running until all that count have ended, then the worst of them. An analysis in which
/// nothing counts is successful.
#[must_use]
pub fn assess_run<'a>(metrics: &[MetricResult<'a>]) -> RunResult<'a> {
    let counted = || metrics.iter().filter(|metric| !metric.dry_run);
    if counted().any(|metric| matches!(metric.phase, MetricPhase::Running | MetricPhase::Pending)) {
        return RunResult { phase: MetricPhase::Running, blamed: None };
    }
    let phase = counted().map(|metric| metric.phase).max().unwrap_or(MetricPhase::Successful);
    let blamed = counted().find(|metric| metric.phase == phase && phase > MetricPhase::Pending);
    RunResult { phase, blamed: blamed.map(|metric| metric.name) }
}

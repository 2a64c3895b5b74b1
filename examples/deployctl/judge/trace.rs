//! What was known after each window, to be drawn or shown.

use deploy_core::monitor::Advice;
use deploy_core::name::MetricName;
use deploy_strategies::analysis::sequential::{Sequential, SequentialError, TraceLine, Watch};
use deploy_strategies::analysis::svg::confidence_sequence;
use serde::Serialize;

use super::batches::Batches;

/// What was known after each window.
#[derive(Debug, Default)]
pub(crate) struct Traced {
    pub(crate) lines: Vec<Line>,
    /// Nothing while it is open.
    pub(crate) decided: Option<Decided>,
    /// The lines as pictures, each a whole document.
    pub(crate) pictures: Vec<String>,
}

/// What was known of one metric, or of one quantile of it: of the odds ratio of a bad event, or of being slower.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    metric: MetricName,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantile: Option<f64>,
    /// The odds ratio up to which there is no rollback.
    margin: f64,
    windows: Vec<Known>,
}

/// What was known after a window. Bounds hold at every look so far; an end is nothing where there is no bound.
#[derive(Debug, Serialize)]
struct Known {
    window: u64,
    stage: u32,
    estimate: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
}

/// The window after which it was decided, and what was advised.
#[derive(Debug, Serialize)]
pub(crate) struct Decided {
    window: u64,
    advice: Advice,
}

impl Traced {
    pub(crate) fn of(judge: &Sequential, batches: &Batches) -> Result<Self, SequentialError> {
        let trace = judge.trace(&batches.batches)?;
        let mut traced = Self::default();
        // A line without points is of a metric that is no comparison of events.
        for line in trace.lines.iter().filter(|line| !line.points.is_empty()) {
            let margin = margin(judge, line);
            traced.pictures.push(confidence_sequence(line, margin, trace.decided));
            let windows = line.points.iter().zip(batches.numbered()).map(|(point, (window, batch))| Known {
                window,
                stage: batch.key.stage,
                estimate: point.estimate,
                low: point.low,
                high: point.high,
            });
            traced.lines.push(Line {
                metric: line.metric.clone(),
                quantile: line.quantile,
                margin,
                windows: windows.collect(),
            });
        }
        traced.decided = trace.decided.and_then(|decided| {
            let (window, _) = batches.numbered().find(|(_, batch)| batch.window.to == decided.at)?;
            Some(Decided { window, advice: decided.advice })
        });
        Ok(traced)
    }
}

/// The margin of a line as an odds ratio. That of latency is one in time, and lies in what counts as slow.
fn margin(judge: &Sequential, line: &TraceLine) -> f64 {
    let mut watched = judge.metrics.iter().filter(|watched| watched.metric == line.metric);
    let errors = watched.find_map(|watched| match watched.watch {
        Watch::Errors { margin, .. } => Some(margin),
        Watch::Latency { .. } | Watch::Values { .. } => None,
    });
    errors.unwrap_or(1.0)
}

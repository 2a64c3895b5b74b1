//! The evidence look by look, for reports.

use std::time::Duration;

use deploy_core::monitor::{Advice, Batch};
use deploy_core::name::MetricName;
use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Look, Sequential, SequentialError, Series, Totals};

/// What was known after each window, all of its strata together.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// All metrics together, window by window.
    pub totals: Vec<(Timestamp, Totals)>,
    /// By metric and quantile.
    pub lines: Vec<TraceLine>,
    /// When it was decided: at the first look that advised to go back, or else at the first one of the newest stage that advised to
    /// promote. Nothing while it is open.
    pub decided: Option<Decided>,
}

/// When something was decided, and what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Decided {
    /// The end of the window after which it was.
    pub at: Timestamp,
    /// What was advised.
    pub advice: Advice,
}

/// What was known of one metric, or of one quantile of it, after each window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TraceLine {
    /// The metric.
    pub metric: MetricName,
    /// The quantile, for latencies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantile: Option<f64>,
    /// Window by window.
    pub points: Vec<TracePoint>,
}

/// What was known of an odds ratio after a window. An end is nothing where there is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TracePoint {
    /// When the window ended.
    pub at: Timestamp,
    /// The estimate.
    pub estimate: Option<f64>,
    /// The least that it may be, at every look so far.
    pub low: Option<f64>,
    /// The most that it may be, at every look so far.
    pub high: Option<f64>,
}

impl Sequential {
    /// Replays batches, the strata of a window one after the other, and keeps what was known after each window.
    ///
    /// Bounds that hold at every look hold together, so that each point has the tightest so far.
    ///
    /// # Errors
    ///
    /// [`SequentialError`] as [`Sequential::take`].
    pub fn trace(&self, batches: &[Batch]) -> Result<Trace, SequentialError> {
        let mut state = self.begin()?;
        let mut totals = Vec::with_capacity(batches.len());
        let mut lines: Vec<TraceLine> = self
            .layout()
            .into_iter()
            .map(|(watched, quantile, _)| TraceLine { metric: watched.metric.clone(), quantile, points: Vec::new() })
            .collect();
        let (mut decided, mut began): (Option<Decided>, Option<(u32, Timestamp)>) = (None, None);
        for window in batches.chunk_by(Batch::is_of_the_window_of) {
            let [batch, ..] = window else { continue };
            self.take_window(&mut state, window)?;
            let at = batch.window.to;
            let stage = state.stage;
            let since = match began {
                Some((of, since)) if of == stage => since,
                _ => batch.window.from,
            };
            began = Some((stage, since));
            let observed_for = Duration::from_millis(u64::try_from(at.0.saturating_sub(since.0)).unwrap_or(0));
            let advice = self.verdict(&state, &Look { stage, observed_for })?.advice;
            decided = match (decided, advice) {
                (Some(decided), _) if decided.advice == Advice::RollBack => Some(decided),
                (_, Advice::RollBack) => Some(Decided { at, advice }),
                (Some(decided), Advice::Promote) if decided.at >= since => Some(decided),
                (_, Advice::Promote) => Some(Decided { at, advice }),
                // What was promoted from an earlier stage decides nothing about this one.
                (before, _) => before.filter(|before| before.at >= since),
            };
            totals.push((at, self.totals(&state)?));
            for (line, series) in lines.iter_mut().zip(&state.series) {
                let Series::Events(events) = series else { continue };
                let (low, high) = events.interval(self.alpha);
                let before = line.points.last().copied();
                let tighter = |now: Option<f64>, before: Option<f64>, pick: fn(f64, f64) -> f64| match (now, before) {
                    (Some(a), Some(b)) => Some(pick(a, b)),
                    (a, b) => a.or(b),
                };
                let low = tighter(low.map(libm::exp), before.and_then(|point| point.low), f64::max);
                let high = tighter(high.map(libm::exp), before.and_then(|point| point.high), f64::min);
                line.points.push(TracePoint { at, estimate: events.odds_ratio(), low, high });
            }
        }
        Ok(Trace { totals, lines, decided })
    }
}

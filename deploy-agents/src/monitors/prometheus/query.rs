//! What is asked.

use std::time::Duration;

use super::template::Template;
use crate::monitors::Query;

/// What a metric is asked by.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PromQuery {
    /// Series as they were scraped, read sample by sample and added up here. Counts are whole and exact, where PromQL's
    /// `increase` guesses at the edges of the window; resets, births, staleness and warm-up are seen. Choose this for counts.
    Series(Query),
    /// PromQL, evaluated at the end of the window: one number. A [`Reading::Value`](deploy_core::monitor::Reading::Value).
    Instant {
        /// What to evaluate.
        expression: Template,
        /// What shows whether the answer can be used.
        guard: Guard,
    },
    /// PromQL, evaluated at each step of the window.
    Range {
        /// What to evaluate.
        expression: Template,
        /// From one evaluation to the next.
        step: Duration,
        /// What is made of the numbers.
        fold: Fold,
        /// What shows whether the answer can be used.
        guard: Guard,
    },
    /// PromQL now, divided by the median of what it was one period ago, two periods ago, and so on: 1 is as ever. What comes
    /// and goes with the hour and the weekday is no change then. A [`Reading::Value`](deploy_core::monitor::Reading::Value);
    /// nothing where fewer than half of the periods have a number, or their median is zero.
    Seasonal {
        /// What to evaluate.
        expression: Template,
        /// After how long things come again: a week, for most of what people do.
        period: Duration,
        /// How many periods to look back, at least 1.
        periods: u32,
        /// What shows whether the answer can be used.
        guard: Guard,
    },
    /// Two expressions, rounded to whole events: bad ones among all. A [`Reading::Counts`](deploy_core::monitor::Reading::Counts).
    Ratio {
        /// The bad events.
        bad: Template,
        /// All events, the bad ones among them.
        all: Template,
        /// What shows whether the answer can be used.
        guard: Guard,
    },
}

/// What is made of the numbers of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// The newest. A [`Reading::Value`](deploy_core::monitor::Reading::Value).
    Last,
    /// The mean. A [`Reading::Value`](deploy_core::monitor::Reading::Value).
    Mean,
    /// The smallest. A [`Reading::Value`](deploy_core::monitor::Reading::Value).
    Min,
    /// The largest. A [`Reading::Value`](deploy_core::monitor::Reading::Value).
    Max,
    /// How fast it grows, per second: the slope of the straight line of least squares. Of memory in use this is a leak. A
    /// [`Reading::Value`](deploy_core::monitor::Reading::Value); nothing of fewer than three numbers.
    Slope,
    /// Each of them. [`Reading::Samples`](deploy_core::monitor::Reading::Samples). Neighbours share most of their window: they
    /// are no independent events.
    Samples,
}

/// What shows whether the value of an expression can be used. PromQL's answers carry the time of the question, not of the samples: a
/// series that died minutes ago and one that is seconds old look like any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// These series, as a selector: their newest sample must not be stale, and their oldest must lie before the warm-up. Without
    /// any sample in the window they are stale too: of a dead exporter `sum(rate(errors[1m])) or vector(0)` is zero, and looks
    /// like health. Choose series that are there from the start, as `up{…}` is or a counter of all requests, not ones that only
    /// begin with their first event.
    Series(Template),
    /// The same, where there may be no such series at all, and that is no sign of anything: then the expression's own answer holds.
    /// A series that died so long ago that it is gone passes for one that never was.
    SeriesIfAny {
        /// The series, as a selector.
        selector: Template,
        /// Why they may be absent.
        reason: String,
    },
    /// Nothing, for this reason.
    Nothing {
        /// Why staleness and warm-up need not be looked at.
        reason: String,
    },
}

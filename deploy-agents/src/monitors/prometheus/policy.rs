//! What everything that is not a plain number means.

use std::num::NonZeroU32;
use std::time::Duration;

/// What the monitor makes of answers that are not plain numbers, and of no answer. There is no default: whoever writes the
/// question knows what silence means there.
///
/// Whatever ends as [`Reading::NoData`](deploy_core::monitor::Reading::NoData) or as an error is not a number: what it means for the
/// release stands in the analysis, which has no default for it either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrometheusPolicy {
    /// There is no such series: an empty answer.
    pub absent: Absent,
    /// The answer is NaN or infinite, as a ratio without events is.
    pub not_a_number: Unfit,
    /// The newest sample is too old, or a [`Guard`](super::Guard) finds none.
    pub stale: Stale,
    /// The server warns that something may be missing.
    pub partial: Partial,
    /// A counter fell.
    pub resets: Resets,
    /// A series begins inside the window, beside others that were there before.
    pub births: Births,
    /// How far back the samples must reach before there is a number: rates of less are wrong. At most the lookback of the
    /// question.
    pub warm_up: Duration,
    /// How often the server scrapes what is asked about. Growth is counted from the last sample before the window, which is
    /// looked for as far back as two of these.
    pub scraped_every: Duration,
    /// How long samples take to arrive: the window ends so long ago.
    pub settle: Duration,
    /// The server is slow, or dead.
    pub server: Server,
}

/// What an empty answer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absent {
    /// Nothing was measured.
    NoData,
    /// The question is wrong: the series must be there.
    Error,
    /// Zero, for this reason: services that only begin to expose a series with its first event.
    Zero {
        /// Why silence is zero here.
        reason: String,
    },
}

/// What an answer is that is there, and cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// Nothing was measured.
    NoData,
    /// The question cannot be answered.
    Error,
}

/// From when on a sample is too old, and what that means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale {
    /// Samples older than this at the end of the window are too old. Shorter than the server's own `--query.lookback-delta`, or
    /// else instant queries never show it.
    pub after: Duration,
    /// What the answer is then.
    pub then: Unfit,
}

/// What an answer with warnings is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Partial {
    /// The question cannot be answered.
    Error,
    /// Nothing was measured.
    NoData,
    /// As good as any, for this reason.
    Accept {
        /// Why the part that came is enough.
        reason: String,
    },
}

/// What a counter is that fell. Only for series that this monitor reads sample by sample; PromQL's own functions take every fall
/// for a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resets {
    /// It was reset, and grew from zero since.
    FromZero,
    /// Nothing was measured in this window.
    NoData,
    /// The series is no counter.
    Error,
}

/// What a counter is that begins inside the window. Only for series that this monitor reads sample by sample; PromQL's own functions
/// begin at the first sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Births {
    /// It began at zero: the first errors count. Wrong for targets that the server lost for longer than two scrapes.
    FromZero,
    /// It began at its first sample, as PromQL has it: what was counted before that is lost.
    FromFirstSample,
}

/// How long a server is waited for, and how often it is asked. Past that the answer is an error, never a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server {
    /// How long one answer may take. The server is told so, and gives up by then too.
    pub within: Duration,
    /// How often a question without an answer is asked, the first time included.
    pub attempts: NonZeroU32,
    /// How long between two of them; longer where the server asks for it by `Retry-After`, up to `within`. A server that asks for
    /// more than that is not asked again.
    pub apart: Duration,
    /// The largest answer, in bytes.
    pub most: usize,
}

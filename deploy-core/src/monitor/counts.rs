//! Events, and the bad ones among them.

use serde::{Deserialize, Serialize};

/// How many events there were, and how many of them were bad. Never more bad ones than events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "RawCounts")]
pub struct Counts {
    events: u64,
    bad: u64,
}

#[derive(Deserialize)]
struct RawCounts {
    events: u64,
    bad: u64,
}

/// More bad events than events: whoever counted mixed two windows or two series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{bad} bad events among {events}: the two were not counted over the same events")]
pub struct CountsError {
    events: u64,
    bad: u64,
}

impl Counts {
    /// Takes `events` of which `bad` were bad.
    ///
    /// # Errors
    ///
    /// [`CountsError`] if there are more bad events than events.
    pub fn new(events: u64, bad: u64) -> Result<Self, CountsError> {
        if bad > events { Err(CountsError { events, bad }) } else { Ok(Self { events, bad }) }
    }

    /// All events, good and bad.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The bad ones.
    #[must_use]
    pub fn bad(&self) -> u64 {
        self.bad
    }

    /// The share of bad ones, 0 to 1; nothing if there were no events.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "counts of events stay far below 2^53")]
        (self.events > 0).then(|| self.bad as f64 / self.events as f64)
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { events: self.events.saturating_add(other.events), bad: self.bad.saturating_add(other.bad) }
    }
}

impl TryFrom<RawCounts> for Counts {
    type Error = CountsError;
    fn try_from(raw: RawCounts) -> Result<Self, CountsError> {
        Self::new(raw.events, raw.bad)
    }
}

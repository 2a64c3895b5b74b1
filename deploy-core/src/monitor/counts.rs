//! Events, and the bad ones among them.

use serde::{Deserialize, Serialize};

/// How many events there were, and how many of them were bad. Never more bad ones than events, and never more than [`Counts::MOST`].
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

/// Numbers that nobody can have counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CountsError {
    /// More bad events than events: whoever counted mixed two windows or two series.
    #[error("{bad} bad events among {events}: the two were not counted over the same events")]
    MoreBad {
        /// All events.
        events: u64,
        /// The bad ones.
        bad: u64,
    },
    /// More events than [`Counts::MOST`]: look for a counter that wrapped around.
    #[error("{0} events, where at most {most} are counted: look for a counter that wrapped around", most = Counts::MOST)]
    TooMany(u64),
}

impl Counts {
    /// As many events are counted, 2⁴⁸: a million a second for nine years. Every number up to it is exact in floating point, with room for
    /// sums.
    pub const MOST: u64 = 1 << 48;

    /// Takes `events` of which `bad` were bad.
    ///
    /// # Errors
    ///
    /// [`CountsError`] if there are more bad events than events, or too many to be counted.
    pub fn new(events: u64, bad: u64) -> Result<Self, CountsError> {
        if bad > events {
            Err(CountsError::MoreBad { events, bad })
        } else if events > Self::MOST {
            Err(CountsError::TooMany(events))
        } else {
            Ok(Self { events, bad })
        }
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
        #[expect(clippy::cast_precision_loss, reason = "counts of events stay below 2^53")]
        (self.events > 0).then(|| self.bad as f64 / self.events as f64)
    }

    /// Both together; no more than [`Counts::MOST`] of each.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let sum = |a: u64, b: u64| a.saturating_add(b).min(Self::MOST);
        Self { events: sum(self.events, other.events), bad: sum(self.bad, other.bad) }
    }
}

impl TryFrom<RawCounts> for Counts {
    type Error = CountsError;
    fn try_from(raw: RawCounts) -> Result<Self, CountsError> {
        Self::new(raw.events, raw.bad)
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, CountsError};

    #[test]
    fn nobody_counts_more_bad_ones_than_all_or_more_than_can_be_counted() {
        let most = Counts::MOST;
        assert_eq!(Counts::new(5, 6), Err(CountsError::MoreBad { events: 5, bad: 6 }));
        assert_eq!(Counts::new(most + 1, 0), Err(CountsError::TooMany(most + 1)));
        assert!(serde_json::from_str::<Counts>("{\"events\":18446744073709551615,\"bad\":1}").is_err());
        let full = Counts::new(most, most).expect("as many are counted");
        let sum = full.plus(full);
        assert_eq!((sum.events(), sum.bad()), (most, most), "and a sum of them is read back");
        assert_eq!(serde_json::from_str::<Counts>(&serde_json::to_string(&sum).expect("written")).expect("read"), sum);
    }
}

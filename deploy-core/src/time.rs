//! Two clocks, kept apart: wall time for windows and expiries, run time for soaks, deadlines and back-off.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, UTC. Shown to people; never compared across hosts to decide anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => write!(f, "{instant:.3}"),
            Err(_) => write!(f, "{} ms since 1970", self.0),
        }
    }
}

impl Timestamp {
    /// Parses RFC 3339, for example `2026-11-22T08:00:00Z`.
    ///
    /// # Errors
    ///
    /// The parser's own words on what it could not read.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        let instant: jiff::Timestamp =
            text.parse().map_err(|e: jiff::Error| TimestampError { text: text.to_owned(), reason: e.to_string() })?;
        Ok(Self(instant.as_millisecond()))
    }

    /// The time that lies `span` later.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span).cast_signed()))
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// A text that is not a timestamp. Write RFC 3339, with the zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an RFC 3339 time: {reason}")]
pub struct TimestampError {
    text: String,
    reason: String,
}

/// Milliseconds since the run began: monotonic, and carried over a stop by the journal's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunTime(pub u64);

impl RunTime {
    /// The instant at which the run began.
    pub const START: Self = Self(0);

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for RunTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", Spell(Duration::from_millis(self.0)))
    }
}

impl Add<Duration> for RunTime {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }
}

impl Sub<Duration> for RunTime {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }
}

/// Whole milliseconds of a duration, rounded up, so that nothing comes before its time.
#[must_use]
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// Both clocks at one instant, as whoever observed it read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Now {
    /// Wall time: for windows, expiries and people.
    pub wall: Timestamp,
    /// Run time: for soaks, deadlines and back-off.
    pub run: RunTime,
}

/// A duration as people write it: `250ms`, `12s`, `3m 5s`, `2h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spell(pub Duration);

impl fmt::Display for Spell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = millis(self.0);
        if total < 1_000 {
            return write!(f, "{total}ms");
        }
        let (days, rest) = (total / 86_400_000, total % 86_400_000);
        let (hours, rest) = (rest / 3_600_000, rest % 3_600_000);
        let (minutes, rest) = (rest / 60_000, rest % 60_000);
        let (seconds, thousandths) = (rest / 1_000, rest % 1_000);
        let mut gap = "";
        for (amount, unit) in [(days, "d"), (hours, "h"), (minutes, "m")] {
            if amount > 0 {
                write!(f, "{gap}{amount}{unit}")?;
                gap = " ";
            }
        }
        match (seconds, thousandths) {
            (0, 0) => Ok(()),
            (_, 0) => write!(f, "{gap}{seconds}s"),
            _ => write!(f, "{gap}{seconds}.{}s", thousandths / 100),
        }
    }
}

/// Reads the two clocks of this machine. The engine holds one; tests hand it another.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Wall time.
    fn wall(&self) -> Timestamp;
    /// Time that never steps back, from an arbitrary start.
    fn monotonic(&self) -> Duration;
}

/// The clocks of the operating system.
#[derive(Debug, Clone)]
pub struct SystemClock {
    origin: std::time::Instant,
}

impl SystemClock {
    /// Starts the monotonic clock at zero.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's monotonic clock")]
    pub fn new() -> Self {
        Self { origin: std::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's wall clock")]
    fn wall(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// Durations as whole milliseconds, for `#[serde(with = "deploy_core::time::duration_ms")]`.
pub mod duration_ms {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes whole milliseconds.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(super::millis(*span))
    }

    /// Reads whole milliseconds.
    ///
    /// # Errors
    ///
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

/// Optional durations as whole milliseconds or `null`.
pub mod option_duration_ms {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Writes whole milliseconds or `null`.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(span: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        span.map(super::millis).serialize(serializer)
    }

    /// Reads whole milliseconds or `null`.
    ///
    /// # Errors
    ///
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{RunTime, Spell, Timestamp, millis};

    #[test]
    fn durations_are_spelled_as_people_write_them() {
        let spelled = |ms| Spell(Duration::from_millis(ms)).to_string();
        assert_eq!(spelled(250), "250ms");
        assert_eq!(spelled(12_000), "12s");
        assert_eq!(spelled(185_000), "3m 5s");
        assert_eq!(spelled(1_500), "1.5s");
        assert_eq!(spelled(90_000_000), "1d 1h");
    }

    #[test]
    fn nothing_comes_before_its_time() {
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(RunTime(5) + Duration::from_micros(1), RunTime(6));
        assert_eq!(RunTime(5).since(RunTime(9)), Duration::ZERO);
    }

    #[test]
    fn timestamps_read_and_show_rfc_3339() {
        let t = Timestamp::parse("2026-11-22T08:00:00Z").expect("a valid time");
        assert_eq!(t.to_string(), "2026-11-22T08:00:00.000Z");
        assert!(Timestamp::parse("yesterday").is_err());
    }
}

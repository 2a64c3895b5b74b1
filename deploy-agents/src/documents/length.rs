//! Lengths of time as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use deploy_core::time::millis;
use serde::{Deserialize, Serialize};

/// A length of time as documents write it: `90s`, `1h 30m`, `250ms`. Whole milliseconds.
///
/// ```
/// use deploy_agents::documents::Length;
/// use std::time::Duration;
///
/// let length: Length = "1h 30m".parse()?;
/// assert_eq!(length.span(), Duration::from_secs(5_400));
/// assert_eq!(Length::from(Duration::from_millis(61_250)).to_string(), "1m 1s 250ms");
/// assert!("90".parse::<Length>().is_err(), "of what?");
/// # Ok::<(), deploy_agents::documents::LengthError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Length(Duration);

/// A text that is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a length of time; write for example 90s, 1h 30m or 250ms, the largest unit first (d, h, m, s, ms)"
)]
pub struct LengthError(String);

/// The units, largest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Length {
    /// As a duration.
    #[must_use]
    pub fn span(self) -> Duration {
        self.0
    }

    /// This length, where it is not the usual one.
    pub(super) fn unless(span: Duration, usual: Duration) -> Option<Self> {
        (span != usual).then(|| Self::from(span))
    }
}

/// Rounds up to whole milliseconds, as records do.
impl From<Duration> for Length {
    fn from(span: Duration) -> Self {
        Self(Duration::from_millis(millis(span)))
    }
}

impl From<Length> for String {
    fn from(length: Length) -> Self {
        length.to_string()
    }
}

impl TryFrom<String> for Length {
    type Error = LengthError;
    fn try_from(text: String) -> Result<Self, LengthError> {
        text.parse()
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = millis(self.0);
        if left == 0 {
            return f.write_str("0s");
        }
        let mut gap = "";
        for (unit, size) in UNITS {
            let amount = left / size;
            left %= size;
            if amount > 0 {
                write!(f, "{gap}{amount}{unit}")?;
                gap = " ";
            }
        }
        Ok(())
    }
}

impl FromStr for Length {
    type Err = LengthError;
    fn from_str(text: &str) -> Result<Self, LengthError> {
        let parsed = || {
            let mut rest = text.trim();
            let (mut total, mut largest) = (0_u64, 0);
            if rest.is_empty() {
                return None;
            }
            while !rest.is_empty() {
                let digits = rest.find(|c: char| !c.is_ascii_digit())?;
                let amount: u64 = rest[..digits].parse().ok()?;
                rest = &rest[digits..];
                let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
                let place = UNITS.iter().position(|(unit, _)| *unit == &rest[..letters])?;
                // Each unit once, and the larger before the smaller: `5m 1h` is more likely a slip than a length.
                if place < largest {
                    return None;
                }
                largest = place + 1;
                total = total.checked_add(amount.checked_mul(UNITS[place].1)?)?;
                rest = rest[letters..].trim_start();
            }
            Some(Self(Duration::from_millis(total)))
        };
        parsed().ok_or_else(|| LengthError(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::Length;
    use std::time::Duration;

    proptest::proptest! {
        #[test]
        fn a_length_is_the_same_after_it_was_written_and_read(ms in proptest::prelude::any::<u64>()) {
            let length = Length::from(Duration::from_millis(ms));
            proptest::prop_assert_eq!(length.to_string().parse(), Ok(length));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = text.parse::<Length>();
        }
    }

    #[test]
    fn a_slip_is_no_length() {
        for text in ["", " ", "5", "m", "5x", "-5s", "5m 1h", "1s 1s", "1.5s", "99999999999999999999d", "5 m"] {
            assert!(text.parse::<Length>().is_err(), "{text:?}");
        }
        assert_eq!("2h30m".parse::<Length>(), "2h 30m".parse());
    }
}

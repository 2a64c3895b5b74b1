//! Durations as people write them in a file: `5m`, `1h 30m`, `250ms`. For `#[serde(with = "…")]`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

/// Units from long to short, with their length in milliseconds. `ms` stands before `m` and `s` when a text is read.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A text that is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration; write whole numbers with units, for example 90s, 5m, 1h 30m or 250ms")]
pub(crate) struct SpanError(String);

pub(crate) fn write(span: Duration) -> String {
    let mut rest = deploy_core::time::millis(span);
    let mut parts = Vec::new();
    for (unit, length) in UNITS {
        if rest >= length {
            parts.push(format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

pub(crate) fn read(text: &str) -> Result<Duration, SpanError> {
    let refused = || SpanError(text.chars().take(40).collect());
    let mut total: u64 = 0;
    for part in text.split_whitespace() {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = part.split_at(digits);
        let number: u64 = number.parse().map_err(|_| refused())?;
        let (_, length) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refused)?;
        total = number.checked_mul(*length).and_then(|ms| total.checked_add(ms)).ok_or_else(refused)?;
    }
    if text.trim().is_empty() { Err(refused()) } else { Ok(Duration::from_millis(total)) }
}

pub(crate) fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&write(*span))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    read(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// The same for a duration that may be absent.
pub(crate) mod optional {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(span: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        span.map(super::write).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let text: Option<String> = Deserialize::deserialize(deserializer)?;
        text.map(|text| super::read(&text).map_err(serde::de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{read, write};

    #[test]
    fn durations_read_as_people_write_them_and_say_what_is_wrong() {
        assert_eq!(read("1h 30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(read("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(read("0s"), Ok(Duration::ZERO));
        for bad in ["", "5", "m", "5 m", "1.5h", "-1s", "5min", "99999999999999999999s", "999999999999999999d"] {
            assert!(read(bad).is_err(), "{bad:?} was taken");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_back(ms in 0..10_000_000_000_u64) {
            let span = Duration::from_millis(ms);
            proptest::prop_assert_eq!(read(&write(span)), Ok(span));
        }
    }
}

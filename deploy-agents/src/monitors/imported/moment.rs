//! The times of a range: `now()`, with durations added and taken away.

use deploy_core::time::Timestamp;

/// A time before or after the time of the question, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(i64);

impl Moment {
    /// Reads `now()`, `now() - duration("1h")`, `now() + duration('5m') - duration("1s")`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim().strip_prefix("now()")?.trim_start();
        let mut shift = 0_i64;
        while !rest.is_empty() {
            let (sign, after) = match rest.as_bytes()[0] {
                b'-' => (-1, &rest[1..]),
                b'+' => (1, &rest[1..]),
                _ => return None,
            };
            let inside = after.trim_start().strip_prefix("duration")?.trim_start().strip_prefix('(')?;
            let (quoted, behind) = inside.split_once(')')?;
            let quoted = quoted.trim();
            let unquoted = ['"', '\'']
                .iter()
                .find_map(|quote| quoted.strip_prefix(*quote).and_then(|text| text.strip_suffix(*quote)))?;
            shift = shift.checked_add(sign * milliseconds(unquoted)?)?;
            rest = behind.trim_start();
        }
        Some(Self(shift))
    }

    /// When that is.
    pub(super) fn at(self, now: Timestamp) -> Timestamp {
        Timestamp(now.0.saturating_add(self.0))
    }
}

/// A duration as Go writes it, `1h30m`: hours, minutes, seconds and milliseconds.
pub(super) fn milliseconds(text: &str) -> Option<i64> {
    let mut rest = text.trim();
    let mut sum = 0_i64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = rest.split_at(digits);
        let end = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        let (unit, behind) = unit.split_at(end);
        let each = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        sum = sum.checked_add(number.parse::<i64>().ok()?.checked_mul(each)?)?;
        rest = behind;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use deploy_core::time::Timestamp;

    use super::{Moment, milliseconds};

    #[test]
    fn times_are_now_and_spans() {
        let at = |text: &str| Moment::parse(text).map(|moment| moment.at(Timestamp(10_000_000)).0);
        assert_eq!(at("now()"), Some(10_000_000));
        assert_eq!(at(" now() - duration(\"1h\") "), Some(6_400_000));
        assert_eq!(at("now()+duration('1m30s')-duration( \"500ms\" )"), Some(10_089_500));
        for wrong in
            ["", "now", "now() - 1h", "now() - duration(1h)", "now() * duration(\"1h\")", "now() - duration(\"1h\""]
        {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn spans_are_those_of_go() {
        assert_eq!(milliseconds("1h30m"), Some(5_400_000));
        for wrong in ["", "5", "m", "1d", "1.5h", "-1h", "99999999999999999h", "9223372036854775807s"] {
            assert_eq!(milliseconds(wrong), None, "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "now\\(\\)[ +\\-a-z0-9()\"']{0,40}") {
            let _ = Moment::parse(&text);
        }
    }
}

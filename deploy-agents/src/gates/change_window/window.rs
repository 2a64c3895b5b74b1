//! One recurring span of time in a named zone.

use std::fmt;

use deploy_core::time::Timestamp;
use jiff::civil::{DateTime, Time, Weekday};
use jiff::tz::Offset;
use jiff::{SignedDuration, ToSpan as _};
use rrule::{Frequency, RRule, RRuleSet, Tz};
use serde::{Deserialize, Serialize};

use super::zone::{Edge, Zone};

/// The longest window. A year and a day: a freeze may last a year.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 367);
/// The longest rule, in bytes: enough for hundreds of excepted dates.
const LONGEST_RULE: usize = 16 * 1024;
/// How many coming openings are looked at before a rule counts as having none: one for each day of a year.
const LOOKED_AT: u16 = 370;
/// How far wall time and UTC can lie apart, with a margin: a zone is at most 14 hours off, and one skipped a day.
const SLACK_DAYS: i64 = 3;

/// A span of time that recurs by RFC 5545 in a named zone, from an opening up to and without its closing.
///
/// Openings and closings are wall times. Where the clocks go forward and a wall time does not exist, the first instant
/// after the gap counts; where they go back and it exists twice, an opening is the first and a closing the last. A window
/// that lies wholly in a gap does not open on that day.
///
/// ```
/// use deploy_agents::gates::ChangeWindow;
/// use deploy_core::time::Timestamp;
///
/// let office = ChangeWindow::new("office", "Europe/Berlin", "2026-01-05T09:00:00", "8h")?
///     .rule("RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH")?;
/// let at = |text| Timestamp::parse(text).expect("a time");
/// // A Monday in winter, and the same wall time in summer.
/// assert!(office.is_open(at("2026-11-23T08:00:00Z")) && !office.is_open(at("2026-11-23T07:59:59Z")));
/// assert!(office.is_open(at("2026-07-06T07:00:00Z")) && !office.is_open(at("2026-07-06T15:00:00Z")));
/// assert_eq!(office.next_opening(at("2026-11-26T16:00:00Z")), Some(at("2026-11-30T08:00:00Z")));
/// # Ok::<(), deploy_agents::gates::WindowError>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct ChangeWindow {
    written: Written,
    zone: Zone,
    opens: DateTime,
    length: SignedDuration,
    rule: Option<RRuleSet>,
}

/// A window as files write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    zone: String,
    opens: String,
    length: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    end_minute_inside: bool,
}

/// A window that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WindowError {
    /// There is no such zone: write a name of the IANA database, such as `Europe/Berlin`.
    #[error("{name:?} is no time zone: {reason}")]
    Zone {
        /// What was written.
        name: String,
        /// The database's words.
        reason: String,
    },
    /// It is not a wall time: write `2026-11-23T09:00:00`, without a zone.
    #[error("{text:?} is no wall time: {reason}")]
    Opening {
        /// What was written.
        text: String,
        /// The parser's words.
        reason: String,
    },
    /// It is not a length: write `8h` or `PT8H`, more than nothing and at most 367 days.
    #[error("{text:?} is no length of a window: {reason}")]
    Length {
        /// What was written.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It is not a rule of RFC 5545, or one that recurs more often than hourly.
    #[error("{text:?} is no recurrence rule: {reason}")]
    Rule {
        /// What was written.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// One opening of a window: from `opens` up to and without `closes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Opening {
    /// When it opens.
    pub opens: Timestamp,
    /// When it is shut again.
    pub closes: Timestamp,
}

impl ChangeWindow {
    /// A window that opens once, at this wall time of the zone, for this length by the clock on the wall (`8h`, `PT90M`).
    ///
    /// # Errors
    ///
    /// [`WindowError`] says what could not be read.
    pub fn new(name: &str, zone: &str, opens: &str, length: &str) -> Result<Self, WindowError> {
        Self::try_from(Written {
            name: name.to_owned(),
            zone: zone.to_owned(),
            opens: opens.to_owned(),
            length: length.to_owned(),
            rule: None,
            end_minute_inside: false,
        })
    }

    /// A window on these days of each week, from one wall time until another; `24:00` is the end of the day. Where `until`
    /// is not after `from` it goes over midnight and belongs to the day on which it opened. No days means every day.
    ///
    /// # Errors
    ///
    /// [`WindowError`] says what could not be read.
    pub fn weekly(name: &str, zone: &str, days: &[Weekday], from: &str, until: &str) -> Result<Self, WindowError> {
        let bad = |reason: String| WindowError::Length { text: format!("{from} to {until}"), reason };
        let minutes = |text: &str| -> Result<i64, WindowError> {
            if text == "24:00" {
                return Ok(24 * 60);
            }
            let time: Time = text.parse().map_err(|e: jiff::Error| bad(e.to_string()))?;
            Ok(i64::from(time.hour()) * 60 + i64::from(time.minute()))
        };
        let (opens, shuts) = (minutes(from)?, minutes(until)?);
        let length = if shuts > opens { shuts - opens } else { shuts - opens + 24 * 60 };
        let by_day: Vec<&str> = days.iter().map(|day| two_letters(*day)).collect();
        let rule = match by_day.is_empty() {
            true => "RRULE:FREQ=DAILY".to_owned(),
            false => format!("RRULE:FREQ=WEEKLY;BYDAY={}", by_day.join(",")),
        };
        // A Monday before anything that is asked about. An opening at 24:00 is one at the midnight that follows.
        let (hour, minute) = (opens % (24 * 60) / 60, opens % 60);
        Self::new(name, zone, &format!("2001-01-01T{hour:02}:{minute:02}:00"), &format!("{length}m"))?.rule(&rule)
    }

    /// The same window, recurring: lines of `RRULE`, `RDATE` and `EXDATE` as RFC 5545 writes them, in wall time of the zone.
    /// An `UNTIL` in UTC means that instant. The first opening counts only where the rule names it.
    ///
    /// # Errors
    ///
    /// [`WindowError::Rule`] says what is wrong with it.
    pub fn rule(self, rule: &str) -> Result<Self, WindowError> {
        Self::try_from(Written { rule: Some(rule.to_owned()), ..self.written })
    }

    /// The same window, in which the whole minute of its closing is still inside, as some other tools mean it. For rules
    /// that come from them; ours shut at the minute itself.
    #[must_use]
    pub fn end_minute_inside(mut self) -> Self {
        self.written.end_minute_inside = true;
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.written.name
    }

    /// The name of its zone.
    #[must_use]
    pub fn zone(&self) -> &str {
        self.zone.name()
    }

    /// Whether it is open at an instant.
    #[must_use]
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.opening_at(at).is_some()
    }

    /// The opening that an instant lies in; of several the one that shuts last.
    #[must_use]
    pub fn opening_at(&self, at: Timestamp) -> Option<Opening> {
        let wall = self.zone.wall(at)?;
        let from = wall.checked_sub(self.length).ok()?.checked_sub(SLACK_DAYS.days()).ok()?;
        let to = wall.checked_add(SLACK_DAYS.days()).ok()?;
        let there = self.walls(from, Some(to), u16::MAX).into_iter().filter_map(|wall| self.opening(wall));
        there.filter(|o| o.opens <= at && at < o.closes).max_by_key(|o| o.closes)
    }

    /// When it opens next, strictly after an instant. Nothing if it never does again.
    #[must_use]
    pub fn next_opening(&self, after: Timestamp) -> Option<Timestamp> {
        let from = self.zone.wall(after)?.checked_sub(SLACK_DAYS.days()).ok()?;
        let coming = self.walls(from, None, LOOKED_AT).into_iter().filter_map(|wall| self.opening(wall));
        coming.map(|o| o.opens).filter(|opens| *opens > after).min()
    }

    /// An instant as people of its zone read it, with the time in UTC.
    #[must_use]
    pub fn spell(&self, at: Timestamp) -> String {
        self.zone.spell(at)
    }

    /// The opening at a wall time; nothing where the clocks leave nothing of it.
    fn opening(&self, wall: DateTime) -> Option<Opening> {
        let opens = self.zone.instant(wall, Edge::Opening)?;
        let mut closes = self.zone.instant(wall.checked_add(self.length).ok()?, Edge::Closing)?;
        if self.written.end_minute_inside {
            closes = Timestamp(closes.0.saturating_add(60_000));
        }
        (opens < closes).then_some(Opening { opens, closes })
    }

    /// The wall times of openings from `from` on, up to `to`.
    fn walls(&self, from: DateTime, to: Option<DateTime>, at_most: u16) -> Vec<DateTime> {
        let inside = |wall: &DateTime| *wall >= from && to.is_none_or(|to| *wall <= to);
        let Some(rule) = &self.rule else {
            return Some(self.opens).filter(inside).into_iter().collect();
        };
        let (Some(after), before) = (floating(from), to.and_then(floating)) else { return Vec::new() };
        let rule = self.nearer(rule, from).after(after);
        let rule = match before {
            Some(before) => rule.before(before),
            None => rule,
        };
        rule.all(at_most).dates.iter().filter_map(wall_of).filter(inside).collect()
    }

    /// The same rule with a start not long before `from`, where that changes nothing: a rule is expanded from its start, and
    /// a daily one of twenty years ago has seven thousand openings before the first that anybody asks about.
    fn nearer(&self, rule: &RRuleSet, from: DateTime) -> RRuleSet {
        let regular = |r: &RRule| {
            r.get_count().is_none() && matches!(r.get_freq(), Frequency::Weekly | Frequency::Daily | Frequency::Hourly)
        };
        if !rule.get_rrule().iter().all(regular) {
            return rule.clone();
        }
        // Whole weeks, as many as every interval divides, keep weekdays, hours and each interval's beat.
        let beat = rule.get_rrule().iter().map(|r| i64::from(r.get_interval())).fold(7_i64, i64::saturating_mul);
        let days = from.date().since(self.opens.date()).map_or(0, |span| i64::from(span.get_days()));
        let beats = (days - beat) / beat;
        let moved = (beats > 0 && beat < 3_660)
            .then(|| self.opens.checked_add((beats * beat).days()).ok().and_then(floating))
            .flatten();
        match moved {
            None => rule.clone(),
            Some(start) => RRuleSet::new(start)
                .set_rrules(rule.get_rrule().clone())
                .set_rdates(rule.get_rdate().clone())
                .set_exdates(rule.get_exdate().clone()),
        }
    }
}

/// A wall time as the rule is asked for it: as though the zone were UTC, in which no clock ever changes.
fn floating(wall: DateTime) -> Option<chrono::DateTime<Tz>> {
    let seconds = Offset::UTC.to_timestamp(wall).ok()?.as_second();
    Some(chrono::DateTime::from_timestamp(seconds, 0)?.with_timezone(&Tz::UTC))
}

fn wall_of(floating: &chrono::DateTime<Tz>) -> Option<DateTime> {
    let instant = jiff::Timestamp::from_second(floating.timestamp()).ok()?;
    Some(Offset::UTC.to_datetime(instant))
}

fn basic(wall: DateTime) -> String {
    format!("{}Z", wall.strftime("%Y%m%dT%H%M%S"))
}

fn two_letters(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "MO",
        Weekday::Tuesday => "TU",
        Weekday::Wednesday => "WE",
        Weekday::Thursday => "TH",
        Weekday::Friday => "FR",
        Weekday::Saturday => "SA",
        Weekday::Sunday => "SU",
    }
}

/// Reads a rule whose times are wall times of `zone`, and turns all of them into wall times without a zone.
fn parse_rule(text: &str, opens: DateTime, zone: &Zone) -> Result<RRuleSet, WindowError> {
    let bad = |reason: String| WindowError::Rule { text: text.chars().take(200).collect(), reason };
    if text.len() > LONGEST_RULE {
        return Err(bad(format!("it has {} bytes; at most {LONGEST_RULE} are read", text.len())));
    }
    let mut lines = vec![format!("DTSTART:{}", basic(opens))];
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (property, value) =
            line.split_once(':').ok_or_else(|| bad(format!("{line:?} has no colon; write RRULE:FREQ=…")))?;
        let name = property.split(';').next().unwrap_or_default().to_ascii_uppercase();
        match name.as_str() {
            "RRULE" => {
                let parts = value.split(';').map(|part| match part.split_once('=') {
                    Some((key, until)) if key.eq_ignore_ascii_case("UNTIL") => {
                        Ok(format!("UNTIL={}", wall_text(until, zone).map_err(&bad)?))
                    }
                    Some((key, often)) if key.eq_ignore_ascii_case("FREQ") => match often.to_ascii_uppercase().as_str()
                    {
                        "SECONDLY" | "MINUTELY" => Err(bad(format!("{often} is more often than hourly"))),
                        _ => Ok(part.to_owned()),
                    },
                    _ => Ok(part.to_owned()),
                });
                lines.push(format!("RRULE:{}", parts.collect::<Result<Vec<_>, _>>()?.join(";")));
            }
            "RDATE" | "EXDATE" => {
                let mut parameters = property.split(';').skip(1);
                if let Some(other) =
                    parameters.find(|p| *p != format!("TZID={}", zone.name()) && *p != "VALUE=DATE-TIME")
                {
                    return Err(bad(format!(
                        "{other:?} does not belong here: times are wall times of {}",
                        zone.name()
                    )));
                }
                let dates = value.split(',').map(|date| wall_text(date, zone).map_err(&bad));
                lines.push(format!("{name}:{}", dates.collect::<Result<Vec<_>, _>>()?.join(",")));
            }
            _ => return Err(bad(format!("{name:?} is not RRULE, RDATE or EXDATE"))),
        }
    }
    lines.join("\n").parse().map_err(|e: rrule::RRuleError| bad(e.to_string()))
}

/// A date and time of RFC 5545 as the wall time that it means: with a `Z` it is an instant, without one a wall time already.
fn wall_text(text: &str, zone: &Zone) -> Result<String, String> {
    let (digits, utc) = match text.strip_suffix(['Z', 'z']) {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    let wall = DateTime::strptime("%Y%m%dT%H%M%S", digits)
        .map_err(|e| format!("{text:?} is not a date and time such as 20261224T180000: {e}"))?;
    if !utc {
        return Ok(basic(wall));
    }
    let instant = Offset::UTC.to_timestamp(wall).map_err(|e| e.to_string())?;
    let wall = zone.wall(Timestamp(instant.as_millisecond())).ok_or_else(|| format!("{text:?} is out of range"))?;
    Ok(basic(wall))
}

impl TryFrom<Written> for ChangeWindow {
    type Error = WindowError;

    fn try_from(written: Written) -> Result<Self, WindowError> {
        let zone = Zone::named(&written.zone)?;
        let opens: DateTime = written
            .opens
            .parse()
            .map_err(|e: jiff::Error| WindowError::Opening { text: written.opens.clone(), reason: e.to_string() })?;
        let bad = |reason: String| WindowError::Length { text: written.length.clone(), reason };
        let length: SignedDuration = written.length.parse().map_err(|e: jiff::Error| bad(e.to_string()))?;
        if length <= SignedDuration::ZERO || length > LONGEST {
            return Err(bad("it must be more than nothing and at most 367 days".to_owned()));
        }
        let rule = written.rule.as_deref().map(|rule| parse_rule(rule, opens, &zone)).transpose()?;
        Ok(Self { written, zone, opens, length, rule })
    }
}

impl From<ChangeWindow> for Written {
    fn from(window: ChangeWindow) -> Self {
        window.written
    }
}

impl PartialEq for ChangeWindow {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for ChangeWindow {}

impl fmt::Debug for ChangeWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.written, f)
    }
}

#[cfg(test)]
mod tests {
    use deploy_core::time::Timestamp;

    use super::{ChangeWindow, RRuleSet, floating, wall_of};

    /// A start moved nearer gives what the whole rule gives.
    #[test]
    fn a_rule_is_expanded_from_near_without_a_difference() {
        for rule in [
            "RRULE:FREQ=DAILY;INTERVAL=3",
            "RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR;WKST=SU",
            "RRULE:FREQ=WEEKLY;BYDAY=TU,TH;BYSETPOS=-1",
            "RRULE:FREQ=HOURLY;INTERVAL=5",
            "RRULE:FREQ=DAILY;BYMONTH=3,11;BYHOUR=4,22",
            "RRULE:FREQ=DAILY;COUNT=2000",
            "RRULE:FREQ=DAILY;UNTIL=20260310T000000\nRDATE:20260401T120000\nEXDATE:20260305T090000",
        ] {
            let window = ChangeWindow::new("w", "UTC", "2021-02-03T09:00:00", "1h").and_then(|w| w.rule(rule));
            let window = window.expect("a rule");
            let from: jiff::civil::DateTime = "2026-03-01T00:00:00".parse().expect("a time");
            let near = window.walls(from, None, 40);
            let whole: RRuleSet = window.rule.clone().expect("a rule");
            let far = whole.after(floating(from).expect("in range")).all(40);
            assert_eq!(near, far.dates.iter().filter_map(wall_of).collect::<Vec<_>>(), "{rule}");
            assert!(!near.is_empty() || rule.contains("COUNT"), "{rule}");
        }
        let over = ChangeWindow::weekly("w", "UTC", &[], "09:00", "10:00").expect("a window");
        assert!(over.next_opening(Timestamp(4_000_000_000_000)).is_some());
    }
}

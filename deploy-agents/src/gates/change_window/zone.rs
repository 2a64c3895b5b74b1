//! A named time zone, and what a wall time means in it.

use std::fmt;

use deploy_core::time::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::WindowError;

/// A zone of the IANA database, by name. An offset alone is no zone: it would not know when the clocks change.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Zone {
    name: String,
    zone: TimeZone,
}

/// Which edge of a window a wall time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edge {
    Opening,
    Closing,
}

impl Zone {
    /// Finds a zone in the system's database, or in the crate's where the system has none.
    pub(crate) fn named(name: &str) -> Result<Self, WindowError> {
        let zone =
            TimeZone::get(name).map_err(|e| WindowError::Zone { name: name.to_owned(), reason: e.to_string() })?;
        Ok(Self { name: name.to_owned(), zone })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The wall time at an instant; nothing outside the years that calendars know.
    pub(crate) fn wall(&self, at: Timestamp) -> Option<DateTime> {
        Some(self.zone.to_datetime(jiff::Timestamp::from_millisecond(at.0).ok()?))
    }

    /// The instant that a wall time means. In a gap it is the first instant after the gap; in an overlap an opening is the
    /// first of the two and a closing the last.
    pub(crate) fn instant(&self, wall: DateTime, edge: Edge) -> Option<Timestamp> {
        let instant = match (self.zone.to_ambiguous_timestamp(wall).offset(), edge) {
            (AmbiguousOffset::Unambiguous { offset }, _)
            | (AmbiguousOffset::Fold { before: offset, .. }, Edge::Opening)
            | (AmbiguousOffset::Fold { after: offset, .. }, Edge::Closing) => offset.to_timestamp(wall).ok()?,
            (AmbiguousOffset::Gap { before, .. }, _) => {
                // By the clock as it ran before the gap, this wall time lies at the change or after it, and before the next.
                let just_after =
                    before.to_timestamp(wall).ok()?.checked_add(jiff::SignedDuration::from_nanos(1)).ok()?;
                self.zone.preceding(just_after).next()?.timestamp()
            }
        };
        Some(Timestamp(instant.as_millisecond()))
    }

    /// An instant as people of the zone read it, with the zone and the time in UTC.
    pub(crate) fn spell(&self, at: Timestamp) -> String {
        match self.wall(at) {
            Some(wall) => format!("{} {} ({at})", wall.strftime("%a %Y-%m-%d %H:%M"), self.name),
            None => at.to_string(),
        }
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use deploy_core::time::Timestamp;
    use jiff::civil::DateTime;

    use super::{Edge, Zone};

    /// Zones whose clocks change by an hour, by half of one, at midnight, by a whole day, and not at all.
    const ZONES: [&str; 9] = [
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "America/Sao_Paulo",
        "Pacific/Apia",
        "Asia/Kathmandu",
        "Africa/Casablanca",
        "Asia/Gaza",
        "UTC",
    ];

    /// By definition, over the minutes around a change: the first or last instant that shows this wall time, or else the
    /// first that shows a later one.
    fn by_looking(minutes: &[(i64, DateTime)], wall: DateTime, edge: Edge) -> Option<i64> {
        let shows = |minute: &&(i64, DateTime)| minute.1 == wall;
        let found = match edge {
            Edge::Opening => minutes.iter().find(shows),
            Edge::Closing => minutes.iter().rev().find(shows),
        };
        found.or_else(|| minutes.iter().find(|minute| minute.1 > wall)).map(|minute| minute.0)
    }

    /// Rows: M160.
    #[test]
    fn year_by_year_every_change_of_every_zone_means_what_looking_at_the_clock_says() {
        let (mut changes, mut tried) = (0, 0);
        for name in ZONES {
            let zone = Zone::named(name).expect("a zone");
            let (from, to) = ("2000-01-01T00:00:00Z", "2031-01-01T00:00:00Z");
            let from: jiff::Timestamp = from.parse().expect("a time");
            let to: jiff::Timestamp = to.parse().expect("a time");
            let at: Vec<i64> = zone
                .zone
                .following(from)
                .map(|change| change.timestamp())
                .take_while(|at| *at < to)
                .map(jiff::Timestamp::as_millisecond)
                .collect();
            changes += at.len();
            // A change of offset within thirty hours of another would make the looking ambiguous; there is none.
            for at in at {
                let near = (-60 * 30..60 * 30).map(|n| at + n * 60_000);
                let near: Vec<_> = near.filter_map(|at| Some((at, zone.wall(Timestamp(at))?))).collect();
                let wall = zone.wall(Timestamp(at)).expect("a wall time");
                for minutes in [-1500, -90, -61, -60, -45, -30, -29, -15, -1, 0, 1, 15, 29, 30, 45, 59, 60, 61, 90] {
                    let wall = wall.checked_add(jiff::Span::new().minutes(minutes)).expect("in range");
                    for edge in [Edge::Opening, Edge::Closing] {
                        let found = zone.instant(wall, edge).map(|t| t.0);
                        assert_eq!(found, by_looking(&near, wall, edge), "{name} {wall} {edge:?}");
                        tried += 1;
                    }
                }
            }
        }
        assert!(changes > 250 && tried > 9_000, "{changes} changes, {tried} wall times");
    }

    #[test]
    fn a_zone_that_nobody_knows_is_refused() {
        assert!(Zone::named("Europe/Atlantis").is_err());
        assert!(Zone::named("").is_err());
    }
}

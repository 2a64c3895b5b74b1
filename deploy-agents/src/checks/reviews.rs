//! Regular reviews: what is to be looked at how often, what was looked at, and what is overdue since when.

use std::collections::BTreeSet;
use std::num::NonZeroU16;

use deploy_core::evidence::Refusal;
use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::assessment::{Assessment, Assessor, Figure};
use super::document::{Document, Read};
use crate::gates::{Edge, Zone};

/// What is to be looked at regularly, by whom and how often.
///
/// A review is due on a day of the zone: the first on the day that is written down, each further one so many days after the day of
/// the last. It may be held until that day ends there, and is overdue from the first moment of the next, whatever the clocks of the
/// zone do that night.
///
/// ```
/// use deploy_agents::checks::reviews::{Cadence, ReviewDuty, ReviewSchedule};
/// use deploy_core::time::Timestamp;
///
/// let schedule = ReviewSchedule {
///     zone: "Europe/Berlin".to_owned(),
///     duties: vec![ReviewDuty {
///         subject: "alert rules".to_owned(),
///         owner: "grace".to_owned(),
///         every: Cadence::days(28).expect("more than none"),
///         first: "2026-03-28".to_owned(),
///     }],
/// };
/// let due = schedule.due(&[])?;
/// assert_eq!(due[0].on, "2026-03-28");
/// assert_eq!(due[0].overdue_from.to_string(), "2026-03-28T23:00:00.000Z");
/// # Ok::<(), deploy_agents::checks::reviews::ReviewError>(())
/// ```
///
/// Rows: M128.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewSchedule {
    /// The time zone in which days begin and end, by its IANA name.
    pub zone: String,
    /// What is to be looked at.
    pub duties: Vec<ReviewDuty>,
}

impl Document for ReviewSchedule {
    const KIND: &'static str = "review-schedule";
}

/// One thing that is to be looked at regularly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewDuty {
    /// What.
    pub subject: String,
    /// Who sees to it that it is.
    pub owner: String,
    /// How often.
    pub every: Cadence,
    /// The day by which it is to be looked at for the first time: `2026-03-28`.
    pub first: String,
}

/// How often something is to be looked at, in days of the calendar. In a document: `{"days": 30}` or `{"weeks": 2}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cadence {
    /// Every so many days.
    Days(NonZeroU16),
    /// Every so many weeks.
    Weeks(NonZeroU16),
}

impl Cadence {
    /// Every so many days; nothing for none.
    #[must_use]
    pub fn days(days: u16) -> Option<Self> {
        NonZeroU16::new(days).map(Self::Days)
    }

    /// Every so many weeks; nothing for none.
    #[must_use]
    pub fn weeks(weeks: u16) -> Option<Self> {
        NonZeroU16::new(weeks).map(Self::Weeks)
    }

    /// How many days of the calendar that is.
    #[must_use]
    pub fn in_days(self) -> u32 {
        match self {
            Self::Days(days) => u32::from(days.get()),
            Self::Weeks(weeks) => 7 * u32::from(weeks.get()),
        }
    }
}

/// A review that was held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewRecord {
    /// What was looked at, as the schedule calls it.
    pub subject: String,
    /// When.
    pub at: Timestamp,
    /// Who took part.
    pub by: Vec<String>,
    /// What lay on the table: files, dashboards, digests, links.
    pub seen: Vec<String>,
    /// What was decided; that all stays as it is, too.
    pub decided: String,
}

impl Document for ReviewRecord {
    const KIND: &'static str = "review-record";
}

/// When something is to be looked at next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReviewDue {
    /// What.
    pub subject: String,
    /// Who sees to it.
    pub owner: String,
    /// When it was looked at last.
    pub last: Option<Timestamp>,
    /// The day by which it is to be looked at, in the zone of the schedule.
    pub on: String,
    /// The first moment at which it is overdue.
    pub overdue_from: Timestamp,
}

/// A schedule from which no day can be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReviewError {
    /// Take a name of the IANA database, such as `Europe/Berlin`.
    #[error("{name} is no time zone: {reason}")]
    Zone {
        /// What stands there.
        name: String,
        /// Why not.
        reason: String,
    },
    /// Write the day as `2026-03-28`.
    #[error("{subject}: {text} is no day: {reason}")]
    Day {
        /// The duty.
        subject: String,
        /// What stands there.
        text: String,
        /// Why not.
        reason: String,
    },
    /// The day lies beyond what calendars know.
    #[error("{subject}: its next day lies beyond the calendar")]
    Beyond {
        /// The duty.
        subject: String,
    },
}

impl ReviewSchedule {
    /// When each subject is to be looked at next, in the order of the schedule, after these reviews.
    ///
    /// # Errors
    ///
    /// [`ReviewError`] where the schedule names no day.
    pub fn due(&self, held: &[ReviewRecord]) -> Result<Vec<ReviewDue>, ReviewError> {
        let zone = Zone::named(&self.zone)
            .map_err(|error| ReviewError::Zone { name: self.zone.clone(), reason: error.to_string() })?;
        self.duties.iter().map(|duty| duty.due(&zone, held)).collect()
    }
}

impl ReviewDuty {
    fn due(&self, zone: &Zone, held: &[ReviewRecord]) -> Result<ReviewDue, ReviewError> {
        let subject = || self.subject.clone();
        let beyond = || ReviewError::Beyond { subject: subject() };
        let last = held.iter().filter(|review| review.subject == self.subject).map(|review| review.at).max();
        let on = match last {
            None => self.first.parse::<jiff::civil::Date>().map_err(|error| ReviewError::Day {
                subject: subject(),
                text: self.first.clone(),
                reason: error.to_string(),
            })?,
            Some(last) => later(zone.wall(last).ok_or_else(beyond)?.date(), self.every.in_days()).ok_or_else(beyond)?,
        };
        let next = later(on, 1).ok_or_else(beyond)?.at(0, 0, 0, 0);
        let overdue_from = zone.instant(next, Edge::Opening).ok_or_else(beyond)?;
        Ok(ReviewDue { subject: subject(), owner: self.owner.clone(), last, on: on.to_string(), overdue_from })
    }
}

fn later(date: jiff::civil::Date, days: u32) -> Option<jiff::civil::Date> {
    date.checked_add(jiff::Span::new().try_days(i64::from(days)).ok()?).ok()
}

/// Everything that is to be looked at regularly was, and nothing is overdue. What is overdue is named with its owner and since when.
///
/// Rows: M128.
#[must_use]
pub fn reviews_held(schedule: &Read<ReviewSchedule>, records: &[Read<ReviewRecord>], now: Timestamp) -> Assessment {
    let mut found = Assessor::new();
    let file = &schedule.document;
    found.require(!file.duties.is_empty(), || "nothing is to be looked at regularly".to_owned());
    let mut subjects = BTreeSet::new();
    for (index, duty) in file.duties.iter().enumerate() {
        let at = schedule.at(format!("/duties/{index}"));
        if !subjects.insert(duty.subject.as_str()) {
            found.refuse(Refusal::Duplicate(format!("{} stands in the schedule twice ({at})", duty.subject)));
        }
        found.require(!duty.owner.trim().is_empty(), || format!("nobody sees to {} ({at})", duty.subject));
    }
    let mut held = Vec::new();
    for record in records {
        let review = &record.document;
        let what = &review.subject;
        if review.at > now {
            let at = record.at("/at");
            found.refuse(Refusal::FutureDated(format!("{what} was reviewed at {}, and it is {now} ({at})", review.at)));
        }
        if !subjects.contains(what.as_str()) {
            found.note(format!("{what} was reviewed, and is not in the schedule ({})", record.file));
        }
        let nobody = review.by.iter().all(|who| who.trim().is_empty());
        let nothing = review.seen.iter().all(|seen| seen.trim().is_empty());
        for (lacks, text, field) in [
            (nobody, "does not say who took part", "/by"),
            (nothing, "does not say what was looked at", "/seen"),
            (review.decided.trim().is_empty(), "does not say what was decided", "/decided"),
        ] {
            found.require(!lacks, || format!("the review of {what} {text} ({})", record.at(field)));
        }
        held.push(review.clone());
    }
    let due =
        found.accept(file.due(&held).map_err(|error| {
            Refusal::Unparseable(format!("{}: {}", schedule.file, deploy_core::report::chain(&error)))
        }));
    let zone = Zone::named(&file.zone).ok();
    for (index, due) in due.into_iter().flatten().enumerate() {
        let at = schedule.at(format!("/duties/{index}"));
        let last = due.last.map_or_else(|| "never".to_owned(), |last| last.to_string());
        found.figure(Figure::text(format!("{} reviewed", due.subject), last).limit(format!("by {}", due.on)).at(at));
        found.require(now < due.overdue_from, || {
            let since = zone.as_ref().map_or_else(|| due.overdue_from.to_string(), |zone| zone.spell(due.overdue_from));
            format!("the review of {} is overdue since {since}; {} sees to it", due.subject, due.owner)
        });
    }
    found.finish()
}

//! Who is told what.

use std::collections::BTreeSet;
use std::time::Duration;

use deploy_core::effect::EffectKey;
use deploy_core::evidence::Severity;
use deploy_core::release::Release;
use deploy_core::time::Timestamp;

use super::template::Values;
use super::{Notice, NoticeError, NoticeKey, Party, Template, TemplateError};

/// The most parties where somebody must acknowledge: all that is known of them must fit into the handle of work under way, which
/// has 4 KiB.
const MOST_WAITED_FOR: usize = 20;
/// The most parties of all. Whoever has more tells a list.
const MOST: usize = 500;

/// Who must be told what before work begins: the communication plan of one step.
///
/// ```
/// use std::time::Duration;
/// use deploy_agents::notifiers::{Announcement, Party, WorkStarts};
///
/// let plan = Announcement::new(
///     "{service} {revision} goes to {environment}",
///     "Work begins at {starts}. Questions: #releases.",
/// )?
/// .work_starts(WorkStarts::In(Duration::from_secs(3600)))
/// .tell(Party::new("support"))
/// .tell_and_wait(Party::new("on-call"), Duration::from_secs(900));
/// # Ok::<(), deploy_agents::notifiers::TemplateError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    pub(super) parties: Vec<Told>,
    subject: Template,
    body: Template,
    severity: Severity,
    starts: WorkStarts,
}

/// One party, and how long they have to say that they have read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) party: Party,
    pub(super) within: Option<Duration>,
}

/// When the work that is announced begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkStarts {
    /// Once everybody has been told. The default: what comes after the step waits for it anyway.
    OnceTold,
    /// At this time, whenever it is announced.
    At(Timestamp),
    /// So long after the step that announces it began. What arrives later than that is late.
    In(Duration),
}

impl Announcement {
    /// Tells nobody yet, of no urgency, of work that begins once everybody has been told.
    ///
    /// # Errors
    ///
    /// [`TemplateError`] if a text has a blank that nothing fills in.
    pub fn new(subject: impl AsRef<str>, body: impl AsRef<str>) -> Result<Self, TemplateError> {
        Ok(Self {
            parties: Vec::new(),
            subject: Template::new(subject)?,
            body: Template::new(body)?,
            severity: Severity::Info,
            starts: WorkStarts::OnceTold,
        })
    }

    /// The same, told to one more party.
    #[must_use]
    pub fn tell(mut self, party: Party) -> Self {
        self.parties.push(Told { party, within: None });
        self
    }

    /// The same, told to one more party, who must say within this time that they have read it.
    #[must_use]
    pub fn tell_and_wait(mut self, party: Party, within: Duration) -> Self {
        self.parties.push(Told { party, within: Some(within) });
        self
    }

    /// The same, of this urgency.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// The same, of work that begins then.
    #[must_use]
    pub fn work_starts(mut self, starts: WorkStarts) -> Self {
        self.starts = starts;
        self
    }

    /// What is wrong with it, if anything is.
    pub(super) fn check(&self) -> Result<(), AnnouncementError> {
        if self.parties.is_empty() {
            return Err(AnnouncementError::Nobody);
        }
        let waits = self.parties.iter().any(|told| told.within.is_some());
        let most = if waits { MOST_WAITED_FOR } else { MOST };
        if self.parties.len() > most {
            return Err(AnnouncementError::TooMany { parties: self.parties.len(), most });
        }
        let mut names = BTreeSet::new();
        match self.parties.iter().find(|told| !names.insert(&told.party.name)) {
            Some(twice) => Err(AnnouncementError::Twice { party: twice.party.name.clone() }),
            None => Ok(()),
        }
    }

    /// When the work begins, as seen from a step that began at `now`; nothing: once everybody has been told.
    pub(super) fn starts(&self, now: Timestamp) -> Option<Timestamp> {
        match self.starts {
            WorkStarts::OnceTold => None,
            WorkStarts::At(at) => Some(at),
            WorkStarts::In(span) => Some(now.after(span)),
        }
    }

    /// The notices of one step, in the order of the parties.
    pub(super) fn notices(
        &self,
        release: &Release,
        key: &EffectKey,
        now: Timestamp,
    ) -> Result<Vec<Notice>, NoticeError> {
        let starts = self.starts(now);
        let one = |told: &Told| {
            let values = Values { release, key, party: &told.party.name, starts };
            let notice = Notice::new(
                NoticeKey::of(key, &told.party),
                told.party.clone(),
                self.subject.fill(&values),
                self.body.fill(&values),
            )?
            .severity(self.severity);
            Ok(match told.within {
                Some(within) => notice.to_acknowledge_by(now.after(within)),
                None => notice,
            })
        };
        self.parties.iter().map(one).collect()
    }
}

/// An announcement that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnnouncementError {
    /// Say who is to be told.
    #[error("an announcement to nobody tells nothing")]
    Nobody,
    /// Say each party once.
    #[error("{party} stands twice among those who are told")]
    Twice {
        /// Who.
        party: String,
    },
    /// Announce it to fewer in one step, or to a list.
    #[error(
        "{parties} parties are to be told in one step; at most {most} can be where somebody must acknowledge or all are many"
    )]
    TooMany {
        /// How many.
        parties: usize,
        /// How many at most.
        most: usize,
    },
}

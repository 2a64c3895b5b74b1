//! What somebody is told.

use std::fmt;

use deploy_core::digest::Digest;
use deploy_core::effect::EffectKey;
use deploy_core::evidence::Severity;
use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The longest subject, in bytes: a line that a telephone still shows.
const LONGEST_SUBJECT: usize = 250;
/// The longest text, in bytes. A notice points to a report, it does not hold one.
const LONGEST_BODY: usize = 32 * 1024;
/// The longest key, in bytes: what receivers of idempotency keys commonly take.
const LONGEST_KEY: usize = 255;

/// Somebody who is told: a person, a role or a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Party {
    /// What receipts and pages call them.
    pub name: String,
    /// Where the notifier finds them: a mail address, a channel, an on-call schedule. Empty: the notifier knows by the name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
}

impl Party {
    /// A party whom the notifier knows by name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), address: String::new() }
    }

    /// The same with an address.
    #[must_use]
    pub fn at(mut self, address: impl Into<String>) -> Self {
        self.address = address.into();
        self
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

/// Names a notice to one party for ever: the same after a crash and on every further attempt. Visible ASCII, at most 255 bytes, so
/// that it can stand in a header.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NoticeKey(String);

impl NoticeKey {
    /// A key of the host's own.
    ///
    /// # Errors
    ///
    /// [`NoticeError::Key`] if it cannot stand in a header.
    pub fn new(text: impl Into<String>) -> Result<Self, NoticeError> {
        let text = text.into();
        if text.is_empty() || text.len() > LONGEST_KEY || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NoticeError::Key);
        }
        Ok(Self(text))
    }

    /// The key of what this step tells this party. The attempt is left out: who was reached by the first attempt is not told again by the
    /// second. An operator's retry is another telling.
    #[must_use]
    pub fn of(effect: &EffectKey, party: &Party) -> Self {
        let way = if effect.undo { "undo" } else { "do" };
        let whom = Digest::of(party.name.as_bytes()).to_string();
        // Sixteen digits of the digest: names of parties are free text, and a header is not.
        let whom = whom.trim_start_matches("sha256:").get(..16).unwrap_or_default().to_owned();
        Self::short(format!("{}/{}/{way}/{}/{whom}", effect.run, effect.step, effect.iteration))
    }

    /// A key of what may be too long for one, or not visible ASCII: then it is the digest of the text.
    pub(crate) fn short(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::new(&text).unwrap_or_else(|_| Self(Digest::of(text.as_bytes()).to_string()))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NoticeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for NoticeKey {
    type Error = NoticeError;
    fn try_from(text: String) -> Result<Self, NoticeError> {
        Self::new(text)
    }
}

impl From<NoticeKey> for String {
    fn from(key: NoticeKey) -> Self {
        key.0
    }
}

/// One notice to one party.
///
/// ```
/// use deploy_agents::notifiers::{Notice, NoticeKey, Party};
/// use deploy_core::evidence::Severity;
///
/// let key = NoticeKey::new("release-42/begins/ops")?;
/// let notice = Notice::new(key, Party::new("ops").at("#ops"), "shop 2.4 goes out", "It begins at 10:00 UTC.")?
///     .severity(Severity::Warning);
/// assert_eq!(notice.party().name, "ops");
///
/// // A subject is one line: a second one could be read as a header by whatever carries it.
/// let key = NoticeKey::new("release-42/begins/ops")?;
/// assert!(Notice::new(key, Party::new("ops"), "two\nlines", "text").is_err());
/// # Ok::<(), deploy_agents::notifiers::NoticeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Notice {
    key: NoticeKey,
    party: Party,
    subject: String,
    body: String,
    severity: Severity,
    acknowledge_by: Option<Timestamp>,
}

impl Notice {
    /// A notice of no urgency that nobody has to acknowledge.
    ///
    /// # Errors
    ///
    /// [`NoticeError`] if it names nobody, says nothing, is too long, or its subject or its party is more than one line.
    pub fn new(
        key: NoticeKey,
        party: Party,
        subject: impl Into<String>,
        body: impl Into<String>,
    ) -> Result<Self, NoticeError> {
        let (subject, body) = (subject.into(), body.into());
        let line = |text: &str| !text.chars().any(char::is_control);
        if party.name.trim().is_empty() || !line(&party.name) || !line(&party.address) {
            return Err(NoticeError::Party);
        }
        if subject.trim().is_empty() || !line(&subject) || subject.len() > LONGEST_SUBJECT {
            return Err(NoticeError::Subject { party: party.name, bytes: subject.len() });
        }
        if body.trim().is_empty() || body.len() > LONGEST_BODY {
            return Err(NoticeError::Body { party: party.name, bytes: body.len() });
        }
        Ok(Self { key, party, subject, body, severity: Severity::Info, acknowledge_by: None })
    }

    /// The same, of this urgency.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// The same, to be acknowledged until then.
    #[must_use]
    pub fn to_acknowledge_by(mut self, at: Timestamp) -> Self {
        self.acknowledge_by = Some(at);
        self
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> &NoticeKey {
        &self.key
    }

    /// Whom it is for.
    #[must_use]
    pub fn party(&self) -> &Party {
        &self.party
    }

    /// What it is about, in one line.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What it says.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    /// How urgent it is.
    #[must_use]
    pub fn urgency(&self) -> Severity {
        self.severity
    }

    /// Until when the party must say that they have read it; absent: they need not.
    #[must_use]
    pub fn acknowledge_by(&self) -> Option<Timestamp> {
        self.acknowledge_by
    }
}

/// Something that is no notice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoticeError {
    /// Give the party a name, in one line.
    #[error("the party has no name, or its name or address is more than one line")]
    Party,
    /// Say in one line what it is about.
    #[error("the subject for {party} has {bytes} bytes; it must be one line of 1 to {LONGEST_SUBJECT}")]
    Subject {
        /// Whom it was for.
        party: String,
        /// How long it is.
        bytes: usize,
    },
    /// Say something, and point to the rest.
    #[error("the text for {party} has {bytes} bytes; it must have 1 to {LONGEST_BODY}")]
    Body {
        /// Whom it was for.
        party: String,
        /// How long it is.
        bytes: usize,
    },
    /// Use visible ASCII.
    #[error("the key of a notice is 1 to {LONGEST_KEY} visible ASCII characters")]
    Key,
}

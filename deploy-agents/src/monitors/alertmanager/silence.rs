//! When alerts are not told, for how long, by whom and why.

use std::fmt;
use std::time::Duration;

use deploy_core::time::{Spell, Timestamp};
use serde::{Deserialize, Serialize};

/// A label, and what it must or must not be.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Matcher {
    name: String,
    value: String,
    is_regex: bool,
    is_equal: bool,
}

impl Matcher {
    /// The label has this value.
    #[must_use]
    pub fn is(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into(), is_regex: false, is_equal: true }
    }

    /// The label has another value.
    #[must_use]
    pub fn is_not(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into(), is_regex: false, is_equal: false }
    }

    /// The whole value matches this expression (RE2).
    #[must_use]
    pub fn matches(name: impl Into<String>, expression: impl Into<String>) -> Self {
        Self { name: name.into(), value: expression.into(), is_regex: true, is_equal: true }
    }

    /// The same with another value, made of this one.
    pub(super) fn filled(&self, revision: &str) -> Self {
        Self { value: self.value.replace("{revision}", revision), ..self.clone() }
    }
}

impl fmt::Display for Matcher {
    /// As Alertmanager's filters have it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = match (self.is_equal, self.is_regex) {
            (true, false) => "=",
            (false, false) => "!=",
            (true, true) => "=~",
            (false, true) => "!~",
        };
        write!(f, "{}{operator}\"{}\"", self.name, crate::monitors::prometheus::quoted(&self.value, '"'))
    }
}

/// A span of time in which some alerts are not told.
///
/// A silence that could hide anything, or that nobody answers for, does not come to be.
///
/// ```
/// use std::time::Duration;
/// use deploy_agents::monitors::alertmanager::{Matcher, Silence};
/// use deploy_core::time::Timestamp;
///
/// let noon = Timestamp::parse("2026-11-22T12:00:00Z")?;
/// let instances = [Matcher::is("service", "shop"), Matcher::is("alertname", "InstanceRestarts")];
/// let silence = Silence::new(instances, noon, Duration::from_secs(1_800), "ada", "release v2 restarts every instance")?;
/// assert!(Silence::new([Matcher::matches("service", ".*")], noon, Duration::from_secs(60), "ada", "quiet").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Silence {
    matchers: Vec<Matcher>,
    #[serde(serialize_with = "rfc3339")]
    starts_at: Timestamp,
    #[serde(serialize_with = "rfc3339")]
    ends_at: Timestamp,
    created_by: String,
    comment: String,
}

/// The longest silence: nobody remembers why after a day.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// A silence that must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SilenceError {
    /// It would hide every alert: name at least one label and its value.
    #[error("it would hide every alert: name at least one label and its value")]
    Everything,
    /// Nobody answers for it: say who.
    #[error("nobody answers for it: say who silences")]
    Nobody,
    /// Nobody will know why: say it.
    #[error("it has no reason: say why")]
    NoReason,
    /// It is empty, or longer than a day.
    #[error("it lasts {}; more than nothing and at most {} are allowed", Spell(*.0), Spell(LONGEST))]
    Length(Duration),
}

/// What names a silence.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SilenceId(pub(super) String);

impl fmt::Display for SilenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Silence {
    /// What all of these match is not told from `starts_at` on for so long.
    ///
    /// # Errors
    ///
    /// [`SilenceError`] if it would hide everything, is empty, longer than a day, or lacks a person or a reason.
    pub fn new(
        matchers: impl IntoIterator<Item = Matcher>,
        starts_at: Timestamp,
        lasts: Duration,
        by: impl Into<String>,
        because: impl Into<String>,
    ) -> Result<Self, SilenceError> {
        let (matchers, created_by, comment): (Vec<Matcher>, String, String) =
            (matchers.into_iter().collect(), by.into(), because.into());
        let narrows = |m: &Matcher| {
            let anything = m.is_regex && [".*", ".+", ""].contains(&m.value.as_str());
            m.is_equal && !m.value.is_empty() && !anything
        };
        if !matchers.iter().any(narrows) {
            return Err(SilenceError::Everything);
        }
        if created_by.trim().is_empty() {
            return Err(SilenceError::Nobody);
        }
        if comment.trim().is_empty() {
            return Err(SilenceError::NoReason);
        }
        if lasts.is_zero() || lasts > LONGEST {
            return Err(SilenceError::Length(lasts));
        }
        Ok(Self { matchers, starts_at, ends_at: starts_at.after(lasts), created_by, comment })
    }
}

fn rfc3339<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use deploy_core::time::Timestamp;

    use super::{Matcher, Silence, SilenceError};

    #[test]
    fn a_silence_that_must_not_be_is_refused() {
        let hour = Duration::from_secs(3_600);
        let of = |matchers: Vec<Matcher>, lasts, by, why| Silence::new(matchers, Timestamp(0), lasts, by, why);
        let shop = || vec![Matcher::is("service", "shop")];
        assert!(of(shop(), hour, "ada", "a release").is_ok());
        assert_eq!(of(Vec::new(), hour, "ada", "a release"), Err(SilenceError::Everything));
        assert_eq!(of(vec![Matcher::is_not("service", "x")], hour, "ada", "why"), Err(SilenceError::Everything));
        assert_eq!(of(vec![Matcher::matches("a", ".+")], hour, "ada", "why"), Err(SilenceError::Everything));
        assert_eq!(of(shop(), hour, " ", "why"), Err(SilenceError::Nobody));
        assert_eq!(of(shop(), hour, "ada", ""), Err(SilenceError::NoReason));
        assert!(matches!(of(shop(), hour * 25, "ada", "why"), Err(SilenceError::Length(_))));
        assert!(matches!(of(shop(), Duration::ZERO, "ada", "why"), Err(SilenceError::Length(_))));
        assert_eq!(Matcher::is("a", "x\"y").to_string(), "a=\"x\\\"y\"");
    }
}

//! When alerts are not told, for how long, by whom and why.

use std::fmt;
use std::time::Duration;

use deploy_core::time::{Spell, Timestamp};
use serde::{Deserialize, Serialize};

use crate::monitors::prometheus::matching_itself;

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

    /// The same with another value, made of this one. In an expression a revision stands for itself alone.
    pub(super) fn filled(&self, revision: &str) -> Self {
        let revision = if self.is_regex { matching_itself(revision) } else { revision.to_owned() };
        Self { value: self.value.replace("{revision}", &revision), ..self.clone() }
    }

    /// Why it hides no fewer alerts than there are, if it does.
    fn hides_all(&self) -> Option<HidesAll> {
        if !self.is_equal {
            return Some(HidesAll::Negative);
        }
        if !self.is_regex {
            return self.value.is_empty().then_some(HidesAll::Empty);
        }
        let Ok(whole) = regex::Regex::new(&format!("^(?s:{})$", self.value)) else {
            return Some(HidesAll::NoExpression);
        };
        if whole.is_match("") {
            return Some(HidesAll::Empty);
        }
        ANYTHING.iter().all(|value| whole.is_match(value)).then_some(HidesAll::Anything)
    }
}

/// Values that have nothing in common: what matches all of them matches anything.
const ANYTHING: [&str; 4] = ["a", "7", "zz9-anything", "Ünlike_the/others: 1.5"];

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

/// Why a matcher alone would hide every alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HidesAll {
    /// It says what a label is not, which is so of most.
    Negative,
    /// It matches the empty value, which every alert has that lacks the label.
    Empty,
    /// Its expression matches values that have nothing in common.
    Anything,
    /// Its expression is none.
    NoExpression,
}

impl fmt::Display for HidesAll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Negative => "says only what the label is not",
            Self::Empty => "matches the empty value, and with it every alert without the label",
            Self::Anything => "matches anything",
            Self::NoExpression => "is no regular expression that can be read",
        })
    }
}

/// A silence that must not be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SilenceError {
    /// It would hide every alert: name at least one label and its value.
    #[error("it would hide every alert: name at least one label and its value{}", of_which(.matchers))]
    Everything {
        /// Its matchers, each with why it narrows nothing.
        matchers: Vec<(Matcher, HidesAll)>,
    },
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

fn of_which(matchers: &[(Matcher, HidesAll)]) -> String {
    matchers.iter().map(|(matcher, why)| format!("; {matcher} {why}")).collect()
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
        let wide: Vec<_> = matchers.iter().filter_map(|m| Some((m.clone(), m.hides_all()?))).collect();
        if wide.len() == matchers.len() {
            return Err(SilenceError::Everything { matchers: wide });
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

    use super::{HidesAll, Matcher, Silence, SilenceError};

    #[test]
    fn a_revision_in_an_expression_matches_itself_alone() {
        let filled = Matcher::matches("version", "shop-{revision}").filled("v1.2+b");
        assert_eq!(filled, Matcher::matches("version", "shop-v1\\.2\\+b"));
        assert_eq!(Matcher::is("version", "{revision}").filled("v1.2"), Matcher::is("version", "v1.2"));
    }

    #[test]
    fn a_silence_that_must_not_be_is_refused() {
        let hour = Duration::from_secs(3_600);
        let of = |matchers: Vec<Matcher>, lasts, by, why| Silence::new(matchers, Timestamp(0), lasts, by, why);
        let shop = || vec![Matcher::is("service", "shop")];
        assert!(of(shop(), hour, "ada", "a release").is_ok());
        assert_eq!(of(Vec::new(), hour, "ada", "a release"), Err(SilenceError::Everything { matchers: Vec::new() }));
        for (matcher, why) in [
            (Matcher::is_not("service", "x"), HidesAll::Negative),
            (Matcher::is("service", ""), HidesAll::Empty),
            (Matcher::matches("service", ""), HidesAll::Empty),
            (Matcher::matches("service", ".*|x"), HidesAll::Empty),
            (Matcher::matches("service", "(.*)"), HidesAll::Empty),
            (Matcher::matches("service", ".{0,}"), HidesAll::Empty),
            (Matcher::matches("service", "shop|"), HidesAll::Empty),
            (Matcher::matches("service", ".+"), HidesAll::Anything),
            (Matcher::matches("service", "x|(.+)"), HidesAll::Anything),
            (Matcher::matches("service", "[^x]+|x.*"), HidesAll::Anything),
            (Matcher::matches("service", "(shop"), HidesAll::NoExpression),
        ] {
            let error = of(vec![matcher.clone()], hour, "ada", "why").expect_err("it hides everything");
            assert!(error.to_string().contains(&format!("{matcher} {why}")), "{error}");
            assert_eq!(error, SilenceError::Everything { matchers: vec![(matcher.clone(), why)] });
            let narrowed = vec![matcher, Matcher::matches("team", "shop|cart-[0-9]+")];
            assert!(of(narrowed, hour, "ada", "why").is_ok());
        }
        assert_eq!(of(shop(), hour, " ", "why"), Err(SilenceError::Nobody));
        assert_eq!(of(shop(), hour, "ada", ""), Err(SilenceError::NoReason));
        assert!(matches!(of(shop(), hour * 25, "ada", "why"), Err(SilenceError::Length(_))));
        assert!(matches!(of(shop(), Duration::ZERO, "ada", "why"), Err(SilenceError::Length(_))));
        assert_eq!(Matcher::is("a", "x\"y").to_string(), "a=\"x\\\"y\"");
    }
}

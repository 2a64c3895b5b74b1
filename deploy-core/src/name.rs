//! Validated names: parsed once, never a bare `String` after.

use std::fmt;
use std::sync::Arc;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest name, in bytes. Long enough for a digest with its algorithm, short enough for one line of a table.
pub const LONGEST_NAME: usize = 96;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The text is empty: give it at least one letter or digit.
    #[error("{kind} is empty; it needs 1 to {LONGEST_NAME} characters")]
    Empty {
        /// What was being named.
        kind: &'static str,
    },
    /// The text is too long: shorten it.
    #[error("{kind} {text:?}… has {bytes} bytes; at most {LONGEST_NAME} are allowed")]
    TooLong {
        /// What was being named.
        kind: &'static str,
        /// How the text begins.
        text: String,
        /// How many bytes it has.
        bytes: usize,
    },
    /// A character is not allowed: replace it.
    #[error(
        "{kind} {text:?} has {found:?} at byte {at}; allowed are ASCII letters, digits and . _ - + : @, and the first is a letter or digit"
    )]
    Character {
        /// What was being named.
        kind: &'static str,
        /// The whole text.
        text: String,
        /// The first character that is not allowed.
        found: char,
        /// Where it stands, in bytes from the start.
        at: usize,
    },
}

fn check(kind: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { kind });
    }
    if text.len() > LONGEST_NAME {
        let text_start = text.chars().take(24).collect();
        return Err(NameError::TooLong { kind, text: text_start, bytes: text.len() });
    }
    let allowed = |(at, found): &(usize, char)| {
        found.is_ascii_alphanumeric() || (*at > 0 && matches!(found, '.' | '_' | '-' | '+' | ':' | '@'))
    };
    match text.char_indices().find(|c| !allowed(c)) {
        None => Ok(()),
        Some((at, found)) => Err(NameError::Character { kind, text: text.to_owned(), found, at }),
    }
}

/// Reads a text, and makes a name of it.
struct Text<N>(fn(&str) -> Result<N, NameError>);

impl<N> Visitor<'_> for Text<N> {
    type Value = N;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<N, E> {
        self.0(text).map_err(E::custom)
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        // By hand, without a text of its own on the way: dozens of names stand in every record.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Text(|text| Self::new(text)))
            }
        }

        impl $name {
            /// Parses a name: 1 to 96 ASCII letters, digits and `. _ - + : @`, the first a letter or digit.
            ///
            /// # Errors
            ///
            /// [`NameError`] says what was wrong, where, and what is allowed.
            pub fn new(text: impl AsRef<str>) -> Result<Self, NameError> {
                check($kind, text.as_ref())?;
                Ok(Self(Arc::from(text.as_ref())))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = NameError;
            fn try_from(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<&$name> for $name {
            fn from(name: &$name) -> Self {
                name.clone()
            }
        }
    )*};
}

names! {
    /// Names a pipeline.
    PipelineName = "pipeline name";
    /// Names a phase of a pipeline.
    PhaseName = "phase name";
    /// Names a step inside its phase.
    StepName = "step name";
    /// Names a building block: an agent, gate, strategy or monitor that a plan refers to.
    BlockName = "block name";
    /// Names one place that a release goes to.
    TargetName = "target name";
    /// Names a measured quantity, for example `http.error_ratio`.
    MetricName = "metric name";
    /// Names a part of the traffic within which two revisions are compared: a zone, or an endpoint.
    StratumName = "stratum name";
    /// Names a check: a claim that code can verify.
    CheckName = "check name";
    /// Names one revision of a service on a target, for example `v2` or `sha256:…`.
    RevisionName = "revision name";
    /// Names the service that is released.
    ServiceName = "service name";
    /// Names the environment that it is released to.
    EnvironmentName = "environment name";
    /// Names one host process that drives runs.
    OwnerName = "owner name";
    /// Names an operator input for ever; a repeated id changes nothing.
    InputId = "input id";
    /// Names one execution of a plan.
    RunId = "run id";
    /// Names a feature flag.
    FlagName = "flag name";
}

impl RunId {
    /// A new id that sorts by time of creation.
    #[must_use]
    pub fn generate() -> Self {
        Self(Arc::from(uuid::Uuid::now_v7().to_string().as_str()))
    }
}

impl OwnerName {
    /// A new name, so that no two processes are mistaken for each other.
    #[must_use]
    pub fn generate() -> Self {
        Self(Arc::from(uuid::Uuid::now_v7().to_string().as_str()))
    }
}

impl InputId {
    /// A new id that sorts by time of creation.
    #[must_use]
    pub fn generate() -> Self {
        Self(Arc::from(uuid::Uuid::now_v7().to_string().as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::{NameError, StepName};

    #[test]
    fn a_name_is_parsed_once_and_says_what_was_wrong() {
        assert_eq!(StepName::new("build-1.2").map(|n| n.to_string()), Ok("build-1.2".to_owned()));
        assert!(matches!(StepName::new(""), Err(NameError::Empty { .. })));
        assert!(matches!(StepName::new("a".repeat(97)), Err(NameError::TooLong { bytes: 97, .. })));
        assert!(matches!(StepName::new("a b"), Err(NameError::Character { found: ' ', at: 1, .. })));
        assert!(matches!(StepName::new("-a"), Err(NameError::Character { found: '-', at: 0, .. })));
        assert!(serde_json::from_str::<StepName>("\"a/b\"").is_err());
    }
}

//! What a reader noticed that keeps an input from being taken at its word.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Pointer;

/// Something that keeps an input from being taken at its word, though it could be read.
///
/// A check must not pass over a blocking doubt: see [`DoubtKind::blocks`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Doubt {
    /// What kind of thing.
    pub kind: DoubtKind,
    /// What exactly, for people.
    pub text: String,
    /// Where.
    pub at: Pointer,
}

impl Doubt {
    /// A doubt.
    #[must_use]
    pub fn new(kind: DoubtKind, at: Pointer, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), at }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.text)
    }
}

/// What kind of thing a reader noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DoubtKind {
    /// Nothing was looked at: no test, no line, no component, no target.
    NothingMeasured,
    /// The producer says that it failed, was stopped, or left something out.
    Unfinished,
    /// A number that the producer states is not what its own entries add up to.
    CountsDiffer,
    /// A number that the producer states was come by in another way than the recount. Cite the rule with the number.
    RulesDiffer,
    /// The same thing stands there twice and says two things.
    Contradiction,
    /// The input says what it is about in no way that can be compared.
    NoSubject,
    /// A statement that needs a reason has none, and is not counted.
    Unjustified,
    /// Something was left out by a setting of the producer: an ignore list, a suppression, an exclusion.
    LeftOut,
    /// Nobody signed it, or it was not asked who did.
    Unsigned,
    /// The severity, version or state of an entry is not one that is known here.
    Unknown,
    /// History or data is cut off at some point.
    Incomplete,
    /// Times that cannot all be true: an end before its start, a commit older than its parent.
    Times,
    /// What is said names a thing that can change under the same name: a tag instead of a digest.
    Movable,
}

impl DoubtKind {
    /// Whether a check must not pass while this stands. The others are for a policy to weigh.
    #[must_use]
    pub fn blocks(self) -> bool {
        match self {
            Self::NothingMeasured
            | Self::Unfinished
            | Self::CountsDiffer
            | Self::Contradiction
            | Self::Incomplete
            | Self::Unknown => true,
            Self::RulesDiffer
            | Self::NoSubject
            | Self::Unjustified
            | Self::LeftOut
            | Self::Unsigned
            | Self::Times
            | Self::Movable => false,
        }
    }
}

/// The first doubt that blocks, if any does.
#[must_use]
pub fn blocking(doubts: &[Doubt]) -> Option<&Doubt> {
    doubts.iter().find(|doubt| doubt.kind.blocks())
}

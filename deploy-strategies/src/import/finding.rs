//! What an import has to say about a manifest, each with its place.

use std::fmt;

use crate::document::Place;

/// What kind of thing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// The text is no YAML or JSON.
    Unreadable,
    /// The manifest lacks a field that its own system demands.
    RequiredFieldMissing,
    /// The manifest has a field that its own system does not know.
    UnknownField,
    /// A value that its own system refuses.
    InvalidValue,
    /// Neither a surge nor a missing instance is allowed.
    LimitsBothZero,
    /// A service in the same files selects labels that the instances do not have.
    ServiceSelectorDoesNotMatchPodLabels,
    /// A part of an experiment has a weight, which its router cannot carry.
    ExperimentWeightWithoutCapableRouter,
    /// The manifest is right and names something that is in none of the files.
    NotInFiles,
    /// The manifest is right, and there is no counterpart here.
    NoCounterpart,
    /// A note: it says where or how, not how a release spreads. The target has it.
    ForTheTarget,
    /// A note: it is carried over, and here it means something slightly else, on purpose.
    Differs,
}

impl FindingKind {
    /// Whether the system that the manifest was written for would refuse it too.
    #[must_use]
    pub const fn is_invalid(self) -> bool {
        !matches!(self, Self::NotInFiles | Self::NoCounterpart | Self::ForTheTarget | Self::Differs)
    }

    /// Whether it only tells something: the strategy is there all the same.
    #[must_use]
    pub const fn is_note(self) -> bool {
        matches!(self, Self::ForTheTarget | Self::Differs)
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The file, by the name that it was given.
    pub file: String,
    /// Line and column; always there unless the text is too long as a whole or empty.
    pub place: Option<Place>,
    /// The path in the document, for example `spec.strategy.canary.steps[2].plugin`.
    pub at: String,
    /// What kind of thing it is.
    pub kind: FindingKind,
    /// What stands there, and why it is not carried over or means something else.
    pub wrong: String,
    /// What can be done about it, or what may stand there; may be empty.
    pub allowed: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(place) = self.place {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        if !self.at.is_empty() {
            write!(f, ": {}", self.at)?;
        }
        write!(f, ": {}", self.wrong)?;
        if self.allowed.is_empty() { Ok(()) } else { write!(f, "; allowed: {}", self.allowed) }
    }
}

/// Manifests that cannot be carried over: everything that stands in the way, in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", Lines(findings))]
pub struct NotCarried {
    pub(super) findings: Vec<Finding>,
}

impl NotCarried {
    /// Everything that stands in the way.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

struct Lines<'a>(&'a [Finding]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, finding) in self.0.iter().enumerate() {
            let gap = if i == 0 { "" } else { "\n" };
            write!(f, "{gap}{finding}")?;
        }
        Ok(())
    }
}

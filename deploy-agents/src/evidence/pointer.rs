//! Where a number stood, so that a claim can cite it and anybody can look.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Where something stands: a file, and a place in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Pointer {
    /// The file, as the reader was told.
    pub file: Arc<str>,
    /// The place in it.
    pub place: Place,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The file as a whole.
    #[default]
    Whole,
    /// A value of a JSON document, by RFC 6901: `/runs/0/results/3/level`. The whole document is the empty text.
    Json(String),
    /// An element or attribute of an XML document: `/testsuites/testsuite[2]/@tests`. Siblings of one name count from 1.
    Xml(String),
    /// A word or a number of a text.
    Text {
        /// Which line, from 1.
        line: u64,
        /// Which byte of it, from 1.
        column: u64,
    },
}

impl Pointer {
    /// A place in a file.
    #[must_use]
    pub fn new(file: impl Into<Arc<str>>, place: Place) -> Self {
        Self { file: file.into(), place }
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Whole => f.write_str(&self.file),
            Place::Json(pointer) => write!(f, "{}#{pointer}", self.file),
            Place::Xml(path) => write!(f, "{}#{path}", self.file),
            Place::Text { line, column } => write!(f, "{}:{line}:{column}", self.file),
        }
    }
}

/// A value exactly as it stands in a source, and where: in the unit of the source, before any arithmetic.
///
/// What a reader computes itself, a recount for example, is never `Sourced`; its parts are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub at: Pointer,
}

impl<T> Sourced<T> {
    /// A value that stands at a place.
    #[must_use]
    pub fn new(value: T, at: Pointer) -> Self {
        Self { value, at }
    }
}

impl<T: fmt::Display> fmt::Display for Sourced<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.value, self.at)
    }
}

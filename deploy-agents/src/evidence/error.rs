//! Why an input was not read.

use std::fmt;

use deploy_core::evidence::Refusal;
use serde::{Deserialize, Serialize};

use super::Pointer;

/// An input that was not read: what was wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[error("{at}: {problem}: {reason}")]
#[non_exhaustive]
pub struct ReadError {
    /// Where.
    pub at: Pointer,
    /// What kind of thing was wrong.
    pub problem: Problem,
    /// What exactly, and what may stand there.
    pub reason: String,
}

/// What kind of thing was wrong with an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Problem {
    /// There is nothing in it: the producer did not write. Look at the producer.
    Empty,
    /// It is longer, deeper or fuller than the [`Limits`](super::Limits) allow. Raise them if the input is honest.
    TooLarge,
    /// It ends in the middle. Look whether the producer was stopped, or the copy.
    Truncated,
    /// It is not text in the encoding that the format asks for.
    Encoding,
    /// It does not follow the grammar of its format.
    Syntax,
    /// It holds what no honest producer writes: entity declarations, a name twice in one object.
    Hostile,
    /// A field is absent, or is not what it must be.
    Field,
    /// It is another format, or a version of it whose meaning is not known here.
    Version,
    /// A signature is absent, wrong, or by nobody that is trusted.
    Signature,
    /// A program that had to be asked could not be, or answered with an error.
    Producer,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty",
            Self::TooLarge => "too large",
            Self::Truncated => "truncated",
            Self::Encoding => "wrong encoding",
            Self::Syntax => "syntax",
            Self::Hostile => "hostile",
            Self::Field => "field",
            Self::Version => "version",
            Self::Signature => "signature",
            Self::Producer => "producer",
        })
    }
}

impl ReadError {
    /// An error.
    #[must_use]
    pub fn new(problem: Problem, at: Pointer, reason: impl Into<String>) -> Self {
        Self { at, problem, reason: reason.into() }
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        match error.problem {
            Problem::Empty => Self::Missing(error.to_string()),
            Problem::Truncated => Self::Unfinished(error.to_string()),
            _ => Self::Unparseable(error.to_string()),
        }
    }
}

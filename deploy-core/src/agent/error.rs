//! How an attempt failed, and how sure that is.

use std::error::Error;

use serde::{Deserialize, Serialize};

/// How certain it is that a failed attempt did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// It failed and will not come to anything: the next attempt gets a new key.
    Definitive,
    /// It certainly did nothing, and the same attempt may succeed later: tried again with the same key.
    Transient,
    /// Nobody can tell from here: looked up before anything else.
    Unknown,
}

/// An attempt that failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct AgentError {
    /// How sure it is.
    pub certainty: Certainty,
    /// What went wrong: a lowercase fragment without a full stop, without secrets.
    pub message: String,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl AgentError {
    /// It failed and will not come to anything.
    #[must_use]
    pub fn definitive(message: impl Into<String>) -> Self {
        Self { certainty: Certainty::Definitive, message: message.into(), source: None }
    }

    /// It certainly did nothing, and the same attempt may succeed later.
    #[must_use]
    pub fn transient(message: impl Into<String>) -> Self {
        Self { certainty: Certainty::Transient, message: message.into(), source: None }
    }

    /// Nobody can tell from here what became of it.
    #[must_use]
    pub fn unknown(message: impl Into<String>) -> Self {
        Self { certainty: Certainty::Unknown, message: message.into(), source: None }
    }

    /// The same error with its cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Message and causes in one line, as records keep it.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.message.clone();
        let mut next: Option<&(dyn Error + 'static)> = self.source();
        while let Some(cause) = next {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        text
    }
}

//! Facts of incidents: CDEvents.

use std::fmt;

use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::evidence::{Doubt, Sourced};

/// What an event says about an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IncidentFacts {
    /// What happened to it.
    pub said: IncidentPredicate,
    /// The id of the event itself, unique among those of its source.
    pub event: String,
    /// Who says so: a URI reference.
    pub source: String,
    /// When the event was made.
    pub at: Sourced<Timestamp>,
    /// What the incident is called, unique where it is kept.
    pub incident: Sourced<String>,
    /// Where it is kept, if not at the source of the event.
    pub kept_at: Option<String>,
    /// Where it happens.
    pub environment: Sourced<String>,
    /// What it happens to.
    pub service: Option<Sourced<String>>,
    /// What was deployed there: a package URL.
    pub artifact: Option<String>,
    /// In a few words.
    pub description: String,
    /// Where people talk about it: a URI.
    pub ticket: Option<String>,
    /// What keeps it from being taken at its word.
    pub doubts: Vec<Doubt>,
}

/// What happened to an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentPredicate {
    /// A system or a person noticed it.
    Detected,
    /// Somebody opened a ticket about it.
    Reported,
    /// It is said to be over.
    Resolved,
}

impl IncidentPredicate {
    /// As events spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Detected => "detected",
            Self::Reported => "reported",
            Self::Resolved => "resolved",
        }
    }
}

impl fmt::Display for IncidentPredicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

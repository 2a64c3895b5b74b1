//! What an agent answers.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::deliverable::{Deliverable, Delivered};
use crate::evidence::{Claim, Collected, Finding};

/// The answer of [`perform`](super::Agent::perform) and [`poll`](super::Agent::poll).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Performed {
    /// It is done; here is the report.
    Done(Report),
    /// It is under way: ask again with this handle after `poll_after`.
    Running {
        /// Names the work where it runs.
        handle: Handle,
        /// How long to wait before asking; a durable timer.
        poll_after: Duration,
    },
}

/// Names work under way where it runs: a job id, a process and its start time. At most 4 KiB.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Handle(pub String);

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What became of an attempt whose outcome was unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// It was finished; here is its report.
    Finished(Report),
    /// It still runs under this handle: ask again after `poll_after`.
    Running {
        /// Names the work where it runs.
        handle: Handle,
        /// How long to wait before asking.
        poll_after: Duration,
    },
    /// It failed for good, with this message.
    Failed(String),
    /// It was certainly never started.
    NeverStarted,
    /// Nobody can tell.
    Unknown,
}

/// What an agent reports when it is done: findings for people, claims with evidence for the engine, deliverables for
/// later steps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Remarks for people. Data, never instructions.
    pub findings: Vec<Finding>,
    /// What it says is so, each naming the evidence behind it.
    pub claims: Vec<Claim>,
    /// The evidence, with its bytes: copied into the journal's blobs when the report arrives.
    pub evidence: Vec<Collected>,
    /// Values for later steps.
    pub deliverables: Vec<Delivered>,
}

impl Report {
    /// An empty report: done, nothing to add.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same report with a remark for people.
    #[must_use]
    pub fn finding(mut self, finding: Finding) -> Self {
        self.findings.push(finding);
        self
    }

    /// The same report with a remark of no urgency.
    #[must_use]
    pub fn note(self, text: impl Into<String>) -> Self {
        self.finding(Finding::info(text))
    }

    /// The same report with a claim.
    #[must_use]
    pub fn claim(mut self, claim: Claim) -> Self {
        self.claims.push(claim);
        self
    }

    /// The same report with a piece of evidence.
    #[must_use]
    pub fn evidence(mut self, evidence: Collected) -> Self {
        self.evidence.push(evidence);
        self
    }

    /// The same report with a value for later steps.
    ///
    /// # Errors
    ///
    /// The value's own serialiser refused it.
    pub fn deliver<D: Deliverable>(mut self, value: &D) -> Result<Self, serde_json::Error> {
        self.deliverables.push(Delivered::of(value)?);
        Ok(self)
    }
}

impl From<Report> for Performed {
    fn from(report: Report) -> Self {
        Self::Done(report)
    }
}

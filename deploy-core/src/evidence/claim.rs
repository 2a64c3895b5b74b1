//! What is said, and the bytes behind it.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::name::{CheckName, EnvironmentName};
use crate::time::Timestamp;

/// A remark for people. Data, never an instruction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Finding {
    /// How urgent.
    pub severity: Severity,
    /// The remark.
    pub text: String,
}

impl Finding {
    /// A remark of no urgency.
    #[must_use]
    pub fn info(text: impl Into<String>) -> Self {
        Self { severity: Severity::Info, text: text.into() }
    }

    /// A remark that somebody should read.
    #[must_use]
    pub fn warning(text: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, text: text.into() }
    }
}

/// How urgent a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should read it.
    Warning,
    /// Something is wrong.
    Error,
    /// Something is badly wrong.
    Critical,
}

/// What somebody says is so: a check and the evidence behind it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Claim {
    /// The check that is said to pass.
    pub check: CheckName,
    /// The digests of the evidence behind it. A claim without any is never met.
    pub evidence: Vec<Digest>,
    /// The value claimed, as text for people; the verifier reads the evidence, not this.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
}

/// The particulars of one piece of evidence. The bytes lie in the journal's blobs under `digest`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Evidence {
    /// What kind of report it is, for example `junit` or `sarif`.
    pub kind: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// What it speaks of. Evidence about another commit, artifact or environment is foreign.
    pub subject: EvidenceSubject,
    /// Who made it, and whether they had finished.
    pub producer: Producer,
    /// When what it says was observed.
    pub observed_at: Timestamp,
    /// A line for people.
    #[serde(default)]
    pub summary: String,
}

/// What a piece of evidence speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EvidenceSubject {
    /// The commit.
    pub commit: Option<String>,
    /// The artifact.
    pub artifact: Option<Digest>,
    /// The environment.
    pub environment: Option<EnvironmentName>,
}

/// Who made a piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Producer {
    /// The tool or system.
    pub name: String,
    /// Which of its executions.
    #[serde(default)]
    pub run: Option<String>,
    /// Whether that execution had finished.
    pub finished: bool,
}

/// A piece of evidence with its bytes, as an agent hands it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collected {
    /// Its particulars; `digest` is of `bytes`.
    pub evidence: Evidence,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Collected {
    /// Takes bytes that a finished `producer` made, observed at `observed_at`.
    #[must_use]
    pub fn new(
        kind: impl Into<String>,
        producer: impl Into<String>,
        subject: EvidenceSubject,
        observed_at: Timestamp,
        bytes: Vec<u8>,
    ) -> Self {
        let evidence = Evidence {
            kind: kind.into(),
            digest: Digest::of(&bytes),
            subject,
            producer: Producer { name: producer.into(), run: None, finished: true },
            observed_at,
            summary: String::new(),
        };
        Self { evidence, bytes }
    }

    /// The same evidence with a line for people.
    #[must_use]
    pub fn summary(mut self, text: impl Into<String>) -> Self {
        self.evidence.summary = text.into();
        self
    }
}

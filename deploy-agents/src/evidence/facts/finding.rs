//! Facts of static analysis: SARIF.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evidence::{Doubt, Pointer, Sourced};

/// What analysers found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FindingFacts {
    /// The runs of analysers.
    pub runs: Vec<AnalysisRun>,
    /// What they found, in the order of the report.
    pub findings: Vec<CodeFinding>,
    /// What keeps the report from being taken at its word.
    pub doubts: Vec<Doubt>,
}

impl FindingFacts {
    /// What counts: failures that are not suppressed and were not there before under the same name as fixed.
    pub fn open(&self) -> impl Iterator<Item = &CodeFinding> {
        self.findings.iter().filter(|finding| finding.is_open())
    }
}

/// One run of an analyser.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AnalysisRun {
    /// The analyser.
    pub tool: String,
    /// Its version, empty where it does not say.
    pub version: String,
    /// How many rules it declares.
    pub rules: u64,
    /// Whether it says that it ran to its end. Absent: it does not say.
    pub successful: Option<Sourced<bool>>,
    /// Errors that it noted about itself.
    pub tool_errors: Vec<Sourced<String>>,
    /// Whether the report holds its results at all. A run without the field was not a scan.
    pub has_results: bool,
    /// The commit that it says it looked at.
    pub commit: Option<Sourced<String>>,
    /// Where it stands.
    pub at: Pointer,
}

/// One thing that an analyser found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CodeFinding {
    /// In which run, from 0.
    pub run: usize,
    /// The rule.
    pub rule: String,
    /// How bad it is: its own level, else its rule's, else `Warning`.
    pub level: FindingLevel,
    /// The rule's security severity from 0 to 10, where it has one. It stands as text in the source.
    pub security_severity: Option<Sourced<f64>>,
    /// What it says about the rule: only `Fail` is a problem.
    pub kind: FindingKind,
    /// How it stands to the previous run, if the report says.
    pub baseline: Option<BaselineState>,
    /// Who took it out of the count, and why: accepted suppressions alone.
    pub suppressions: Vec<Suppression>,
    /// What it says. Data, never an instruction.
    pub message: String,
    /// Where in the code.
    pub locations: Vec<CodeLocation>,
    /// What it is recognised by in another run.
    pub fingerprints: BTreeMap<String, String>,
    /// Where it stands in the report.
    pub at: Pointer,
}

impl CodeFinding {
    /// Whether it counts: a failure, not suppressed, not absent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.kind == FindingKind::Fail && self.suppressions.is_empty() && self.baseline != Some(BaselineState::Absent)
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingLevel {
    /// It is not a problem.
    None,
    /// Something to know.
    Note,
    /// A problem. What a result is that says nothing, and whose rule says nothing.
    #[default]
    Warning,
    /// A serious problem.
    Error,
}

/// What a finding says about its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// It is broken.
    #[default]
    Fail,
    /// It is kept.
    Pass,
    /// It is broken or not; a person must look.
    Review,
    /// The analyser could not tell.
    Open,
    /// It does not apply.
    NotApplicable,
    /// Something to know.
    Informational,
}

/// How a finding stands to the previous run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BaselineState {
    /// It was not there.
    New,
    /// It was there.
    Unchanged,
    /// It was there in another form.
    Updated,
    /// It was there and is no more.
    Absent,
}

/// An accepted suppression.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Suppression {
    /// Where it stands: `inSource` or `external`.
    pub kind: String,
    /// Why, empty where nobody says.
    pub justification: String,
}

/// A place in the code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CodeLocation {
    /// The file, as the report names it.
    pub uri: String,
    /// The line, from 1.
    pub line: Option<Sourced<u64>>,
}

//! Facts of policies: OPA, conftest, CEL.

use deploy_core::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::evidence::{Doubt, Pointer};

/// What policies said.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PolicyFacts {
    /// What evaluated them: `opa`, `conftest` or `cel`.
    pub engine: String,
    /// The digest of the policies' text, where it was read here.
    pub policy: Option<Digest>,
    /// What they said, in order.
    pub results: Vec<PolicyResult>,
    /// How many rules held, where the report gives a number alone.
    pub successes: u64,
    /// What keeps it from being taken at its word.
    pub doubts: Vec<Doubt>,
}

impl PolicyFacts {
    /// The results that are neither kept nor excused by name: broken, undefined and unevaluated rules.
    pub fn not_kept(&self) -> impl Iterator<Item = &PolicyResult> {
        let kept = [PolicyOutcome::Kept, PolicyOutcome::Warning, PolicyOutcome::Excepted];
        self.results.iter().filter(move |result| !kept.contains(&result.outcome))
    }
}

/// What one rule said about one input.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PolicyResult {
    /// The rule, or the namespace in which it stands.
    pub rule: String,
    /// The input.
    pub input: String,
    /// How it ended.
    pub outcome: PolicyOutcome,
    /// What it says. Data, never an instruction.
    pub message: String,
    /// Where it stands.
    pub at: Pointer,
}

/// How a rule ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyOutcome {
    /// It is kept.
    Kept,
    /// It is kept, with a remark.
    Warning,
    /// It is broken.
    Broken,
    /// It is broken, and the policy itself makes an exception.
    Excepted,
    /// It has no value for this input: that is neither kept nor broken.
    #[default]
    Undefined,
    /// It could not be evaluated.
    Unevaluated,
    /// It was left out.
    Skipped,
}

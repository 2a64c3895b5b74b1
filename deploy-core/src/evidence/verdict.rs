//! The verdict of a check.

use serde::{Deserialize, Serialize};

use super::Waiver;

/// What a check says. Refused evidence makes it `Inconclusive`, never `Pass`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is so.
    Pass,
    /// It is so, with remarks.
    Concerns {
        /// The remarks.
        remarks: Vec<String>,
    },
    /// It is not so.
    Fail {
        /// Why.
        reason: String,
    },
    /// The evidence was refused.
    Inconclusive {
        /// Why it was refused.
        refusal: Refusal,
    },
    /// A named person answers for it.
    Waived(Waiver),
    /// It does not apply to this release.
    NotApplicable {
        /// Why not.
        reason: String,
    },
}

impl Verdict {
    /// Whether a mandatory check with this verdict counts as met.
    #[must_use]
    pub fn is_met(&self) -> bool {
        match self {
            Self::Pass | Self::Concerns { .. } | Self::Waived(_) | Self::NotApplicable { .. } => true,
            Self::Fail { .. } | Self::Inconclusive { .. } => false,
        }
    }

    /// It in one word, without its reasons: `pass`, `concerns`, `fail`, `inconclusive`, `waived` or `not applicable`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Concerns { .. } => "concerns",
            Self::Fail { .. } => "fail",
            Self::Inconclusive { .. } => "inconclusive",
            Self::Waived(_) => "waived",
            Self::NotApplicable { .. } => "not applicable",
        }
    }
}

/// Why evidence was refused, kept apart so that the mend is plain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// There is none, or its bytes are gone.
    #[error("missing: {0}")]
    Missing(String),
    /// It is older than the check allows, or than the commit that it is about.
    #[error("stale: {0}")]
    Stale(String),
    /// It speaks of another commit, artifact or environment.
    #[error("foreign: {0}")]
    Foreign(String),
    /// Whoever made it had not finished.
    #[error("unfinished: {0}")]
    Unfinished(String),
    /// The one who claims it also made it.
    #[error("self-attested: {0}")]
    SelfAttested(String),
    /// Its bytes could not be read, or are not the bytes that were collected.
    #[error("unparseable: {0}")]
    Unparseable(String),
    /// It was observed in the future.
    #[error("future-dated: {0}")]
    FutureDated(String),
    /// The same evidence stands behind a claim twice.
    #[error("duplicate: {0}")]
    Duplicate(String),
}

//! What goes over the wire between an engine and a place.

use deploy_core::agent::Certainty;
use deploy_core::effect::{EffectKey, Fence};
use deploy_core::release::Release;
use deploy_core::target::{DesiredState, TargetError};
use serde::{Deserialize, Serialize};

/// What an engine wants of a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutDesired {
    /// Names the effect.
    pub key: EffectKey,
    /// Orders who may apply it.
    pub fence: Fence,
    /// What is being released.
    pub release: Release,
    /// The full statement of what is wanted.
    pub desired: DesiredState,
}

/// The place took the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Taken {
    /// Whether anything changes.
    pub(super) changed: bool,
}

/// Why a place did not take a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Problem {
    /// What was wrong.
    pub error: String,
    /// Whether trying again can help.
    pub certainty: Certainty,
    /// Whether a newer fence was seen.
    pub stale_fence: bool,
}

impl Problem {
    pub(super) fn definitive(error: String) -> Self {
        Self { error, certainty: Certainty::Definitive, stale_fence: false }
    }

    pub(super) fn of(error: &TargetError) -> Self {
        Self { error: error.message.clone(), certainty: error.certainty, stale_fence: error.stale_fence }
    }
}

impl From<Problem> for TargetError {
    fn from(problem: Problem) -> Self {
        let mut error = match problem.certainty {
            Certainty::Definitive => Self::definitive(problem.error),
            Certainty::Transient => Self::transient(problem.error),
            Certainty::Unknown => Self::unknown(problem.error),
        };
        error.stale_fence = problem.stale_fence;
        error
    }
}

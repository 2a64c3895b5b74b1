//! What a gate answers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// May the run pass here?
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateDecision {
    /// Yes.
    Go,
    /// Yes, with conditions that the report carries.
    Conditional {
        /// What was let through, and why.
        conditions: Vec<String>,
    },
    /// Not yet.
    Hold {
        /// What it waits for.
        reason: String,
        /// When to ask again, from now.
        #[serde(with = "crate::time::duration_ms")]
        ask_again_after: Duration,
    },
    /// No.
    NoGo {
        /// Every reason, so that they can be mended together.
        vetoes: Vec<Veto>,
    },
}

/// One reason why a gate stays shut.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Veto {
    /// Who objects: a check, a role, a gate.
    pub by: String,
    /// Why, in a sentence.
    pub reason: String,
}

impl GateDecision {
    /// No, for one reason.
    #[must_use]
    pub fn no_go(by: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::NoGo { vetoes: vec![Veto { by: by.into(), reason: reason.into() }] }
    }

    /// Not yet; ask again after a while.
    #[must_use]
    pub fn hold(reason: impl Into<String>, ask_again_after: Duration) -> Self {
        Self::Hold { reason: reason.into(), ask_again_after }
    }

    /// Whether the run may pass.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(self, Self::Go | Self::Conditional { .. })
    }

    /// The stricter of two: any veto wins, then any hold, then any condition; what both said is kept.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::NoGo { mut vetoes }, Self::NoGo { vetoes: more }) => {
                vetoes.extend(more);
                Self::NoGo { vetoes }
            }
            (no @ Self::NoGo { .. }, _) | (_, no @ Self::NoGo { .. }) => no,
            (Self::Hold { reason, ask_again_after }, Self::Hold { reason: more, ask_again_after: other }) => {
                Self::Hold { reason: format!("{reason}; {more}"), ask_again_after: ask_again_after.max(other) }
            }
            (hold @ Self::Hold { .. }, _) | (_, hold @ Self::Hold { .. }) => hold,
            (Self::Conditional { mut conditions }, Self::Conditional { conditions: more }) => {
                conditions.extend(more);
                Self::Conditional { conditions }
            }
            (conditional @ Self::Conditional { .. }, Self::Go) | (Self::Go, conditional @ Self::Conditional { .. }) => {
                conditional
            }
            (Self::Go, Self::Go) => Self::Go,
        }
    }
}

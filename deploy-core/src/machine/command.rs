//! What should be under way.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::agent::Handle;
use crate::monitor::MeasureRequest;
use crate::plan::StepId;
use crate::target::DesiredState;
use crate::time::RunTime;

/// Names a command: which step, which way, which attempt, and which of the questions asked about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Try {
    /// The step.
    pub step: StepId,
    /// Whether it undoes the step.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undo: bool,
    /// Counts the operator's retries, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub iteration: u32,
    /// Counts recorded definitive failures, from 1. Of a rollout: counts the statements of what is wanted, from 1.
    pub attempt: u32,
    /// Counts the commands given about this step, from 1.
    pub turn: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Try {
    /// The first command about a step.
    #[must_use]
    pub fn first(step: StepId) -> Self {
        Self { step, undo: false, iteration: 0, attempt: 1, turn: 1 }
    }

    /// The next command about the same attempt.
    #[must_use]
    pub fn next_turn(self) -> Self {
        Self { turn: self.turn.saturating_add(1), ..self }
    }

    /// The next attempt, after a definitive failure.
    #[must_use]
    pub fn next_attempt(self) -> Self {
        Self { attempt: self.attempt.saturating_add(1), ..self.next_turn() }
    }

    /// The first attempt after an operator's retry.
    #[must_use]
    pub fn next_iteration(self) -> Self {
        Self { iteration: self.iteration.saturating_add(1), attempt: 1, ..self.next_turn() }
    }

    /// The first attempt to undo.
    #[must_use]
    pub fn to_undo(self) -> Self {
        Self { undo: true, iteration: 0, attempt: 1, ..self.next_turn() }
    }
}

impl fmt::Display for Try {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.undo { "undo" } else { "do" };
        write!(f, "{}/{way}/{}/{}/{}", self.step.0, self.iteration, self.attempt, self.turn)
    }
}

/// Work that should be under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Command {
    /// Its name.
    pub of: Try,
    /// The journal position that opened it: the second half of the fence.
    pub seq: u64,
    /// Not to be started before this time.
    pub not_before: RunTime,
    /// What to do.
    pub call: Call,
}

/// What a command asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Call {
    /// Have the agent do the task, or undo it.
    Perform,
    /// Ask the agent about work under way.
    Poll(Handle),
    /// Ask the agent what became of an attempt.
    Lookup,
    /// Have the agent stop an attempt.
    Cancel(Option<Handle>),
    /// Read the evidence again and ask the checks.
    Verify,
    /// Ask the gate.
    Evaluate,
    /// Look at the target and measure.
    Look(Vec<MeasureRequest>),
    /// Bring the target towards this.
    Apply(Box<DesiredState>),
}

impl Call {
    /// The name of the call, for spans and messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Perform => "perform",
            Self::Poll(_) => "poll",
            Self::Lookup => "lookup",
            Self::Cancel(_) => "cancel",
            Self::Verify => "verify",
            Self::Evaluate => "evaluate",
            Self::Look(_) => "look",
            Self::Apply(_) => "apply",
        }
    }
}

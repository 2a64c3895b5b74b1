//! The name of an effect, and the order of those who may apply it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::RunId;
use crate::plan::StepPath;

/// Names one effect for ever: the same across crash, takeover and unknown outcome. `attempt` moves only on a recorded
/// definitive failure, `iteration` only when an operator asks for the step to be tried again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EffectKey {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepPath,
    /// Whether it undoes the step.
    pub undo: bool,
    /// Counts the operator's retries, from 0.
    pub iteration: u32,
    /// Counts recorded definitive failures, from 1.
    pub attempt: u32,
}

impl fmt::Display for EffectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.undo { "undo" } else { "do" };
        write!(f, "{}/{}/{way}/{}/{}", self.run, self.step, self.iteration, self.attempt)
    }
}

/// Orders who may apply an effect: `epoch` first, then `seq`. A receiver that has seen a newer fence refuses an older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Fence {
    /// Of the lock of a service in an environment: rises at each acquisition and takeover, never resets.
    pub epoch: u64,
    /// The journal position that opened the effect.
    pub seq: u64,
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.seq)
    }
}

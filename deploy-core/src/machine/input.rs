//! What the machine is told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::command::Try;
use crate::agent::{Certainty, Handle};
use crate::deliverable::Payload;
use crate::evidence::{Claim, Evidence, Finding, Receipt};
use crate::gate::GateDecision;
use crate::monitor::Measured;
use crate::operator::OperatorInput;
use crate::target::TargetState;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Input {
    /// The run got the lock of its service and environment.
    Admitted {
        /// The lock's epoch.
        epoch: u64,
    },
    /// A driver took up a run that was driven before. Attempts without a recorded answer become unsure.
    Attached {
        /// The lock's epoch, which rose with the takeover; absent while the run waits for the lock.
        epoch: Option<u64>,
        /// How long nobody looked.
        absent: Duration,
    },
    /// A command was answered.
    Answered {
        /// The command, by name. An answer to another name than the one in force changes nothing.
        to: Try,
        /// The answer.
        answer: Box<Answer>,
    },
    /// An operator said something.
    Operator(OperatorInput),
    /// The time that [`wake_at`](super::Machine::wake_at) named has come.
    Wake,
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Answer {
    /// To `Perform` and `Poll`.
    Performed(Result<Progress, Fault>),
    /// To `Lookup`.
    LookedUp(Result<Found, Fault>),
    /// To `Cancel`: what the attempt returned, if it returned in time.
    Cancelled(Option<Result<Progress, Fault>>),
    /// To `Verify`.
    Verified(Vec<Receipt>),
    /// To `Evaluate`.
    Evaluated(Result<GateDecision, Fault>),
    /// To `Look`.
    Looked(Result<Look, Fault>),
    /// To `Apply`.
    Applied(Result<(), Fault>),
}

/// How far an attempt has come.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Progress {
    /// It is done.
    Done(Reported),
    /// It is under way.
    Running {
        /// Names the work where it runs.
        handle: Handle,
        /// How long to wait before asking.
        poll_after: Duration,
    },
}

/// What became of an attempt whose outcome was unknown.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Found {
    /// It was finished.
    Finished(Reported),
    /// It is under way.
    Running {
        /// Names the work where it runs.
        handle: Handle,
        /// How long to wait before asking.
        poll_after: Duration,
    },
    /// It failed for good.
    Failed(String),
    /// It was never started.
    NeverStarted,
    /// Nobody can tell.
    Unknown,
}

/// A report as it is recorded: evidence by digest, its bytes in the blobs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reported {
    /// Remarks for people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// What is said to be so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<Claim>,
    /// The evidence behind it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// Values for later steps, by deliverable.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, Payload>,
}

/// A building block that failed, as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// How sure it is that nothing was done.
    pub certainty: Certainty,
    /// What went wrong, with its causes, in one line.
    pub message: String,
    /// Whether a receiver refused our fence: somebody else acts there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stale_fence: bool,
}

impl Fault {
    /// A fault.
    #[must_use]
    pub fn new(certainty: Certainty, message: impl Into<String>) -> Self {
        Self { certainty, message: message.into(), stale_fence: false }
    }
}

/// One look at a rollout: what is there and what was measured.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Look {
    /// What is there.
    pub observed: TargetState,
    /// What was measured, one entry per request.
    pub measured: Vec<Measured>,
}

/// What a turn did with its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reply {
    /// It was taken and led to events.
    Taken,
    /// It came early and is kept until somebody waits for it.
    Kept,
    /// It is known already, or answers a command that is no longer in force: nothing changed.
    Ignored,
}

/// An input that is not possible in the state the run is in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IllegalInput {
    /// An operator asked for what cannot be done now: the reason says why, and what can be.
    #[error("cannot {act}: {reason}")]
    Refused {
        /// What was asked.
        act: &'static str,
        /// Why not.
        reason: String,
    },
    /// The driver told something that cannot happen in this state. A fault of the driver, not of the run.
    #[error("{input} cannot happen while the run is {state}")]
    Impossible {
        /// What was told.
        input: &'static str,
        /// The state of the run.
        state: String,
    },
}

//! Who steers a run, and what they may say.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::{CheckName, InputId};
use crate::plan::StepPath;
use crate::time::Timestamp;

/// A person or a program, as the host's authenticated transport names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Principal {
    /// Who, unique within the issuer.
    pub subject: String,
    /// Who vouches for that identity.
    pub issuer: String,
    /// The roles the issuer gives them.
    #[serde(default)]
    pub roles: BTreeSet<String>,
}

impl Principal {
    /// A principal without roles.
    #[must_use]
    pub fn new(subject: impl Into<String>, issuer: impl Into<String>) -> Self {
        Self { subject: subject.into(), issuer: issuer.into(), roles: BTreeSet::new() }
    }

    /// The same principal with one more role.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.roles.insert(role.into());
        self
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.subject, self.issuer)
    }
}

/// One thing that an operator says to a run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OperatorInput {
    /// Named once for ever: the same id twice changes nothing the second time.
    pub id: InputId,
    /// Who says it.
    pub who: Principal,
    /// Why, in their words.
    pub why: String,
    /// What.
    pub act: Act,
}

impl OperatorInput {
    /// An input with a new id.
    #[must_use]
    pub fn new(who: Principal, why: impl Into<String>, act: Act) -> Self {
        Self { id: InputId::generate(), who, why: why.into(), act }
    }
}

/// What an operator can do to a run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum Act {
    /// Say yes to a step that waits for a person.
    Approve {
        /// The step that asks.
        step: StepPath,
    },
    /// Say no to a step that waits for a person: the step fails.
    Reject {
        /// The step that asks.
        step: StepPath,
    },
    /// Open nothing more and decide nothing more until resumed; attempts under way go on.
    Pause,
    /// Go on after a pause.
    Resume,
    /// Skip the wait that this step is in.
    Promote {
        /// The rollout or soak that waits.
        step: StepPath,
    },
    /// Skip every further stage of this rollout.
    PromoteFully {
        /// The rollout.
        step: StepPath,
    },
    /// Try a parked or backing-off step again at once.
    Retry {
        /// The step.
        step: StepPath,
    },
    /// Answer for a check that is not met, or for an undo that cannot be done.
    Waive {
        /// The step it belongs to.
        step: StepPath,
        /// The check that is waived; absent where the undo of the step is.
        check: Option<CheckName>,
        /// Until when the waiver holds.
        expires: Timestamp,
    },
    /// Stop: settle what is under way, undo what was started, end `Aborted`.
    Abort,
    /// Undo what was started and end `RolledBack`.
    RollBack,
    /// Take note of a parked run: somebody is looking at it.
    Acknowledge,
    /// Say what became of an attempt that nobody could look up.
    Settle {
        /// The parked step.
        step: StepPath,
        /// What became of it.
        as_: Settlement,
    },
}

impl Act {
    /// The name of the act, as commands and records write it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Approve { .. } => "approve",
            Self::Reject { .. } => "reject",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Promote { .. } => "promote",
            Self::PromoteFully { .. } => "promote fully",
            Self::Retry { .. } => "retry",
            Self::Waive { .. } => "waive",
            Self::Abort => "abort",
            Self::RollBack => "roll back",
            Self::Acknowledge => "acknowledge",
            Self::Settle { .. } => "settle",
        }
    }

    /// The step that it speaks of, if it speaks of one.
    #[must_use]
    pub fn step(&self) -> Option<&StepPath> {
        match self {
            Self::Approve { step }
            | Self::Reject { step }
            | Self::Promote { step }
            | Self::PromoteFully { step }
            | Self::Retry { step }
            | Self::Waive { step, .. }
            | Self::Settle { step, .. } => Some(step),
            Self::Pause | Self::Resume | Self::Abort | Self::RollBack | Self::Acknowledge => None,
        }
    }
}

/// What a person says became of an attempt whose outcome nobody could look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settlement {
    /// It was done: the step counts as done, with no deliverables.
    Finished,
    /// It was never done: it may be tried again.
    NeverStarted,
    /// It failed: the step counts as failed.
    Failed,
}

/// Who may say yes, how many of them, and for how long they are asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ApprovalRequest {
    /// What they are asked, in a sentence.
    pub question: String,
    /// Any one of these roles is enough; empty means anybody whom the host lets through.
    #[serde(default)]
    pub roles: BTreeSet<String>,
    /// Any of these people, by subject, is enough too, whatever their roles. Where only people are named, nobody else is.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub people: BTreeSet<String>,
    /// How many different people must say yes.
    pub quorum: u32,
    /// Whether an author of the change or the person who started the run may say yes.
    #[serde(default)]
    pub self_approval: bool,
    /// How long they are asked; then the step fails. Does not spend the step's deadline.
    #[serde(with = "crate::time::duration_ms")]
    pub expires_after: Duration,
}

impl ApprovalRequest {
    /// One person, any role, no self-approval, asked for 24 hours: long enough for the next working day.
    #[must_use]
    pub fn new(question: impl Into<String>) -> Self {
        Self {
            question: question.into(),
            roles: BTreeSet::new(),
            people: BTreeSet::new(),
            quorum: 1,
            self_approval: false,
            expires_after: Duration::from_secs(24 * 60 * 60),
        }
    }

    /// The same request, answered by people with this role too.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.roles.insert(role.into());
        self
    }

    /// The same request, answered by this person too, by subject.
    #[must_use]
    pub fn person(mut self, subject: impl Into<String>) -> Self {
        self.people.insert(subject.into());
        self
    }

    /// The same request with another quorum.
    #[must_use]
    pub fn quorum(mut self, quorum: u32) -> Self {
        self.quorum = quorum;
        self
    }

    /// The same request with another expiry.
    #[must_use]
    pub fn expires_after(mut self, span: Duration) -> Self {
        self.expires_after = span;
        self
    }

    /// The same request, which authors and the starter of the run may answer too.
    #[must_use]
    pub fn allow_self_approval(mut self) -> Self {
        self.self_approval = true;
        self
    }
}

//! One step: where it stands, and why it is parked.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Rolling;
use crate::agent::Handle;
use crate::machine::command::Try;
use crate::machine::input::Reported;
use crate::operator::Principal;
use crate::time::RunTime;

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// It waits for other steps.
    Waiting {
        /// How many.
        unmet: u32,
    },
    /// A failed attempt is made again when it is due.
    Backoff {
        /// The attempt to come.
        of: Try,
        /// When.
        due: RunTime,
    },
    /// An attempt is under way. Command: `Perform`.
    Trying {
        /// The attempt.
        of: Try,
        /// When it is cancelled.
        deadline: RunTime,
    },
    /// Long work is under way. Command: `Poll`, not before `at`.
    Polling {
        /// The attempt.
        of: Try,
        /// Names the work where it runs.
        handle: Handle,
        /// When to ask.
        at: RunTime,
        /// When it is cancelled.
        deadline: RunTime,
    },
    /// An attempt is being stopped. Command: `Cancel`.
    Cancelling {
        /// The attempt.
        of: Try,
        /// Names the work where it runs, if it got that far.
        handle: Option<Handle>,
    },
    /// Nobody knows what became of an attempt. Command: `Lookup`, not before `at`.
    Unsure {
        /// The attempt.
        of: Try,
        /// How often the lookup itself has failed.
        asked: u32,
        /// When to ask.
        at: RunTime,
        /// What was last heard of it.
        last: String,
        /// Whether it is unsure because a driver stopped, which costs the step no retry.
        interrupted: bool,
        /// Whether it was cancelled before: then it is not waited for as if it had just begun.
        stopped: bool,
        /// When the attempt is over its time, if it is found to be under way; absent: from then on anew.
        deadline: Option<RunTime>,
    },
    /// A report is being verified. Command: `Verify`.
    Verifying {
        /// The attempt.
        of: Try,
        /// The report.
        report: Box<Reported>,
    },
    /// A gate is being asked. Command: `Evaluate`, not before `at`.
    Evaluating {
        /// The question.
        of: Try,
        /// When to ask.
        at: RunTime,
        /// When holding becomes failing.
        give_up: RunTime,
        /// What it waited for when it was asked last; empty before the first answer.
        holds_for: String,
    },
    /// People are asked.
    Approving {
        /// The question.
        of: Try,
        /// Who said yes.
        yes: BTreeSet<Principal>,
        /// When nobody is asked any more.
        expires: RunTime,
    },
    /// Observed time must pass.
    Soaking {
        /// The soak.
        of: Try,
        /// When it is over.
        due: RunTime,
    },
    /// A strategy is at work. Commands: `Look`, `Apply`.
    Rolling(Box<Rolling>),
    /// A person must find a way out.
    Parked {
        /// The attempt.
        of: Try,
        /// Why.
        why: Park,
        /// Where its rollout stood, if it is one.
        rolling: Option<Box<Rolling>>,
    },
    /// It is done.
    Done,
    /// It failed.
    Failed {
        /// Why.
        reason: String,
    },
    /// It was opened and withdrawn without any effect.
    Withdrawn,
    /// It was undone, or a person answered for not undoing it.
    Undone,
}

/// Why a step is parked. Each is shown with its exits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Park {
    /// Nobody can tell what became of an attempt, and it must not be repeated blindly.
    UnknownOutcome {
        /// What was last heard of it.
        last: String,
    },
    /// The undo failed.
    UndoFailed {
        /// Why.
        reason: String,
    },
    /// Somebody else changed the target again and again.
    Drift {
        /// What was found.
        found: String,
    },
    /// A receiver refused our fence: somebody acts there outside this run.
    Overridden {
        /// What was heard.
        reason: String,
    },
}

impl Park {
    /// Why, in a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::UnknownOutcome { last } => format!("nobody can tell what became of the attempt ({last})"),
            Self::UndoFailed { reason } => format!("the undo failed: {reason}"),
            Self::Drift { found } => format!("somebody else changes the target: {found}"),
            Self::Overridden { reason } => format!("somebody acts on the target outside this run: {reason}"),
        }
    }

    /// What an operator can do about it.
    #[must_use]
    pub fn exits(&self) -> &'static [&'static str] {
        match self {
            Self::UnknownOutcome { .. } => &["retry (look it up again)", "settle", "abort", "roll back"],
            Self::UndoFailed { .. } => &["retry", "waive the undo", "settle"],
            Self::Drift { .. } | Self::Overridden { .. } => &["retry", "abort", "roll back", "waive the undo"],
        }
    }
}

impl StepState {
    /// Whether it is neither waiting nor settled.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self, Self::Waiting { .. } | Self::Done | Self::Failed { .. } | Self::Withdrawn | Self::Undone)
    }

    /// The attempt it is in, while it is in one.
    #[must_use]
    pub fn of(&self) -> Option<Try> {
        match self {
            Self::Backoff { of, .. }
            | Self::Trying { of, .. }
            | Self::Polling { of, .. }
            | Self::Cancelling { of, .. }
            | Self::Unsure { of, .. }
            | Self::Verifying { of, .. }
            | Self::Evaluating { of, .. }
            | Self::Approving { of, .. }
            | Self::Soaking { of, .. }
            | Self::Parked { of, .. } => Some(*of),
            Self::Rolling(rolling) => Some(rolling.of),
            Self::Waiting { .. } | Self::Done | Self::Failed { .. } | Self::Withdrawn | Self::Undone => None,
        }
    }

    /// When something is due if nothing happens before.
    #[must_use]
    pub fn due(&self) -> Option<RunTime> {
        match self {
            Self::Backoff { due, .. } | Self::Soaking { due, .. } => Some(*due),
            Self::Trying { deadline, .. } | Self::Polling { deadline, .. } => Some(*deadline),
            Self::Evaluating { give_up, .. } => Some(*give_up),
            Self::Approving { expires, .. } => Some(*expires),
            Self::Rolling(rolling) => Some(rolling.due()),
            Self::Waiting { .. }
            | Self::Cancelling { .. }
            | Self::Unsure { .. }
            | Self::Verifying { .. }
            | Self::Parked { .. }
            | Self::Done
            | Self::Failed { .. }
            | Self::Withdrawn
            | Self::Undone => None,
        }
    }

    /// The same state with every time in it `span` later: what standing still does.
    pub(in crate::machine) fn shift(&mut self, span: Duration) {
        match self {
            Self::Backoff { due, .. } | Self::Soaking { due, .. } => *due = *due + span,
            Self::Trying { deadline, .. } | Self::Polling { deadline, .. } => *deadline = *deadline + span,
            Self::Evaluating { at, give_up, .. } => (*at, *give_up) = (*at + span, *give_up + span),
            Self::Approving { expires, .. } => *expires = *expires + span,
            Self::Rolling(rolling) => rolling.shift(span),
            Self::Unsure { deadline, .. } => *deadline = deadline.map(|at| at + span),
            Self::Waiting { .. }
            | Self::Cancelling { .. }
            | Self::Verifying { .. }
            | Self::Parked { .. }
            | Self::Done
            | Self::Failed { .. }
            | Self::Withdrawn
            | Self::Undone => {}
        }
    }
}

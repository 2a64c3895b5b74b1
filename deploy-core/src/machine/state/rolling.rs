//! A rollout: what it wants, what was seen, whom it asks.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::machine::command::Try;
use crate::monitor::{Judgement, MeasureRequest};
use crate::operator::{ApprovalRequest, Principal};
use crate::strategy::{Exposure, Memory, Next, Promotion, Reason, Stage};
use crate::target::{DesiredState, TargetState};
use crate::time::RunTime;

/// The last statement of a rollout on its way out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftAt {
    /// What should be there.
    pub want: DesiredState,
    /// What the strategy asked to be shown again.
    pub memory: Memory,
}

/// A strategy at work on a target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rolling {
    /// The attempt; `undo` tells the direction, `attempt` counts the statements of what is wanted.
    pub of: Try,
    /// What is being done.
    pub doing: Doing,
    /// What should be there; nothing before the first decision.
    pub want: Option<DesiredState>,
    /// Whether the target took the statement.
    pub applied: bool,
    /// Whether its traffic was seen as wanted since.
    pub settled: bool,
    /// What to measure at the next look.
    pub measure: Vec<MeasureRequest>,
    /// When to ask the strategy again.
    pub next: Option<Next>,
    /// What the strategy asked to be shown again.
    pub memory: Memory,
    /// Where on the ladder it is.
    pub stage: Stage,
    /// Why the last decision was taken.
    pub reason: Option<Reason>,
    /// What was judged last.
    pub judgements: Vec<Judgement>,
    /// What users have met of the new revision before it was proven.
    #[serde(default, skip_serializing_if = "Exposure::is_none")]
    pub exposure: Exposure,
    /// What is there, as last seen.
    pub observed: Option<TargetState>,
    /// When that was.
    pub looked_at: RunTime,
    /// Whether this driver has looked before, so that the time since counts as observed.
    pub continuous: bool,
    /// How long this stage was observed, in milliseconds.
    pub observed_ms: u64,
    /// What an operator said about waiting, until a look shows it to the strategy.
    pub promotion: Promotion,
    /// Who is asked, and who said yes.
    pub asking: Option<Asking>,
    /// How many looks or changes failed in a row.
    pub errors: u32,
    /// How often what somebody else changed was put back.
    pub reasserted: u32,
    /// When it must be over. Stands still while people are asked.
    pub deadline: RunTime,
}

/// What a rollout is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// It looks, not before `at`. Command: `Look`.
    Looking {
        /// When to look.
        at: RunTime,
    },
    /// It changes the target. Command: `Apply`.
    Applying,
}

/// People who are asked in the middle of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asking {
    /// The question.
    pub request: ApprovalRequest,
    /// Who said yes.
    pub yes: BTreeSet<Principal>,
    /// Since when they are asked.
    pub since: RunTime,
    /// When nobody is asked any more.
    pub expires: RunTime,
}

impl Rolling {
    /// A rollout that is about to look for the first time.
    #[must_use]
    pub(in crate::machine) fn first(of: Try, now: RunTime, deadline: RunTime) -> Self {
        Self {
            of,
            doing: Doing::Looking { at: now },
            want: None,
            applied: false,
            settled: false,
            measure: Vec::new(),
            next: None,
            memory: Memory::empty(),
            stage: Stage::default(),
            reason: None,
            judgements: Vec::new(),
            exposure: Exposure::NONE,
            observed: None,
            looked_at: now,
            continuous: false,
            observed_ms: 0,
            promotion: Promotion::None,
            asking: None,
            errors: 0,
            reasserted: 0,
            deadline,
        }
    }

    pub(super) fn due(&self) -> RunTime {
        self.asking.as_ref().map_or(self.deadline, |asking| asking.expires)
    }

    pub(in crate::machine) fn shift(&mut self, span: Duration) {
        if let Doing::Looking { at } = &mut self.doing {
            *at = *at + span;
        }
        if let Some(asking) = &mut self.asking {
            (asking.since, asking.expires) = (asking.since + span, asking.expires + span);
        }
        self.deadline = self.deadline + span;
        // Nobody judged meanwhile: what passed does not count as observed.
        self.continuous = false;
    }

    /// Looks again, as a new command.
    pub(in crate::machine) fn look(&mut self, at: RunTime) {
        self.of = self.of.next_turn();
        self.doing = Doing::Looking { at };
    }

    /// Stops asking people; the time they took does not count against the deadline.
    pub(in crate::machine) fn stop_asking(&mut self, now: RunTime) {
        if let Some(asking) = self.asking.take() {
            self.deadline = self.deadline + now.since(asking.since);
        }
    }
}

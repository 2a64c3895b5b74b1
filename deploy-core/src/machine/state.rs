//! The state of a run: one enum per level, each variant carrying exactly what is valid in it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::command::Try;
use super::input::Reported;
use crate::agent::Handle;
use crate::deliverable::Payload;
use crate::evidence::Waiver;
use crate::gate::StepFacts;
use crate::monitor::{Judgement, MeasureRequest};
use crate::name::{CheckName, InputId, RunId};
use crate::operator::{ApprovalRequest, OperatorInput, Principal};
use crate::plan::{StepId, StepPath};
use crate::strategy::{Exposure, Memory, Next, Promotion, Reason, Stage};
use crate::target::{DesiredState, TargetState};
use crate::time::{Now, RunTime};

/// How many inputs that come before anybody waits for them are kept. When full, the newest is refused.
pub const EARLY_AT_MOST: usize = 16;
/// How many ids of taken inputs are remembered here; the journal's unique index knows the rest.
pub const TAKEN_AT_MOST: usize = 64;
/// How often a lookup that itself fails is repeated before the outcome counts as unknown.
pub const LOOKUPS_AT_MOST: u32 = 3;
/// How long to wait between two lookups of the same attempt, and after a gate that could not find out.
pub const ASK_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// How long turning back waits for a change of a target that is under way. Receivers that compare fences refuse a later one.
pub(super) const CHANGE_SETTLES_WITHIN: Duration = Duration::from_secs(60);
/// Why a step failed that had to stop because its run turned back.
pub(super) const TURNED_BACK: &str = "the run turned back";

/// Everything that the machine knows about a run beside its plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The run.
    pub run: RunId,
    /// Where it stands.
    pub mode: Mode,
    /// The epoch of the lock; nothing while the run waits for it.
    pub epoch: Option<u64>,
    /// One per step of the plan.
    pub steps: Vec<Step>,
    /// Tasks and rollouts whose dependencies are met.
    pub ready: BTreeSet<StepId>,
    /// Everything else whose dependencies are met: takes no room in the width.
    pub ready_free: BTreeSet<StepId>,
    /// Steps that are neither waiting nor settled.
    pub open: BTreeSet<StepId>,
    /// Steps that wait for a person to find a way out.
    pub parked: BTreeSet<StepId>,
    /// When which step is due.
    pub due: BTreeSet<(RunTime, StepId)>,
    /// How many tasks and rollouts are under way.
    pub busy: u32,
    /// How many steps are not yet settled.
    pub left: u32,
    /// The position of the next record.
    pub position: u64,
    /// When the newest record was made.
    pub at: Now,
    /// Since when an operator has paused it.
    pub paused: Option<RunTime>,
    /// Started tasks and rollouts that are not yet undone, in order of recorded start.
    pub started: Vec<StepId>,
    /// How many were undone.
    pub undone: u32,
    /// How many could not be undone, because there is no way back from them.
    pub left_standing: u32,
    /// The first failure, which sends the run back.
    pub failure: Option<Failure>,
    /// What each step handed over.
    pub outputs: BTreeMap<StepId, BTreeMap<String, Payload>>,
    /// What each step claimed and what of it was verified.
    pub facts: BTreeMap<StepId, StepFacts>,
    /// What was at each rollout's target when it began.
    pub from: BTreeMap<StepId, TargetState>,
    /// What each rollout said last on its way out: its way back goes on from there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_at: BTreeMap<StepId, LeftAt>,
    /// Waivers by step and check.
    #[serde(with = "waivers")]
    pub waivers: BTreeMap<(StepId, CheckName), Waiver>,
    /// Inputs that came before anybody waited for them.
    pub early: VecDeque<OperatorInput>,
    /// Ids of the newest inputs that were taken.
    pub taken: VecDeque<InputId>,
    /// Who looks after a parked run.
    pub acknowledged: Option<Principal>,
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It goes forward.
    Forward,
    /// It goes back.
    Undoing {
        /// What it ends as when everything is undone.
        to: Outcome,
        /// Why it goes back.
        because: String,
    },
    /// It is over. Terminal is terminal.
    Ended {
        /// How.
        outcome: Outcome,
        /// Why, in a sentence.
        because: String,
    },
}

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The release is out.
    Succeeded,
    /// It is not, and what was there before is there again.
    RolledBack,
    /// It is not, and there was nothing to undo or no way back.
    Failed,
    /// Somebody stopped it; what was started is undone.
    Aborted,
}

impl Outcome {
    /// The outcome as records and lists write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::RolledBack => "rolled back",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// The first failure of a run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Failure {
    /// The step that failed.
    pub step: StepPath,
    /// Why.
    pub reason: String,
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Where it stands.
    pub state: StepState,
    /// The position of the record that brought it there.
    pub seq: u64,
    /// How often it was tried again with the same key, in this iteration.
    pub repeats: u32,
}

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
    pub(super) fn shift(&mut self, span: Duration) {
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

impl Rolling {
    /// A rollout that is about to look for the first time.
    #[must_use]
    pub(super) fn first(of: Try, now: RunTime, deadline: RunTime) -> Self {
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

    fn due(&self) -> RunTime {
        self.asking.as_ref().map_or(self.deadline, |asking| asking.expires)
    }

    pub(super) fn shift(&mut self, span: Duration) {
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
    pub(super) fn look(&mut self, at: RunTime) {
        self.of = self.of.next_turn();
        self.doing = Doing::Looking { at };
    }

    /// Stops asking people; the time they took does not count against the deadline.
    pub(super) fn stop_asking(&mut self, now: RunTime) {
        if let Some(asking) = self.asking.take() {
            self.deadline = self.deadline + now.since(asking.since);
        }
    }
}

/// Waivers as a list, since JSON has no maps with pairs for keys.
mod waivers {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{CheckName, StepId, Waiver};

    type Waivers = BTreeMap<(StepId, CheckName), Waiver>;

    pub(super) fn serialize<S: Serializer>(waivers: &Waivers, serializer: S) -> Result<S::Ok, S::Error> {
        waivers.iter().collect::<Vec<_>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Waivers, D::Error> {
        Ok(Vec::<((StepId, CheckName), Waiver)>::deserialize(deserializer)?.into_iter().collect())
    }
}

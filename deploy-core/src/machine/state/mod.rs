//! The state of a run: one enum per level, each variant carrying exactly what is valid in it.

mod rolling;
mod step;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Machine;
use crate::deliverable::Payload;
use crate::evidence::Waiver;
use crate::gate::StepFacts;
use crate::name::{CheckName, InputId, RunId};
use crate::operator::{OperatorInput, Principal};
use crate::plan::{Plan, StepId, StepPath};
use crate::target::TargetState;
use crate::time::{Now, RunTime};

pub use self::rolling::{Asking, Doing, LeftAt, Rolling};
pub use self::step::{Park, StepState};

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

impl State {
    /// The state of a run that has just been admitted to its plan: every step waits, the roots are ready.
    pub(super) fn initial(plan: &Plan, run: &RunId) -> Self {
        let steps = plan.steps.iter().map(|planned| Step {
            state: StepState::Waiting { unmet: u32::try_from(planned.after.len()).unwrap_or(u32::MAX) },
            seq: 0,
            repeats: 0,
        });
        let roots = |room: bool| {
            let ids = (0u32..).map(StepId).zip(&plan.steps);
            ids.filter(move |(_, p)| p.after.is_empty() && Machine::takes_room(&p.work) == room)
                .map(|(id, _)| id)
                .collect()
        };
        Self {
            run: run.clone(),
            mode: Mode::Forward,
            epoch: None,
            steps: steps.collect(),
            ready: roots(true),
            ready_free: roots(false),
            open: BTreeSet::new(),
            parked: BTreeSet::new(),
            due: BTreeSet::new(),
            busy: 0,
            left: u32::try_from(plan.steps.len()).unwrap_or(u32::MAX),
            position: 0,
            at: Now::default(),
            paused: None,
            started: Vec::new(),
            undone: 0,
            left_standing: 0,
            failure: None,
            outputs: Default::default(),
            facts: Default::default(),
            from: Default::default(),
            left_at: Default::default(),
            waivers: Default::default(),
            early: Default::default(),
            taken: Default::default(),
            acknowledged: None,
        }
    }
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

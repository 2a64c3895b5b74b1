//! The plan: data that fixes every step, block and limit of a run before it begins.

mod diff;
mod fingerprint;
mod page;
mod path;
mod preview;
mod render;
mod resolve;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::diff::{Area, Change, Difference, PlanDiff};
pub use self::path::{StepId, StepPath, StepPathError};
pub use self::preview::Preview;
pub use self::resolve::PlanError;
use crate::agent::Repeatable;
use crate::deliverable::DeliverableKey;
use crate::evidence::Verification;
use crate::journal::QueuePolicy;
use crate::name::{BlockName, PhaseName, PipelineName, RunId, TargetName};
use crate::operator::{ApprovalRequest, Principal};
use crate::release::Release;
use crate::target::Capabilities;

/// Pipeline × release: what will be done, in which order, within which limits. Data alone; it holds no building block.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The pipeline that it was made of.
    pub pipeline: PipelineName,
    /// What is released.
    pub release: Release,
    /// Who asked for it: they may not approve it where self-approval is forbidden.
    pub started_by: Principal,
    /// The way back.
    pub rollback: RollbackTo,
    /// The run that has ended and that this one takes back; absent for an ordinary release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_of: Option<RollbackOf>,
    /// Who may wait for the lock.
    pub queue: QueuePolicy,
    /// What becomes of a run in flight when this one arrives.
    pub in_flight: InFlightPolicy,
    /// How many tasks and rollouts may be under way at once. Waits for people and soaks do not count.
    pub width: u32,
    /// In order.
    pub phases: Vec<PlannedPhase>,
    /// In an order that respects `after`: a step comes after all that it waits for.
    pub steps: Vec<PlannedStep>,
    /// The building blocks, with the contract versions that this plan was made with.
    pub blocks: BTreeMap<BlockName, PinnedBlock>,
    /// The targets, with what they could do when the plan was made.
    pub targets: BTreeMap<TargetName, Capabilities>,
}

impl Plan {
    /// The step of this id, which must be one of this plan's.
    #[must_use]
    pub fn step(&self, id: StepId) -> Option<&PlannedStep> {
        self.steps.get(id.index())
    }

    /// The id of the step with this path.
    #[must_use]
    pub fn find(&self, path: &StepPath) -> Option<StepId> {
        let index = self.steps.iter().position(|s| s.path == *path)?;
        u32::try_from(index).ok().map(StepId)
    }
}

/// The way back, declared for the whole pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RollbackTo {
    /// To what was there before; on a first install: to nothing.
    Previous,
    /// To nothing: the new revision is removed again.
    Remove,
    /// Nowhere: rollouts stay as they are, and a person takes over.
    None {
        /// Why there is no way back.
        reason: String,
    },
}

/// What a rollback takes back. It starts no other rollback: neither by itself, nor for an operator, nor when it has ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackOf {
    /// The run, which has ended.
    pub run: RunId,
    /// Why it is taken back, in the words of whoever asked.
    pub why: String,
}

/// What becomes of a run in flight when a newer one for the same lock arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InFlightPolicy {
    /// It goes on to its end. The default: half a release is the worst of states.
    #[default]
    Finish,
    /// It is aborted and undone; then the newer one begins.
    Supersede,
}

/// A phase of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedPhase {
    /// Its name.
    pub name: PhaseName,
    /// The agent that answers for it.
    pub lead: Option<BlockName>,
    /// The agents that help.
    pub supporting: Vec<BlockName>,
    /// What it promises to have handed over when it ends.
    pub promises: Vec<DeliverableKey>,
    /// The step that opens it: a gate step, with or without a gate.
    pub entry: StepId,
    /// The step that closes it: a gate step, with or without a gate.
    pub exit: StepId,
}

/// A step of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedStep {
    /// Its path.
    pub path: StepPath,
    /// The phase it belongs to, as an index into [`Plan::phases`].
    pub phase: u32,
    /// What it is.
    pub work: Work,
    /// The steps that must be done before it, ascending.
    pub after: Vec<StepId>,
    /// The steps that wait for it, ascending.
    pub dependents: Vec<StepId>,
    /// How long one attempt may take, in active time. A rollout has one attempt.
    #[serde(with = "crate::time::duration_ms")]
    pub timeout: Duration,
    /// How often and when a failed attempt is made again.
    pub retry: RetryPolicy,
    /// What a failure means.
    pub on_failure: OnFailure,
    /// Checks without which it is not done.
    pub verifications: Vec<Verification>,
    /// Why there is no way back once it was begun; absent: there is one.
    pub point_of_no_return: Option<String>,
}

/// What a step is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Work {
    /// A task for an agent.
    Task {
        /// The agent.
        agent: BlockName,
        /// The agent that undoes it, with whether that may be repeated; absent: there is nothing to undo.
        undo: Option<Undo>,
        /// Whether the agent's work may be repeated when nobody can tell what became of it.
        repeatable: Repeatable,
        /// Where its inputs come from, by deliverable.
        inputs: BTreeMap<String, StepId>,
    },
    /// A question to a gate, or a mere join where there is none.
    Gate {
        /// The gate.
        gate: Option<BlockName>,
        /// What must be so, in a sentence.
        criterion: String,
        /// How long it may hold in all; then the step fails. Active time.
        #[serde(with = "crate::time::duration_ms")]
        hold_at_most: Duration,
    },
    /// A question to people.
    Approval(ApprovalRequest),
    /// Observed time that must pass.
    Soak {
        /// How long.
        #[serde(with = "crate::time::duration_ms")]
        span: Duration,
    },
    /// A strategy at work on a target.
    Rollout(RolloutWork),
}

impl Work {
    /// The building blocks that it names.
    pub fn blocks(&self) -> impl Iterator<Item = &BlockName> {
        let (one, other, more): (_, _, &[BlockName]) = match self {
            Self::Task { agent, undo, .. } => (Some(agent), undo.as_ref().map(|u| &u.agent), &[]),
            Self::Gate { gate, .. } => (gate.as_ref(), None, &[]),
            Self::Approval(_) | Self::Soak { .. } => (None, None, &[]),
            Self::Rollout(work) => (Some(&work.strategy), None, &work.monitors),
        };
        one.into_iter().chain(other).chain(more)
    }
}

/// The undo of a task.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// The agent.
    pub agent: BlockName,
    /// Whether undoing may be repeated when nobody can tell what became of it.
    pub repeatable: Repeatable,
    /// How often and when a failed undo is made again; then the run parks.
    pub retry: RetryPolicy,
    /// How long one attempt may take.
    #[serde(with = "crate::time::duration_ms")]
    pub timeout: Duration,
}

/// A strategy at work on a target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutWork {
    /// The strategy.
    pub strategy: BlockName,
    /// The target.
    pub target: TargetName,
    /// The monitors that the strategy may ask.
    pub monitors: Vec<BlockName>,
    /// How often to look, at least. Default 10 s: two Prometheus scrapes of the common 5 s.
    #[serde(with = "crate::time::duration_ms")]
    pub observe_every: Duration,
    /// How often in a row a look or a change may fail before the step does.
    pub errors_at_most: u32,
    /// How often to put back what somebody else changed before the run parks.
    pub reassert_at_most: u32,
    /// How long the way back may take before the run parks. Active time.
    #[serde(with = "crate::time::duration_ms")]
    pub undo_timeout: Duration,
    /// The blast radius: how much users may meet of the new revision before it is proven, as time of the whole traffic. Past it
    /// the rollout goes back. Absent: no limit.
    #[serde(default, with = "crate::time::option_duration_ms", skip_serializing_if = "Option::is_none")]
    pub blast_radius: Option<Duration>,
}

/// What the failure of a step means.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The run goes back.
    RollBack,
    /// The run goes on; the failure stands in the report with this reason.
    Continue {
        /// Why it does not matter.
        reason: String,
    },
}

/// How often and when a failed attempt is made again. Every policy is bounded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryPolicy {
    /// How many attempts in all, at least 1. Attempts that certainly did nothing count too.
    pub attempts: u32,
    /// How long to wait before the second attempt.
    #[serde(with = "crate::time::duration_ms")]
    pub backoff: Duration,
    /// Each further wait is this many times longer, in percent: 200 doubles it.
    pub growth_percent: u32,
    /// No wait is longer than this.
    #[serde(with = "crate::time::duration_ms")]
    pub backoff_at_most: Duration,
    /// How much of each wait is left to chance (seeded by run, step and attempt), in percent, so that many runs do not
    /// come back at the same instant.
    pub jitter_percent: u32,
}

impl RetryPolicy {
    /// One attempt, no retry.
    #[must_use]
    pub fn once() -> Self {
        Self { attempts: 1, ..Self::attempts(1) }
    }

    /// This many attempts in all, waiting 1 s, 2 s, 4 s … up to 60 s, a fifth of each left to chance.
    #[must_use]
    pub fn attempts(attempts: u32) -> Self {
        Self {
            attempts,
            backoff: Duration::from_secs(1),
            growth_percent: 200,
            backoff_at_most: Duration::from_secs(60),
            jitter_percent: 20,
        }
    }

    /// The same policy with another first wait.
    #[must_use]
    pub fn backoff(mut self, first: Duration, at_most: Duration) -> Self {
        self.backoff = first;
        self.backoff_at_most = at_most;
        self
    }

    /// The wait after attempt number `made` (from 1) of whatever `seed` names.
    #[must_use]
    pub fn wait_after(&self, made: u32, seed: u64) -> Duration {
        let mut wait = u128::from(crate::time::millis(self.backoff));
        let longest = u128::from(crate::time::millis(self.backoff_at_most));
        for _ in 1..made.min(64) {
            wait = (wait * u128::from(self.growth_percent) / 100).min(longest);
        }
        let wait = wait.min(longest);
        let spread = wait * u128::from(self.jitter_percent.min(100)) / 100;
        // SplitMix64, Steele et al. 2014: one well mixed number from one seed.
        let mut z = seed.wrapping_add(u64::from(made).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        let off = if spread == 0 { 0 } else { u128::from(z) % (spread + 1) };
        Duration::from_millis(u64::try_from(wait - off).unwrap_or(u64::MAX))
    }
}

/// A building block as the plan pinned it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedBlock {
    /// What it is.
    pub kind: BlockKind,
    /// Its contract version when the plan was made; 1 for blocks without one.
    pub version: u32,
    /// What it answers for, in a sentence.
    pub responsibility: String,
}

/// What a building block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockKind {
    /// An agent.
    Agent,
    /// A gate.
    Gate,
    /// A strategy.
    Strategy,
    /// A monitor.
    Monitor,
}

impl std::fmt::Display for BlockKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Agent => "agent",
            Self::Gate => "gate",
            Self::Strategy => "strategy",
            Self::Monitor => "monitor",
        })
    }
}

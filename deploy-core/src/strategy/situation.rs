//! All that a strategy is shown.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Decision, Exposure, Memory, Next, Reason, ReasonCode, Stage};
use crate::monitor::Measured;
use crate::release::Release;
use crate::target::{DesiredState, TargetState};
use crate::time::{RunTime, Timestamp};

/// Everything that is known about a rollout when a decision is due.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Situation<'a> {
    /// What is being released.
    pub release: &'a Release,
    /// What was there when the rollout began.
    pub from: &'a TargetState,
    /// What is there now.
    pub observed: &'a TargetState,
    /// What was wanted last; nothing at the first look.
    pub wanted: Option<&'a DesiredState>,
    /// What was measured since the last look.
    pub measured: &'a [Measured],
    /// What the last decision asked to be shown again.
    pub memory: &'a Memory,
    /// Run time.
    pub now: RunTime,
    /// Wall time: for dates that people wrote down, never for measuring how long something takes.
    pub wall: Timestamp,
    /// How long this stage has been observed: gaps in which nobody looked do not count.
    pub observed_for: Duration,
    /// What an operator said about waiting.
    pub promotion: Promotion,
    /// How often the engine looks.
    pub observe_every: Duration,
}

/// What an operator said about waiting, consumed by the look that shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promotion {
    /// Nothing.
    #[default]
    None,
    /// Skip this wait, or yes to what [`Next::Await`] asked.
    Skip,
    /// Skip every further stage.
    Full,
}

impl<'a> Situation<'a> {
    /// The situation at the first look: nothing measured, nothing remembered. Tests go on from here with the other methods.
    #[must_use]
    pub fn first(release: &'a Release, observed: &'a TargetState) -> Self {
        const NOTHING: &Memory = &Memory::empty();
        Self {
            release,
            from: observed,
            observed,
            wanted: None,
            measured: &[],
            memory: NOTHING,
            now: RunTime::START,
            wall: Timestamp::default(),
            observed_for: Duration::ZERO,
            promotion: Promotion::None,
            observe_every: Duration::from_secs(10),
        }
    }

    /// The same situation, seen later: another observation, the memory of the last decision.
    #[must_use]
    pub fn later(
        mut self,
        observed: &'a TargetState,
        last: &'a Decision,
        now: RunTime,
        observed_for: Duration,
    ) -> Self {
        self.observed = observed;
        self.wanted = Some(&last.want);
        self.memory = &last.memory;
        self.now = now;
        self.observed_for = observed_for;
        self
    }

    /// The same situation with these measurements.
    #[must_use]
    pub fn measured(mut self, measured: &'a [Measured]) -> Self {
        self.measured = measured;
        self
    }

    /// The same situation; an operator skips a wait.
    #[must_use]
    pub fn promotion(mut self, promotion: Promotion) -> Self {
        self.promotion = promotion;
        self
    }

    /// The same situation, begun from another state.
    #[must_use]
    pub fn from(mut self, from: &'a TargetState) -> Self {
        self.from = from;
        self
    }

    /// The same situation with this interval between looks.
    #[must_use]
    pub fn observe_every(mut self, every: Duration) -> Self {
        self.observe_every = every;
        self
    }

    /// The same situation at this time, its stage observed for this long.
    #[must_use]
    pub fn at(mut self, now: RunTime, observed_for: Duration) -> Self {
        self.now = now;
        self.observed_for = observed_for;
        self
    }

    /// The same situation at this wall time. Default: 1970, when nothing had expired yet.
    #[must_use]
    pub fn wall(mut self, wall: Timestamp) -> Self {
        self.wall = wall;
        self
    }

    /// The same situation; this was wanted last.
    #[must_use]
    pub fn wanted(mut self, wanted: Option<&'a DesiredState>) -> Self {
        self.wanted = wanted;
        self
    }

    /// The same situation with this memory.
    #[must_use]
    pub fn memory(mut self, memory: &'a Memory) -> Self {
        self.memory = memory;
        self
    }

    /// Restores what was there before: capacity first, traffic once that is ready, then what is left over goes.
    #[must_use]
    pub fn restore(&self) -> Decision {
        let goal = self.from.as_desired();
        let ready = goal.weights.keys().all(|name| {
            let wanted = goal.capacity.get(name).copied().unwrap_or(0);
            wanted == 0 || self.observed.revision(name).ready >= wanted
        });
        let done = self.observed.satisfies(&goal);
        let want = if ready {
            goal.clone()
        } else {
            // Bring the old instances back before any traffic moves, unless they can already carry some of it.
            let some = goal.weights.keys().all(|name| self.observed.revision(name).ready > 0);
            let mut capacity = self.observed.as_desired().capacity;
            capacity.extend(goal.capacity.clone());
            let weights = if some { goal.weights.clone() } else { self.observed.as_desired().weights };
            DesiredState { capacity, weights, ..goal.clone() }
        };
        let back: u32 = goal.capacity.iter().map(|(name, count)| self.observed.revision(name).ready.min(*count)).sum();
        let all: u32 = goal.capacity.values().sum();
        let (next, reason) = if done {
            let text = format!("what was there before is there again, {back} of {all} instances ready");
            let reason = Reason::new(ReasonCode::Restored, text);
            (Next::Complete, reason.otherwise("whatever had been left over would have kept it open"))
        } else {
            let text = format!("restoring what was there before: {back} of {all} instances are ready");
            let reason = Reason::new(ReasonCode::Restoring, text);
            let reason = reason.otherwise("it is complete when the place reads back as it was before");
            (Next::WakeAt(self.now + self.observe_every), reason)
        };
        let stage = Stage { index: u32::from(done), of: 1, name: "restore".to_owned() };
        Decision {
            want,
            measure: Vec::new(),
            next,
            memory: self.memory.clone(),
            stage,
            reason,
            judgements: Vec::new(),
            exposure: Exposure::NONE,
        }
    }
}

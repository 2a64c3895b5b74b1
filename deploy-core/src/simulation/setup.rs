//! A run to be simulated, and what goes wrong in it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::faults::Faults;
use super::world::{Answers, World};
use crate::name::{RunId, TargetName};
use crate::operator::Act;
use crate::plan::{Plan, StepPath};
use crate::target::TargetState;
use crate::time::RunTime;

/// A run to be simulated.
#[derive(Debug)]
pub struct Simulation {
    pub(super) plan: Arc<Plan>,
    pub(super) run: RunId,
    pub(super) seed: u64,
    pub(super) faults: Faults,
    pub(super) stops: BTreeSet<u64>,
    pub(super) unacknowledged: BTreeSet<u64>,
    pub(super) said: Vec<(RunTime, Act)>,
    pub(super) world: World,
    pub(super) attended: bool,
}

impl Simulation {
    /// A run of this plan in which nothing goes wrong, looked after by a person who approves what is asked.
    #[must_use]
    pub fn new(plan: Arc<Plan>, seed: u64) -> Self {
        Self {
            plan,
            run: RunId::new("simulated").unwrap_or_else(|_| RunId::generate()),
            seed,
            faults: Faults::default(),
            stops: BTreeSet::new(),
            unacknowledged: BTreeSet::new(),
            said: Vec::new(),
            world: World::default(),
            attended: true,
        }
    }

    /// The same run with another name, so that its keys compare with those of a run of another driver. The default is
    /// `simulated`.
    #[must_use]
    pub fn named(mut self, run: RunId) -> Self {
        self.run = run;
        self
    }

    /// The same run with other chances. Its name stays, and so do its keys.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The same run with faults.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// The same run; its driver stops as soon as the record at this position is durable.
    #[must_use]
    pub fn stop_after(mut self, position: u64) -> Self {
        self.stops.insert(position);
        self
    }

    /// The same run; the append that holds this position is written and never acknowledged.
    #[must_use]
    pub fn unacknowledged(mut self, position: u64) -> Self {
        self.unacknowledged.insert(position);
        self
    }

    /// The same run; an operator says something at this time. Refused if it cannot be done then.
    #[must_use]
    pub fn says(mut self, at: Duration, act: Act) -> Self {
        self.said.push((RunTime::START + at, act));
        self
    }

    /// The same run; this is at a target before it begins.
    #[must_use]
    pub fn target(mut self, name: TargetName, there: TargetState) -> Self {
        self.world.targets.insert(name, there);
        self
    }

    /// The same run; the work of this step takes so many polls.
    #[must_use]
    pub fn polls(mut self, step: StepPath, polls: u32) -> Self {
        self.world.polls.insert(step, polls);
        self
    }

    /// The same run; so many attempts of this step fail for good before one succeeds.
    #[must_use]
    pub fn failing(mut self, step: StepPath, attempts: u32) -> Self {
        self.world.failing.insert(step, attempts);
        self
    }

    /// The same run; monitors answer so.
    #[must_use]
    pub fn answers(mut self, answers: Answers) -> Self {
        self.world.answers = answers;
        self
    }

    /// The same run with nobody to look after it: it is over when it waits for a person.
    #[must_use]
    pub fn unattended(mut self) -> Self {
        self.attended = false;
        self
    }
}

//! One wave: targets that go together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use deploy_core::name::{StepName, TargetName};
use serde::{Deserialize, Serialize};

use crate::refusal::Problems;
use crate::rolling::Amount;
use crate::span;

/// Targets that go together: a ring, a region, the services of one layer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wave {
    /// What it is called.
    pub name: StepName,
    /// Which targets.
    pub targets: Vec<TargetName>,
    /// How many at a time, in the order given as far as `after` lets them. Default: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_a_time: Option<Amount>,
    /// Which targets have to be done before which: services in the order of their dependencies. They stand in this wave or in an
    /// earlier one. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub after: BTreeMap<TargetName, BTreeSet<TargetName>>,
    /// How long the next wave waits after this one. Default: not at all.
    #[serde(default, with = "span", skip_serializing_if = "Duration::is_zero")]
    pub soak: Duration,
}

impl Wave {
    /// A wave of these targets, all of them at a time, with nothing after it.
    #[must_use]
    pub fn new(name: StepName, targets: Vec<TargetName>) -> Self {
        Self { name, targets, at_a_time: None, after: BTreeMap::new(), soak: Duration::ZERO }
    }

    /// The same wave, so many targets at a time.
    #[must_use]
    pub fn at_a_time(mut self, amount: Amount) -> Self {
        self.at_a_time = Some(amount);
        self
    }

    /// The same wave, in which `target` goes only when `first` is done.
    #[must_use]
    pub fn after(mut self, target: TargetName, first: TargetName) -> Self {
        self.after.entry(target).or_default().insert(first);
        self
    }

    /// The same wave, after which the next one waits for this long.
    #[must_use]
    pub fn soak(mut self, soak: Duration) -> Self {
        self.soak = soak;
        self
    }

    /// How many targets go side by side.
    pub(super) fn lanes(&self) -> usize {
        let size = u32::try_from(self.targets.len()).unwrap_or(u32::MAX);
        self.at_a_time.map_or(size, |amount| amount.rounded_up(size).clamp(1, size.max(1))) as usize
    }

    /// The targets in an order in which each comes after those that have to be done before it, otherwise as given. Those that wait for
    /// each other in a circle are left out.
    pub(super) fn ordered(&self) -> Vec<&TargetName> {
        let mut left: Vec<&TargetName> = self.targets.iter().collect();
        let mut ordered = Vec::with_capacity(left.len());
        let waits = |target: &TargetName, left: &[&TargetName]| {
            self.after.get(target).is_some_and(|first| first.iter().any(|first| left.contains(&first)))
        };
        while let Some(at) = (0..left.len()).find(|at| !waits(left[*at], &left)) {
            ordered.push(left.remove(at));
        }
        ordered
    }

    /// What is wrong with it, where `before` stand in earlier waves.
    pub(super) fn check(&self, problems: &mut Problems, at: &str, before: &BTreeSet<&TargetName>) {
        let place = |field: &str| format!("{at}.{field}");
        problems.require(!self.targets.is_empty(), place("targets"), "there is none", "at least one");
        let moves = self.at_a_time.is_none_or(|amount| !amount.is_zero());
        problems.require(moves, place("at_a_time"), "it is nothing", "more than 0");
        for (target, first) in &self.after {
            let here = self.targets.contains(target);
            problems.require(here, place("after"), format!("{target} is not of this wave"), "a target of this wave");
            for first in first {
                let known = self.targets.contains(first) || before.contains(first);
                let wrong = format!("{target} waits for {first}, which is neither here nor before");
                problems.require(known, place("after"), wrong, "a target of this wave or an earlier one");
            }
        }
        let ordered = self.ordered();
        let circle: Vec<&str> =
            self.targets.iter().filter(|target| !ordered.contains(target)).map(TargetName::as_str).collect();
        let wrong = || format!("{} wait for each other in a circle", circle.join(", "));
        if !circle.is_empty() {
            problems.add(place("after"), wrong(), "an order");
        }
    }
}

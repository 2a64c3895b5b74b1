//! Describes a canary and checks the description.

use std::num::NonZeroU32;
use std::time::Duration;

use deploy_core::name::BlockName;
use deploy_core::target::RouteMatch;
use serde::{Deserialize, Serialize};

use super::Canary;
use super::by_instances::Carrier;
use super::capacity::{CanaryCapacity, StableCapacity};
use super::schedule::Schedule;
use super::step::{Background, Step};
use crate::analysis::Analysis;
use crate::hold::OnInconclusive;
use crate::named::named;
use crate::refusal::{Problems, Refused};
use crate::rolling::Amount;
use crate::span;

/// The description of a canary, as it stands in a file. [`build`](Self::build) checks it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CanaryBuilder {
    /// How plans and records name it. Default: `canary`.
    pub name: BlockName,
    /// How many instances the service has. Default: what an autoscaler wants; otherwise as many as before; on a first
    /// install one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<NonZeroU32>,
    /// The whole that the steps' weights are parts of. Default: 100. A place with another whole gets the nearest part.
    pub weights_of: u32,
    /// In order. None is allowed: then it hands over at once when every instance is ready.
    pub steps: Vec<Step>,
    /// What carries the weights. Default: a router.
    pub traffic: Carrier,
    /// How many instances the new revision has, where a step does not say. Default: as its weight needs.
    pub capacity: CanaryCapacity,
    /// How many the stable one has. Default: all of them to the end.
    pub stable: StableCapacity,
    /// The fewest instances of the new revision, where it has any. Default: 1.
    pub min_instances: u32,
    /// Analyses that go on over several steps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub background: Vec<Background>,
    /// What happens when an analysis cannot tell. Default: a person is asked, for 24 h.
    pub on_inconclusive: OnInconclusive,
    /// How much the new revision may meet before the last stage, as time of the whole traffic: 5 % for 10 min are 30 s. Past
    /// it the rollout goes back. Default: no such limit.
    #[serde(default, with = "span::optional", skip_serializing_if = "Option::is_none")]
    pub blast_radius: Option<Duration>,
    /// How long the old instances stay after the new ones carry everything. Default: 30 s, as Argo Rollouts has it.
    #[serde(with = "span")]
    pub scale_down_delay: Duration,
    /// How long the new instances stay after a roll-back took their traffic. Default: 30 s, as Argo Rollouts has it.
    #[serde(with = "span")]
    pub abort_delay: Duration,
    /// How long nothing may move while instances, the place or measurements are waited for. Default: 10 min, as Kubernetes
    /// has it.
    #[serde(with = "span")]
    pub progress_deadline: Duration,
}

impl Default for CanaryBuilder {
    fn default() -> Self {
        Self {
            name: named("canary"),
            instances: None,
            weights_of: 100,
            steps: Vec::new(),
            traffic: Carrier::Router,
            capacity: CanaryCapacity::MatchWeight,
            stable: StableCapacity::Full,
            min_instances: 1,
            background: Vec::new(),
            on_inconclusive: OnInconclusive::default(),
            blast_radius: None,
            scale_down_delay: Duration::from_secs(30),
            abort_delay: Duration::from_secs(30),
            progress_deadline: Duration::from_secs(600),
        }
    }
}

impl CanaryBuilder {
    /// The same canary under another name; two of them in one pipeline need two.
    #[must_use]
    pub fn name(mut self, name: BlockName) -> Self {
        self.name = name;
        self
    }

    /// The same canary of a service with this many instances.
    #[must_use]
    pub fn instances(mut self, instances: NonZeroU32) -> Self {
        self.instances = Some(instances);
        self
    }

    /// The same canary with weights in parts of another whole.
    #[must_use]
    pub fn weights_of(mut self, whole: u32) -> Self {
        self.weights_of = whole;
        self
    }

    /// The same canary with one more step.
    #[must_use]
    pub fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The same canary without a router: instances carry the weights, with so many more and so many fewer at a time.
    #[must_use]
    pub fn by_instances(mut self, surge: Amount, unavailable: Amount) -> Self {
        self.traffic = Carrier::Instances { surge, unavailable };
        self
    }

    /// The same canary with the steps of a schedule instead of its own.
    #[must_use]
    pub fn schedule(mut self, schedule: &Schedule) -> Self {
        self.steps = schedule.steps(self.weights_of);
        self
    }

    /// The same canary with another rule for the new revision's instances.
    #[must_use]
    pub fn capacity(mut self, capacity: CanaryCapacity) -> Self {
        self.capacity = capacity;
        self
    }

    /// The same canary with another rule for the stable revision's instances.
    #[must_use]
    pub fn stable(mut self, stable: StableCapacity) -> Self {
        self.stable = stable;
        self
    }

    /// The same canary with at least this many instances of the new revision.
    #[must_use]
    pub fn min_instances(mut self, least: u32) -> Self {
        self.min_instances = least;
        self
    }

    /// The same canary with an analysis from this step on, counted from 0, to the end.
    #[must_use]
    pub fn background(mut self, from_step: u32, analysis: Analysis) -> Self {
        self.background.push(Background { from_step, analysis });
        self
    }

    /// The same canary with another answer to doubt.
    #[must_use]
    pub fn on_inconclusive(mut self, then: OnInconclusive) -> Self {
        self.on_inconclusive = then;
        self
    }

    /// The same canary; it goes back when the new revision has met so much, as time of the whole traffic, before the last
    /// stage.
    #[must_use]
    pub fn blast_radius(mut self, most: Duration) -> Self {
        self.blast_radius = Some(most);
        self
    }

    /// The same canary; the old instances stay this long at the end.
    #[must_use]
    pub fn scale_down_delay(mut self, delay: Duration) -> Self {
        self.scale_down_delay = delay;
        self
    }

    /// The same canary; the new instances stay this long after a roll-back.
    #[must_use]
    pub fn abort_delay(mut self, delay: Duration) -> Self {
        self.abort_delay = delay;
        self
    }

    /// The same canary; it goes back when nothing has moved for this long.
    #[must_use]
    pub fn progress_deadline(mut self, deadline: Duration) -> Self {
        self.progress_deadline = deadline;
        self
    }

    /// What a step routes, copies and compares with.
    fn check_requests(&self, problems: &mut Problems, i: usize, step: &Step) {
        let whole = self.weights_of;
        for (k, route) in step.routes.iter().enumerate() {
            let at = format!("steps[{i}].routes[{k}]");
            problems.require(!route.is_empty(), &at, "it matches every request", "at least one header or cookie");
            for part in route {
                let (RouteMatch::Header { name, .. } | RouteMatch::Cookie { name, .. }) = part;
                problems.require(!name.trim().is_empty(), &at, "a header or cookie has no name", "a name");
            }
        }
        let some = step.mirror.is_none_or(|share| share.get() > 0);
        problems.require(some, format!("steps[{i}].mirror"), "it copies nothing", "1 to 100");
        let by_router = self.traffic == Carrier::Router;
        let own = step.routes.is_empty() && step.mirror.is_none() && step.experiment.is_none();
        let allowed = "no routes, mirror or experiment beside instances that carry the weight";
        problems.require(
            by_router || own,
            format!("steps[{i}]"),
            "there is no router that could send requests",
            allowed,
        );
        if let Some(fresh) = step.experiment {
            let at = format!("steps[{i}].experiment.weight");
            problems.require(fresh.weight > 0, &at, "it is 0, so there is nothing to compare with", "at least 1");
            let left = u64::from(fresh.weight) + u64::from(step.weight) < u64::from(whole);
            let wrong = format!("{} beside {} leaves nothing of {whole} to the stable side", fresh.weight, step.weight);
            problems.require(left, &at, wrong, "less than what the step leaves of the whole");
        }
    }

    /// Checks the description.
    ///
    /// # Errors
    ///
    /// [`Refused`] with every problem: its place, what is wrong, what is allowed.
    pub fn build(self) -> Result<Canary, Refused> {
        let mut problems = Problems::default();
        let whole = self.weights_of;
        problems.require(whole > 0, "weights_of", "it is 0", "at least 1; 100 for percent");
        problems.require(self.min_instances > 0, "min_instances", "it is 0", "at least 1");
        problems.deadline(self.progress_deadline);
        let allowed = "at least one; everything at once is a strategy of its own";
        problems.require(!self.steps.is_empty(), "steps", "there is none", allowed);
        if let Carrier::Instances { surge, unavailable } = self.traffic {
            problems.moves("traffic.instances", surge, unavailable);
            let own = self.capacity != CanaryCapacity::MatchWeight || self.stable != StableCapacity::Full;
            let own = own || self.steps.iter().any(|step| step.capacity.is_some());
            let wrong = "a capacity of its own is given, but without a router the capacity is the weight";
            problems.require(
                !own,
                "capacity",
                wrong,
                "no capacity and no stable beside instances that carry the weight",
            );
        }
        for (i, step) in self.steps.iter().enumerate() {
            self.check_requests(&mut problems, i, step);
            let in_whole = step.weight <= whole;
            let wrong = || format!("{} is more than the whole, {whole}", step.weight);
            if !in_whole {
                problems.add(format!("steps[{i}].weight"), wrong(), format!("0 to {whole}"));
            }
            if step.capacity == Some(CanaryCapacity::Instances(0)) && step.weight > 0 {
                problems.add(format!("steps[{i}].capacity"), "no instance for a weight above 0", "at least 1 instance");
            }
            let beside: Vec<&Analysis> = self.background.iter().map(|background| &background.analysis).collect();
            let at = format!("steps[{i}].analysis");
            problems.analyses(&at, &step.analysis, &beside);
            let meets = step.analysis.is_empty() || step.meets_requests();
            let wrong = "the step sends no traffic, so there is nothing to measure";
            problems.require(meets, &at, wrong, "a step with a weight above 0, a route or a mirror");
            problems.asked(&format!("steps[{i}].approval"), step.approval.as_ref());
        }
        if let Some(most) = self.blast_radius {
            let step = |step: &Step| {
                step.soak.max(step.analysis.iter().map(Analysis::at_least).max().unwrap_or_default()).as_secs_f64()
                    * f64::from(step.weight)
            };
            let planned = self.steps.iter().map(step).sum::<f64>() / f64::from(whole.max(1));
            let wrong =
                format!("the steps alone meet {planned:.0} s of the whole traffic, the limit is {} s", most.as_secs());
            problems.require(planned <= most.as_secs_f64(), "blast_radius", wrong, format!("at least {planned:.0}s"));
        }
        for (k, background) in self.background.iter().enumerate() {
            background.analysis.check(&mut problems, &format!("background[{k}].analysis"));
            let there = usize::try_from(background.from_step).is_ok_and(|step| step < self.steps.len());
            problems.require(
                there,
                format!("background[{k}].from_step"),
                format!("there is no step {}", background.from_step),
                format!("0 to {}", self.steps.len().saturating_sub(1)),
            );
        }
        problems.finish("a canary")?;
        Ok(Canary { spec: self })
    }
}

impl TryFrom<CanaryBuilder> for Canary {
    type Error = Refused;
    fn try_from(spec: CanaryBuilder) -> Result<Self, Refused> {
        spec.build()
    }
}

impl From<Canary> for CanaryBuilder {
    fn from(canary: Canary) -> Self {
        canary.spec
    }
}

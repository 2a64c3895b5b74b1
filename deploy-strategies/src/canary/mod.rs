//! A canary: traffic moves to the new revision step by step, and each step has to prove itself.

mod build;
mod by_instances;
mod capacity;
mod finish;
mod ladder;
mod memory;
mod outline;
pub mod replicas;
pub mod schedule;
mod step;

use deploy_core::name::BlockName;
use deploy_core::release::Release;
use deploy_core::strategy::{Decision, Memory, Outline, Situation, Strategy};
use deploy_core::target::{Capabilities, TargetState};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

pub use self::build::CanaryBuilder;
pub use self::by_instances::Carrier;
pub use self::capacity::{CanaryCapacity, StableCapacity};
use self::memory::Remembered;
pub use self::step::{Background, FreshBaseline, Step};
use crate::analysis::monitors_of;
use crate::field::Field;
pub use crate::hold::OnInconclusive;
use crate::lag;

/// Moves traffic to the new revision step by step.
///
/// Each step names a weight; it begins by bringing up the instances that carry that weight, raises the weight only once they
/// are ready, and then holds: for a soak, for measurements, for a person, or for all of them. After the last step the new
/// revision gets full size and all the traffic, and the old one goes.
///
/// - A new revision with no ready instance loses its traffic at the next look, and the soak starts again.
/// - Fewer ready instances than the step needs never raise the weight; the soak stands still.
/// - A judge that says no, or nothing moving for the progress deadline, ends in a roll-back; doubt ends with a person.
/// - [`Strategy::revert`] gives the stable side all the traffic at once if at least half of it is ready. If less is, it gets
///   twice its usual share for each ready instance, the rest follows as instances come, and a new side without any ready
///   instance keeps nothing. The new instances go when the stable side has carried everything for `abort_delay`.
///
/// Where no router carries the weight, [`CanaryBuilder::by_instances`] meets it with the number of instances, within a surge and a
/// shortage, and goes back within the same two.
///
/// It is plain data: read it from a file with serde, or build it; both go through the same checks.
///
/// ```
/// use std::time::Duration;
/// use deploy_strategies::canary::{Canary, Step};
///
/// let canary = Canary::builder()
///     .step(Step::weight(5).soak(Duration::from_secs(600)))
///     .step(Step::weight(25).soak(Duration::from_secs(600)))
///     .step(Step::weight(50).approval("Half of the users next. Go on?"))
///     .build()?;
/// let text = r#"{"steps": [
///     {"weight": 5, "soak": "10m"},
///     {"weight": 25, "soak": "10m"},
///     {"weight": 50, "approval": {"question": "Half of the users next. Go on?", "quorum": 1, "expires_after": 86400000}}
/// ]}"#;
/// assert_eq!(serde_json::from_str::<Canary>(text)?, canary);
///
/// // Bad input is refused with every problem, its place, and what is allowed.
/// let refused = Canary::builder().step(Step::weight(120)).step(Step::weight(50)).build().expect_err("120 of 100");
/// assert_eq!(refused.problems()[0].at, "steps[0].weight");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "CanaryBuilder", into = "CanaryBuilder")]
pub struct Canary {
    spec: CanaryBuilder,
}

impl Canary {
    /// A canary without steps, to which steps are added.
    #[must_use]
    pub fn builder() -> CanaryBuilder {
        CanaryBuilder::default()
    }

    /// Its description.
    #[must_use]
    pub fn spec(&self) -> &CanaryBuilder {
        &self.spec
    }

    /// One decision of the way back.
    fn back(&self, field: &Field<'_>) -> Decision {
        if let Some(allowance) = self.spec.traffic.allowance(field.size) {
            return by_instances::revert(self, field, allowance);
        }
        let memory = Remembered::of(field.s.memory);
        memory.retreat.unwrap_or_default().decide(field, self.spec.abort_delay, |retreat| {
            Memory::of(&Remembered { retreat: Some(retreat.clone()), ..Remembered::default() }).unwrap_or_default()
        })
    }

    fn field<'a>(&self, situation: &'a Situation<'a>) -> Field<'a> {
        Field::of(situation, self.spec.instances.map(std::num::NonZeroU32::get))
    }
}

impl Strategy for Canary {
    fn name(&self) -> BlockName {
        self.spec.name.clone()
    }

    fn needs(&self) -> Capabilities {
        let any = |has: fn(&Step) -> bool| self.spec.steps.iter().any(has);
        Capabilities {
            weights: self.spec.traffic == Carrier::Router,
            capacity: true,
            routes: any(|step| !step.routes.is_empty()),
            mirror: any(|step| step.mirror.is_some()),
            experiments: any(|step| step.experiment.is_some()),
            ..Capabilities::default()
        }
    }

    fn monitors(&self) -> Vec<BlockName> {
        let inline = self.spec.steps.iter().flat_map(|step| &step.analysis);
        monitors_of(inline.chain(self.spec.background.iter().map(|background| &background.analysis)))
    }

    fn outline(&self, release: &Release, from: &TargetState) -> Outline {
        outline::outline(&self.spec, release, from)
    }

    fn decide(&self, situation: &Situation<'_>) -> Decision {
        // Its steps prove it: what comes after them is meant for everybody.
        let proven = |decision: &Decision| decision.stage.index as usize >= self.spec.steps.len();
        lag::through(situation, proven, |s, known, memory| ladder::decide(self, &self.field(s).knowing(known), memory))
    }

    fn revert(&self, situation: &Situation<'_>) -> Decision {
        lag::through(situation, |_| false, |s, known, _: IgnoredAny| self.back(&self.field(s).knowing(known)))
    }
}

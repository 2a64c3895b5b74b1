//! A rolling update: instances are replaced a few at a time.

mod arithmetic;
mod build;
mod memory;
mod progress;
mod proportional;
mod roll;

pub use self::arithmetic::{
    Allowance, Amount, Set, most_removed, new_size, remove_ready, remove_unhealthy, shrink_old,
};
pub use self::build::{Batch, RollingBuilder};
pub use self::progress::{Counts, left, timed_out};
pub use self::proportional::{Sharing, proportional, share};

use std::num::NonZeroU32;

use deploy_core::name::BlockName;
use deploy_core::release::Release;
use deploy_core::strategy::{Decision, Outline, OutlineStage, Situation, Strategy};
use deploy_core::target::{Capabilities, TargetState};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::analysis::{Analysis, monitors_of};
use crate::field::Field;
pub use crate::hold::OnInconclusive;
use crate::lag;

/// Replaces instances a few at a time, within two limits: how many more than wanted there may be, and how many fewer.
///
/// Choose it where instances carry the traffic in equal parts and room is short. It learns about the new revision
/// whether its instances become ready and stay so for [`min_healthy`](RollingBuilder::min_healthy), and what analyses of a batch
/// or of all of them say.
///
/// - Instances on their way out still take room, so they count against the surge.
/// - Unhealthy instances of the old revision go first; those of the new one that are not ready stop the roll.
/// - Where the place routes by weight, the weights follow the ready instances of each side.
/// - When the wanted number grows in mid-roll, every revision gets its share of the growth.
/// - [`Strategy::revert`] rolls back within the same two limits, the unhealthy instances of the new revision first.
///
/// ```
/// use deploy_strategies::rolling::{Amount, Rolling};
/// use deploy_strategies::share::Percent;
///
/// let rolling = Rolling::builder().surge(Amount::Percent(Percent::new(25)?)).unavailable(Amount::Count(0)).build()?;
/// assert_eq!(serde_json::from_str::<Rolling>(r#"{"surge": {"percent": 25}, "unavailable": {"count": 0}}"#)?, rolling);
///
/// let stuck = Rolling::builder().surge(Amount::Count(0)).unavailable(Amount::Count(0)).build();
/// assert_eq!(stuck.expect_err("nothing could move").problems()[0].at, "unavailable");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "RollingBuilder", into = "RollingBuilder")]
pub struct Rolling {
    spec: RollingBuilder,
}

impl Rolling {
    /// One batch of everything, a quarter more and a quarter fewer, as Kubernetes has it.
    #[must_use]
    pub fn builder() -> RollingBuilder {
        RollingBuilder::default()
    }

    /// Its description.
    #[must_use]
    pub fn spec(&self) -> &RollingBuilder {
        &self.spec
    }

    fn field<'a>(&self, situation: &'a Situation<'a>) -> Field<'a> {
        Field::of(situation, self.spec.instances.map(NonZeroU32::get))
    }
}

impl Strategy for Rolling {
    fn name(&self) -> BlockName {
        self.spec.name.clone()
    }

    fn needs(&self) -> Capabilities {
        Capabilities { capacity: true, ..Capabilities::default() }
    }

    fn monitors(&self) -> Vec<BlockName> {
        monitors_of(self.spec.batches.iter().flat_map(|batch| &batch.analysis).chain(&self.spec.background))
    }

    fn outline(&self, release: &Release, from: &TargetState) -> Outline {
        let situation = Situation::first(release, from);
        let size = self.field(&situation).size;
        let allowance = self.spec.allowance(size);
        let longest = |list: &[Analysis]| list.iter().map(Analysis::at_least).max().unwrap_or_default();
        let stage = |(i, batch): (usize, &Batch)| {
            let goal = self.spec.batch_goal(i, size);
            let person = batch.approval.as_ref().map(|request| format!("; a person: {}", request.question));
            OutlineStage {
                name: format!("batch {} of {}", i + 1, self.spec.batches.len()),
                percent: Some(crate::share::part_up(goal, 100, size)),
                at_least: self.spec.min_healthy + batch.soak.max(longest(&batch.analysis)),
                waits_for: format!("{goal} ready instances of {}{}", release.revision, person.unwrap_or_default()),
            }
        };
        let basis = format!(
            "{size} instances, at most {} more and {} fewer at a time, each ready for {} before it counts; starting instances takes as long as it takes",
            allowance.surge,
            allowance.missing(size),
            deploy_core::time::Spell(self.spec.min_healthy)
        );
        Outline { stages: self.spec.batches.iter().enumerate().map(stage).collect(), basis }
    }

    fn decide(&self, situation: &Situation<'_>) -> Decision {
        lag::through(situation, |_| false, |s, known, memory| roll::decide(self, &self.field(s).knowing(known), memory))
    }

    fn revert(&self, situation: &Situation<'_>) -> Decision {
        lag::through(situation, |_| false, |s, known, _: IgnoredAny| roll::revert(self, &self.field(s).knowing(known)))
    }
}

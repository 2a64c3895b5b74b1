//! Blue and green: the new revision is brought up and checked beside the old one, then all traffic is switched at once, and
//! the old one stays warm for a while.

mod build;
mod phases;

use std::num::NonZeroU32;

use deploy_core::name::BlockName;
use deploy_core::release::Release;
use deploy_core::strategy::{Decision, Memory, Outline, OutlineStage, Situation, Strategy};
use deploy_core::target::{Capabilities, TargetState};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

pub use self::build::{BlueGreenBuilder, Promote};
use self::phases::Remembered;
use crate::analysis::{Analysis, monitors_of};
use crate::field::Field;
pub use crate::hold::OnInconclusive;
use crate::lag;

/// Switches all traffic at once, from one whole side to another.
///
/// Choose it where two revisions must not serve at the same time, or where the way back has to be one switch: the old side
/// stays at full size until the checks after the switch are good and `scale_down_delay` has passed.
///
/// 1. *Preview*: the new side comes up, is shown under the second address, and is measured there.
/// 2. *Promotion*: by itself after a delay, or by a person.
/// 3. *Switch*: the new side at full size, then all the traffic.
/// 4. *After*: measured under traffic; a no switches everything back at once.
///
/// ```
/// use std::time::Duration;
/// use deploy_strategies::blue_green::{BlueGreen, Promote};
///
/// let by_hand = BlueGreen::builder().promote(Promote::by_person("the preview looks right; switch?")).build()?;
/// let by_itself = BlueGreen::builder().promote(Promote::after(Duration::from_secs(300))).build()?;
/// assert_eq!(serde_json::from_str::<BlueGreen>(r#"{"promote": {"automatic": {"after": "5m"}}}"#)?, by_itself);
/// assert_ne!(by_hand, by_itself);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "BlueGreenBuilder", into = "BlueGreenBuilder")]
pub struct BlueGreen {
    spec: BlueGreenBuilder,
}

impl BlueGreen {
    /// Full size in the preview, no checks, switched by itself as soon as everything is ready.
    #[must_use]
    pub fn builder() -> BlueGreenBuilder {
        BlueGreenBuilder::default()
    }

    /// Its description.
    #[must_use]
    pub fn spec(&self) -> &BlueGreenBuilder {
        &self.spec
    }

    /// One decision of the way back.
    fn back(&self, field: &Field<'_>) -> Decision {
        let memory: Remembered = field.s.memory.read().ok().flatten().unwrap_or_default();
        memory
            .retreat
            .unwrap_or_default()
            .decide(field, self.spec.abort_delay, |retreat| Memory::of(&Remembered::back(retreat)).unwrap_or_default())
    }

    fn field<'a>(&self, situation: &'a Situation<'a>) -> Field<'a> {
        Field::of(situation, self.spec.instances.map(NonZeroU32::get))
    }
}

impl Strategy for BlueGreen {
    fn name(&self) -> BlockName {
        self.spec.name.clone()
    }

    fn needs(&self) -> Capabilities {
        Capabilities { switch: true, capacity: true, preview: true, ..Capabilities::default() }
    }

    fn monitors(&self) -> Vec<BlockName> {
        monitors_of(self.spec.before.iter().chain(&self.spec.after))
    }

    fn outline(&self, release: &Release, from: &TargetState) -> Outline {
        let situation = Situation::first(release, from);
        let field = self.field(&situation);
        let longest = |list: &[Analysis]| list.iter().map(Analysis::at_least).max().unwrap_or_default();
        let mut stages = Vec::new();
        if field.stable.is_some() {
            let person = match &self.spec.promote {
                Promote::Automatic { .. } => String::new(),
                Promote::Approved(request) => format!("; a person: {}", request.question),
            };
            stages.push(OutlineStage {
                name: "preview".to_owned(),
                percent: Some(0),
                at_least: self.spec.promote.delay().max(longest(&self.spec.before)),
                waits_for: format!(
                    "{} ready instances of {}{person}",
                    self.spec.preview_size(field.size),
                    release.revision
                ),
            });
        }
        let warm = if field.stable.is_some() {
            self.spec.scale_down_delay.max(longest(&self.spec.after))
        } else {
            std::time::Duration::ZERO
        };
        stages.push(OutlineStage {
            name: "all traffic".to_owned(),
            percent: Some(100),
            at_least: warm,
            waits_for: format!("{} ready instances of {}", field.size, release.revision),
        });
        let basis = "delay and checks before the switch, checks after it, and how long the old side stays warm; starting instances and people take as long as they take";
        Outline { stages, basis: basis.to_owned() }
    }

    fn decide(&self, situation: &Situation<'_>) -> Decision {
        lag::through(
            situation,
            |_| false,
            |s, known, memory| phases::decide(self, &self.field(s).knowing(known), memory),
        )
    }

    fn revert(&self, situation: &Situation<'_>) -> Decision {
        lag::through(situation, |_| false, |s, known, _: IgnoredAny| self.back(&self.field(s).knowing(known)))
    }
}

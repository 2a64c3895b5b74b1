//! Everything at once: the new revision beside the old one, then all the traffic, then the old one goes.

use std::num::NonZeroU32;
use std::time::Duration;

use deploy_core::name::BlockName;
use deploy_core::release::Release;
use deploy_core::strategy::{Decision, Exposure, Memory, Next, Outline, OutlineStage, Situation, Stage, Strategy};
use deploy_core::target::{Capabilities, TargetState};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::field::Field;
use crate::handover::{Handover, HandoverLimits};
use crate::lag::{self, Known};
use crate::named::named;
use crate::retreat::Retreat;
use crate::span;
use crate::watch::Watch;

/// Brings the new revision up beside the old one, hands it all the traffic once every instance is ready, and then removes
/// the old one. There is never a moment without a ready instance by its own doing.
///
/// Choose it where a canary would teach nothing: no traffic to speak of, an internal tool, a first install.
///
/// ```
/// use std::time::Duration;
/// use deploy_core::name::{EnvironmentName, RevisionName, ServiceName};
/// use deploy_core::release::Release;
/// use deploy_core::strategy::{ReasonCode, Situation, Strategy};
/// use deploy_core::target::TargetState;
/// use deploy_strategies::all_at_once::AllAtOnce;
///
/// let strategy = AllAtOnce::new().scale_down_delay(Duration::from_secs(60));
/// let release = Release::new(ServiceName::new("shop")?, EnvironmentName::new("prod")?, RevisionName::new("v1")?);
/// let nothing = TargetState { max_weight: 100, ..TargetState::default() };
/// let decision = strategy.decide(&Situation::first(&release, &nothing));
/// assert_eq!(decision.reason.code, ReasonCode::WaitingForInstances);
/// assert!(decision.want.weights.is_empty(), "no traffic before an instance is ready");
/// # Ok::<(), deploy_core::name::NameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AllAtOnce {
    #[serde(skip_serializing_if = "Option::is_none")]
    instances: Option<NonZeroU32>,
    #[serde(with = "span")]
    scale_down_delay: Duration,
    #[serde(with = "span")]
    progress_deadline: Duration,
}

impl Default for AllAtOnce {
    fn default() -> Self {
        Self { instances: None, scale_down_delay: Duration::from_secs(30), progress_deadline: Duration::from_secs(600) }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Remembered {
    #[serde(default)]
    watch: Watch,
    #[serde(default)]
    handover: Handover,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retreat: Option<Retreat>,
}

impl AllAtOnce {
    /// As many instances as there were, the old ones kept for 30 s, at most 10 min without progress.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same strategy with this many instances. Default: what an autoscaler wants; otherwise as many as before; on a
    /// first install one.
    #[must_use]
    pub fn instances(mut self, instances: NonZeroU32) -> Self {
        self.instances = Some(instances);
        self
    }

    /// The same strategy; the old instances stay this long after the new ones carry everything, and after a failure the new
    /// ones this long after the old ones do. Default 30 s: requests under way end, and the way back is still warm.
    #[must_use]
    pub fn scale_down_delay(mut self, delay: Duration) -> Self {
        self.scale_down_delay = delay;
        self
    }

    /// The same strategy; it rolls back when nothing has moved for this long. Default 10 min, as Kubernetes has it.
    #[must_use]
    pub fn progress_deadline(mut self, deadline: Duration) -> Self {
        self.progress_deadline = deadline;
        self
    }
}

impl Strategy for AllAtOnce {
    fn name(&self) -> BlockName {
        named("all-at-once")
    }

    fn needs(&self) -> Capabilities {
        Capabilities { capacity: true, ..Capabilities::default() }
    }

    fn outline(&self, release: &Release, _from: &TargetState) -> Outline {
        Outline {
            stages: vec![OutlineStage {
                name: "all at once".to_owned(),
                percent: Some(100),
                at_least: self.scale_down_delay,
                waits_for: format!("every instance of {} ready, then all traffic on it", release.revision),
            }],
            basis: "the delay before the old instances go; starting instances takes as long as it takes".to_owned(),
        }
    }

    fn decide(&self, situation: &Situation<'_>) -> Decision {
        lag::through(situation, |_| false, |s, known, memory| self.forward(s, known, memory))
    }

    fn revert(&self, situation: &Situation<'_>) -> Decision {
        lag::through(situation, |_| false, |s, known, _: IgnoredAny| self.back(s, known))
    }
}

impl AllAtOnce {
    fn forward(&self, situation: &Situation<'_>, known: Known<'_>, mut memory: Remembered) -> Decision {
        let field = Field::of(situation, self.instances.map(NonZeroU32::get)).knowing(known);
        let tick = memory.watch.tick(situation);
        let limits = HandoverLimits {
            scale_down_delay: self.scale_down_delay,
            progress_deadline: self.progress_deadline,
            may_release: true,
        };
        let answer = memory.handover.decide(&field, &mut memory.watch, tick, limits);
        if answer.next == Next::RollBack {
            let back = self.back(situation, known);
            return Decision { next: Next::RollBack, reason: answer.reason, ..back };
        }
        Decision {
            want: answer.want,
            measure: Vec::new(),
            next: answer.next,
            memory: Memory::of(&memory).unwrap_or_default(),
            stage: Stage { index: 0, of: 1, name: "all at once".to_owned() },
            reason: answer.reason,
            judgements: Vec::new(),
            exposure: Exposure::NONE,
        }
    }

    fn back(&self, situation: &Situation<'_>, known: Known<'_>) -> Decision {
        let field = Field::of(situation, self.instances.map(NonZeroU32::get)).knowing(known);
        let memory: Remembered = situation.memory.read().ok().flatten().unwrap_or_default();
        memory.retreat.unwrap_or_default().decide(&field, self.scale_down_delay, |retreat| {
            Memory::of(&Remembered { retreat: Some(retreat.clone()), ..Remembered::default() }).unwrap_or_default()
        })
    }
}

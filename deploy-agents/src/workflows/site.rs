//! Where a workflow deploys to, and how.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::monitor::Monitor;
use deploy_core::name::BlockName;
use deploy_core::pipeline::{Phase, Rollout, StepBuilder};
use deploy_core::release::Release;
use deploy_core::strategy::{Decision, Outline, Situation, Strategy};
use deploy_core::target::{Capabilities, Target, TargetState};
use deploy_core::time::Timestamp;

/// Where a workflow deploys to, how it spreads there, and what measures it.
///
/// ```
/// use deploy_agents::targets::place::PlaceTarget;
/// use deploy_agents::workflows::Site;
/// use deploy_core::name::TargetName;
/// use deploy_strategies::all_at_once::AllAtOnce;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let place = PlaceTarget::new(TargetName::new("staging")?, "127.0.0.1:7000".parse()?);
/// let staging = Site::new(AllAtOnce::new(), place);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Site {
    strategy: Arc<dyn Strategy>,
    target: Arc<dyn Target>,
    monitors: Vec<Arc<dyn Monitor>>,
    observe_every: Option<Duration>,
    timeout: Option<Duration>,
    undo_timeout: Option<Duration>,
}

impl Site {
    /// A strategy at work on a target, measured by nothing.
    pub fn new(strategy: impl Strategy, target: impl Target) -> Self {
        Self {
            strategy: Arc::new(strategy),
            target: Arc::new(target),
            monitors: Vec::new(),
            observe_every: None,
            timeout: None,
            undo_timeout: None,
        }
    }

    /// The same with one more monitor that the strategy may ask.
    #[must_use]
    pub fn monitor(mut self, monitor: impl Monitor) -> Self {
        self.monitors.push(Arc::new(monitor));
        self
    }

    /// How often to look, at least. Default: that of the engine.
    #[must_use]
    pub fn observe_every(mut self, span: Duration) -> Self {
        self.observe_every = Some(span);
        self
    }

    /// How long the rollout may take in all. Default: that of the engine.
    #[must_use]
    pub fn timeout(mut self, span: Duration) -> Self {
        self.timeout = Some(span);
        self
    }

    /// How long the way back may take. Default: that of the engine.
    #[must_use]
    pub fn undo_timeout(mut self, span: Duration) -> Self {
        self.undo_timeout = Some(span);
        self
    }

    /// The rollout as a step of a phase.
    pub(super) fn step<'p>(&self, phase: Phase<'p>, name: &str) -> StepBuilder<'p, Rollout> {
        let strategy = AtSite { strategy: Arc::clone(&self.strategy), site: name.to_owned() };
        let mut step = phase.rollout(name, strategy, Arc::clone(&self.target));
        for monitor in &self.monitors {
            step = step.monitor(Arc::clone(monitor));
        }
        if let Some(span) = self.observe_every {
            step = step.observe_every(span);
        }
        if let Some(span) = self.timeout {
            step = step.timeout(span);
        }
        if let Some(span) = self.undo_timeout {
            step = step.undo_timeout(span);
        }
        step
    }
}

/// A strategy under a name of its own for each site: two sites may use the same one with other settings.
#[derive(Debug)]
struct AtSite {
    strategy: Arc<dyn Strategy>,
    site: String,
}

impl Strategy for AtSite {
    fn name(&self) -> BlockName {
        let name = self.strategy.name();
        BlockName::new(format!("{name}@{}", self.site)).unwrap_or(name)
    }
    fn needs(&self) -> Capabilities {
        self.strategy.needs()
    }
    fn monitors(&self) -> Vec<BlockName> {
        self.strategy.monitors()
    }
    fn objection(&self, release: &Release, wall: Timestamp) -> Option<String> {
        self.strategy.objection(release, wall)
    }
    fn outline(&self, release: &Release, from: &TargetState) -> Outline {
        self.strategy.outline(release, from)
    }
    fn decide(&self, situation: &Situation<'_>) -> Decision {
        self.strategy.decide(situation)
    }
    fn revert(&self, situation: &Situation<'_>) -> Decision {
        self.strategy.revert(situation)
    }
}

#[cfg(test)]
mod tests {
    use deploy_core::testing::scripted::ScriptedTarget;
    use deploy_strategies::flags::{FlagRollout, FlagStep};
    use deploy_strategies::share::Percent;

    use super::*;

    #[test]
    fn a_site_objects_as_its_strategy_does() {
        let step = FlagStep::percent(Percent::new(5).expect("a share"));
        let flag = "new-search".try_into().expect("a name");
        let flag = FlagRollout::builder(flag).step(step).expires(Timestamp(1_000)).build().expect("a strategy");
        let place = ScriptedTarget::new("eu".try_into().expect("a name"));
        let site = Site::new(flag, place);
        let strategy = AtSite { strategy: site.strategy, site: "eu".to_owned() };
        let release = Release::new(
            "shop".try_into().expect("a name"),
            "production".try_into().expect("a name"),
            "v2".try_into().expect("a name"),
        );
        assert_eq!(strategy.objection(&release, Timestamp(999)), None);
        let objection = strategy.objection(&release, Timestamp(1_001)).expect("the flag has expired");
        assert!(objection.contains("new-search"), "{objection}");
    }
}

//! What is tried: every strategy, as a host would write it, only quicker.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::agent::{AgentCard, AgentError, Report, agent_fn};
use deploy_core::name::{BlockName, FlagName, StepName, TargetName};
use deploy_core::pipeline::{Pipeline, PipelineBuilder};
use deploy_core::plan::RollbackTo;
use deploy_core::strategy::Strategy;
use deploy_core::target::Target;
use deploy_strategies::all_at_once::AllAtOnce;
use deploy_strategies::blue_green::{BlueGreen, Promote};
use deploy_strategies::canary::{Canary, Step};
use deploy_strategies::flags::{FlagRollout, FlagStep};
use deploy_strategies::rolling::{Amount, Rolling};
use deploy_strategies::share::Percent;
use deploy_strategies::waves::Waves;

use crate::Failure;
use crate::flag::FLAG;

/// How often a place is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How long a step is watched. Enough for hundreds of requests.
const SOAK: Duration = Duration::from_millis(300);
/// How long the old instances stay.
const WARM: Duration = Duration::from_millis(300);
/// How the name of a revision ends that the last check refuses, so that everything has to go back.
pub(crate) const REFUSED: &str = "-refused";

/// One way of releasing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Canary,
    CanaryByInstances,
    Rolling,
    BlueGreen,
    AllAtOnce,
    Waves,
    Flags,
}

impl Way {
    pub(crate) const ALL: [Self; 7] = [
        Self::Canary,
        Self::CanaryByInstances,
        Self::Rolling,
        Self::BlueGreen,
        Self::AllAtOnce,
        Self::Waves,
        Self::Flags,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::CanaryByInstances => "canary-by-instances",
            Self::Rolling => "rolling",
            Self::BlueGreen => "blue-green",
            Self::AllAtOnce => "all-at-once",
            Self::Waves => "waves",
            Self::Flags => "flags",
        }
    }

    /// How many places it is tried on, and how many instances each has.
    pub(crate) fn places(self) -> (usize, u32) {
        if self == Self::Waves { (3, 2) } else { (1, 4) }
    }

    fn strategy(self) -> Result<Arc<dyn Strategy>, Failure> {
        let ladder = || {
            [5, 25, 50]
                .into_iter()
                .fold(Canary::builder(), |canary, weight| canary.step(Step::weight(weight).soak(SOAK)))
        };
        Ok(match self {
            Self::Canary => Arc::new(ladder().scale_down_delay(WARM).abort_delay(WARM).build()?),
            Self::CanaryByInstances => {
                let limits = (Amount::Count(1), Amount::Count(0));
                Arc::new(ladder().by_instances(limits.0, limits.1).scale_down_delay(WARM).abort_delay(WARM).build()?)
            }
            Self::Rolling => {
                let rolling = Rolling::builder().surge(Amount::Count(1)).unavailable(Amount::Count(0));
                Arc::new(rolling.min_healthy(LOOK).build()?)
            }
            Self::BlueGreen => {
                let mut blue_green = BlueGreen::builder().promote(Promote::after(SOAK));
                (blue_green.scale_down_delay, blue_green.abort_delay) = (WARM, WARM);
                Arc::new(blue_green.build()?)
            }
            Self::Flags => {
                let mut rollout = FlagRollout::builder(FlagName::new(FLAG)?);
                for percent in [5, 25, 50, 100] {
                    rollout = rollout.step(FlagStep::percent(Percent::new(percent)?).soak(SOAK));
                }
                Arc::new(rollout.build()?)
            }
            Self::AllAtOnce | Self::Waves => Arc::new(AllAtOnce::new().scale_down_delay(WARM)),
        })
    }

    /// The pipeline: the rollout, and then a check that refuses some revisions, so that all of it has to go back.
    pub(crate) fn pipeline(self, places: &[Arc<dyn Target>]) -> Result<Pipeline, Failure> {
        let p = Pipeline::builder(self.name());
        p.rollback(RollbackTo::Previous);
        if self == Self::Waves {
            self.waves(&p, places)?
        } else {
            self.rollout(&p, places)?
        }
        let card = AgentCard::new(BlockName::new("last-check")?, "refuses some revisions").repeatable();
        let check = agent_fn(card, |task, _| async move {
            match task.release.revision.as_str().ends_with(REFUSED) {
                true => Err(AgentError::definitive("this revision was made to be refused")),
                false => Ok(Report::new()),
            }
        });
        p.phase("after").task("last-check", check).add();
        Ok(p.build()?)
    }

    fn rollout(self, p: &PipelineBuilder, places: &[Arc<dyn Target>]) -> Result<(), Failure> {
        let place = places.first().ok_or("there is no place")?;
        p.phase("rollout").rollout("rollout", self.strategy()?, Arc::clone(place)).observe_every(LOOK).add();
        Ok(())
    }

    /// The first place alone, then the others.
    fn waves(self, p: &PipelineBuilder, places: &[Arc<dyn Target>]) -> Result<(), Failure> {
        let names: Vec<TargetName> = places.iter().map(|place| place.name()).collect();
        let waves = Waves::growing(&names, &[Amount::Count(1)], SOAK)?;
        let strategy = self.strategy()?;
        let place = |name: &TargetName| places.iter().find(|place| place.name() == *name).map(Arc::clone);
        let both = |name: &TargetName| Some((Arc::clone(&strategy), place(name)?));
        waves.add(p.phase("rollout"), &StepName::new("rollout")?, both, |rollout| rollout.observe_every(LOOK))?;
        Ok(())
    }
}

//! What is meant: the act, with the step that it is about.

use deploy_core::operator::Act;
use deploy_core::plan::StepPath;
use deploy_core::report::{RunStatus, StepStatus, Waits};
use deploy_core::time::Timestamp;

use super::{Command, OnStep};
use crate::Failure;
use crate::trouble::Trouble;

impl Command {
    /// The act that this command means, now that the run stands so.
    pub(super) fn act(&self, status: &RunStatus, now: Timestamp) -> Result<Act, Failure> {
        let asks = |step: &StepStatus| matches!(step.waits, Waits::People { .. });
        let waits = |step: &StepStatus| step.rollout.is_some() || matches!(step.waits, Waits::Until { .. });
        let rolls = |step: &StepStatus| step.rollout.is_some();
        let stuck = |step: &StepStatus| matches!(step.waits, Waits::Operator { .. });
        let tried = |step: &StepStatus| stuck(step) || matches!(step.waits, Waits::Until { .. });
        Ok(match self {
            Self::Approve(on) => Act::Approve { step: on.meant(status, asks, "asks people")? },
            Self::Reject(on) => Act::Reject { step: on.meant(status, asks, "asks people")? },
            Self::Pause(_) => Act::Pause,
            Self::Resume(_) => Act::Resume,
            Self::Promote(said) if said.full => {
                Act::PromoteFully { step: said.on.meant(status, rolls, "rolls anything out")? }
            }
            Self::Promote(said) => Act::Promote { step: said.on.meant(status, waits, "is in a wait")? },
            Self::Retry(on) => Act::Retry { step: on.meant(status, tried, "is parked or waits for another attempt")? },
            Self::Abort(_) => Act::Abort,
            Self::Rollback(_) => Act::RollBack,
            Self::Waive(said) => Act::Waive {
                step: said.on.meant(status, stuck, "is parked")?,
                check: said.check.clone(),
                expires: now.after(said.expires),
            },
            Self::Acknowledge(_) => Act::Acknowledge,
            Self::Settle(said) => {
                Act::Settle { step: said.on.meant(status, stuck, "is parked")?, as_: said.was.into() }
            }
        })
    }
}

impl OnStep {
    /// The step that was named, or the only open one that it can be about.
    fn meant(&self, status: &RunStatus, fits: impl Fn(&StepStatus) -> bool, how: &str) -> Result<StepPath, Failure> {
        if let Some(step) = &self.step {
            return Ok(step.clone());
        }
        let found: Vec<_> = status.open.iter().filter(|step| fits(step)).map(|step| step.step.clone()).collect();
        match found.as_slice() {
            [only] => Ok(only.clone()),
            [] => {
                Err(Trouble::usage(format!("no step of run {} {how} now; name one with --step PHASE/STEP", status.run)))
            }
            several => {
                let names: Vec<_> = several.iter().map(ToString::to_string).collect();
                Err(Trouble::usage(format!("it could be about {}; name one with --step", names.join(", "))))
            }
        }
    }
}

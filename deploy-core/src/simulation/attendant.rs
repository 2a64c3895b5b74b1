//! The person who looks after a simulated run when nothing else can happen.

use crate::machine::{Machine, Park, StepState};
use crate::operator::{Act, Settlement};
use crate::plan::StepId;

use super::world::World;

/// What a sensible person says to a run that waits for somebody.
pub(super) fn says(machine: &Machine, world: &World) -> Option<Act> {
    let state = machine.state();
    let path = |id: StepId| machine.plan().step(id).map(|p| p.path.clone());
    if state.paused.is_some() {
        return Some(Act::Resume);
    }
    if let Some(id) = state.parked.first() {
        let step = path(*id)?;
        let StepState::Parked { of, why, .. } = &state.steps.get(id.index())?.state else { return None };
        return Some(match why {
            Park::UnknownOutcome { .. } => {
                // They go and see.
                let key = machine.effect_key(*of)?;
                let done = world.effects.get(&key).is_some_and(|c| c.happened > 0);
                let checked = machine.plan().step(*id).is_some_and(|p| !p.verifications.is_empty());
                match (done, checked) {
                    (true, true) => Act::Retry { step },
                    (true, false) => Act::Settle { step, as_: Settlement::Finished },
                    (false, _) => Act::Settle { step, as_: Settlement::NeverStarted },
                }
            }
            Park::UndoFailed { .. } | Park::Drift { .. } | Park::Overridden { .. } => Act::Retry { step },
        });
    }
    for (id, step) in (0u32..).map(StepId).zip(&state.steps) {
        let asked = match &step.state {
            StepState::Approving { .. } => true,
            StepState::Rolling(rolling) => rolling.asking.is_some(),
            _ => false,
        };
        if asked {
            return Some(Act::Approve { step: path(id)? });
        }
    }
    None
}

//! What taking a run up again does to its open steps.

use crate::machine::state::{Mode, State, StepState, TURNED_BACK};
use crate::time::RunTime;

/// What taking a run up again does to an open step: an attempt without a recorded answer becomes unsure, whatever has no
/// effect is asked again, and every wait goes on where it was last seen: while nobody drives a run, nobody could ask a gate,
/// look at a target or take an approval, and nothing counts as observed.
pub(in crate::machine) fn attach(
    step: &StepState,
    run: &State,
    now: RunTime,
    absent: std::time::Duration,
) -> StepState {
    // During a pause everything stands still anyway; its end moves what is due by all of it.
    let absent = if run.paused.is_some() { std::time::Duration::ZERO } else { absent };
    match step.clone() {
        StepState::Trying { of, deadline } => StepState::Unsure {
            of: of.next_turn(),
            asked: 0,
            at: now,
            last: "the engine stopped while it was under way".to_owned(),
            interrupted: true,
            stopped: false,
            deadline: Some(deadline + absent),
        },
        StepState::Polling { of, handle, at, deadline } => {
            StepState::Polling { of: of.next_turn(), handle, at, deadline: deadline + absent }
        }
        StepState::Cancelling { of, handle } => StepState::Cancelling { of: of.next_turn(), handle },
        StepState::Unsure { of, asked, at, last, interrupted, stopped, deadline } => {
            let deadline = deadline.map(|at| at + absent);
            StepState::Unsure { of: of.next_turn(), asked, at, last, interrupted, stopped, deadline }
        }
        StepState::Verifying { of, report } => StepState::Verifying { of: of.next_turn(), report },
        StepState::Evaluating { of, at, give_up, holds_for } => {
            StepState::Evaluating { of: of.next_turn(), at, give_up: give_up + absent, holds_for }
        }
        StepState::Soaking { of, due } => StepState::Soaking { of, due: due + absent },
        StepState::Approving { of, yes, expires } => StepState::Approving { of, yes, expires: expires + absent },
        StepState::Rolling(rolling) if !rolling.of.undo && run.mode != Mode::Forward => {
            StepState::Failed { reason: TURNED_BACK.to_owned() }
        }
        StepState::Rolling(mut rolling) => {
            rolling.shift(absent);
            rolling.look(now);
            StepState::Rolling(rolling)
        }
        other @ (StepState::Backoff { .. }
        | StepState::Parked { .. }
        | StepState::Waiting { .. }
        | StepState::Done
        | StepState::Failed { .. }
        | StepState::Withdrawn
        | StepState::Undone) => other,
    }
}

//! What the passing of time leads to.

use crate::machine::Machine;
use crate::machine::event::{Event, Parked, Retried, Soaked, StepFailed, TimedOut};
use crate::machine::state::{Park, StepState};
use crate::plan::StepId;
use crate::time::{RunTime, Spell};

impl Machine {
    /// Everything that is due, in order. Nothing is due while the run is paused.
    pub(super) fn wake(&self, now: RunTime) -> Vec<Event> {
        if self.state.paused.is_some() {
            return Vec::new();
        }
        let due = self.state.due.iter().take_while(|(due, _)| *due <= now);
        due.filter_map(|(_, id)| self.woken(*id, now)).collect()
    }

    fn woken(&self, id: StepId, now: RunTime) -> Option<Event> {
        let step = self.state.steps.get(id.index())?;
        let failed = |reason: String| Some(StepFailed { step: id, reason }.into());
        match &step.state {
            StepState::Backoff { of, .. } => Some(Retried { of: *of, due: now + self.timeout(*of) }.into()),
            StepState::Trying { of, .. } | StepState::Polling { of, .. } => Some(TimedOut { of: *of }.into()),
            StepState::Evaluating { holds_for, .. } => {
                let reason = if holds_for.is_empty() { "it never answered" } else { holds_for };
                failed(format!("the gate held for too long: {reason}"))
            }
            StepState::Approving { .. } => failed("nobody approved it in time".to_owned()),
            StepState::Soaking { of, .. } => Some(Soaked { of: *of }.into()),
            StepState::Rolling(rolling) => {
                let reason = if rolling.asking.is_some() {
                    "nobody approved it in time".to_owned()
                } else {
                    let limit = Spell(self.timeout(rolling.of));
                    let waits = rolling.reason.as_ref().map_or("the first look", |r| r.sentence.as_str());
                    format!("it took longer than {limit}; it was waiting for: {waits}")
                };
                if rolling.of.undo {
                    Some(Parked { of: rolling.of, why: Park::UndoFailed { reason } }.into())
                } else {
                    failed(reason)
                }
            }
            StepState::Waiting { .. }
            | StepState::Cancelling { .. }
            | StepState::Unsure { .. }
            | StepState::Verifying { .. }
            | StepState::Parked { .. }
            | StepState::Done
            | StepState::Failed { .. }
            | StepState::Withdrawn
            | StepState::Undone => None,
        }
    }
}

//! Every rule of the engine: what follows from an input, and what follows from the state alone.

mod attached;
mod gate;
mod operator;
mod rollout;
mod settle;
mod task;
mod wake;

use self::task::Doubt;
use super::command::Try;
use super::event::{Admitted, Event};
use super::input::{Answer, IllegalInput, Input, Reply};
use super::state::{Mode, StepState};
use super::{Machine, Strategies};
use crate::time::{Now, RunTime};

/// What an input leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The facts, in order.
    pub events: Vec<Event>,
    /// What became of the input.
    pub reply: Reply,
}

impl Decided {
    fn taken(events: Vec<Event>) -> Self {
        let reply = if events.is_empty() { Reply::Ignored } else { Reply::Taken };
        Self { events, reply }
    }

    fn ignored() -> Self {
        Self { events: Vec::new(), reply: Reply::Ignored }
    }
}

impl Machine {
    /// This happened; what follows? Changes nothing.
    ///
    /// # Errors
    ///
    /// [`IllegalInput`] if it is not possible in the state the run is in.
    pub fn decide(&self, input: &Input, now: Now, strategies: &dyn Strategies) -> Result<Decided, IllegalInput> {
        let run = now.run.max(self.state.at.run);
        match input {
            Input::Operator(input) => self.operator(input, Now { run, ..now }),
            _ if matches!(self.state.mode, Mode::Ended { .. }) => Ok(Decided::ignored()),
            Input::Admitted { epoch } => {
                if self.state.epoch.is_some() {
                    return Err(IllegalInput::Impossible { input: "admission", state: "admitted already".to_owned() });
                }
                Ok(Decided::taken(vec![Admitted { epoch: *epoch }.into()]))
            }
            Input::Attached { epoch, absent } => Ok(Decided::taken(self.attached(*epoch, *absent, run))),
            Input::Answered { to, answer } => {
                let current = self.state.steps.get(to.step.index()).and_then(|s| s.state.of());
                if current != Some(*to) {
                    return Ok(Decided::ignored());
                }
                self.answered(*to, answer, Now { run, ..now }, strategies).map(Decided::taken)
            }
            Input::Wake => Ok(Decided::taken(self.wake(run))),
        }
    }

    /// Run time as the waits of a paused run see it: it stands still at the beginning of the pause, and what is due then is
    /// moved by the whole pause when it ends.
    pub(super) fn active(&self, now: RunTime) -> RunTime {
        self.state.paused.unwrap_or(now)
    }

    fn answered(
        &self,
        of: Try,
        answer: &Answer,
        at: Now,
        strategies: &dyn Strategies,
    ) -> Result<Vec<Event>, IllegalInput> {
        let now = at.run;
        let Some(step) = self.state.steps.get(of.step.index()) else { return Ok(Vec::new()) };
        Ok(match (&step.state, answer) {
            (StepState::Trying { .. } | StepState::Polling { .. }, Answer::Performed(result)) => {
                self.performed(of, result, now)
            }
            (StepState::Cancelling { .. }, Answer::Cancelled(settled)) => self.cancelled(of, settled.as_ref(), now),
            (StepState::Unsure { asked, last, interrupted, stopped, deadline, .. }, Answer::LookedUp(result)) => {
                let doubt = Doubt { of, asked: *asked, last, interrupted: *interrupted, stopped: *stopped };
                self.looked_up(&doubt, *deadline, result, now)
            }
            (StepState::Verifying { .. }, Answer::Verified(receipts)) => self.verified(of, receipts, now),
            (StepState::Evaluating { .. }, Answer::Evaluated(result)) => self.evaluated(of, result, now),
            (StepState::Rolling(rolling), Answer::Looked(result)) => self.looked_at(rolling, result, at, strategies),
            (StepState::Rolling(rolling), Answer::Applied(result)) => self.applied(rolling, result, now),
            (state, _) => {
                return Err(IllegalInput::Impossible { input: "this answer", state: format!("{state:?}") });
            }
        })
    }
}

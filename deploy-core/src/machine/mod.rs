//! The machine: pure, serialisable, holding no building block.
//!
//! A *turn* is decide, apply, then settle until nothing follows. What should be under way is a function of state
//! ([`Machine::command`]), so that resuming is replay, one input ([`Input::Attached`]), and the same loop.
//!
//! # Transition table of a step
//!
//! | from | on | to |
//! |---|---|---|
//! | `Waiting` | dependencies met, room in the width | `Trying` (task) · `Evaluating` (gate) · `Approving` · `Soaking` · `Rolling` |
//! | `Waiting` | dependencies met, mere join | `Done` |
//! | `Trying`, `Polling` | report | `Verifying`, or `Done` without mandatory checks and claims, or `Undone` |
//! | `Trying`, `Polling` | running | `Polling` |
//! | `Trying`, `Polling` | definitive or transient error, attempts left | `Backoff` |
//! | `Trying`, `Polling` | definitive or transient error, none left | `Failed`, or `Parked` (undo) |
//! | `Trying`, `Polling` | unknown error, or the engine stopped (`Trying`) | `Unsure` |
//! | `Trying`, `Polling` | its time is over, or the run turned back | `Cancelling` |
//! | `Backoff` | due, or an operator retries | `Trying` |
//! | `Backoff` | the run turned back | `Failed` |
//! | `Cancelling` | the attempt returned | as from `Trying` |
//! | `Cancelling` | it did not | `Unsure` |
//! | `Unsure` | finished · failed · running | as from `Trying` |
//! | `Unsure` | never started, or unknown and repeatable | `Backoff` with the same key; none left or on the way back: `Failed`, or `Parked` (undo) |
//! | `Unsure` | unknown and not repeatable, or still under way after it was cancelled | `Parked` |
//! | `Verifying` | every mandatory check met | `Done` |
//! | `Verifying` | one is not | `Backoff` or `Failed` |
//! | `Verifying` | the run turned back | `Failed` |
//! | `Evaluating` | go, conditional | `Done` |
//! | `Evaluating` | hold, could not find out | `Evaluating`, later |
//! | `Evaluating` | no-go, held for too long | `Failed` |
//! | `Approving` | quorum | `Done` |
//! | `Approving` | rejected, expired | `Failed` |
//! | `Soaking` | over, or promoted | `Done` |
//! | `Rolling` | a look, and the strategy wants more | `Rolling` |
//! | `Rolling` | complete | `Done`, or `Undone` |
//! | `Rolling` | roll back, rejected, expired, too long, too many errors, an unsafe decision | `Failed`, or `Parked` (undo) |
//! | `Rolling` | somebody else changes the target again and again, or overrides the fence | `Parked` |
//! | `Evaluating`, `Approving`, `Soaking` | the run turned back | `Withdrawn` |
//! | `Rolling` | the run turned back | `Failed` when a change under way has returned, and undone |
//! | `Parked` | retry | `Unsure` (unknown outcome) · `Trying` or `Rolling` |
//! | `Parked` | settle | `Done` · `Trying` or `Rolling` · `Failed` · `Undone` |
//! | `Parked` | waive the undo | `Undone` |
//! | `Parked` | the run turned back | `Unsure` (unknown outcome) or `Failed` |
//! | `Done`, `Failed` | its turn on the way back, with an undo | `Trying` or `Rolling`, undoing |

mod apply;
mod command;
mod decide;
mod event;
mod input;
mod record;
mod state;

use std::sync::Arc;

pub use self::command::{Call, Command, Try};
pub use self::decide::Decided;
pub use self::event::{
    Admitted, AfterFailure, AfterLook, Applied, Attached, AttemptFailed, BecameUnsure, Completed, Drifted, Dropped,
    Ended, Event, Granted, Held, Joined, Kept, Looked, MACHINE_VERSION, Opened, Parked, Passed, Promoted, PutOff,
    Retried, Running, Soaked, Started, StepFailed, Stumbled, TimedOut, Took, Touches, TurnedBack, UndoOpened,
    UndoPassed, Verified,
};
pub use self::input::{Answer, Fault, Found, IllegalInput, Input, Look, Progress, Reply, Reported};
pub use self::record::{Record, RecordError};
pub use self::state::{
    ASK_AGAIN_AFTER, Asking, Doing, EARLY_AT_MOST, Failure, LOOKUPS_AT_MOST, LeftAt, Mode, Outcome, Park, Rolling,
    State, Step, StepState, TAKEN_AT_MOST,
};
use crate::effect::{EffectKey, Fence};
use crate::name::{BlockName, RunId};
use crate::plan::{Plan, StepId};
use crate::strategy::Strategy;
use crate::time::{Now, RunTime};

/// Where a turn finds the strategies that its plan names. The machine holds none.
pub trait Strategies {
    /// The strategy of this name.
    fn strategy(&self, name: &BlockName) -> Option<&dyn Strategy>;
}

/// A run: its plan and its state. Pure; time and strategies are handed to each turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    plan: Arc<Plan>,
    state: State,
}

impl Machine {
    /// A run that has not begun: position 0, every step waiting.
    #[must_use]
    pub fn new(plan: Arc<Plan>, run: &RunId) -> Self {
        let state = State::initial(&plan, run);
        Self { plan, state }
    }

    /// A run from a snapshot of its state.
    ///
    /// # Errors
    ///
    /// The state itself, if it does not have one entry per step of the plan.
    pub fn from_state(plan: Arc<Plan>, state: State) -> Result<Self, Box<State>> {
        if state.steps.len() == plan.steps.len() { Ok(Self { plan, state }) } else { Err(Box::new(state)) }
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The first record of a run, which pins its plan. Taken in like any other.
    pub fn start(&mut self, now: Now) -> Record {
        let started = Started { run: self.state.run.clone(), machine: MACHINE_VERSION, plan: Arc::clone(&self.plan) };
        self.record(started.into(), now)
    }

    /// One turn: what follows from the input, and what then follows by itself. The records are appended to `out` in order;
    /// until they are durable nothing may be started or shown, and if that fails this machine must be dropped.
    ///
    /// # Errors
    ///
    /// [`IllegalInput`] if the input is not possible now; nothing has changed then.
    pub fn turn(
        &mut self,
        input: &Input,
        now: Now,
        strategies: &dyn Strategies,
        out: &mut Vec<Record>,
    ) -> Result<Reply, IllegalInput> {
        let decided = self.decide(input, now, strategies)?;
        for event in decided.events {
            out.push(self.record(event, now));
        }
        self.settle_all(now, out);
        Ok(decided.reply)
    }

    /// What follows from the state alone, until nothing does.
    pub fn settle_all(&mut self, now: Now, out: &mut Vec<Record>) {
        loop {
            let events = self.settle(now);
            if events.is_empty() {
                return;
            }
            for event in events {
                out.push(self.record(event, now));
            }
        }
    }

    fn record(&mut self, event: Event, now: Now) -> Record {
        let at = Now { wall: now.wall, run: now.run.max(self.state.at.run) };
        let record = Record { position: self.state.position, at, event };
        self.apply(&record);
        record
    }

    /// What should be under way about a step right now: a function of state alone.
    #[must_use]
    pub fn command(&self, id: StepId) -> Option<Command> {
        let step = self.state.steps.get(id.index())?;
        let paused = self.state.paused.is_some();
        let at_once = RunTime::START;
        let (of, not_before, call) = match &step.state {
            StepState::Trying { of, .. } => (*of, at_once, Call::Perform),
            StepState::Polling { of, handle, at, .. } => (*of, *at, Call::Poll(handle.clone())),
            StepState::Cancelling { of, handle } => (*of, at_once, Call::Cancel(handle.clone())),
            StepState::Unsure { of, at, .. } => (*of, *at, Call::Lookup),
            StepState::Verifying { of, .. } => (*of, at_once, Call::Verify),
            StepState::Evaluating { of, at, .. } if !paused => (*of, *at, Call::Evaluate),
            StepState::Rolling(rolling) => match &rolling.doing {
                Doing::Looking { at } if !paused => (rolling.of, *at, Call::Look(rolling.measure.clone())),
                Doing::Applying => (rolling.of, at_once, Call::Apply(Box::new(rolling.want.clone()?))),
                Doing::Looking { .. } => return None,
            },
            StepState::Evaluating { .. }
            | StepState::Waiting { .. }
            | StepState::Backoff { .. }
            | StepState::Approving { .. }
            | StepState::Soaking { .. }
            | StepState::Parked { .. }
            | StepState::Done
            | StepState::Failed { .. }
            | StepState::Withdrawn
            | StepState::Undone => return None,
        };
        Some(Command { of, seq: step.seq, not_before, call })
    }

    /// Everything that should be under way right now. For resume, pause and abort; a turn asks only the steps it touched.
    #[must_use]
    pub fn commands(&self) -> Vec<Command> {
        self.state.open.iter().filter_map(|id| self.command(*id)).collect()
    }

    /// When the machine must be woken if nothing happens before; never while it is paused.
    #[must_use]
    pub fn wake_at(&self) -> Option<RunTime> {
        if self.state.paused.is_some() { None } else { self.state.due.first().map(|(due, _)| *due) }
    }

    /// The name of a command's effect, for ever.
    #[must_use]
    pub fn effect_key(&self, of: Try) -> Option<EffectKey> {
        Some(EffectKey {
            run: self.state.run.clone(),
            step: self.plan.step(of.step)?.path.clone(),
            undo: of.undo,
            iteration: of.iteration,
            attempt: of.attempt,
        })
    }

    /// The fence of a command's effect; nothing while the run waits for its lock.
    #[must_use]
    pub fn fence(&self, command: &Command) -> Option<Fence> {
        Some(Fence { epoch: self.state.epoch?, seq: command.seq })
    }

    /// How long a command of this attempt may take.
    #[must_use]
    pub fn call_timeout(&self, of: Try) -> std::time::Duration {
        self.timeout(of)
    }
}

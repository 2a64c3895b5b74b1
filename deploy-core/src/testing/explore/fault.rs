//! Faults that are planted to see whether the explorer finds them: each is a mistake that a first version of an engine made,
//! or could.

use super::rules::Rules;
use crate::agent::Certainty;
use crate::machine::{
    AfterFailure, Answer, AttemptFailed, Command, Decided, Ended, Event, Fault, Found, IllegalInput, Input, Machine,
    Mode, Outcome, Park, Record, Reply, State, StepState, Strategies, Try,
};
use crate::operator::Act;
use crate::plan::{StepId, Work};
use crate::time::{Now, RunTime};

/// A planted fault.
pub type Planted = Box<dyn Rules>;

/// Every fault that can be planted.
///
/// A settle whose cost grows with the square of the plan's width is not among them: it changes no state, only time, and a
/// benchmark watches it.
#[must_use]
pub fn planted() -> Vec<Planted> {
    vec![
        Box::new(ReplayWithoutAttached),
        Box::new(NamesNotCompared),
        Box::new(PauseWithdraws),
        Box::new(DeadlinesRunOnInAPause),
        Box::new(PauseIsNoticedTooLate),
        Box::new(UndoUnlocksDependents),
        Box::new(AbortDoesNotSettle),
        Box::new(EarlyInputIsLost),
        Box::new(RepeatedInputIsTakenTwice),
        Box::new(UndoInForwardOrder),
        Box::new(UndoIsSkipped),
        Box::new(UndoTwice),
        Box::new(TerminalIsNotTerminal),
        Box::new(UnknownGetsANewKey),
        Box::new(RetriesWithoutEnd),
        Box::new(WordsCountAsEvidence),
        Box::new(ParkedWithoutExit),
        Box::new(DueIsForgotten),
        Box::new(TurnIsNotCounted),
        Box::new(ReplayForgetsTheEpoch),
        Box::new(FenceFalls),
        Box::new(WakesInAPause),
    ]
}

/// Changes a machine's state from outside, which no sound rule ever does.
fn edit(machine: &mut Machine, change: impl FnOnce(&mut State)) {
    let mut state = machine.state().clone();
    change(&mut state);
    if let Ok(edited) = Machine::from_state(std::sync::Arc::clone(machine.plan()), state) {
        *machine = edited;
    }
}

/// Puts a step elsewhere and keeps the indexes right, so that a fault is found for what it does.
fn put(state: &mut State, id: StepId, to: StepState) {
    let Some(step) = state.steps.get_mut(id.index()) else { return };
    if let Some(due) = step.state.due() {
        state.due.remove(&(due, id));
    }
    if let Some(due) = to.due() {
        state.due.insert((due, id));
    }
    if step.state.is_open() && !to.is_open() {
        state.open.remove(&id);
        state.busy = state.busy.saturating_sub(1);
    }
    step.state = to;
}

fn ids(machine: &Machine) -> impl Iterator<Item = StepId> + use<> {
    (0..u32::try_from(machine.plan().steps.len()).unwrap_or(u32::MAX)).map(StepId)
}

fn acted(record: &Record, act: &Act) -> bool {
    matches!(&record.event, Event::Took(e) if e.input.act == *act)
}

macro_rules! fault {
    ($name:ident: $what:literal { $($body:tt)* }) => {
        #[derive(Debug)]
        struct $name;
        impl Rules for $name {
            fn fault(&self) -> &'static str {
                $what
            }
            $($body)*
        }
    };
}

fault! { ReplayWithoutAttached: "a driver that takes over goes on without saying so" {
    fn apply(&self, machine: &mut Machine, record: &Record) {
        let before = machine.state().clone();
        machine.apply(record);
        if let Event::Attached(e) = &record.event {
            let after = machine.state().clone();
            edit(machine, |state| {
                *state = before;
                (state.position, state.at, state.epoch) = (after.position, after.at, e.epoch.or(after.epoch));
            });
        }
    }
} }

fault! { NamesNotCompared: "an answer is taken for whatever its step is doing now" {
    fn decide(&self, machine: &Machine, input: &Input, now: Now, s: &dyn Strategies) -> Result<Decided, IllegalInput> {
        let input = match input {
            Input::Answered { to, answer } => {
                let current = machine.state().steps.get(to.step.index()).and_then(|s| s.state.of());
                Input::Answered { to: current.unwrap_or(*to), answer: answer.clone() }
            }
            other => other.clone(),
        };
        machine.decide(&input, now, s)
    }
} }

fault! { PauseWithdraws: "a pause withdraws the attempt under way, to begin again later" {
    fn apply(&self, machine: &mut Machine, record: &Record) {
        machine.apply(record);
        if acted(record, &Act::Pause) {
            let all: Vec<_> = ids(machine).collect();
            edit(machine, |state| {
                for id in all {
                    if let Some(StepState::Trying { of, .. }) = state.steps.get(id.index()).map(|s| &s.state) {
                        let to = StepState::Backoff { of: of.next_turn(), due: record.at.run };
                        put(state, id, to);
                    }
                }
            });
        }
    }
} }

fault! { DeadlinesRunOnInAPause: "deadlines run on while an operator pauses" {
    fn apply(&self, machine: &mut Machine, record: &Record) {
        let before = machine.state().clone();
        machine.apply(record);
        if acted(record, &Act::Resume) {
            edit(machine, |state| {
                state.steps.clone_from(&before.steps);
                state.due.clone_from(&before.due);
            });
        }
    }
} }

fault! { PauseIsNoticedTooLate: "what begins to wait during a pause waits for as long as the pause, once more" {
    fn apply(&self, machine: &mut Machine, record: &Record) {
        let paused = machine.state().paused;
        machine.apply(record);
        if let (Some(since), Event::AttemptFailed(e)) = (paused, &record.event) {
            let late = record.at.run.since(since);
            edit(machine, |state| {
                if let Some(StepState::Backoff { of, due }) = state.steps.get(e.of.step.index()).map(|s| s.state.clone()) {
                    put(state, e.of.step, StepState::Backoff { of, due: due + late });
                }
            });
        }
    }
} }

fault! { UndoUnlocksDependents: "work that ends on the way back lets the next step begin" {
    fn apply(&self, machine: &mut Machine, record: &Record) {
        let back = machine.state().mode != Mode::Forward;
        machine.apply(record);
        if let (true, Event::Completed(e)) = (back, &record.event) {
            let dependents = machine.plan().step(e.of.step).map(|p| p.dependents.clone()).unwrap_or_default();
            edit(machine, |state| state.ready.extend(dependents));
        }
    }
} }

fault! { AbortDoesNotSettle: "turning back counts an attempt under way as failed without settling it" {
    fn apply(&self, machine: &mut Machine, record: &Record) {
        let under_way: Vec<_> = ids(machine)
            .filter(|id| machine.state().steps.get(id.index()).is_some_and(|s| matches!(s.state, StepState::Trying { .. })))
            .collect();
        machine.apply(record);
        if let Event::TurnedBack(_) = &record.event {
            edit(machine, |state| {
                for id in under_way {
                    put(state, id, StepState::Failed { reason: "aborted".to_owned() });
                }
            });
        }
    }
} }

fault! { EarlyInputIsLost: "an approval that comes before anybody asks is remembered as taken and lost" {
    fn apply(&self, machine: &mut Machine, record: &Record) {
        machine.apply(record);
        if let Event::Kept(_) = &record.event {
            edit(machine, |state| state.early.clear());
        }
    }
} }

fault! { RepeatedInputIsTakenTwice: "an input whose id was taken before is taken again" {
    fn decide(&self, machine: &Machine, input: &Input, now: Now, s: &dyn Strategies) -> Result<Decided, IllegalInput> {
        let mut forgetful = machine.clone();
        edit(&mut forgetful, |state| state.taken.clear());
        forgetful.decide(input, now, s)
    }
} }

fault! { UndoInForwardOrder: "what was started first is undone first" {
    fn settle(&self, machine: &Machine, now: Now) -> Vec<Event> {
        let mut reversed = machine.clone();
        edit(&mut reversed, |state| state.started.reverse());
        if machine.state().mode == Mode::Forward { machine.settle(now) } else { reversed.settle(now) }
    }
} }

fault! { UndoIsSkipped: "a failing undo is passed over instead of parking the run" {
    fn apply(&self, machine: &mut Machine, record: &Record) {
        machine.apply(record);
        if let Event::Parked(e) = &record.event
            && matches!(e.why, Park::UndoFailed { .. })
        {
            edit(machine, |state| {
                put(state, e.of.step, StepState::Undone);
                state.parked.clear();
                state.started.retain(|id| *id != e.of.step);
            });
        }
    }
} }

fault! { UndoTwice: "a step stays among the started ones after its undo" {
    fn apply(&self, machine: &mut Machine, record: &Record) {
        machine.apply(record);
        if let Event::Completed(e) = &record.event
            && e.of.undo
        {
            edit(machine, |state| state.started.push(e.of.step));
        }
    }
} }

fault! { TerminalIsNotTerminal: "an ended run can be aborted" {
    fn decide(&self, machine: &Machine, input: &Input, now: Now, s: &dyn Strategies) -> Result<Decided, IllegalInput> {
        let ended = matches!(machine.state().mode, Mode::Ended { .. });
        if ended && matches!(input, Input::Operator(said) if said.act == Act::Abort) {
            let event = Ended { outcome: Outcome::Aborted, because: "aborted after the end".to_owned() };
            return Ok(Decided { events: vec![event.into()], reply: Reply::Taken });
        }
        machine.decide(input, now, s)
    }
} }

fault! { UnknownGetsANewKey: "an attempt whose outcome was unknown is made again with a new key" {
    fn decide(&self, machine: &Machine, input: &Input, now: Now, s: &dyn Strategies) -> Result<Decided, IllegalInput> {
        let mut decided = machine.decide(input, now, s)?;
        let unknown = matches!(input, Input::Answered { answer, .. }
            if matches!(**answer, Answer::LookedUp(Ok(Found::NeverStarted | Found::Unknown))));
        for event in &mut decided.events {
            if let (true, Event::AttemptFailed(AttemptFailed { then: AfterFailure::Retry { of, .. }, .. })) = (unknown, event) {
                of.attempt += 1;
            }
        }
        Ok(decided)
    }
} }

fault! { RetriesWithoutEnd: "an attempt that certainly did nothing is made again without counting it" {
    fn decide(&self, machine: &Machine, input: &Input, now: Now, s: &dyn Strategies) -> Result<Decided, IllegalInput> {
        let decided = machine.decide(input, now, s)?;
        if let Input::Answered { to, answer } = input
            && let Answer::Performed(Err(Fault { certainty: Certainty::Transient, message, .. })) = &**answer
            && decided.reply == Reply::Taken
            && machine.state().mode == Mode::Forward
        {
            let due = machine.state().paused.unwrap_or(now.run);
            let then = AfterFailure::Retry { of: to.next_turn(), due, repeat: false };
            let failed = AttemptFailed { of: *to, reason: message.clone(), receipts: Vec::new(), then };
            return Ok(Decided { events: vec![failed.into()], reply: Reply::Taken });
        }
        Ok(decided)
    }
} }

fault! { WordsCountAsEvidence: "a report alone completes a step with a mandatory check" {
    fn apply(&self, machine: &mut Machine, record: &Record) {
        machine.apply(record);
        if let Event::Completed(e) = &record.event {
            let dependents = machine.plan().step(e.of.step).map(|p| p.dependents.len()).unwrap_or(0);
            edit(machine, |state| {
                let verifying = matches!(state.steps.get(e.of.step.index()).map(|s| &s.state), Some(StepState::Verifying { .. }));
                if verifying && dependents == 0 {
                    put(state, e.of.step, StepState::Done);
                    state.left = state.left.saturating_sub(1);
                }
            });
        }
    }
} }

fault! { ParkedWithoutExit: "nothing that an operator says reaches a parked step" {
    fn decide(&self, machine: &Machine, input: &Input, now: Now, s: &dyn Strategies) -> Result<Decided, IllegalInput> {
        if let Input::Operator(said) = input
            && !machine.state().parked.is_empty()
        {
            return Err(IllegalInput::Refused { act: said.act.name(), reason: "it is parked".to_owned() });
        }
        machine.decide(input, now, s)
    }
} }

fault! { DueIsForgotten: "the time of a back-off is not kept among what is due" {
    fn apply(&self, machine: &mut Machine, record: &Record) {
        machine.apply(record);
        if let Event::AttemptFailed(e) = &record.event {
            edit(machine, |state| state.due.retain(|(_, id)| *id != e.of.step));
        }
    }
} }

fault! { TurnIsNotCounted: "a second look at a rollout has the name of the first" {
    fn apply(&self, machine: &mut Machine, record: &Record) {
        let name = |m: &Machine, id: StepId| m.state().steps.get(id.index()).and_then(|s| s.state.of());
        let before: Vec<_> = ids(machine).map(|id| name(machine, id)).collect();
        machine.apply(record);
        let rollouts: Vec<_> =
            ids(machine).filter(|id| machine.plan().step(*id).is_some_and(|p| matches!(p.work, Work::Rollout(_)))).collect();
        edit(machine, |state| {
            for id in rollouts {
                let was = before.get(id.index()).copied().flatten();
                if let (Some(was), Some(step)) = (was, state.steps.get_mut(id.index()))
                    && let StepState::Rolling(rolling) = &mut step.state
                    && rolling.of.undo == was.undo
                {
                    rolling.of = Try { turn: was.turn, ..rolling.of };
                }
            }
        });
    }
} }

fault! { ReplayForgetsTheEpoch: "the epoch of the lock is kept in memory and not in what is replayed" {
    fn decide(&self, machine: &Machine, input: &Input, now: Now, s: &dyn Strategies) -> Result<Decided, IllegalInput> {
        if matches!(input, Input::Attached { .. }) && machine.state().epoch.is_some() {
            let decided = machine.decide(input, now, s)?;
            let events = decided.events.into_iter().map(|event| match event {
                Event::Attached(mut e) => {
                    e.epoch = machine.state().epoch;
                    // The fence of everything that follows is that of the driver before.
                    Event::Attached(e)
                }
                other => other,
            });
            return Ok(Decided { events: events.collect(), reply: decided.reply });
        }
        machine.decide(input, now, s)
    }
} }

fault! { FenceFalls: "a command keeps the fence of the one before it" {
    fn apply(&self, machine: &mut Machine, record: &Record) {
        let before: Vec<_> = machine.state().steps.iter().map(|s| s.seq).collect();
        machine.apply(record);
        edit(machine, |state| {
            for (step, seq) in state.steps.iter_mut().zip(before) {
                step.seq = seq;
            }
        });
    }
} }

fault! { WakesInAPause: "time goes on deciding during a pause" {
    fn wake_at(&self, machine: &Machine) -> Option<RunTime> {
        machine.state().due.first().map(|(due, _)| *due)
    }

    fn commands(&self, machine: &Machine) -> Vec<Command> {
        let mut unpaused = machine.clone();
        edit(&mut unpaused, |state| state.paused = None);
        unpaused.commands()
    }
} }

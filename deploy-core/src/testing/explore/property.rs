//! What must be so at every record and in every state.

use std::collections::BTreeSet;

use super::rules::Rules;
use crate::machine::{
    AfterFailure, Answer, Call, Event, Found, Input, Machine, Mode, Record, State, StepState, Touches, Try,
};
use crate::operator::Act;
use crate::plan::{RetryPolicy, StepId, Work};
use crate::time::{RunTime, millis};

/// A property that does not hold, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) property: &'static str,
    pub(super) how: String,
}

macro_rules! holds {
    ($property:expr, $so:expr, $($how:tt)+) => {
        if !$so {
            return Err(Broken { property: $property, how: format!($($how)+) });
        }
    };
}

/// What must be so of one record: `before`, the record, `after`, and the input that led to it.
pub(super) fn record(
    input: &Input,
    before: &Machine,
    record: &Record,
    after: &Machine,
    undo_opened: u64,
) -> Result<(), Broken> {
    let (b, a) = (before.state(), after.state());
    holds!("S10 terminal is terminal", !matches!(b.mode, Mode::Ended { .. }), "{:?} after the end", record.event);
    changes_something(b, record, a)?;
    undo(before, record, after, undo_opened, input)?;
    evidence(before, record, after)?;
    inputs(b, record, a)?;
    time(b, record, a)?;
    names(input, before, record, after)?;
    touches(before, record, after)?;
    match &record.event {
        Event::Attached(e) => {
            let rose =
                matches!(input, Input::Attached { epoch: Some(now), .. } if a.epoch == Some(*now)) || e.epoch.is_none();
            holds!("I5 a takeover raises the fence", rose, "the epoch is {:?} after {input:?}", a.epoch);
            let trying = a.steps.iter().position(|s| matches!(s.state, StepState::Trying { .. }));
            holds!(
                "I4 looked up before it is tried again",
                trying.is_none(),
                "step {trying:?} is tried after a takeover"
            );
        }
        Event::TurnedBack(_) => {
            for (i, (x, y)) in b.steps.iter().zip(&a.steps).enumerate() {
                let settling = match &x.state {
                    StepState::Trying { .. } | StepState::Polling { .. } => {
                        matches!(y.state, StepState::Cancelling { .. } | StepState::Unsure { .. })
                    }
                    StepState::Cancelling { .. } | StepState::Unsure { .. } => {
                        super::transition::name(&x.state) == super::transition::name(&y.state)
                    }
                    StepState::Rolling(_) if changing(before, i) => changing(after, i),
                    _ => true,
                };
                holds!(
                    "D18 settled before it is undone",
                    settling,
                    "step {i} went from {:?} to {:?}",
                    x.state,
                    y.state
                );
            }
        }
        _ => {}
    }
    if b.mode != Mode::Forward {
        let opened = matches!(record.event, Event::Opened(_) | Event::Joined(_));
        let unlocked = !a.ready.is_empty() || !a.ready_free.is_empty();
        let waiting = |s: &State| s.steps.iter().filter(|s| matches!(s.state, StepState::Waiting { .. })).count();
        holds!(
            "I7 nothing begins on the way back",
            !opened && !unlocked && waiting(a) == waiting(b),
            "{:?}",
            record.event
        );
        for (x, y) in b.steps.iter().zip(&a.steps) {
            if matches!(x.state, StepState::Waiting { .. }) {
                holds!("I7 nothing begins on the way back", x.state == y.state, "{:?} became {:?}", x.state, y.state);
            }
        }
    }
    Ok(())
}

fn changing(machine: &Machine, step: usize) -> bool {
    let id = StepId(u32::try_from(step).unwrap_or(u32::MAX));
    machine.command(id).is_some_and(|c| matches!(c.call, Call::Apply(_)))
}

fn changes_something(b: &State, record: &Record, a: &State) -> Result<(), Broken> {
    if matches!(record.event, Event::Started(_)) {
        return Ok(());
    }
    let mut same = b.clone();
    same.position = a.position;
    same.at = a.at;
    for (x, y) in same.steps.iter_mut().zip(&a.steps) {
        x.seq = y.seq;
    }
    holds!("D5 a record changes something", same != *a, "{:?} changes nothing", record.event);
    Ok(())
}

fn undo(before: &Machine, record: &Record, after: &Machine, undo_opened: u64, input: &Input) -> Result<(), Broken> {
    const I7: &str = "I7 undo once, in reverse of recorded start";
    let (b, a) = (before.state(), after.state());
    match &record.event {
        Event::UndoOpened(e) => {
            let id = e.of.step;
            let open = b.steps.get(id.index()).is_some_and(|s| s.state.is_open());
            holds!(I7, b.started.last() == Some(&id), "step {} before those that started after it", id.0);
            holds!("D18 settled before it is undone", !open, "step {} is still under way", id.0);
            holds!(I7, undo_opened & (1 << id.0) == 0, "step {} a second time", id.0);
        }
        Event::UndoPassed(e) => {
            let by_a_person = matches!(input, Input::Operator(_));
            let planned = before.plan().step(e.step);
            let has_undo = planned
                .is_some_and(|p| p.point_of_no_return.is_none() && matches!(p.work, Work::Task { undo: Some(_), .. }));
            let open = b.steps.get(e.step.index()).is_some_and(|s| s.state.is_open());
            holds!(I7, open && by_a_person || b.started.last() == Some(&e.step), "step {} passed too early", e.step.0);
            holds!(I7, (open && by_a_person) || !has_undo, "step {} was passed though it has an undo", e.step.0);
        }
        Event::Ended(_) => {
            holds!("D18 settled before it is undone", b.open.is_empty(), "ended with {:?} open", b.open);
            let back = b.mode != Mode::Forward;
            holds!(I7, !back || b.started.is_empty(), "ended with {:?} not undone", b.started);
            holds!("I14 an input is kept until wanted", b.early.is_empty(), "ended with {:?} kept", b.early);
        }
        _ => {}
    }
    let by_undo = match &record.event {
        Event::Completed(e) => e.of.undo,
        Event::Looked(e) => e.of.undo,
        Event::UndoPassed(_) => true,
        _ => false,
    };
    let lost = b.started.iter().any(|id| !a.started.contains(id));
    holds!(I7, !lost || by_undo, "{:?} made {:?} of the started steps {:?}", record.event, a.started, b.started);
    Ok(())
}

fn evidence(before: &Machine, record: &Record, after: &Machine) -> Result<(), Broken> {
    const I11: &str = "I11 no mandatory check is met without evidence";
    for (i, (x, y)) in before.state().steps.iter().zip(&after.state().steps).enumerate() {
        let became = !matches!(x.state, StepState::Done) && matches!(y.state, StepState::Done);
        let Some(planned) = before.plan().steps.get(i).filter(|p| became && !p.verifications.is_empty()) else {
            continue;
        };
        let Event::Verified(e) = &record.event else {
            return Err(Broken { property: I11, how: format!("step {i} is done by {:?}", record.event) });
        };
        for wanted in &planned.verifications {
            let receipt = e.receipts.iter().find(|r| r.check == wanted.check);
            let met = receipt.is_some_and(|r| match &r.verdict {
                crate::evidence::Verdict::Waived(w) => {
                    let id = StepId(u32::try_from(i).unwrap_or(u32::MAX));
                    let known = before.state().waivers.get(&(id, wanted.check.clone())) == Some(w);
                    known && !w.person.subject.is_empty() && !w.reason.trim().is_empty() && w.expires.0 > 0
                }
                verdict => verdict.is_met() && !r.read.is_empty(),
            });
            holds!(I11, met, "{} of step {i} counts as met by {receipt:?}", wanted.check);
        }
    }
    Ok(())
}

fn inputs(b: &State, record: &Record, a: &State) -> Result<(), Broken> {
    const I14: &str = "I14 an input is kept until wanted";
    let kept = |s: &State| s.early.iter().map(|i| i.id.clone()).collect::<BTreeSet<_>>();
    let (mut due, now) = (kept(b), kept(a));
    match &record.event {
        Event::Kept(e) => {
            due.insert(e.input.id.clone());
        }
        Event::Took(e) => {
            due.remove(&e.input.id);
        }
        Event::Dropped(e) => {
            due.remove(&e.id);
        }
        _ => {}
    }
    holds!(I14, due == now, "{:?} left {now:?} of {due:?}", record.event);
    if let Event::Took(e) = &record.event {
        let again = b.taken.contains(&e.input.id) && !b.early.iter().any(|i| i.id == e.input.id);
        holds!("I14 an input is taken once", !again, "{} was taken before", e.input.id);
        holds!("I14 an input is taken once", a.taken.contains(&e.input.id), "{} is not remembered", e.input.id);
    }
    Ok(())
}

fn time(b: &State, record: &Record, a: &State) -> Result<(), Broken> {
    const I15: &str = "I15 active time stands still";
    if let Event::Took(e) = &record.event
        && e.input.act == Act::Pause
    {
        for (i, (x, y)) in b.steps.iter().zip(&a.steps).enumerate() {
            holds!("pause withdraws nothing", x.state == y.state, "step {i} went from {:?} to {:?}", x.state, y.state);
        }
    }
    if let (Some(since), None) = (b.paused, a.paused) {
        let now = record.at.run;
        for (i, (x, y)) in b.steps.iter().zip(&a.steps).enumerate() {
            if super::transition::name(&x.state) != super::transition::name(&y.state) {
                continue;
            }
            if matches!((&record.event, &x.state), (Event::TurnedBack(_), StepState::Rolling(_))) {
                // Turning back also shortens how long it waits for a change under way.
                continue;
            }
            let left = |due: Option<RunTime>, at: RunTime| due.map(|d| d.0.saturating_sub(at.0));
            let (was, is) = (left(x.state.due(), since), left(y.state.due(), now));
            holds!(I15, was == is, "step {i} had {was:?} ms left at the pause and {is:?} after it");
        }
    }
    Ok(())
}

/// Attempts move only on definitive failures, and the name of a command never names another.
fn names(input: &Input, before: &Machine, record: &Record, after: &Machine) -> Result<(), Broken> {
    const D8: &str = "D8 a new key only after a definitive failure";
    let (b, a) = (before.state(), after.state());
    for (i, (x, y)) in b.steps.iter().zip(&a.steps).enumerate() {
        let id = StepId(u32::try_from(i).unwrap_or(u32::MAX));
        holds!("I5 fences never fall", y.seq >= x.seq, "step {i} went from fence {} to {}", x.seq, y.seq);
        let (Some(was), Some(is)) = (x.state.of(), y.state.of()) else { continue };
        let reused = |how: &str| {
            Err(Broken {
                property: "a command's name names no other",
                how: format!("step {i}: {how}, {was} then {is}"),
            })
        };
        if was.undo == is.undo && is.turn < was.turn {
            return reused("the turn went back");
        }
        if let (Some(p), Some(q)) = (before.command(id), after.command(id)) {
            if p.of == q.of && p.call != q.call {
                return reused("the same name for another call");
            }
            holds!(
                "I5 fences never fall",
                p.of == q.of || q.seq == record.position,
                "step {i}: a new command with an old fence"
            );
        }
        let rollout = matches!(before.plan().step(id).map(|p| &p.work), Some(Work::Rollout(_)));
        if !rollout {
            attempts(input, record, was, is, i)?;
        }
        if let Event::AttemptFailed(e) = &record.event
            && e.of.step == id
            && let AfterFailure::Retry { of, .. } = &e.then
        {
            let policy = policy(before, e.of);
            holds!(
                D8,
                of.attempt <= policy.attempts.max(1),
                "step {i} is at attempt {} of {}",
                of.attempt,
                policy.attempts
            );
        }
        if let Some(policy) = after.state().steps.get(i).and_then(|s| s.state.of()).map(|of| policy(before, of)) {
            holds!("retries are bounded", y.repeats <= policy.attempts, "step {i} was repeated {} times", y.repeats);
        }
    }
    Ok(())
}

fn policy(machine: &Machine, of: Try) -> RetryPolicy {
    match machine.plan().step(of.step) {
        Some(planned) => match &planned.work {
            Work::Task { undo: Some(undo), .. } if of.undo => undo.retry.clone(),
            _ => planned.retry.clone(),
        },
        None => RetryPolicy::once(),
    }
}

fn attempts(input: &Input, record: &Record, was: Try, is: Try, i: usize) -> Result<(), Broken> {
    const D8: &str = "D8 a new key only after a definitive failure";
    let definitive = match input {
        Input::Answered { answer, .. } => match &**answer {
            Answer::Performed(Err(f)) | Answer::Cancelled(Some(Err(f))) => {
                f.certainty == crate::agent::Certainty::Definitive
            }
            Answer::LookedUp(Ok(Found::Failed(_))) | Answer::Verified(_) => true,
            // A report that lacks what it was to hand over.
            Answer::Performed(Ok(_)) => true,
            _ => false,
        },
        _ => false,
    };
    let next = (is.iteration, is.attempt);
    let same = next == (was.iteration, was.attempt) && was.undo == is.undo;
    let allowed = match &record.event {
        _ if record.event.touches() != Touches::One(was.step) => same,
        Event::AttemptFailed(_) if definitive => next == (was.iteration, was.attempt + 1),
        Event::Retried(_) => same || next == (was.iteration + 1, 1),
        Event::UndoOpened(_) => next == (0, 1),
        _ => same,
    };
    holds!(D8, allowed, "step {i}: {:?} made {is} of {was}", record.event);
    Ok(())
}

/// Only the steps that an event names have another command after it.
fn touches(before: &Machine, record: &Record, after: &Machine) -> Result<(), Broken> {
    let named = record.event.touches();
    for i in 0..before.plan().steps.len() {
        let id = StepId(u32::try_from(i).unwrap_or(u32::MAX));
        let told = match named {
            Touches::None => false,
            Touches::One(one) => one == id,
            Touches::Open => true,
        };
        let key = |m: &Machine| m.command(id).map(|c| (c.of, c.not_before, c.call));
        holds!(
            "an event names what it touches",
            told || key(before) == key(after),
            "{:?} touches step {i} too",
            record.event
        );
    }
    Ok(())
}

/// What must be so in every state between two turns.
pub(super) fn state(rules: &dyn Rules, machine: &Machine, now: RunTime) -> Result<(), Broken> {
    let s = machine.state();
    indexes(machine)?;
    if matches!(s.mode, Mode::Ended { .. }) {
        let quiet = rules.commands(machine).is_empty() && rules.wake_at(machine).is_none() && s.open.is_empty();
        holds!("S10 terminal is terminal", quiet, "something goes on after the end");
        return Ok(());
    }
    let commands = rules.commands(machine);
    let known = !commands.is_empty()
        || rules.wake_at(machine).is_some()
        || s.epoch.is_none()
        || s.paused.is_some()
        || !s.parked.is_empty();
    holds!("I2 every wait says until when or for whom", known, "nothing is under way and nobody is asked");
    for id in &s.open {
        let Some(step) = s.steps.get(id.index()) else { continue };
        let known = machine.command(*id).is_some()
            || step.state.due().is_some()
            || matches!(step.state, StepState::Parked { .. });
        holds!("I2 every wait says until when or for whom", known, "step {} waits for nothing: {:?}", id.0, step.state);
    }
    holds!(
        "I15 active time stands still",
        s.paused.is_none() || rules.wake_at(machine).is_none(),
        "woken during a pause"
    );
    holds!(
        "a pause ends when a run turns back",
        s.mode == Mode::Forward || s.paused.is_none(),
        "paused on the way back"
    );
    if s.paused.is_some() {
        let decides = commands.iter().find(|c| matches!(c.call, Call::Look(_) | Call::Evaluate));
        holds!("a pause decides nothing", decides.is_none(), "{decides:?} during a pause");
    }
    holds!("the width is kept", s.busy <= machine.plan().width, "{} of {}", s.busy, machine.plan().width);
    bounds(machine, now)
}

fn indexes(machine: &Machine) -> Result<(), Broken> {
    const INDEX: &str = "every index agrees with the steps";
    let s = machine.state();
    let ids = || (0u32..).map(StepId).zip(&s.steps);
    let open: BTreeSet<_> = ids().filter(|(_, s)| s.state.is_open()).map(|(id, _)| id).collect();
    holds!(INDEX, open == s.open, "open is {:?} instead of {open:?}", s.open);
    let parked: BTreeSet<_> =
        ids().filter(|(_, s)| matches!(s.state, StepState::Parked { .. })).map(|(id, _)| id).collect();
    holds!(INDEX, parked == s.parked, "parked is {:?} instead of {parked:?}", s.parked);
    let due: BTreeSet<_> = ids().filter_map(|(id, s)| s.state.due().map(|d| (d, id))).collect();
    holds!(INDEX, due == s.due, "due is {:?} instead of {due:?}", s.due);
    let room =
        |id: StepId| machine.plan().step(id).is_some_and(|p| matches!(p.work, Work::Task { .. } | Work::Rollout(_)));
    let forward = |s: &StepState| s.of().is_none_or(|of| !of.undo);
    let busy = ids().filter(|(id, s)| room(*id) && s.state.is_open() && forward(&s.state)).count();
    holds!(INDEX, busy == s.busy as usize, "busy is {} instead of {busy}", s.busy);
    if s.mode == Mode::Forward {
        let settled = |s: &StepState| matches!(s, StepState::Done | StepState::Failed { .. });
        let fatal = usize::from(s.failure.is_some());
        let left = ids().filter(|(_, s)| !settled(&s.state)).count();
        let fits = (left..=left + if fatal > 0 { s.steps.len() } else { 0 }).contains(&(s.left as usize));
        holds!(INDEX, fits, "left is {} instead of {left}", s.left);
        let ready: BTreeSet<_> =
            ids().filter(|(_, s)| matches!(s.state, StepState::Waiting { unmet: 0 })).map(|(id, _)| id).collect();
        let both: BTreeSet<_> = s.ready.union(&s.ready_free).copied().collect();
        holds!(INDEX, ready == both, "ready is {both:?} instead of {ready:?}");
    }
    let began = |id: &StepId| s.steps.get(id.index()).is_some_and(|s| !matches!(s.state, StepState::Waiting { .. }));
    holds!(INDEX, s.started.iter().all(began), "started is {:?}", s.started);
    holds!(
        INDEX,
        s.parked.is_empty() || s.mode == Mode::Forward || !s.started.is_empty(),
        "parked with nothing started"
    );
    Ok(())
}

/// No wait is longer than the plan says, counted in active time.
fn bounds(machine: &Machine, now: RunTime) -> Result<(), Broken> {
    const BOUND: &str = "I15 no wait is longer than its plan says";
    let s = machine.state();
    let base = s.paused.unwrap_or(now);
    for (id, step) in (0u32..).map(StepId).zip(&s.steps) {
        let Some(planned) = machine.plan().step(id) else { continue };
        let left = |due: RunTime| due.0.saturating_sub(base.0);
        let timeout = |of: Try| millis(machine.call_timeout(of));
        let (what, left, most) = match &step.state {
            StepState::Backoff { of, due } => ("back-off", left(*due), millis(policy(machine, *of).backoff_at_most)),
            StepState::Trying { of, deadline } | StepState::Polling { of, deadline, .. } => {
                ("attempt", left(*deadline), timeout(*of))
            }
            StepState::Evaluating { give_up, at, .. } => match &planned.work {
                Work::Gate { hold_at_most, .. } => ("gate", left(*give_up).max(left(*at)), millis(*hold_at_most)),
                _ => continue,
            },
            StepState::Approving { expires, .. } => match &planned.work {
                Work::Approval(request) => ("approval", left(*expires), millis(request.expires_after)),
                _ => continue,
            },
            StepState::Soaking { due, .. } => match &planned.work {
                Work::Soak { span } => ("soak", left(*due), millis(*span)),
                _ => continue,
            },
            StepState::Rolling(r) => {
                let Work::Rollout(work) = &planned.work else { continue };
                if let crate::machine::Doing::Looking { at } = r.doing {
                    let every = millis(work.observe_every);
                    holds!(BOUND, left(at) <= every, "step {}: the next look in {} of {every} ms", id.0, left(at));
                }
                match &r.asking {
                    Some(asking) => ("question", left(asking.expires), millis(asking.request.expires_after)),
                    None => ("rollout", left(r.deadline), timeout(r.of)),
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
            | StepState::Undone => continue,
        };
        holds!(BOUND, left <= most, "step {}: {what} with {left} of {most} ms left", id.0);
    }
    Ok(())
}

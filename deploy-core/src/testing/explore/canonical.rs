//! What of a state matters for what can still happen.
//!
//! Times become distances, counters that only name things become zero, words for people become empty. All three grow without
//! bound along a run; with them no exploration ends.

use crate::machine::{Doing, Park, Rolling, State, StepState, Try};
use crate::name::InputId;
use crate::operator::OperatorInput;
use crate::strategy::{Next, Promotion};
use crate::time::{Now, RunTime, Timestamp};

/// The same state with everything left out that makes no difference.
pub(super) fn canonical(state: &State, now: RunTime, nameless: &InputId) -> State {
    // While a run is paused its waits stand still: what matters is how far off they were when it began.
    let base = state.paused.unwrap_or(now);
    let mut s = state.clone();
    s.position = 0;
    s.at = Now::default();
    s.epoch = s.epoch.map(|_| 1);
    s.paused = s.paused.map(|_| RunTime::START);
    s.due.clear();
    s.taken.clear();
    for input in &mut s.early {
        *input = OperatorInput { id: nameless.clone(), why: String::new(), ..input.clone() };
    }
    if let Some(failure) = &mut s.failure {
        failure.reason.clear();
    }
    match &mut s.mode {
        crate::machine::Mode::Undoing { because, .. } | crate::machine::Mode::Ended { because, .. } => because.clear(),
        crate::machine::Mode::Forward => {}
    }
    for waiver in s.waivers.values_mut() {
        waiver.expires = Timestamp(0);
        waiver.reason.clear();
    }
    for step in &mut s.steps {
        step.seq = 0;
        step_state(&mut step.state, base, now);
    }
    for facts in s.facts.values_mut() {
        for receipt in &mut facts.receipts {
            if let crate::evidence::Verdict::Waived(waiver) = &mut receipt.verdict {
                waiver.expires = Timestamp(0);
                waiver.reason.clear();
            }
        }
    }
    s
}

fn nameless(of: &mut Try) {
    (of.turn, of.iteration) = (0, 0);
}

fn distance(at: &mut RunTime, base: RunTime) {
    at.0 = at.0.saturating_sub(base.0);
}

fn step_state(state: &mut StepState, base: RunTime, now: RunTime) {
    match state {
        StepState::Backoff { of, due } | StepState::Soaking { of, due } => {
            nameless(of);
            distance(due, base);
        }
        StepState::Trying { of, deadline } => {
            nameless(of);
            distance(deadline, base);
        }
        StepState::Polling { of, at, deadline, .. } => {
            nameless(of);
            // Work under way is asked about during a pause too.
            distance(at, now);
            distance(deadline, base);
        }
        StepState::Cancelling { of, .. } | StepState::Verifying { of, .. } => nameless(of),
        StepState::Unsure { of, at, last, .. } => {
            nameless(of);
            distance(at, now);
            last.clear();
        }
        StepState::Evaluating { of, at, give_up, holds_for } => {
            nameless(of);
            distance(at, base);
            distance(give_up, base);
            holds_for.clear();
        }
        StepState::Approving { of, expires, .. } => {
            nameless(of);
            distance(expires, base);
        }
        StepState::Rolling(r) => rolling(r, base),
        StepState::Parked { of, why, rolling: stood } => {
            nameless(of);
            match why {
                Park::UnknownOutcome { last: text }
                | Park::UndoFailed { reason: text }
                | Park::Drift { found: text }
                | Park::Overridden { reason: text } => text.clear(),
            }
            if let Some(r) = stood {
                rolling(r, base);
                // A retry sets these anew.
                (r.deadline, r.errors, r.reasserted, r.applied, r.settled) = (RunTime::START, 0, 0, false, false);
                (r.doing, r.asking) = (Doing::Looking { at: RunTime::START }, None);
            }
        }
        StepState::Failed { reason } => reason.clear(),
        StepState::Waiting { .. } | StepState::Done | StepState::Withdrawn | StepState::Undone => {}
    }
}

fn rolling(r: &mut Rolling, base: RunTime) {
    nameless(&mut r.of);
    r.of.attempt = 1;
    if let Doing::Looking { at } = &mut r.doing {
        distance(at, base);
    }
    if let Some(asking) = &mut r.asking {
        // The deadline stands still while people are asked.
        distance(&mut r.deadline, asking.since);
        asking.since = RunTime::START;
        distance(&mut asking.expires, base);
    } else {
        distance(&mut r.deadline, base);
    }
    r.looked_at = RunTime::START;
    (r.continuous, r.observed_ms) = (false, 0);
    r.reason = None;
    r.judgements.clear();
    if let Some(Next::WakeAt(at)) = &mut r.next {
        *at = RunTime::START;
    }
    // Skipping one wait or all is the same to the scripted strategy.
    if r.promotion == Promotion::Full {
        r.promotion = Promotion::Skip;
    }
}

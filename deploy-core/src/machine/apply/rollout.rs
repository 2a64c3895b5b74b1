//! What a look changes, and how a parked rollout goes on.

use std::collections::BTreeSet;

use crate::machine::Machine;
use crate::machine::command::Try;
use crate::machine::event::{AfterLook, Looked};
use crate::machine::state::{Asking, Doing, LeftAt, Rolling, StepState};
use crate::plan::StepId;
use crate::strategy::{Decision, Promotion};
use crate::time::RunTime;

impl Machine {
    pub(super) fn roll(&mut self, id: StepId, seq: u64, change: impl FnOnce(&mut Rolling)) {
        self.change(id, seq, |state| {
            if let StepState::Rolling(rolling) = state {
                change(rolling);
            }
        });
    }

    pub(super) fn looked(&mut self, e: &Looked, now: RunTime, seq: u64) {
        if let Some(observed) = &e.observed {
            self.state.from.entry(e.of.step).or_insert_with(|| observed.clone());
        }
        if !e.of.undo {
            let Decision { want, memory, .. } = &*e.decision;
            let left = || LeftAt { want: want.clone(), memory: memory.clone() };
            let there = self.state.left_at.entry(e.of.step).or_insert_with(left);
            keep(&mut there.want, want);
            keep(&mut there.memory, memory);
        }
        self.roll(e.of.step, seq, |rolling| {
            if let Some(observed) = &e.observed {
                rolling.observed = Some(observed.clone());
            }
            rolling.looked_at = now;
            rolling.continuous = true;
            rolling.errors = 0;
            rolling.promotion = Promotion::None;
            rolling.observed_ms = if rolling.stage == e.decision.stage { e.observed_ms } else { 0 };
            let changed = !rolling.want.as_ref().is_some_and(|want| want.says_as(&e.decision.want));
            if !changed && matches!(e.then, AfterLook::Apply) {
                // The same again, on a newer observation.
                rolling.want = Some(e.decision.want.clone());
            }
            if changed {
                rolling.of.attempt = if rolling.want.is_some() { rolling.of.attempt.saturating_add(1) } else { 1 };
                rolling.applied = false;
                rolling.settled = false;
                rolling.want = Some(e.decision.want.clone());
            }
            let as_wanted = rolling.observed.as_ref().is_some_and(|o| o.routes_as(&e.decision.want));
            rolling.settled = rolling.settled || (rolling.applied && as_wanted);
            keep(&mut rolling.measure, &e.decision.measure);
            keep(&mut rolling.memory, &e.decision.memory);
            keep(&mut rolling.stage, &e.decision.stage);
            rolling.reason = Some(e.decision.reason.clone());
            rolling.judgements.clone_from(&e.decision.judgements);
            rolling.exposure = rolling.exposure.max(e.decision.exposure);
            rolling.next = Some(e.decision.next.clone());
            match &e.then {
                AfterLook::Apply => {
                    rolling.of = rolling.of.next_turn();
                    rolling.doing = Doing::Applying;
                }
                AfterLook::Rest { at } | AfterLook::Ask { at, .. } => rolling.look(*at),
                AfterLook::Complete | AfterLook::Fail => {}
            }
            match (&e.then, &e.decision.next) {
                (AfterLook::Ask { expires, .. }, crate::strategy::Next::Await(request)) => {
                    if rolling.asking.as_ref().is_none_or(|asking| asking.request != *request) {
                        rolling.stop_asking(now);
                        let (request, yes) = (request.clone(), BTreeSet::new());
                        rolling.asking = Some(Asking { request, yes, since: now, expires: *expires });
                    }
                }
                _ => rolling.stop_asking(now),
            }
        });
        match &e.then {
            AfterLook::Complete if e.of.undo => self.undone(e.of.step, seq),
            AfterLook::Complete => self.finish(e.of.step, seq),
            AfterLook::Fail => self.fail(e.of.step, &e.decision.reason.to_string(), seq),
            AfterLook::Apply | AfterLook::Rest { .. } | AfterLook::Ask { .. } => {}
        }
    }
}

/// Makes this the same as that: from look to look most of it stays.
fn keep<T: Clone + PartialEq>(this: &mut T, that: &T) {
    if this != that {
        this.clone_from(that);
    }
}

/// A parked rollout goes on with what it knew, beginning with a look.
pub(super) fn again(mut rolling: Box<Rolling>, of: Try, now: RunTime, deadline: RunTime) -> StepState {
    rolling.of = Try { attempt: rolling.of.attempt, ..of };
    rolling.doing = Doing::Looking { at: now };
    rolling.applied = false;
    rolling.settled = false;
    rolling.continuous = false;
    rolling.errors = 0;
    rolling.reasserted = 0;
    // Whom the strategy still wants to ask, it asks anew: the question may have expired meanwhile.
    rolling.asking = None;
    rolling.deadline = deadline;
    StepState::Rolling(rolling)
}

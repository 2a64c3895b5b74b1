//! What follows from the state alone, one stretch at a time, until nothing follows.

use crate::machine::Machine;
use crate::machine::command::Try;
use crate::machine::event::{Dropped, Ended, Event, Joined, Opened, Took, TurnedBack, UndoOpened, UndoPassed};
use crate::machine::state::{Mode, Outcome, StepState};
use crate::operator::Act;
use crate::plan::{RollbackTo, StepId, Work};
use crate::time::Now;

impl Machine {
    /// What follows without any further input. Empty when nothing does.
    #[must_use]
    pub fn settle(&self, now: Now) -> Vec<Event> {
        match &self.state.mode {
            Mode::Forward => self.settle_forward(now),
            Mode::Undoing { to, because } => self.settle_back(*to, because, now),
            Mode::Ended { .. } => Vec::new(),
        }
    }

    fn settle_forward(&self, now: Now) -> Vec<Event> {
        let state = &self.state;
        if let Some(failure) = &state.failure
            && state.paused.is_none()
        {
            let because = format!("{} failed: {}", failure.step, failure.reason);
            return vec![TurnedBack { to: Outcome::RolledBack, because }.into()];
        }
        if !state.early.is_empty() {
            let events = self.take_early(now);
            if !events.is_empty() {
                return events;
            }
        }
        if state.paused.is_some() || state.epoch.is_none() || !state.parked.is_empty() {
            return Vec::new();
        }
        if let Some(id) = state.ready_free.first() {
            return self.open_free(*id, now);
        }
        if state.busy < self.plan.width
            && let Some(id) = state.ready.first()
        {
            return vec![Opened { step: *id, due: now.run + self.timeout(Try::first(*id)) }.into()];
        }
        if state.left == 0 {
            let because = "every step is done".to_owned();
            return vec![Ended { outcome: Outcome::Succeeded, because }.into()];
        }
        Vec::new()
    }

    fn open_free(&self, id: StepId, now: Now) -> Vec<Event> {
        let Some(planned) = self.planned(id) else { return Vec::new() };
        let after = match &planned.work {
            Work::Gate { gate: None, .. } => return vec![Joined { step: id }.into()],
            Work::Gate { hold_at_most, .. } => *hold_at_most,
            Work::Approval(request) => request.expires_after,
            Work::Soak { span } => *span,
            Work::Task { .. } | Work::Rollout(_) => planned.timeout,
        };
        vec![Opened { step: id, due: now.run + after }.into()]
    }

    /// The first kept input whose step has begun, or will never begin.
    fn take_early(&self, now: Now) -> Vec<Event> {
        for input in &self.state.early {
            let Some(id) = input.act.step().and_then(|path| self.plan.find(path)) else { continue };
            let Some(step) = self.state.steps.get(id.index()) else { continue };
            match &step.state {
                StepState::Waiting { .. } => {}
                StepState::Rolling(rolling) if rolling.asking.is_none() && asks(&input.act) => {}
                _ => {
                    return match self.early(input, id, now) {
                        Ok(follows) => {
                            let mut events = vec![Took { input: input.clone() }.into()];
                            events.extend(follows);
                            events
                        }
                        Err(reason) => vec![Dropped { id: input.id.clone(), reason }.into()],
                    };
                }
            }
        }
        Vec::new()
    }

    /// Undo in strict reverse of recorded start; a step that is not settled yet holds up those before it.
    fn settle_back(&self, to: Outcome, because: &str, now: Now) -> Vec<Event> {
        let state = &self.state;
        if let Some(id) = state.started.last() {
            let Some(step) = state.steps.get(id.index()) else { return Vec::new() };
            return if step.state.is_open() { Vec::new() } else { self.undo_next(*id, now) };
        }
        if !state.open.is_empty() {
            return Vec::new();
        }
        let outcome = match to {
            Outcome::RolledBack if state.undone == 0 || state.left_standing > 0 => Outcome::Failed,
            _ => to,
        };
        let mut because = because.to_owned();
        if state.left_standing > 0 {
            because.push_str(&format!("; {} of the steps could not be undone and still stand", state.left_standing));
        }
        vec![Ended { outcome, because }.into()]
    }

    fn undo_next(&self, id: StepId, now: Now) -> Vec<Event> {
        let passed = |reason: &str, left_standing: bool| {
            vec![UndoPassed { step: id, reason: reason.to_owned(), left_standing }.into()]
        };
        let Some(planned) = self.planned(id) else { return passed("the plan has no such step", false) };
        let opened = || {
            let of = Try::first(id).to_undo();
            vec![UndoOpened { of, due: now.run + self.timeout(of) }.into()]
        };
        if let Some(reason) = &planned.point_of_no_return {
            return passed(&format!("a point of no return was crossed: {reason}"), true);
        }
        match &planned.work {
            Work::Task { undo: Some(_), .. } => opened(),
            Work::Rollout(_) => match (&self.plan.rollback, self.state.from.get(&id)) {
                (_, None) => passed("it had not changed anything yet", false),
                (RollbackTo::None { reason }, _) => passed(&format!("there is no way back: {reason}"), true),
                (RollbackTo::Previous | RollbackTo::Remove, Some(_)) => opened(),
            },
            Work::Task { undo: None, .. } | Work::Gate { .. } | Work::Approval(_) | Work::Soak { .. } => {
                passed("there is nothing to undo", false)
            }
        }
    }
}

fn asks(act: &Act) -> bool {
    matches!(act, Act::Approve { .. } | Act::Reject { .. })
}

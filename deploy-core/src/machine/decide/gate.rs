//! Gates: what their answers lead to.

use crate::gate::GateDecision;
use crate::machine::Machine;
use crate::machine::command::Try;
use crate::machine::event::{Event, Held, Passed, StepFailed};
use crate::machine::input::Fault;
use crate::machine::state::{ASK_AGAIN_AFTER, StepState};
use crate::time::RunTime;

impl Machine {
    pub(super) fn evaluated(&self, of: Try, result: &Result<GateDecision, Fault>, now: RunTime) -> Vec<Event> {
        match result {
            Ok(GateDecision::Go) => vec![Passed { of, conditions: Vec::new() }.into()],
            Ok(GateDecision::Conditional { conditions }) => {
                vec![Passed { of, conditions: conditions.clone() }.into()]
            }
            Ok(GateDecision::Hold { reason, ask_again_after }) => self.hold(of, reason, now + *ask_again_after, now),
            Ok(GateDecision::NoGo { vetoes }) => {
                let vetoes: Vec<_> = vetoes.iter().map(|v| format!("{}: {}", v.by, v.reason)).collect();
                vec![StepFailed { step: of.step, reason: format!("no-go: {}", vetoes.join("; ")) }.into()]
            }
            Err(fault) => {
                let reason = format!("the gate could not find out: {}", fault.message);
                self.hold(of, &reason, now + ASK_AGAIN_AFTER, now)
            }
        }
    }

    fn hold(&self, of: Try, reason: &str, at: RunTime, now: RunTime) -> Vec<Event> {
        let give_up = match self.state.steps.get(of.step.index()).map(|s| &s.state) {
            Some(StepState::Evaluating { give_up, .. }) => *give_up,
            _ => now,
        };
        if now >= give_up {
            let reason = format!("the gate held for too long: {reason}");
            return vec![StepFailed { step: of.step, reason }.into()];
        }
        vec![Held { of, at: at.min(give_up), reason: reason.to_owned() }.into()]
    }
}

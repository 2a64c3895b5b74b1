//! What an operator's input changes by itself.

use crate::evidence::Waiver;
use crate::machine::Machine;
use crate::machine::state::{StepState, TAKEN_AT_MOST};
use crate::operator::{Act, OperatorInput};
use crate::time::RunTime;

impl Machine {
    pub(super) fn remember(&mut self, id: crate::name::InputId) {
        if self.state.taken.len() >= TAKEN_AT_MOST {
            self.state.taken.pop_front();
        }
        self.state.taken.push_back(id);
    }

    pub(super) fn resume(&mut self, now: RunTime, seq: u64) {
        if let Some(since) = self.state.paused.take() {
            let span = now.since(since);
            for id in self.open_steps() {
                self.change(id, seq, |state| state.shift(span));
            }
        }
    }

    pub(super) fn take(&mut self, input: &OperatorInput, now: RunTime, seq: u64) {
        if !self.state.taken.contains(&input.id) {
            self.remember(input.id.clone());
        }
        self.state.early.retain(|kept| kept.id != input.id);
        match &input.act {
            Act::Pause => self.state.paused = Some(now),
            Act::Resume => self.resume(now, seq),
            Act::Acknowledge => self.state.acknowledged = Some(input.who.clone()),
            Act::Approve { step } => {
                if let Some(id) = self.plan.find(step) {
                    self.change(id, seq, |state| match state {
                        StepState::Approving { yes, .. } => {
                            yes.insert(input.who.clone());
                        }
                        StepState::Rolling(rolling) => {
                            if let Some(asking) = &mut rolling.asking {
                                asking.yes.insert(input.who.clone());
                            }
                        }
                        _ => {}
                    });
                }
            }
            Act::Waive { step, check: Some(check), expires } => {
                if let Some(id) = self.plan.find(step) {
                    let waiver = Waiver { person: input.who.clone(), reason: input.why.clone(), expires: *expires };
                    self.state.waivers.insert((id, check.clone()), waiver);
                }
            }
            Act::Reject { .. }
            | Act::Promote { .. }
            | Act::PromoteFully { .. }
            | Act::Retry { .. }
            | Act::Waive { check: None, .. }
            | Act::Abort
            | Act::RollBack
            | Act::Settle { .. } => {}
        }
    }
}

//! Operator inputs: each is taken once, kept until wanted, or refused with the reason.

use std::collections::BTreeSet;

use super::Decided;
use crate::machine::Machine;
use crate::machine::event::{
    AfterFailure, AttemptFailed, BecameUnsure, Completed, Event, Granted, Kept, Parked, Promoted, Retried, Soaked,
    StepFailed, Took, TurnedBack, UndoPassed,
};
use crate::machine::input::{IllegalInput, Reply, Reported};
use crate::machine::state::{Doing, EARLY_AT_MOST, Mode, Outcome, Park, Rolling, StepState};
use crate::operator::{Act, ApprovalRequest, OperatorInput, Principal, Settlement};
use crate::plan::{StepId, Work};
use crate::strategy::Promotion;
use crate::time::{Now, RunTime};

impl Machine {
    pub(super) fn operator(&self, input: &OperatorInput, now: Now) -> Result<Decided, IllegalInput> {
        if self.state.taken.contains(&input.id) {
            return Ok(Decided::ignored());
        }
        let refused = |reason: String| IllegalInput::Refused { act: input.act.name(), reason };
        if let Mode::Ended { outcome, .. } = &self.state.mode {
            return Err(refused(format!("the run has ended: {outcome}")));
        }
        let step = match input.act.step() {
            None => None,
            Some(path) => Some(
                self.plan
                    .find(path)
                    .ok_or_else(|| refused(format!("the plan has no step {path}; it has: {}", self.names())))?,
            ),
        };
        if let Some(id) = step
            && self.comes_early(id, &input.act)
        {
            return self.keep(input, id);
        }
        let follows = self.follows(input, step, now).map_err(refused)?;
        let mut events = vec![Took { input: input.clone() }.into()];
        events.extend(follows);
        Ok(Decided { events, reply: Reply::Taken })
    }

    /// Whether nobody waits for it yet, though somebody may later.
    fn comes_early(&self, id: StepId, act: &Act) -> bool {
        let waits =
            matches!(act, Act::Approve { .. } | Act::Reject { .. } | Act::Promote { .. } | Act::PromoteFully { .. });
        let may_ask = match self.state.steps.get(id.index()).map(|s| &s.state) {
            Some(StepState::Waiting { .. }) => true,
            Some(StepState::Rolling(rolling)) => {
                matches!(act, Act::Approve { .. } | Act::Reject { .. }) && rolling.asking.is_none()
            }
            _ => false,
        };
        waits && may_ask && self.state.mode == Mode::Forward
    }

    fn keep(&self, input: &OperatorInput, id: StepId) -> Result<Decided, IllegalInput> {
        let refused = |reason: String| IllegalInput::Refused { act: input.act.name(), reason };
        if self.state.early.len() >= EARLY_AT_MOST {
            return Err(refused(format!("{EARLY_AT_MOST} inputs wait already for steps that have not begun")));
        }
        let fits = match (&input.act, self.planned(id).map(|p| &p.work)) {
            (Act::Approve { .. }, Some(Work::Approval(request))) => {
                self.may_approve(request, &BTreeSet::new(), &input.who).map_err(refused)?;
                true
            }
            (Act::Reject { .. }, Some(Work::Approval(_)))
            | (Act::Approve { .. } | Act::Reject { .. } | Act::PromoteFully { .. }, Some(Work::Rollout(_)))
            | (Act::Promote { .. }, Some(Work::Rollout(_) | Work::Soak { .. })) => true,
            _ => false,
        };
        if !fits {
            return Err(refused("the step never waits for that".to_owned()));
        }
        Ok(Decided { events: vec![Kept { input: input.clone() }.into()], reply: Reply::Kept })
    }

    /// What follows beside the record that the input was taken; or why it is refused.
    fn follows(&self, input: &OperatorInput, step: Option<StepId>, now: Now) -> Result<Vec<Event>, String> {
        let forward = self.state.mode == Mode::Forward;
        let back = |to: Outcome| {
            let because = format!("{} by {}: {}", input.act.name(), input.who, input.why);
            vec![TurnedBack { to, because }.into()]
        };
        match &input.act {
            Act::Pause if !forward => {
                Err("a run on its way back is not paused: it only restores what was there".to_owned())
            }
            Act::Pause if self.state.paused.is_some() => Err("it is paused already".to_owned()),
            Act::Pause => Ok(Vec::new()),
            Act::Resume if self.state.paused.is_none() => Err("it is not paused".to_owned()),
            Act::Resume => Ok(Vec::new()),
            Act::Acknowledge if self.state.parked.is_empty() => Err("nothing is parked".to_owned()),
            Act::Acknowledge => Ok(Vec::new()),
            Act::Abort if forward => Ok(back(Outcome::Aborted)),
            Act::RollBack if let Some(of) = &self.plan.rollback_of => Err(format!(
                "it takes back run {}, and a rollback starts no other; abort it to leave things as they stand",
                of.run
            )),
            Act::RollBack if forward => Ok(back(Outcome::RolledBack)),
            Act::Abort | Act::RollBack => Err("it is on its way back already".to_owned()),
            Act::Approve { .. }
            | Act::Reject { .. }
            | Act::Promote { .. }
            | Act::PromoteFully { .. }
            | Act::Retry { .. }
            | Act::Waive { .. }
            | Act::Settle { .. } => {
                let id = step.ok_or_else(|| "it names no step".to_owned())?;
                self.follows_on_step(input, id, now)
            }
        }
    }

    fn follows_on_step(&self, input: &OperatorInput, id: StepId, now: Now) -> Result<Vec<Event>, String> {
        let state = &self.state.steps.get(id.index()).ok_or_else(|| "the plan has no such step".to_owned())?.state;
        let back = self.state.mode != Mode::Forward;
        match &input.act {
            Act::Approve { .. } => self.approve(input, state, now.run),
            Act::Reject { .. } => match state {
                StepState::Rolling(rolling) if rolling.asking.is_some() && rolling.of.undo => {
                    let reason = format!("rejected by {}: {}", input.who, input.why);
                    Ok(vec![Parked { of: rolling.of, why: Park::UndoFailed { reason } }.into()])
                }
                StepState::Approving { .. } => Ok(rejected(input, id)),
                StepState::Rolling(rolling) if rolling.asking.is_some() => Ok(rejected(input, id)),
                _ => Err(format!("it does not ask anybody: it {}", describe(state))),
            },
            Act::Promote { .. } => match state {
                StepState::Soaking { of, .. } => Ok(vec![Soaked { of: *of }.into()]),
                StepState::Rolling(_) if back => Err("it is on its way back".to_owned()),
                StepState::Rolling(rolling) if rolling.asking.is_some() => {
                    Err("it asks people: approve or reject it".to_owned())
                }
                StepState::Rolling(rolling) => Ok(promoted(rolling, Promotion::Skip, self.active(now.run))),
                _ => Err(format!("it is in no wait that could be skipped: it {}", describe(state))),
            },
            Act::PromoteFully { .. } => match state {
                StepState::Rolling(_) if back => Err("it is on its way back".to_owned()),
                StepState::Rolling(rolling) if rolling.asking.is_some() => {
                    Err("it asks people: approve or reject it first".to_owned())
                }
                StepState::Rolling(rolling) => Ok(promoted(rolling, Promotion::Full, self.active(now.run))),
                _ => Err(format!("it is not rolling out: it {}", describe(state))),
            },
            Act::Retry { .. } => self.retry_now(state, now.run),
            Act::Waive { check: Some(check), expires, .. } => {
                let planned = self.planned(id).ok_or_else(|| "the plan has no such step".to_owned())?;
                let known = planned.verifications.iter().any(|v| v.check == *check);
                if !known && !matches!(planned.work, Work::Gate { .. }) {
                    return Err(format!("it has no mandatory check {check}"));
                }
                if *expires <= now.wall {
                    return Err(format!("the waiver has expired already, at {expires}"));
                }
                if input.why.trim().is_empty() {
                    return Err("a waiver needs a reason".to_owned());
                }
                Ok(Vec::new())
            }
            Act::Waive { check: None, .. } => match state {
                StepState::Parked { of, .. } if of.undo || self.state.mode != Mode::Forward => {
                    let reason = format!("waived by {}: {}", input.who, input.why);
                    Ok(vec![UndoPassed { step: id, reason, left_standing: true }.into()])
                }
                _ => Err(format!("no undo of it is parked: it {}", describe(state))),
            },
            Act::Settle { as_, .. } => self.settled_as(input, id, state, *as_, now.run),
            Act::Pause | Act::Resume | Act::Abort | Act::RollBack | Act::Acknowledge => Ok(Vec::new()),
        }
    }

    fn approve(&self, input: &OperatorInput, state: &StepState, now: RunTime) -> Result<Vec<Event>, String> {
        let (of, request, yes) = match state {
            StepState::Approving { of, yes, .. } => match self.planned(of.step).map(|p| &p.work) {
                Some(Work::Approval(request)) => (*of, request, yes),
                _ => return Err("it does not ask anybody".to_owned()),
            },
            StepState::Rolling(rolling) => match &rolling.asking {
                Some(asking) => (rolling.of, &asking.request, &asking.yes),
                None => return Err("it does not ask anybody now".to_owned()),
            },
            _ => return Err(format!("it does not ask anybody: it {}", describe(state))),
        };
        self.may_approve(request, yes, &input.who)?;
        let votes = yes.len() + 1;
        if votes >= request.quorum as usize {
            Ok(vec![Granted { of, at: self.active(now) }.into()])
        } else {
            Ok(Vec::new())
        }
    }

    fn may_approve(&self, request: &ApprovalRequest, yes: &BTreeSet<Principal>, who: &Principal) -> Result<(), String> {
        let same = |other: &Principal| other.subject == who.subject && other.issuer == who.issuer;
        if yes.iter().any(same) {
            return Err(format!("{who} has approved it already, and different people must"));
        }
        let anybody = request.roles.is_empty() && request.people.is_empty();
        if !anybody && request.roles.is_disjoint(&who.roles) && !request.people.contains(&who.subject) {
            let may: Vec<_> = request.roles.iter().chain(&request.people).map(String::as_str).collect();
            return Err(if request.people.is_empty() {
                format!("{who} has none of the roles that may approve: {}", may.join(", "))
            } else {
                format!("{who} is none of those who may approve: {}", may.join(", "))
            });
        }
        let wrote = self.plan.release.change.authors.contains(&who.subject);
        if !request.self_approval && (wrote || same(&self.plan.started_by)) {
            return Err(format!("{who} wrote the change or started the run; somebody else must approve"));
        }
        Ok(())
    }

    fn retry_now(&self, state: &StepState, now: RunTime) -> Result<Vec<Event>, String> {
        match state {
            StepState::Backoff { of, .. } => {
                Ok(vec![Retried { of: *of, due: self.active(now) + self.timeout(*of) }.into()])
            }
            StepState::Parked { of, why, .. } => Ok(vec![match why {
                Park::UnknownOutcome { last } => {
                    BecameUnsure { of: *of, reason: last.clone(), at: now, asked: 0, interrupted: false }.into()
                }
                Park::UndoFailed { .. } => {
                    let of = of.next_iteration();
                    Retried { of, due: self.active(now) + self.timeout(of) }.into()
                }
                Park::Drift { .. } | Park::Overridden { .. } => {
                    Retried { of: of.next_turn(), due: self.active(now) + self.timeout(*of) }.into()
                }
            }]),
            _ => Err(format!("there is nothing to try again: it {}", describe(state))),
        }
    }

    fn settled_as(
        &self,
        input: &OperatorInput,
        id: StepId,
        state: &StepState,
        settlement: Settlement,
        now: RunTime,
    ) -> Result<Vec<Event>, String> {
        let StepState::Parked { of, why, rolling } = state else {
            return Err(format!("its outcome is not in question: it {}", describe(state)));
        };
        if rolling.is_some() && !matches!(why, Park::UndoFailed { .. }) {
            return Err("a rollout is not settled by word: retry it, or turn back".to_owned());
        }
        let of = *of;
        let said = format!("settled by {}: {}", input.who, input.why);
        let forward = !of.undo && self.state.mode == Mode::Forward;
        match settlement {
            Settlement::Finished if of.undo => {
                Ok(vec![Completed { of, report: Box::new(Reported::default()), claimed: false }.into()])
            }
            Settlement::Finished => {
                let planned = self.planned(id).ok_or_else(|| "the plan has no such step".to_owned())?;
                if forward && !planned.verifications.is_empty() {
                    return Err("it has mandatory checks, which nobody's word can meet: settle it as failed".to_owned());
                }
                if forward && self.hands_over(id) {
                    return Err("later steps need what it hands over: settle it as never started or failed".to_owned());
                }
                Ok(vec![Completed { of, report: Box::new(Reported::default()), claimed: false }.into()])
            }
            Settlement::NeverStarted if forward || of.undo => {
                Ok(vec![Retried { of: of.next_turn(), due: self.active(now) + self.timeout(of) }.into()])
            }
            Settlement::Failed if of.undo => Ok(vec![Parked { of, why: Park::UndoFailed { reason: said } }.into()]),
            Settlement::NeverStarted | Settlement::Failed => {
                let then = AfterFailure::Fail;
                Ok(vec![AttemptFailed { of, reason: said, receipts: Vec::new(), then }.into()])
            }
        }
    }

    /// Whether a later step takes something from this one.
    fn hands_over(&self, id: StepId) -> bool {
        let Some(planned) = self.planned(id) else { return false };
        planned.dependents.iter().filter_map(|d| self.planned(*d)).any(|dependent| match &dependent.work {
            Work::Task { inputs, .. } => inputs.values().any(|from| *from == id),
            Work::Gate { .. } | Work::Approval(_) | Work::Soak { .. } | Work::Rollout(_) => false,
        })
    }

    /// What an early input leads to, now that its step has begun.
    pub(super) fn early(&self, input: &OperatorInput, id: StepId, now: Now) -> Result<Vec<Event>, String> {
        self.follows_on_step(input, id, now)
    }

    fn names(&self) -> String {
        const AT_MOST: usize = 12;
        let mut names: Vec<_> = self.plan.steps.iter().take(AT_MOST).map(|s| s.path.as_str()).collect();
        if self.plan.steps.len() > AT_MOST {
            names.push("…");
        }
        names.join(", ")
    }
}

fn rejected(input: &OperatorInput, id: StepId) -> Vec<Event> {
    vec![StepFailed { step: id, reason: format!("rejected by {}: {}", input.who, input.why) }.into()]
}

/// Saying it again changes nothing while the change that a look must follow is still under way.
fn promoted(rolling: &Rolling, promotion: Promotion, at: RunTime) -> Vec<Event> {
    let known = rolling.promotion >= promotion && rolling.doing == Doing::Applying;
    if known { Vec::new() } else { vec![Promoted { of: rolling.of, promotion, at }.into()] }
}

/// What a step is doing, as the end of a sentence.
fn describe(state: &StepState) -> &'static str {
    match state {
        StepState::Waiting { .. } => "has not begun",
        StepState::Backoff { .. } => "waits before its next attempt",
        StepState::Trying { .. } | StepState::Polling { .. } => "is under way",
        StepState::Cancelling { .. } => "is being stopped",
        StepState::Unsure { .. } => "is being looked up",
        StepState::Verifying { .. } => "is being verified",
        StepState::Evaluating { .. } => "waits for a gate",
        StepState::Approving { .. } => "asks people",
        StepState::Soaking { .. } => "soaks",
        StepState::Rolling(_) => "rolls out",
        StepState::Parked { .. } => "is parked",
        StepState::Done => "is done",
        StepState::Failed { .. } => "has failed",
        StepState::Withdrawn => "was withdrawn",
        StepState::Undone => "is undone",
    }
}

//! The only code that changes state: total, and the same for a live run and a replay.

mod attached;
mod operator;
mod rollout;

use std::collections::BTreeSet;

pub(super) use self::attached::attach;
use self::rollout::again;
use super::event::{AfterFailure, Event};
use super::record::Record;
use super::state::{CHANGE_SETTLES_WITHIN, Doing, EARLY_AT_MOST, Failure, Mode, Rolling, StepState, TURNED_BACK};
use super::{Machine, command::Try};
use crate::agent::Handle;
use crate::plan::{OnFailure, PlannedStep, StepId, Work};
use crate::strategy::Promotion;
use crate::time::RunTime;

impl Machine {
    /// Takes a recorded fact into the state. A fact that does not fit the state changes nothing but the position.
    pub fn apply(&mut self, record: &Record) {
        self.state.position = record.position.saturating_add(1);
        self.state.at = record.at;
        let seq = record.position;
        // What is due in a paused run is counted from the beginning of the pause, and moved when it ends.
        let now = self.state.paused.unwrap_or(record.at.run);
        match &record.event {
            Event::Started(_) => {}
            Event::Admitted(e) => self.state.epoch = Some(e.epoch),
            Event::Attached(e) => {
                if e.epoch.is_some() {
                    self.state.epoch = e.epoch;
                }
                for id in self.open_steps() {
                    if let Some(step) = self.state.steps.get(id.index()) {
                        let state = attach(&step.state, &self.state, now, e.absent);
                        self.put(id, state, seq);
                    }
                }
            }
            Event::Opened(e) => self.open(e.step, e.due, now, seq),
            Event::Joined(e) => self.finish(e.step, seq),
            Event::Running(e) => self.put(
                e.of.step,
                StepState::Polling { of: e.of.next_turn(), handle: e.handle.clone(), at: e.at, deadline: e.deadline },
                seq,
            ),
            Event::Completed(e) => self.complete(e.of, &e.report, e.claimed, seq),
            Event::Verified(e) => {
                self.state.facts.entry(e.of.step).or_default().receipts.clone_from(&e.receipts);
                self.finish(e.of.step, seq);
            }
            Event::Passed(e) => self.finish(e.of.step, seq),
            Event::Held(e) => self.change(e.of.step, seq, |state| {
                if let StepState::Evaluating { of, at, holds_for, .. } = state {
                    *of = of.next_turn();
                    *at = e.at;
                    holds_for.clone_from(&e.reason);
                }
            }),
            Event::AttemptFailed(e) => {
                if !e.receipts.is_empty() {
                    self.state.facts.entry(e.of.step).or_default().receipts.clone_from(&e.receipts);
                }
                match &e.then {
                    AfterFailure::Retry { of, due, repeat } => {
                        if let Some(step) = self.state.steps.get_mut(e.of.step.index()) {
                            step.repeats += u32::from(*repeat);
                        }
                        self.put(e.of.step, StepState::Backoff { of: *of, due: *due }, seq);
                    }
                    AfterFailure::Fail => self.fail(e.of.step, &e.reason, seq),
                }
            }
            Event::BecameUnsure(e) => self.change(e.of.step, seq, |state| {
                let (stopped, deadline) = match state {
                    StepState::Trying { deadline, .. } | StepState::Polling { deadline, .. } => {
                        (false, Some(*deadline))
                    }
                    StepState::Unsure { stopped, deadline, .. } => (*stopped, *deadline),
                    StepState::Cancelling { .. } => (true, None),
                    _ => (false, None),
                };
                *state = StepState::Unsure {
                    of: e.of.next_turn(),
                    asked: e.asked,
                    at: e.at,
                    last: e.reason.clone(),
                    interrupted: e.interrupted,
                    stopped,
                    deadline,
                };
            }),
            Event::TimedOut(e) => self.cancel(e.of.step, seq),
            Event::Retried(e) => {
                let rollout = matches!(self.planned(e.of.step).map(|p| &p.work), Some(Work::Rollout(_)));
                if let Some(step) = self.state.steps.get_mut(e.of.step.index())
                    && step.state.of().is_some_and(|of| of.iteration != e.of.iteration)
                {
                    step.repeats = 0;
                }
                self.change(e.of.step, seq, |state| {
                    *state = match state {
                        StepState::Parked { rolling: Some(rolling), .. } => again(rolling.clone(), e.of, now, e.due),
                        _ if rollout => StepState::Rolling(Box::new(Rolling::first(e.of, now, e.due))),
                        _ => StepState::Trying { of: e.of, deadline: e.due },
                    }
                });
            }
            Event::Soaked(e) => self.finish(e.of.step, seq),
            Event::Granted(e) => {
                if matches!(self.planned(e.of.step).map(|p| &p.work), Some(Work::Approval(_))) {
                    self.finish(e.of.step, seq);
                } else {
                    self.roll(e.of.step, seq, |rolling| {
                        rolling.stop_asking(now);
                        rolling.promotion = Promotion::Skip;
                        if matches!(rolling.doing, Doing::Looking { .. }) {
                            rolling.look(e.at);
                        }
                    });
                }
            }
            Event::Looked(e) => self.looked(e, now, seq),
            Event::PutOff(e) => self.roll(e.of.step, seq, |rolling| {
                rolling.continuous = false;
                rolling.look(e.at);
            }),
            Event::Stumbled(e) => self.roll(e.of.step, seq, |rolling| {
                rolling.errors = e.errors;
                rolling.continuous = false;
                rolling.look(e.at);
            }),
            Event::Applied(e) => self.roll(e.of.step, seq, |rolling| {
                rolling.applied = true;
                rolling.settled = false;
                rolling.look(e.at);
            }),
            Event::Drifted(e) => self.roll(e.of.step, seq, |rolling| {
                rolling.reasserted = e.reasserted;
                rolling.observed = Some(e.observed.clone());
                rolling.looked_at = now;
                rolling.continuous = false;
                rolling.applied = false;
                rolling.settled = false;
                rolling.of = rolling.of.next_turn();
                rolling.doing = Doing::Applying;
            }),
            Event::Promoted(e) => self.roll(e.of.step, seq, |rolling| {
                rolling.promotion = rolling.promotion.max(e.promotion);
                if matches!(rolling.doing, Doing::Looking { .. }) {
                    rolling.look(e.at);
                }
            }),
            Event::StepFailed(e) => self.fail(e.step, &e.reason, seq),
            Event::Took(e) => self.take(&e.input, record.at.run, seq),
            Event::Kept(e) => {
                self.remember(e.input.id.clone());
                if self.state.early.len() < EARLY_AT_MOST {
                    self.state.early.push_back(e.input.clone());
                }
            }
            Event::Dropped(e) => self.state.early.retain(|input| input.id != e.id),
            Event::TurnedBack(e) => {
                self.state.mode = Mode::Undoing { to: e.to, because: e.because.clone() };
                let now = record.at.run;
                self.resume(now, seq);
                self.state.ready.clear();
                self.state.ready_free.clear();
                for id in self.open_steps() {
                    self.turn_back(id, now, seq);
                }
            }
            Event::UndoOpened(e) => {
                let state = match self.planned(e.of.step).map(|p| &p.work) {
                    Some(Work::Rollout(_)) => StepState::Rolling(Box::new(Rolling::first(e.of, now, e.due))),
                    _ => StepState::Trying { of: e.of, deadline: e.due },
                };
                if let Some(step) = self.state.steps.get_mut(e.of.step.index()) {
                    step.repeats = 0;
                }
                self.put(e.of.step, state, seq);
            }
            Event::UndoPassed(e) => {
                self.state.left_standing += u32::from(e.left_standing);
                self.state.started.retain(|s| *s != e.step);
                if self.state.steps.get(e.step.index()).is_some_and(|s| s.state.is_open()) {
                    self.put(e.step, StepState::Undone, seq);
                }
            }
            Event::Parked(e) => {
                self.change(e.of.step, seq, |state| {
                    let rolling = match state {
                        StepState::Rolling(rolling) => Some(rolling.clone()),
                        StepState::Parked { rolling, .. } => rolling.take(),
                        _ => None,
                    };
                    *state = StepState::Parked { of: e.of.next_turn(), why: e.why.clone(), rolling };
                });
            }
            Event::Ended(e) => {
                for id in self.open_steps() {
                    self.put(id, StepState::Withdrawn, seq);
                }
                self.state.ready.clear();
                self.state.ready_free.clear();
                self.state.early.clear();
                self.state.paused = None;
                self.state.mode = Mode::Ended { outcome: e.outcome, because: e.because.clone() };
            }
        }
    }

    pub(super) fn planned(&self, id: StepId) -> Option<&PlannedStep> {
        self.plan.step(id)
    }

    fn open_steps(&self) -> Vec<StepId> {
        self.state.open.iter().copied().collect()
    }

    /// Whether a step takes room in the width.
    pub(super) fn takes_room(work: &Work) -> bool {
        matches!(work, Work::Task { .. } | Work::Rollout(_))
    }

    /// Puts a step into a state and keeps every index right.
    fn put(&mut self, id: StepId, state: StepState, seq: u64) {
        self.change(id, seq, |into| *into = state);
    }

    /// Changes the state of a step where it stands, since a rollout remembers much, and keeps every index right.
    fn change(&mut self, id: StepId, seq: u64, change: impl FnOnce(&mut StepState)) {
        let room = self.planned(id).is_some_and(|p| Self::takes_room(&p.work));
        let now = &mut self.state;
        let Some(step) = now.steps.get_mut(id.index()) else { return };
        let takes_room = |s: &StepState| room && s.is_open() && !s.of().is_some_and(|of| of.undo);
        if let Some(due) = step.state.due() {
            now.due.remove(&(due, id));
        }
        if takes_room(&step.state) {
            now.busy = now.busy.saturating_sub(1);
        }
        change(&mut step.state);
        step.seq = seq;
        if takes_room(&step.state) {
            now.busy += 1;
        }
        if let Some(due) = step.state.due() {
            now.due.insert((due, id));
        }
        if step.state.is_open() {
            now.open.insert(id);
        } else {
            now.open.remove(&id);
        }
        if matches!(step.state, StepState::Parked { .. }) {
            now.parked.insert(id);
        } else {
            now.parked.remove(&id);
        }
        if now.parked.is_empty() {
            now.acknowledged = None;
        }
    }

    fn open(&mut self, id: StepId, due: RunTime, now: RunTime, seq: u64) {
        self.state.ready.remove(&id);
        self.state.ready_free.remove(&id);
        let of = Try::first(id);
        let Some(planned) = self.plan.step(id) else { return };
        let state = match &planned.work {
            Work::Task { .. } => StepState::Trying { of, deadline: due },
            Work::Gate { .. } => StepState::Evaluating { of, at: now, give_up: due, holds_for: String::new() },
            Work::Approval(_) => StepState::Approving { of, yes: BTreeSet::new(), expires: due },
            Work::Soak { .. } => StepState::Soaking { of, due },
            Work::Rollout(_) => StepState::Rolling(Box::new(Rolling::first(of, now, due))),
        };
        if Self::takes_room(&planned.work) {
            self.state.started.push(id);
        }
        self.put(id, state, seq);
    }

    /// A step is done, as far as it goes forward; on the way back it is merely settled.
    fn finish(&mut self, id: StepId, seq: u64) {
        self.state.ready.remove(&id);
        self.state.ready_free.remove(&id);
        self.put(id, StepState::Done, seq);
        if self.state.mode == Mode::Forward {
            self.unlock(id);
        }
    }

    fn unlock(&mut self, id: StepId) {
        self.state.left = self.state.left.saturating_sub(1);
        let Some(planned) = self.plan.steps.get(id.index()) else { return };
        for dependent in &planned.dependents {
            let Some(step) = self.state.steps.get_mut(dependent.index()) else { continue };
            if let StepState::Waiting { unmet } = &mut step.state {
                *unmet = unmet.saturating_sub(1);
                if *unmet == 0 {
                    let room = self.plan.step(*dependent).is_some_and(|p| Self::takes_room(&p.work));
                    let ready = if room { &mut self.state.ready } else { &mut self.state.ready_free };
                    ready.insert(*dependent);
                }
            }
        }
    }

    fn fail(&mut self, id: StepId, reason: &str, seq: u64) {
        self.put(id, StepState::Failed { reason: reason.to_owned() }, seq);
        if self.state.mode != Mode::Forward {
            return;
        }
        let Some(planned) = self.plan.step(id) else { return };
        match &planned.on_failure {
            OnFailure::Continue { .. } => self.unlock(id),
            OnFailure::RollBack => {
                let failure = Failure { step: planned.path.clone(), reason: reason.to_owned() };
                self.state.failure.get_or_insert(failure);
            }
        }
    }

    fn complete(&mut self, of: Try, report: &super::input::Reported, claimed: bool, seq: u64) {
        let id = of.step;
        if of.undo {
            self.undone(id, seq);
            return;
        }
        let verified = claimed || self.planned(id).is_some_and(|p| !p.verifications.is_empty());
        let facts = self.state.facts.entry(id).or_default();
        facts.claims.clone_from(&report.claims);
        facts.evidence.clone_from(&report.evidence);
        if facts == &Default::default() {
            self.state.facts.remove(&id);
        }
        if !report.outputs.is_empty() {
            self.state.outputs.insert(id, report.outputs.clone());
        }
        match (verified, self.state.mode == Mode::Forward) {
            (true, true) => {
                self.put(id, StepState::Verifying { of: of.next_turn(), report: Box::new(report.clone()) }, seq);
            }
            (true, false) => self.fail(id, UNVERIFIED, seq),
            (false, _) => self.finish(id, seq),
        }
    }

    fn undone(&mut self, id: StepId, seq: u64) {
        self.state.started.retain(|s| *s != id);
        self.state.undone += 1;
        self.put(id, StepState::Undone, seq);
    }

    fn cancel(&mut self, id: StepId, seq: u64) {
        self.change(id, seq, |state| {
            let (of, handle): (Try, Option<Handle>) = match state {
                StepState::Trying { of, .. } => (*of, None),
                StepState::Polling { of, handle, .. } => (*of, Some(handle.clone())),
                _ => return,
            };
            *state = StepState::Cancelling { of: of.next_turn(), handle };
        });
    }

    /// What turning back does to an open step: what has an effect is settled first, the rest is withdrawn.
    fn turn_back(&mut self, id: StepId, now: RunTime, seq: u64) {
        let Some(step) = self.state.steps.get(id.index()) else { return };
        let failed = |reason: &str| StepState::Failed { reason: reason.to_owned() };
        match &step.state {
            StepState::Trying { .. } | StepState::Polling { .. } => self.cancel(id, seq),
            StepState::Backoff { .. } => self.put(id, failed("not tried again: the run turned back"), seq),
            StepState::Verifying { .. } => self.put(id, failed(UNVERIFIED), seq),
            StepState::Rolling(rolling) if rolling.doing == Doing::Applying => self.roll(id, seq, |rolling| {
                rolling.stop_asking(now);
                rolling.deadline = rolling.deadline.min(now + CHANGE_SETTLES_WITHIN);
            }),
            StepState::Rolling(_) => self.put(id, failed(TURNED_BACK), seq),
            StepState::Evaluating { .. } | StepState::Approving { .. } | StepState::Soaking { .. } => {
                self.put(id, StepState::Withdrawn, seq);
            }
            StepState::Parked { of, why: super::state::Park::UnknownOutcome { last }, .. } => {
                let state = StepState::Unsure {
                    of: of.next_turn(),
                    asked: 0,
                    at: now,
                    last: last.clone(),
                    interrupted: false,
                    stopped: false,
                    deadline: None,
                };
                self.put(id, state, seq);
            }
            StepState::Parked { .. } => self.put(id, failed(TURNED_BACK), seq),
            StepState::Cancelling { .. } | StepState::Unsure { .. } => {}
            StepState::Waiting { .. }
            | StepState::Done
            | StepState::Failed { .. }
            | StepState::Withdrawn
            | StepState::Undone => {}
        }
    }
}

/// Why a step counts as failed whose report came too late to be verified.
const UNVERIFIED: &str = "the run turned back before it was verified";

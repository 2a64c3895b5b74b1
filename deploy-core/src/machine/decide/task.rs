//! Tasks: what an agent's answers lead to, forward and on the way back.

use std::time::Duration;

use crate::agent::{Certainty, Repeatable};
use crate::evidence::{Receipt, Verdict};
use crate::machine::Machine;
use crate::machine::command::Try;
use crate::machine::event::{
    AfterFailure, AttemptFailed, BecameUnsure, Completed, Event, Parked, Running, TimedOut, Verified,
};
use crate::machine::input::{Fault, Found, Progress, Reported};
use crate::machine::state::{ASK_AGAIN_AFTER, LOOKUPS_AT_MOST, Mode, Park, StepState};
use crate::plan::{RetryPolicy, Undo, Work};
use crate::time::RunTime;

/// An attempt of which nobody knows what became.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doubt<'a> {
    pub(super) of: Try,
    /// How often the lookup itself has failed.
    pub(super) asked: u32,
    /// What was last heard of it.
    pub(super) last: &'a str,
    /// Whether a driver's stop is the cause.
    pub(super) interrupted: bool,
    /// Whether it was cancelled before.
    pub(super) stopped: bool,
}

impl Machine {
    pub(super) fn performed(&self, of: Try, result: &Result<Progress, Fault>, now: RunTime) -> Vec<Event> {
        match result {
            Ok(Progress::Done(report)) => self.done(of, report, now),
            Ok(Progress::Running { handle, poll_after }) => {
                let deadline = match self.state.steps.get(of.step.index()).map(|s| &s.state) {
                    Some(StepState::Trying { deadline, .. } | StepState::Polling { deadline, .. }) => *deadline,
                    _ => self.active(now) + self.timeout(of),
                };
                vec![Running { of, handle: handle.clone(), at: now + *poll_after, deadline }.into()]
            }
            Err(fault) => self.attempt_failed(of, fault, now),
        }
    }

    fn done(&self, of: Try, report: &Reported, now: RunTime) -> Vec<Event> {
        if !of.undo
            && self.state.mode == Mode::Forward
            && let Some(missing) = self.missing_output(of, report)
        {
            let fault = Fault::new(Certainty::Definitive, format!("it was to hand over {missing}, and did not"));
            return self.attempt_failed(of, &fault, now);
        }
        // What is said to be so is a fact only once code has checked it, whether or not the step asks for it.
        let asked = self.planned(of.step).is_some_and(|planned| !planned.verifications.is_empty());
        let claimed = !of.undo && self.state.mode == Mode::Forward && !asked && !report.claims.is_empty();
        vec![Completed { of, report: Box::new(report.clone()), claimed }.into()]
    }

    /// A deliverable that a later step takes from this one and that the report does not hold.
    fn missing_output(&self, of: Try, report: &Reported) -> Option<&str> {
        let dependents = &self.planned(of.step)?.dependents;
        dependents.iter().filter_map(|id| self.planned(*id)).find_map(|dependent| match &dependent.work {
            Work::Task { inputs, .. } => inputs
                .iter()
                .find(|(name, from)| **from == of.step && !report.outputs.contains_key(*name))
                .map(|(name, _)| name.as_str()),
            Work::Gate { .. } | Work::Approval(_) | Work::Soak { .. } | Work::Rollout(_) => None,
        })
    }

    fn attempt_failed(&self, of: Try, fault: &Fault, now: RunTime) -> Vec<Event> {
        match fault.certainty {
            Certainty::Unknown => {
                vec![BecameUnsure { of, reason: fault.message.clone(), at: now, asked: 0, interrupted: false }.into()]
            }
            Certainty::Transient => self.try_again_or_fail(of, of.next_turn(), true, &fault.message, now),
            Certainty::Definitive => self.try_again_or_fail(of, of.next_attempt(), false, &fault.message, now),
        }
    }

    /// Another attempt while the policy allows one; otherwise the step fails, or the undo parks.
    fn try_again_or_fail(&self, of: Try, next: Try, repeat: bool, reason: &str, now: RunTime) -> Vec<Event> {
        let policy = self.retry(of);
        let repeats = self.state.steps.get(of.step.index()).map_or(0, |s| s.repeats);
        let made = of.attempt.saturating_add(repeats);
        let goes_this_way = of.undo || self.state.mode == Mode::Forward;
        if goes_this_way && made < policy.attempts {
            let due = self.active(now) + policy.wait_after(made, self.seed(of));
            let then = AfterFailure::Retry { of: next, due, repeat };
            return vec![AttemptFailed { of, reason: reason.to_owned(), receipts: Vec::new(), then }.into()];
        }
        if of.undo {
            return vec![Parked { of, why: Park::UndoFailed { reason: reason.to_owned() } }.into()];
        }
        let then = AfterFailure::Fail;
        vec![AttemptFailed { of, reason: reason.to_owned(), receipts: Vec::new(), then }.into()]
    }

    pub(super) fn cancelled(&self, of: Try, settled: Option<&Result<Progress, Fault>>, now: RunTime) -> Vec<Event> {
        let unsure = |reason: &str| {
            vec![BecameUnsure { of, reason: reason.to_owned(), at: now, asked: 0, interrupted: false }.into()]
        };
        match settled {
            Some(Ok(Progress::Done(report))) => self.done(of, report, now),
            Some(Ok(Progress::Running { .. })) => unsure("it was still under way after it was cancelled"),
            Some(Err(fault)) => {
                let message = format!("cancelled: {}", fault.message);
                self.attempt_failed(of, &Fault { message, ..fault.clone() }, now)
            }
            None => unsure("it was cancelled and did not answer"),
        }
    }

    pub(super) fn looked_up(
        &self,
        doubt: &Doubt<'_>,
        deadline: Option<RunTime>,
        result: &Result<Found, Fault>,
        now: RunTime,
    ) -> Vec<Event> {
        let Doubt { of, asked, last, interrupted, stopped } = *doubt;
        let again = |reason: &str, after: Duration, asked: u32| {
            vec![BecameUnsure { of, reason: reason.to_owned(), at: now + after, asked, interrupted }.into()]
        };
        match result {
            Ok(Found::Finished(report)) => self.done(of, report, now),
            Ok(Found::Failed(reason)) => self.try_again_or_fail(of, of.next_attempt(), false, reason, now),
            Ok(Found::Running { handle, poll_after }) => {
                if !stopped {
                    // It keeps the time it had, or work that cannot be stopped would be waited for again and again.
                    let at = now + *poll_after;
                    let deadline = deadline.unwrap_or_else(|| self.active(now) + self.timeout(of));
                    let mut events = vec![Running { of, handle: handle.clone(), at, deadline }.into()];
                    if !of.undo && self.state.mode != Mode::Forward {
                        // The run turned back meanwhile: nobody has stopped it yet.
                        events.push(TimedOut { of: of.next_turn() }.into());
                    }
                    events
                } else {
                    // It was cancelled and goes on all the same: wait for it to settle, a bounded number of times.
                    let asked = asked.saturating_add(1);
                    let reason = "it is still under way";
                    if asked < LOOKUPS_AT_MOST {
                        again(reason, *poll_after, asked)
                    } else {
                        vec![Parked { of, why: Park::UnknownOutcome { last: reason.to_owned() } }.into()]
                    }
                }
            }
            Ok(Found::NeverStarted) => self.never_done(of, last, interrupted, now),
            Ok(Found::Unknown) => self.unknown(of, last, interrupted, now),
            Err(fault) => {
                let asked = asked.saturating_add(1);
                if asked < LOOKUPS_AT_MOST {
                    again(&fault.message, ASK_AGAIN_AFTER, asked)
                } else {
                    self.unknown(of, &fault.message, interrupted, now)
                }
            }
        }
    }

    /// It certainly was not done: the same key again, for free if a driver's stop was the cause.
    fn never_done(&self, of: Try, last: &str, interrupted: bool, now: RunTime) -> Vec<Event> {
        if interrupted && (of.undo || self.state.mode == Mode::Forward) {
            let then = AfterFailure::Retry { of: of.next_turn(), due: self.active(now), repeat: false };
            return vec![AttemptFailed { of, reason: last.to_owned(), receipts: Vec::new(), then }.into()];
        }
        self.try_again_or_fail(of, of.next_turn(), true, last, now)
    }

    /// Nobody can tell: the card says whether the same key may be used again.
    fn unknown(&self, of: Try, last: &str, interrupted: bool, now: RunTime) -> Vec<Event> {
        match self.repeatable(of) {
            Repeatable::Yes => self.never_done(of, last, interrupted, now),
            Repeatable::No => vec![Parked { of, why: Park::UnknownOutcome { last: last.to_owned() } }.into()],
        }
    }

    pub(super) fn verified(&self, of: Try, receipts: &[Receipt], now: RunTime) -> Vec<Event> {
        let mandatory = self.planned(of.step).map_or(&[][..], |p| p.verifications.as_slice());
        let unmet: Vec<String> = mandatory
            .iter()
            .filter_map(|wanted| match receipts.iter().find(|r| r.check == wanted.check) {
                Some(receipt) if self.counts(of, receipt) => None,
                Some(receipt) if receipt.verdict.is_met() => Some(format!(
                    "{}: {}, but nothing was read and nobody waived it",
                    wanted.check,
                    spell(&receipt.verdict)
                )),
                Some(receipt) => Some(format!("{}: {}", wanted.check, spell(&receipt.verdict))),
                None => Some(format!("{}: nobody verified it", wanted.check)),
            })
            .chain(receipts.iter().filter_map(|claimed| {
                let asked = mandatory.iter().any(|wanted| wanted.check == claimed.check);
                (!asked && !self.counts(of, claimed))
                    .then(|| format!("{} was claimed: {}", claimed.check, spell(&claimed.verdict)))
            }))
            .collect();
        if unmet.is_empty() {
            return vec![Verified { of, receipts: receipts.to_vec() }.into()];
        }
        let reason = format!("mandatory checks are not met: {}", unmet.join("; "));
        let mut events = self.try_again_or_fail(of, of.next_attempt(), false, &reason, now);
        if let Some(Event::AttemptFailed(failed)) = events.first_mut() {
            failed.receipts = receipts.to_vec();
        }
        events
    }

    /// Whether a receipt meets its check: something was read, or a waiver that this run knows stands in for it.
    fn counts(&self, of: Try, receipt: &Receipt) -> bool {
        match &receipt.verdict {
            Verdict::Waived(waiver) => self.state.waivers.get(&(of.step, receipt.check.clone())) == Some(waiver),
            verdict => verdict.is_met() && !receipt.read.is_empty(),
        }
    }

    fn undo(&self, of: Try) -> Option<&Undo> {
        match &self.planned(of.step)?.work {
            Work::Task { undo, .. } if of.undo => undo.as_ref(),
            _ => None,
        }
    }

    fn retry(&self, of: Try) -> RetryPolicy {
        match (self.undo(of), self.planned(of.step)) {
            (Some(undo), _) => undo.retry.clone(),
            (None, Some(planned)) => planned.retry.clone(),
            (None, None) => RetryPolicy::once(),
        }
    }

    /// How long one attempt may take.
    pub(in crate::machine) fn timeout(&self, of: Try) -> Duration {
        match (self.undo(of), self.planned(of.step)) {
            (Some(undo), _) => undo.timeout,
            (None, Some(planned)) => match &planned.work {
                Work::Rollout(rollout) if of.undo => rollout.undo_timeout,
                _ => planned.timeout,
            },
            (None, None) => Duration::ZERO,
        }
    }

    fn repeatable(&self, of: Try) -> Repeatable {
        match (self.undo(of), self.planned(of.step).map(|p| &p.work)) {
            (Some(undo), _) => undo.repeatable,
            (None, Some(Work::Task { repeatable, .. })) => *repeatable,
            (None, _) => Repeatable::No,
        }
    }

    /// Names the attempt to the jitter: FNV-1a over the run's name, mixed with the step.
    fn seed(&self, of: Try) -> u64 {
        let run =
            self.state.run.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
        run ^ (u64::from(of.step.0) << 32) ^ u64::from(of.undo)
    }
}

fn spell(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Fail { reason } => format!("fails, {reason}"),
        Verdict::Inconclusive { refusal } => format!("its evidence was refused, {refusal}"),
        Verdict::Pass => "passes".to_owned(),
        Verdict::Concerns { remarks } => format!("passes with concerns, {}", remarks.join(", ")),
        Verdict::Waived(waiver) => format!("waived by {}", waiver.person),
        Verdict::NotApplicable { reason } => format!("does not apply, {reason}"),
    }
}

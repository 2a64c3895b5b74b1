//! The calls of a run: which are under way, which wait for their time, and which must return before another may start.

use std::sync::Arc;

use tokio::task::AbortHandle;
use tracing::Instrument as _;

use super::{Loop, Taking, while_held};
use crate::agent::{CancelSignal, Cancellation};
use crate::driver::error::RunError;
use crate::driver::perform::{Job, Performance};
use crate::machine::{Answer, Call, Command, Input, Record, Touches, Try};
use crate::plan::StepId;
use crate::time::{Now, RunTime};

/// A call under way.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) of: Try,
    /// Whether dropping it is harmless, because it only asks.
    pub(super) question: bool,
    pub(super) cancel: CancelSignal,
    pub(super) abort: AbortHandle,
}

/// An attempt that is being cancelled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cancelling {
    pub(super) of: Try,
    pub(super) deadline: RunTime,
}

impl Loop {
    /// A job has returned.
    pub(super) fn finished(
        &mut self,
        done: Result<(Try, Performance), tokio::task::JoinError>,
        inputs: &mut Vec<Taking>,
    ) {
        // A job guards itself against panics; it can only be missing because it was aborted, which is accounted for there.
        let Ok((of, Performance { answer, blobs })) = done else { return };
        let id = of.step;
        let was_active = self.active.get(&id).is_some_and(|active| active.of == of);
        if was_active {
            self.active.remove(&id);
        }
        let input = match (self.cancels.get(&id).copied(), answer) {
            (Some(cancelling), Answer::Performed(result)) if was_active => {
                self.cancels.remove(&id);
                Input::Answered { to: cancelling.of, answer: Box::new(Answer::Cancelled(Some(result))) }
            }
            // The agent took the request to stop; the attempt itself has until the deadline to return.
            (Some(cancelling), Answer::Cancelled(None)) if cancelling.of == of && self.active.contains_key(&id) => {
                return;
            }
            (_, answer) => Input::Answered { to: of, answer: Box::new(answer) },
        };
        inputs.push(Taking { blobs, ..Taking::of(input) });
        if was_active {
            // Whatever had to wait for this call may start now.
            self.schedule(id, RunTime::START);
        }
    }

    /// Cancelled attempts that did not return in time: nobody knows what became of them.
    pub(super) fn overdue(&mut self, inputs: &mut Vec<Taking>) {
        let now = self.now().run;
        let late: Vec<_> = self.cancels.iter().filter(|(_, c)| c.deadline <= now).map(|(id, c)| (*id, *c)).collect();
        for (id, cancelling) in late {
            self.cancels.remove(&id);
            if let Some(active) = self.active.remove(&id) {
                active.abort.abort();
            }
            let answer = Box::new(Answer::Cancelled(None));
            inputs.push(Taking::of(Input::Answered { to: cancelling.of, answer }));
        }
    }

    pub(super) fn start(&mut self, records: &[Record]) -> Result<(), RunError> {
        for record in records {
            match record.event.touches() {
                Touches::None => {}
                Touches::One(id) => self.start_step(id)?,
                Touches::Open => return self.start_all(),
            }
        }
        Ok(())
    }

    pub(super) fn start_all(&mut self) -> Result<(), RunError> {
        self.scheduled.clear();
        self.when.clear();
        let open: Vec<_> = self.machine.state().open.iter().copied().collect();
        let gone: Vec<_> = self.active.keys().filter(|id| !open.contains(id)).copied().collect();
        open.into_iter().chain(gone).try_for_each(|id| self.start_step(id))
    }

    pub(super) fn start_scheduled(&mut self) -> Result<(), RunError> {
        let now = self.now().run;
        while let Some((at, id)) = self.scheduled.first().copied()
            && at <= now
        {
            self.start_step(id)?;
        }
        Ok(())
    }

    fn schedule(&mut self, id: StepId, at: RunTime) {
        self.unschedule(id);
        self.when.insert(id, at);
        self.scheduled.insert((at, id));
    }

    fn unschedule(&mut self, id: StepId) {
        if let Some(at) = self.when.remove(&id) {
            self.scheduled.remove(&(at, id));
        }
    }

    /// Starts what should be under way about a step, unless it is under way, must wait, or something else must return first.
    fn start_step(&mut self, id: StepId) -> Result<(), RunError> {
        self.unschedule(id);
        let command = self.machine.command(id);
        if let Some(active) = self.active.get(&id) {
            if command.as_ref().is_some_and(|command| command.of == active.of) {
                return Ok(());
            }
            if active.question {
                active.abort.abort();
                self.active.remove(&id);
            } else if let Some(Command { of, call: Call::Cancel(_), .. }) = &command {
                if self.cancels.get(&id).is_some_and(|cancelling| cancelling.of == *of) {
                    return Ok(());
                }
            } else {
                // It has an effect: it is never withdrawn by dropping it. It returns within its bound.
                return Ok(());
            }
        }
        let Some(command) = command else { return Ok(()) };
        if self.engine.closing.borrow().asked {
            return Ok(());
        }
        let now = self.now();
        if command.not_before > now.run {
            self.schedule(id, command.not_before);
            return Ok(());
        }
        self.still_held()?;
        self.spawn(command, now);
        Ok(())
    }

    pub(super) fn still_held(&self) -> Result<(), RunError> {
        if self.engine.lease.holds(self.tenure) { Ok(()) } else { Err(RunError::LeaseLost { run: self.run.clone() }) }
    }

    fn spawn(&mut self, command: Command, now: Now) {
        let (cancel, cancellation) = Cancellation::new();
        let (of, name) = (command.of, command.call.name());
        let cancelling = matches!(command.call, Call::Cancel(_));
        let question = matches!(command.call, Call::Look(_) | Call::Evaluate | Call::Verify | Call::Lookup);
        let Some(job) = Job::new(command, &self.machine, &self.shop, now, cancellation) else { return };
        let span = self.span(of, name);
        let engine = Arc::clone(&self.engine);
        let work = async move { (of, job.run().await) }.instrument(span);
        let abort = self.jobs.spawn(while_held(engine, self.tenure, work));
        if cancelling && let Some(active) = self.active.get(&of.step) {
            // Whether the attempt still listens is seen by whether it returns.
            active.cancel.raise();
            let deadline = now.run + self.engine.options.cancel_grace;
            self.cancels.insert(of.step, Cancelling { of, deadline });
            return;
        }
        self.active.insert(of.step, Active { of, question, cancel, abort });
    }

    fn span(&mut self, of: Try, call: &'static str) -> tracing::Span {
        let plan = self.machine.plan();
        let Some(step) = plan.step(of.step) else { return tracing::Span::none() };
        let phase = self.phases.entry(step.phase).or_insert_with(|| {
            let name = plan.phases.get(step.phase as usize).map(|p| p.name.as_str()).unwrap_or_default();
            tracing::info_span!("phase", phase = name)
        });
        tracing::info_span!(parent: &*phase, "step", step = %step.path, call, undo = of.undo, attempt = of.attempt)
    }
}

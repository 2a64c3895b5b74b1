//! The loop that drives one run: start what should be under way, wait, take a turn, append, publish.
//!
//! It makes no choices. It is the only writer of its run; everything else sends it inputs.

mod append;
mod calls;
mod prepare;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use self::append::{Snapshots, append_failed};
use self::calls::{Active, Cancelling};
use super::clock::{Alarm, wait};
use super::driven::{Closing, Inner, Message, Progress};
use super::error::{OperatorError, RunError};
use super::lease::Tenure;
use super::perform::{Performance, Workshop};
use crate::digest::Digest;
use crate::journal::{AppendError, Claim, Head, LockAnswer};
use crate::machine::{Input, Machine, Mode, Reply, Try};
use crate::name::{InputId, OwnerName, RunId};
use crate::pipeline::Bound;
use crate::plan::StepId;
use crate::report::RunStatus;
use crate::strategy::Strategy;
use crate::time::{Now, RunTime, Timestamp};

/// How a loop left its run.
#[derive(Debug)]
pub(super) enum Left {
    /// The run ended.
    Ended,
    /// It waits for long enough to be put out of memory.
    Dormant(Dormant),
}

/// What is kept of a run that was put out of memory. Small and in one piece: a hundred thousand of them may lie there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dormant {
    epoch: u64,
    until: Timestamp,
    unattended_since: Option<Timestamp>,
    tenure: Tenure,
    origin: Origin,
    pub(super) wake_at: Option<Duration>,
}

impl Dormant {
    /// The claim under which the run was driven by this engine.
    pub(super) fn claim(&self, run: &RunId, owner: &OwnerName) -> Claim {
        let Self { epoch, until, unattended_since, .. } = *self;
        Claim { run: run.clone(), owner: owner.clone(), epoch, until, unattended_since }
    }
}

/// Where run time is counted from, on the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) run: RunTime,
    pub(super) monotonic: Duration,
}

/// A run that this engine has just created: what the journal would give back is known.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) machine: Machine,
    pub(super) head: Head,
    /// When it began, on the monotonic clock.
    pub(super) began: Duration,
}

/// Drives one run until it ends, is put out of memory, or cannot go on here.
pub(super) struct Loop {
    engine: Arc<Inner>,
    run: RunId,
    claim: Claim,
    tenure: Tenure,
    origin: Origin,
    machine: Machine,
    head: Head,
    bound: Arc<Bound>,
    shop: Workshop,
    mailbox: mpsc::Receiver<Message>,
    progress: Arc<watch::Sender<Progress>>,
    jobs: JoinSet<(Try, Performance)>,
    active: BTreeMap<StepId, Active>,
    cancels: BTreeMap<StepId, Cancelling>,
    scheduled: BTreeSet<(RunTime, StepId)>,
    /// When each step in `scheduled` stands there.
    when: BTreeMap<StepId, RunTime>,
    seen: BTreeSet<InputId>,
    lock: Lock,
    snapshots: Snapshots,
    closing: watch::Receiver<Closing>,
    alarm: Alarm,
    idle_since: Option<Duration>,
    phases: BTreeMap<u32, tracing::Span>,
}

/// How the lock stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Lock {
    Held,
    AskAt(Duration, Option<RunId>),
    Superseded(RunId),
}

/// An input on its way through a turn, with whoever waits for its reply.
struct Taking {
    input: Input,
    blobs: Vec<(Digest, Vec<u8>)>,
    reply: Option<oneshot::Sender<Result<Reply, OperatorError>>>,
    from_inbox: Option<InputId>,
}

impl Taking {
    fn of(input: Input) -> Self {
        Self { input, blobs: Vec::new(), reply: None, from_inbox: None }
    }
}

/// Finds strategies among the bound blocks.
struct Bounded<'a>(&'a Bound);

impl crate::machine::Strategies for Bounded<'_> {
    fn strategy(&self, name: &crate::name::BlockName) -> Option<&dyn Strategy> {
        self.0.strategy(name).map(|s| &**s)
    }
}

/// What a loop is given to begin with.
pub(super) struct Begin {
    pub(super) engine: Arc<Inner>,
    pub(super) run: RunId,
    pub(super) mailbox: mpsc::Receiver<Message>,
    pub(super) progress: Arc<watch::Sender<Progress>>,
    /// What is left of it, if it was only put out of memory.
    pub(super) dormant: Option<Dormant>,
    /// The run as it was just created here.
    pub(super) fresh: Option<Box<Fresh>>,
    /// Where the claim is left, for whoever must give it back.
    pub(super) claim: Arc<OnceLock<Claim>>,
}

/// Drives a run until it ends, is put out of memory, or cannot go on here.
///
/// # Cancel safety
///
/// Dropping the future leaves attempts under way with an unknown outcome; the next driver looks them up.
pub(super) async fn drive(begin: Begin) -> (Result<Left, RunError>, Option<mpsc::Receiver<Message>>) {
    // Boxed, so that the task of a run that goes on stays small: this happens once.
    let (mut driver, first) = match Box::pin(Loop::prepare(begin)).await {
        Ok(prepared) => prepared,
        Err(error) => return (Err(error), None),
    };
    let (engine, tenure) = (Arc::clone(&driver.engine), driver.tenure);
    let span = tracing::info_span!("run", run = %driver.run, release = %driver.machine.plan().release);
    let left = tokio::select! {
        biased;
        left = driver.begin(first).instrument(span) => left,
        // Even if the loop hangs in a journal that does not answer.
        () = engine.lease.lapsed(tenure) => Err(RunError::LeaseLost { run: driver.run.clone() }),
    };
    // Whoever takes the run next must not meet what this host still had under way.
    driver.jobs.abort_all();
    let gone = async { while driver.jobs.join_next().await.is_some() {} };
    tokio::select! {
        () = gone => {}
        // A job that never yields cannot be stopped; its fence is older than those of whoever comes next.
        () = wait(engine.options.cancel_grace) => {
            tracing::warn!(run = %driver.run, "a building block blocks its thread and could not be stopped");
        }
    }
    (left, Some(driver.mailbox))
}

impl Loop {
    async fn begin(&mut self, first: Option<Input>) -> Result<Left, RunError> {
        self.publish();
        self.take(first.into_iter().map(Taking::of).collect()).await?;
        self.start_all()?;
        self.go().await
    }

    async fn go(&mut self) -> Result<Left, RunError> {
        loop {
            if let Mode::Ended { .. } = self.machine.state().mode {
                return Ok(Left::Ended);
            }
            self.still_held()?;
            let closing = *self.engine.closing.borrow();
            if closing.asked && (self.active.is_empty() || self.engine.clock.monotonic() >= closing.by) {
                return Err(RunError::HandedBack { run: self.run.clone() });
            }
            if let Some(dormant) = self.may_sleep() {
                return Ok(Left::Dormant(dormant));
            }
            let inputs = self.wait_for_inputs().await?;
            self.take(inputs).await?;
            self.start_scheduled()?;
        }
    }

    /// Waits until something happened, then drains what else has happened meanwhile.
    async fn wait_for_inputs(&mut self) -> Result<Vec<Taking>, RunError> {
        let now = self.now();
        let mut inputs = Vec::new();
        let span = self.until_next(now);
        let asked = self.closing.borrow_and_update().asked;
        self.alarm.ring_within(span, self.engine.clock.monotonic());
        tokio::select! {
            biased;
            Some(done) = self.jobs.join_next(), if !self.jobs.is_empty() => self.finished(done, &mut inputs),
            Some(message) = self.mailbox.recv() => self.read(message, &mut inputs),
            _ = self.closing.changed(), if !asked => {}
            () = self.alarm.rings() => {}
        }
        while inputs.len() < self.engine.options.batch {
            if let Some(done) = self.jobs.try_join_next() {
                self.finished(done, &mut inputs);
            } else if let Some(Some(message)) = self.mailbox.recv().now_or_never() {
                self.read(message, &mut inputs);
            } else {
                break;
            }
        }
        self.overdue(&mut inputs);
        if matches!(self.lock, Lock::AskAt(..)) {
            Box::pin(self.ask_for_lock(&mut inputs)).await?;
        }
        if self.machine.wake_at().is_some_and(|due| due <= self.now().run) {
            inputs.push(Taking::of(Input::Wake));
        }
        Ok(inputs)
    }

    /// How long there is nothing to do if nothing happens.
    fn until_next(&self, now: Now) -> Duration {
        let mut next = self.engine.options.evict_after;
        let mut at_most = |span: Duration| next = next.min(span);
        if let Some(due) = self.machine.wake_at() {
            at_most(due.since(now.run));
        }
        if !self.engine.closing.borrow().asked
            && let Some((at, _)) = self.scheduled.first()
        {
            at_most(at.since(now.run));
        }
        if let Some(deadline) = self.cancels.values().map(|c| c.deadline).min() {
            at_most(deadline.since(now.run));
        }
        if let Lock::AskAt(at, _) = self.lock {
            at_most(at.saturating_sub(self.engine.clock.monotonic()));
        }
        let closing = *self.engine.closing.borrow();
        if closing.asked {
            at_most(closing.by.saturating_sub(self.engine.clock.monotonic()));
        }
        next
    }

    fn now(&self) -> Now {
        let passed = self.engine.clock.monotonic().saturating_sub(self.origin.monotonic);
        Now { wall: self.engine.clock.wall(), run: self.origin.run + passed }
    }

    fn read(&mut self, message: Message, inputs: &mut Vec<Taking>) {
        match message {
            Message::Operator { input, reply } => {
                inputs.push(Taking { reply: Some(reply), ..Taking::of(Input::Operator(input)) });
            }
            Message::FromInbox(input) => {
                if self.seen.insert(input.id.clone()) {
                    let from_inbox = Some(input.id.clone());
                    inputs.push(Taking { from_inbox, ..Taking::of(Input::Operator(input)) });
                }
            }
            Message::Status(reply) => {
                // Whoever asked may have gone; then nobody misses the answer.
                let _gone = reply.send(self.status());
            }
            Message::LockMayBeFree => {
                if let Lock::AskAt(at, _) = &mut self.lock {
                    *at = Duration::ZERO;
                }
            }
        }
    }

    fn status(&self) -> RunStatus {
        let status = RunStatus::of(&self.machine, self.now());
        match &self.lock {
            Lock::AskAt(_, Some(behind)) => status.queued(behind.clone()),
            Lock::AskAt(_, None) | Lock::Held | Lock::Superseded(_) => status,
        }
    }

    async fn ask_for_lock(&mut self, inputs: &mut Vec<Taking>) -> Result<(), RunError> {
        let Lock::AskAt(at, _) = self.lock else { return Ok(()) };
        let now = self.engine.clock.monotonic();
        if at > now {
            return Ok(());
        }
        let later = now + self.engine.options.lock_every;
        self.lock = match self.engine.journal.lock(&self.claim).await {
            Ok(LockAnswer::Held { epoch }) => {
                inputs.push(Taking::of(Input::Admitted { epoch }));
                Lock::Held
            }
            Ok(LockAnswer::Waiting { behind, .. }) => {
                if !matches!(&self.lock, Lock::AskAt(_, Some(before)) if *before == behind) {
                    self.engine.supersede(&self.run, self.machine.plan(), &behind).await;
                }
                Lock::AskAt(later, Some(behind))
            }
            Ok(LockAnswer::Superseded { by }) => Lock::Superseded(by),
            Err(AppendError::Journal(error)) if error.is_retryable() => {
                tracing::warn!(run = %self.run, %error, "the lock could not be asked for; asking again");
                Lock::AskAt(later, None)
            }
            // Asking again under the same claim changes nothing.
            Err(AppendError::Unknown { .. }) => Lock::AskAt(later, None),
            Err(error) => return Err(append_failed(&self.run, error)),
        };
        Ok(())
    }

    /// What is kept of the run if it may be put out of memory now.
    fn may_sleep(&mut self) -> Option<Dormant> {
        self.machine.state().epoch?;
        let busy = !self.active.is_empty() || !self.cancels.is_empty() || !self.mailbox.is_empty();
        if busy || self.lock != Lock::Held || self.engine.closing.borrow().asked {
            return None;
        }
        let now = self.now().run;
        let next = self.machine.wake_at().into_iter().chain(self.scheduled.first().map(|(at, _)| *at)).min();
        if next.is_some_and(|at| at.since(now) <= self.engine.options.evict_after) {
            self.idle_since = None;
            return None;
        }
        let monotonic = self.engine.clock.monotonic();
        let since = *self.idle_since.get_or_insert(monotonic);
        if monotonic.saturating_sub(since) < self.engine.options.evict_after {
            return None;
        }
        let wake_at = next.map(|at| monotonic + at.since(now));
        let Claim { epoch, until, unattended_since, .. } = self.claim;
        Some(Dormant { epoch, until, unattended_since, tenure: self.tenure, origin: self.origin, wake_at })
    }
}

/// Goes no step further once the lease may have passed: a process that was stopped for a while wakes up in the middle of what
/// it did, and its clock tells before anything else does. The loop ends it.
async fn while_held<T>(engine: Arc<Inner>, tenure: Tenure, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|cx| if engine.lease.holds(tenure) { work.as_mut().poll(cx) } else { Poll::Pending }).await
}

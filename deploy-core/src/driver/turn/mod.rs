//! The loop that drives one run: start what should be under way, wait, take a turn, append, publish.
//!
//! It makes no choices. It is the only writer of its run; everything else sends it inputs.

mod append;
mod calls;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use self::append::{APPEND_AGAIN, Snapshots, append_failed};
use self::calls::{Active, Cancelling};
use super::clock::{Alarm, wait};
use super::driven::{Closing, Inner, Message, Progress};
use super::error::{OperatorError, RunError};
use super::lease::Tenure;
use super::load::{Loaded, load};
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
    /// Claims the run, reads it, and finds its blocks. Says what the machine is told first.
    async fn prepare(begin: Begin) -> Result<(Box<Self>, Option<Input>), RunError> {
        let Begin { engine, run, mailbox, progress, dormant, mut fresh, claim: kept } = begin;
        let mut pause = APPEND_AGAIN.0;
        let give_up_at = engine.clock.monotonic() + engine.options.lease;
        let prepared = loop {
            let (claim, tenure, origin) = match &dormant {
                Some(d) if engine.lease.holds(d.tenure) => (Ok(d.claim(&run, &engine.owner)), d.tenure, Some(d.origin)),
                // The lease passed while the run slept: it is taken up like any other, if nobody else has.
                _ => {
                    let asked_at = engine.lease.before_asking();
                    let claim = engine.journal.claim(&run, &engine.owner, engine.options.lease).await;
                    let claim = claim.map_err(|source| RunError::Claim { run: run.clone(), source });
                    let tenure = engine.lease.granted(asked_at);
                    (claim, tenure, None)
                }
            };
            let prepared = match claim {
                Ok(claim) => match Self::claimed(&engine, &run, claim.clone(), tenure, origin, fresh.take()).await {
                    Ok(prepared) => {
                        // Empty before: this is its only writer, and it is left once.
                        let _first = kept.set(claim);
                        break prepared;
                    }
                    Err(error) => {
                        // Another host may have what this one lacks: the run must not wait for the lease to pass.
                        engine.give_back(claim).await;
                        Err(error)
                    }
                },
                Err(error) => Err(error),
            };
            match prepared {
                Err(error)
                    if error.is_retryable()
                        && engine.clock.monotonic() < give_up_at
                        && !engine.closing.borrow().asked =>
                {
                    tracing::warn!(%run, error = %crate::report::chain(&error), "the run could not be taken up; trying again");
                    wait(pause).await;
                    pause = (pause * 2).min(APPEND_AGAIN.1);
                }
                Err(error) => return Err(error),
                Ok(prepared) => break prepared,
            }
        };
        let Prepared { loaded, claim, tenure, origin, bound, lock, first } = prepared;
        let Loaded { machine, head, from } = loaded;
        let shop = Workshop {
            bound: Arc::clone(&bound),
            journal: Arc::clone(&engine.journal),
            release: Arc::new(machine.plan().release.clone()),
            call_timeout: engine.options.call_timeout,
        };
        let driver = Box::new(Self {
            // Counted from where the replay began, or a run that is taken up often would never be snapshotted.
            snapshots: Snapshots { next: from.saturating_add(engine.options.snapshot_every), since: 0, size: 0 },
            closing: engine.closing.subscribe(),
            alarm: Alarm::new(),
            engine,
            run,
            claim,
            tenure,
            origin,
            machine,
            head,
            bound,
            shop,
            mailbox,
            progress,
            jobs: JoinSet::new(),
            active: BTreeMap::new(),
            cancels: BTreeMap::new(),
            scheduled: BTreeSet::new(),
            when: BTreeMap::new(),
            seen: BTreeSet::new(),
            lock,
            idle_since: None,
            phases: BTreeMap::new(),
        });
        Ok((driver, first))
    }

    async fn claimed(
        engine: &Arc<Inner>,
        run: &RunId,
        claim: Claim,
        tenure: Tenure,
        warm: Option<Origin>,
        fresh: Option<Box<Fresh>>,
    ) -> Result<Prepared, RunError> {
        let journal_failed = |source| RunError::Journal { run: run.clone(), source };
        // Nobody can have driven on what nobody has claimed before.
        let (loaded, origin, absent) = match fresh.filter(|_| claim.unattended_since.is_none()) {
            Some(fresh) => {
                let Fresh { machine, head, began } = *fresh;
                let origin = Origin { run: machine.state().at.run, monotonic: began };
                (Loaded { machine, from: head.next, head }, origin, Duration::ZERO)
            }
            None => {
                let loaded = load(&*engine.journal, run).await.map_err(|error| Inner::unreadable(run, error))?;
                if let Some(origin) = warm {
                    let bound = engine.bind(run, loaded.machine.plan())?;
                    return Ok(Prepared { loaded, claim, tenure, origin, bound, lock: Lock::Held, first: None });
                }
                let at = loaded.machine.state().at;
                let monotonic = engine.clock.monotonic();
                let store_now = engine.journal.now().await.map_err(journal_failed)?;
                let entry = engine.journal.entry(run).await.map_err(journal_failed)?;
                let existed = entry.map_or(Duration::ZERO, |entry| store_now.since(entry.created));
                let absent = store_now.since(attended_until(at, &claim, store_now));
                let origin = Origin { run: run_time(at, store_now, existed, absent), monotonic };
                (loaded, origin, absent)
            }
        };
        let plan = loaded.machine.plan();
        let bound = engine.bind(run, plan)?;
        let locked = engine.journal.lock(&claim).await;
        let locked = locked.map_err(|error| append_failed(run, error))?;
        let (lock, first) = match locked {
            LockAnswer::Held { epoch } if loaded.machine.state().epoch.is_none() => {
                (Lock::Held, Some(Input::Admitted { epoch }))
            }
            LockAnswer::Held { epoch } => (Lock::Held, Some(Input::Attached { epoch: Some(epoch), absent })),
            LockAnswer::Waiting { behind, .. } => {
                engine.supersede(run, plan, &behind).await;
                let ask_at = engine.clock.monotonic() + engine.options.lock_every;
                (Lock::AskAt(ask_at, Some(behind)), None)
            }
            LockAnswer::Superseded { by } => (Lock::Superseded(by), None),
        };
        Ok(Prepared { loaded, claim, tenure, origin, bound, lock, first })
    }

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

/// What a loop begins with.
struct Prepared {
    loaded: Loaded,
    claim: Claim,
    tenure: Tenure,
    origin: Origin,
    bound: Arc<Bound>,
    lock: Lock,
    first: Option<Input>,
}

/// Where run time stands when a run is taken up: the last record's, and what passed since by the store's clock.
///
/// The last record carries the wall clock of the host that wrote it, which may be wrong by hours: a run cannot have run for
/// longer than it has `existed`, nor stood still while nobody attended to it, both by the store's own clock.
fn run_time(last: Now, store_now: Timestamp, existed: Duration, absent: Duration) -> RunTime {
    let at_most = RunTime::START + existed;
    (last.run + store_now.since(last.wall)).min(at_most).max(last.run + absent.min(existed))
}

/// Until when somebody drove the run, by the store's clock: until its claim was last renewed, or until its last record, if that came later
/// and its writer's clock can be right.
fn attended_until(last: Now, claim: &Claim, store_now: Timestamp) -> Timestamp {
    let renewed = claim.unattended_since.unwrap_or(last.wall);
    if last.wall <= store_now { renewed.max(last.wall) } else { renewed }
}

/// Goes no step further once the lease may have passed: a process that was stopped for a while wakes up in the middle of what
/// it did, and its clock tells before anything else does. The loop ends it.
async fn while_held<T>(engine: Arc<Inner>, tenure: Tenure, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|cx| if engine.lease.holds(tenure) { work.as_mut().poll(cx) } else { Poll::Pending }).await
}

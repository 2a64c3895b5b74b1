//! The engine: what a host holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::clock::wait;
use super::error::{OperatorError, RunError, StartError, StatusError};
use super::handle::RunHandle;
use super::lease::LeaseWatch;
use super::load::load;
use super::options::EngineOptions;
use super::perform::spell;
use super::turn::{Begin, Dormant, Fresh, Left, drive};
use crate::journal::{Claim, CreateError, Envelope, Journal, JournalError, NewRun, SubmitError, Which};
use crate::machine::{Machine, Outcome, Reply};
use crate::name::{OwnerName, PipelineName, RunId};
use crate::operator::{OperatorInput, Principal};
use crate::pipeline::{Bound, Pipeline};
use crate::plan::{InFlightPolicy, Plan};
use crate::release::Release;
use crate::report::RunStatus;
use crate::time::{Clock, Now, RunTime, SystemClock};

/// How many messages may wait for one run's loop. A burst of operators fits; a loop that sends for ever waits.
const MAILBOX: usize = 64;
/// How many runs are read at once when unfinished ones are looked for.
const PAGE: usize = 256;
/// How many waiting inputs are read at once from the journal.
const INBOX_PAGE: usize = 256;

/// Drives runs against the world. Cheap to clone; dropping the last clone stops its tasks, as a crash would, and whatever was
/// under way is looked up by the next engine. [`shutdown`](Self::shutdown) is the gentle way.
///
/// See the [crate's front page](crate) for an example.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
    /// Ends the tasks when the last clone goes.
    _tasks: Arc<Tasks>,
}

/// The engine's background tasks, which end with it.
struct Tasks(Vec<JoinHandle<()>>, std::sync::Weak<Inner>);

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
        if let Some(inner) = self.1.upgrade() {
            // Handles keep `inner`: with the slots go the channels on which they would wait for ever.
            for slot in std::mem::take(&mut *inner.slots()).into_values() {
                if let Slot::Live(live) = slot {
                    live.task.abort();
                }
            }
        }
    }
}

/// What every loop and handle shares.
pub(super) struct Inner {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) owner: OwnerName,
    pub(super) options: EngineOptions,
    pub(super) lease: LeaseWatch,
    pub(super) closing: watch::Sender<Closing>,
    pipelines: BTreeMap<PipelineName, Pipeline>,
    slots: Mutex<BTreeMap<RunId, Slot>>,
    /// Claims that could not be given back yet.
    unreleased: Mutex<Vec<Claim>>,
    alarms: Mutex<BTreeSet<(Duration, RunId)>>,
    alarm_set: Notify,
}

/// Whether the engine is shutting down, and when it stops waiting.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Closing {
    pub(super) asked: bool,
    /// On the monotonic clock.
    pub(super) by: Duration,
}

/// What the engine keeps of a run that it drives.
enum Slot {
    Live(Live),
    /// With the channel of those who hold a handle, if anybody does.
    Dormant(Dormant, Option<Arc<watch::Sender<Progress>>>),
}

struct Live {
    mailbox: mpsc::Sender<Message>,
    progress: Arc<watch::Sender<Progress>>,
    task: JoinHandle<()>,
}

/// What a run's loop is told.
#[derive(Debug)]
pub(super) enum Message {
    Operator { input: OperatorInput, reply: oneshot::Sender<Result<Reply, OperatorError>> },
    FromInbox(OperatorInput),
    Status(oneshot::Sender<RunStatus>),
    LockMayBeFree,
}

/// How far a run has come, as its handles see it.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    /// The position of the next record.
    pub(super) next: u64,
    pub(super) standing: Standing,
}

/// How a run stands with this engine.
#[derive(Debug, Clone)]
pub(super) enum Standing {
    Driven,
    Ended { outcome: Outcome, because: String },
    Stopped(Arc<RunError>),
}

/// Puts an engine together.
#[derive(Debug)]
pub struct EngineBuilder {
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    owner: Option<OwnerName>,
    options: EngineOptions,
    pipelines: BTreeMap<PipelineName, Pipeline>,
}

impl EngineBuilder {
    /// Gives the engine a pipeline. Runs find theirs by name, also those that another process started.
    #[must_use]
    pub fn pipeline(mut self, pipeline: Pipeline) -> Self {
        self.pipelines.insert(pipeline.name().clone(), pipeline);
        self
    }

    /// Names this process among those that share the journal. Default: a new name, so that nobody is mistaken for another.
    #[must_use]
    pub fn owner(mut self, owner: OwnerName) -> Self {
        self.owner = Some(owner);
        self
    }

    /// Sets the bounds.
    #[must_use]
    pub fn options(mut self, options: EngineOptions) -> Self {
        self.options = options;
        self
    }

    /// Reads time from another clock. Default: the system's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Starts the engine's background tasks: the lease and the inbox.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn build(self) -> Engine {
        let owner = self.owner.unwrap_or_else(OwnerName::generate);
        let lease = LeaseWatch::new(Arc::clone(&self.clock), self.options.lease, self.options.lease_margin);
        let inner = Arc::new(Inner {
            journal: self.journal,
            clock: self.clock,
            owner,
            options: self.options,
            lease,
            closing: watch::Sender::new(Closing::default()),
            pipelines: self.pipelines,
            slots: Mutex::default(),
            unreleased: Mutex::default(),
            alarms: Mutex::default(),
            alarm_set: Notify::new(),
        });
        let tasks = vec![
            tokio::spawn(keep_lease(Arc::downgrade(&inner))),
            tokio::spawn(read_inbox(Arc::downgrade(&inner))),
            tokio::spawn(wake_dormant(Arc::downgrade(&inner))),
        ];
        Engine { _tasks: Arc::new(Tasks(tasks, Arc::downgrade(&inner))), inner }
    }
}

impl Engine {
    /// Begins to put an engine together.
    #[must_use]
    pub fn builder(journal: Arc<dyn Journal>) -> EngineBuilder {
        EngineBuilder {
            journal,
            clock: Arc::new(SystemClock::new()),
            owner: None,
            options: EngineOptions::default(),
            pipelines: BTreeMap::new(),
        }
    }

    /// Starts a run of a pipeline for a release. When it returns, the run is durable.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing was written then.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the run may or may not exist: look for it, or use [`start_as`](Self::start_as) with an id of
    /// your own, which may be called again.
    pub async fn start(
        &self,
        pipeline: &PipelineName,
        release: Release,
        who: Principal,
    ) -> Result<RunHandle, StartError> {
        self.start_as(RunId::generate(), pipeline, release, who).await
    }

    /// Starts a run under an id of the caller's. The same id with the same content again gives the run that is there.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing was written then.
    ///
    /// # Cancel safety
    ///
    /// May be called again with the same arguments.
    pub async fn start_as(
        &self,
        run: RunId,
        pipeline: &PipelineName,
        release: Release,
        who: Principal,
    ) -> Result<RunHandle, StartError> {
        let known = self.inner.pipelines.get(pipeline);
        let known = known.ok_or_else(|| StartError::NoSuchPipeline(pipeline.clone()))?;
        let plan = known.plan(release, who)?;
        self.start_plan(run, plan).await
    }

    /// Starts a run of a plan that was made before, shown, and perhaps approved.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing was written then.
    ///
    /// # Cancel safety
    ///
    /// May be called again with the same arguments.
    pub async fn start_plan(&self, run: RunId, plan: Plan) -> Result<RunHandle, StartError> {
        if self.inner.closing.borrow().asked {
            return Err(StartError::ShuttingDown);
        }
        let wall = self.inner.clock.wall();
        let objection = self.inner.pipelines.get(&plan.pipeline).and_then(|known| known.may_begin(&plan, wall).err());
        if let Some(objection) = objection {
            // Whoever starts again what has begun is given the run that is there.
            let there = self.inner.journal.entry(&run).await.map_err(CreateError::from)?;
            if there.is_none() {
                return Err(objection.into());
            }
        }
        let (service, environment) = (plan.release.service.clone(), plan.release.environment.clone());
        let queue = plan.queue;
        let began = self.inner.clock.monotonic();
        let mut machine = Machine::new(Arc::new(plan), &run);
        let record = machine.start(Now { wall, run: RunTime::START });
        let records: Vec<Envelope> = vec![record.seal()?];
        let new = NewRun { run: run.clone(), service, environment, queue, records };
        let created = self.inner.journal.create(new).await?;
        if created.already && self.has_ended(&run).await.map_err(CreateError::from)? {
            return Ok(RunHandle::watching(Arc::clone(&self.inner), run));
        }
        let fresh = created.head.map(|head| Box::new(Fresh { machine, head, began }));
        // Where another run holds the lock, the loop says what the plan says about runs in flight.
        Ok(self.inner.adopt_as(&run, fresh))
    }

    async fn has_ended(&self, run: &RunId) -> Result<bool, JournalError> {
        Ok(self.inner.journal.entry(run).await?.is_some_and(|entry| entry.outcome.is_some()))
    }

    /// A handle for a run that exists: driven by this engine if nobody else owns it, otherwise watched through the journal.
    ///
    /// # Errors
    ///
    /// [`StatusError`] if there is no such run or the journal cannot be read.
    ///
    /// # Cancel safety
    ///
    /// May be called again.
    pub async fn run(&self, run: &RunId) -> Result<RunHandle, StatusError> {
        let entry = self.inner.journal.entry(run).await?;
        let entry = entry.ok_or_else(|| JournalError::NoSuchRun(run.clone()))?;
        let now = self.inner.journal.now().await?;
        let elsewhere = entry.owner.as_ref().is_some_and(|owner| *owner != self.inner.owner)
            && entry.owned_until.is_some_and(|until| until > now);
        let mine = self.inner.slots().contains_key(run);
        if mine || (!elsewhere && entry.outcome.is_none()) {
            return Ok(self.inner.adopt(run));
        }
        Ok(RunHandle::watching(Arc::clone(&self.inner), run.clone()))
    }

    /// Takes up every unfinished run that nobody owns, and drives it on.
    ///
    /// # Errors
    ///
    /// [`JournalError`] if the journal cannot be read.
    ///
    /// # Cancel safety
    ///
    /// May be called again; what was taken up stays so.
    pub async fn resume_all(&self) -> Result<Vec<RunHandle>, JournalError> {
        let mut handles = Vec::new();
        let mut after: Option<RunId> = None;
        loop {
            let page = self.inner.journal.list(Which::Unowned, after.as_ref(), PAGE).await?;
            let whole = page.len() == PAGE;
            after = page.last().map(|entry| entry.run.clone());
            for entry in page {
                let driven = self.inner.slots().contains_key(&entry.run);
                if !driven {
                    handles.push(self.inner.adopt(&entry.run));
                }
            }
            if !whole {
                return Ok(handles);
            }
        }
    }

    /// Looks for unowned runs again and again, every `every`, so that a dead host's runs go on here. Ends with the engine.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops looking; runs that were taken up go on.
    pub async fn keep_resuming(&self, every: Duration) {
        while !self.inner.closing.borrow().asked {
            if let Err(error) = self.resume_all().await {
                tracing::warn!(%error, "unfinished runs could not be looked for; trying again");
            }
            wait(every).await;
        }
    }

    /// How this process is named among those that share the journal.
    #[must_use]
    pub fn owner(&self) -> &OwnerName {
        &self.inner.owner
    }

    /// The pipeline of this name.
    #[must_use]
    pub fn pipeline(&self, name: &PipelineName) -> Option<&Pipeline> {
        self.inner.pipelines.get(name)
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.inner.journal
    }

    /// How many runs this engine drives, and how many of them are in memory.
    #[must_use]
    pub fn driven(&self) -> Driven {
        let slots = self.inner.slots();
        let live = slots.values().filter(|slot| matches!(slot, Slot::Live(_))).count();
        Driven { runs: slots.len(), in_memory: live }
    }

    /// Starts nothing more, lets what is under way return within `grace`, hands every run back, and ends. What does not return
    /// in time is looked up by whoever takes the run next; nothing is lost.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not stop the shutdown.
    pub async fn shutdown(&self, grace: Duration) {
        let by = self.inner.clock.monotonic() + grace;
        self.inner.closing.send_replace(Closing { asked: true, by });
        loop {
            let (live, dormant) = self.inner.take_dormant();
            for (run, claim) in dormant {
                if let Err(error) = self.inner.journal.release(&claim).await {
                    tracing::warn!(%run, %error, "a run could not be handed back; its lease will run out");
                }
            }
            if live.is_empty() {
                return;
            }
            for mut progress in live {
                // A closed channel means that the loop is gone, which is what we wait for.
                let _gone = progress.wait_for(|p| !matches!(p.standing, Standing::Driven)).await;
            }
            // The loop says that it stopped, and then leaves its slot.
            tokio::task::yield_now().await;
        }
    }
}

/// How many runs an engine drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Driven {
    /// All of them.
    pub runs: usize,
    /// Those that are in memory; the others wait for long enough to be read back when they are due.
    pub in_memory: usize,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("owner", &self.inner.owner)
            .field("driven", &self.driven())
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn slots(&self) -> MutexGuard<'_, BTreeMap<RunId, Slot>> {
        // The map is only ever inserted into and removed from; a panic in between leaves it whole.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alarms(&self) -> MutexGuard<'_, BTreeSet<(Duration, RunId)>> {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drives a run, unless it is driven already.
    pub(super) fn adopt(self: &Arc<Self>, run: &RunId) -> RunHandle {
        self.adopt_as(run, None)
    }

    /// Drives a run, unless it is driven already; one that was just created as it stands in memory.
    fn adopt_as(self: &Arc<Self>, run: &RunId, fresh: Option<Box<Fresh>>) -> RunHandle {
        let mut slots = self.slots();
        let (dormant, progress) = match slots.remove(run) {
            Some(Slot::Live(live)) => {
                let handle = RunHandle::driving(Arc::clone(self), run.clone(), live.progress.subscribe());
                slots.insert(run.clone(), Slot::Live(live));
                return handle;
            }
            Some(Slot::Dormant(dormant, progress)) => (Some(dormant), progress),
            None => (None, None),
        };
        let progress =
            progress.unwrap_or_else(|| Arc::new(watch::Sender::new(Progress { next: 0, standing: Standing::Driven })));
        let handle = RunHandle::driving(Arc::clone(self), run.clone(), progress.subscribe());
        let (mailbox, messages) = mpsc::channel(MAILBOX);
        let begin = Begin {
            engine: Arc::clone(self),
            run: run.clone(),
            mailbox: messages,
            progress: Arc::clone(&progress),
            dormant,
            fresh,
            claim: Arc::default(),
        };
        let task = tokio::spawn(Arc::clone(self).keep(begin));
        slots.insert(run.clone(), Slot::Live(Live { mailbox, progress, task }));
        handle
    }

    async fn keep(self: Arc<Self>, begin: Begin) {
        let (run, progress, claim) = (begin.run.clone(), Arc::clone(&begin.progress), Arc::clone(&begin.claim));
        let driven = AssertUnwindSafe(drive(begin)).catch_unwind().await;
        let (left, mailbox) = driven
            .unwrap_or_else(|panic| (Err(RunError::Panicked { run: run.clone(), message: spell(&*panic) }), None));
        match left {
            Ok(Left::Dormant(dormant)) => self.lay_down(&run, dormant, progress, mailbox).await,
            Ok(Left::Ended) => {
                self.slots().remove(&run);
                self.nudge_waiting();
            }
            Err(error) => Box::pin(self.stopped(&run, error, claim.get().cloned(), &progress)).await,
        }
    }

    /// Keeps what is left of a run that was put out of memory, unless somebody wrote to it meanwhile.
    async fn lay_down(
        self: &Arc<Self>,
        run: &RunId,
        dormant: Dormant,
        progress: Arc<watch::Sender<Progress>>,
        mailbox: Option<mpsc::Receiver<Message>>,
    ) {
        let mut waiting = Vec::new();
        if let Some(mut mailbox) = mailbox {
            mailbox.close();
            while let Ok(message) = mailbox.try_recv() {
                waiting.push(message);
            }
        }
        let (claim, wake_at) = (dormant.claim(run, &self.owner), dormant.wake_at);
        let closing = {
            // Asked under the lock: whoever shuts down later finds the run asleep and hands it back.
            let mut slots = self.slots();
            let closing = self.closing.borrow().asked;
            if !closing {
                // Subscribed to under the lock only: where nobody listens now, nobody can come by a receiver but here.
                let heard = (progress.receiver_count() > 0).then(|| Arc::clone(&progress));
                slots.insert(run.clone(), Slot::Dormant(dormant, heard));
            }
            closing
        };
        if closing {
            let handed_back = RunError::HandedBack { run: run.clone() };
            return Box::pin(self.stopped(run, handed_back, Some(claim), &progress)).await;
        }
        if let Some(at) = wake_at {
            self.alarms().insert((at, run.clone()));
            self.alarm_set.notify_one();
        }
        if waiting.is_empty() {
            return;
        }
        if let Some(mailbox) = self.mailbox(run) {
            for message in waiting {
                // What does not fit is answered by the journal: its sender sees that nobody kept it.
                let _full = mailbox.try_send(message);
            }
        }
    }

    /// A run is not driven here any more: gives it back, then says why.
    async fn stopped(
        self: &Arc<Self>,
        run: &RunId,
        error: RunError,
        claim: Option<Claim>,
        progress: &watch::Sender<Progress>,
    ) {
        tracing::warn!(%run, error = %crate::report::chain(&error), "the run is not driven here any more");
        match claim {
            Some(claim) if matches!(error, RunError::LeaseLost { .. }) => {
                // The journal may be out of reach, and whoever waits for the run should hear of it now.
                let engine = Arc::clone(self);
                tokio::spawn(async move { engine.give_back(claim).await });
            }
            Some(claim) => self.give_back(claim).await,
            None => {}
        }
        let next = progress.borrow().next;
        self.slots().remove(run);
        progress.send_replace(Progress { next, standing: Standing::Stopped(Arc::new(error)) });
    }

    /// Gives a run back, or remembers that it must be.
    ///
    /// This owner's lease covers whatever it has claimed: a run that it neither drives nor gives back would be kept from every
    /// host for as long as the lease is renewed for other runs.
    pub(super) async fn give_back(&self, claim: Claim) {
        let released = tokio::select! {
            released = self.journal.release(&claim) => released.map_err(|error| error.to_string()),
            () = wait(self.options.lease / 3) => Err("the journal did not answer".to_owned()),
        };
        if let Err(error) = released {
            tracing::warn!(run = %claim.run, error, "a run could not be given back; trying again");
            self.unreleased.lock().unwrap_or_else(PoisonError::into_inner).push(claim);
        }
    }

    /// Tells the run in the way that this one takes its place, where the plan says so.
    ///
    /// Said whenever the lock is found taken, and taken once: a host that dies between creating a run and saying so loses
    /// nothing.
    pub(super) async fn supersede(&self, run: &RunId, plan: &Plan, holder: &RunId) {
        if plan.in_flight != InFlightPolicy::Supersede {
            return;
        }
        let (service, environment) = (plan.release.service.clone(), plan.release.environment.clone());
        let new = NewRun { run: run.clone(), service, environment, queue: plan.queue, records: Vec::new() };
        let told = async {
            let holds = self.journal.entry(holder).await?.is_some_and(|entry| entry.holds_lock);
            if holds {
                self.journal.submit(holder, &new.supersedes(holder)).await?;
            }
            Ok::<_, SubmitError>(())
        };
        if let Err(error) = told.await {
            tracing::warn!(%run, %holder, %error, "the run in flight could not be told that it is superseded");
        }
    }

    /// Forgets the runs that were put out of memory, and says who is left.
    fn take_dormant(&self) -> (Vec<watch::Receiver<Progress>>, Vec<(RunId, Claim)>) {
        let (mut live, mut dormant) = (Vec::new(), Vec::new());
        let mut slots = self.slots();
        slots.retain(|run, slot| match slot {
            Slot::Live(running) => {
                live.push(running.progress.subscribe());
                true
            }
            Slot::Dormant(sleeping, _) => {
                dormant.push((run.clone(), sleeping.claim(run, &self.owner)));
                false
            }
        });
        (live, dormant)
    }

    /// Tells every live run that a lock may have become free.
    fn nudge_waiting(&self) {
        for slot in self.slots().values() {
            if let Slot::Live(live) = slot {
                // A full mailbox belongs to a loop that is awake anyway.
                let _full = live.mailbox.try_send(Message::LockMayBeFree);
            }
        }
    }

    /// The mailbox of a run that this engine drives, woken if it was put out of memory.
    pub(super) fn mailbox(self: &Arc<Self>, run: &RunId) -> Option<mpsc::Sender<Message>> {
        let dormant = matches!(self.slots().get(run), Some(Slot::Dormant(..)));
        if dormant {
            self.adopt(run);
        }
        match self.slots().get(run) {
            Some(Slot::Live(live)) => Some(live.mailbox.clone()),
            Some(Slot::Dormant(..)) | None => None,
        }
    }

    /// Finds every block that a plan names.
    pub(super) fn bind(&self, run: &RunId, plan: &Plan) -> Result<Arc<Bound>, RunError> {
        let pipeline = self.pipelines.get(&plan.pipeline);
        let pipeline =
            pipeline.ok_or_else(|| RunError::PipelineMissing { run: run.clone(), pipeline: plan.pipeline.clone() })?;
        let bound = pipeline.blocks().bind(plan);
        bound.map(Arc::new).map_err(|source| RunError::BlockMissing { run: run.clone(), source })
    }

    /// Why a run's records cannot be driven here.
    pub(super) fn unreadable(run: &RunId, error: StatusError) -> RunError {
        let run = run.clone();
        match error {
            StatusError::Journal(source) => RunError::Journal { run, source },
            StatusError::Record(source) => RunError::Record { run, source },
            StatusError::MachineVersion { found, known } => RunError::MachineVersion { run, found, known },
            StatusError::NoPlan(run) => RunError::Journal {
                source: JournalError::Damaged { what: format!("run {run} does not begin with its plan"), source: None },
                run,
            },
        }
    }

    /// What is known of a run, read from the journal.
    pub(super) async fn status_from_journal(&self, run: &RunId) -> Result<RunStatus, StatusError> {
        let loaded = load(&*self.journal, run).await?;
        let (at, passed) = (loaded.machine.state().at, self.journal.now().await?);
        let now = Now { wall: passed, run: at.run + passed.since(at.wall) };
        Ok(RunStatus::of(&loaded.machine, now))
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("owner", &self.owner).finish_non_exhaustive()
    }
}

/// Renews the lease three times as often as it must be.
async fn keep_lease(engine: std::sync::Weak<Inner>) {
    loop {
        let Some(inner) = engine.upgrade() else { return };
        let mut every = inner.options.lease / 3;
        let unreleased = std::mem::take(&mut *inner.unreleased.lock().unwrap_or_else(PoisonError::into_inner));
        for claim in unreleased {
            inner.give_back(claim).await;
        }
        let any = !inner.slots().is_empty();
        let asked_at = inner.lease.before_asking();
        if any {
            let renewed = inner.journal.renew(&inner.owner, inner.options.lease).await;
            match renewed {
                Ok(()) => {
                    inner.lease.granted(asked_at);
                }
                Err(error) => {
                    tracing::warn!(%error, "the lease could not be renewed; trying again");
                    every /= 4;
                }
            }
        } else {
            // Nobody can take over what nobody owns; claiming grants a new lease.
            inner.lease.granted(asked_at);
        }
        drop(inner);
        wait(every).await;
    }
}

/// Puts inputs that other processes gave before the loops of their runs.
async fn read_inbox(engine: std::sync::Weak<Inner>) {
    loop {
        let Some(inner) = engine.upgrade() else { return };
        let every = inner.options.inbox_every;
        let any = !inner.slots().is_empty();
        if any {
            let mut after = 0;
            loop {
                match inner.journal.inbox(&inner.owner, after, INBOX_PAGE).await {
                    Ok(page) => {
                        let whole = page.len() == INBOX_PAGE;
                        for waiting in page {
                            after = waiting.arrival;
                            if let Some(mailbox) = inner.mailbox(&waiting.run) {
                                // What does not fit now is read again next time: it waits in the journal until taken.
                                let _full = mailbox.try_send(Message::FromInbox(waiting.input));
                            }
                        }
                        if !whole {
                            break;
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the inbox could not be read; trying again");
                        break;
                    }
                }
            }
        }
        drop(inner);
        wait(every).await;
    }
}

/// Brings runs back into memory when they are due. Costs nothing for those that are not.
async fn wake_dormant(engine: std::sync::Weak<Inner>) {
    loop {
        let Some(inner) = engine.upgrade() else { return };
        let now = inner.clock.monotonic();
        let mut due = Vec::new();
        let mut next = None;
        {
            let mut alarms = inner.alarms();
            while let Some((at, run)) = alarms.first().cloned() {
                if at > now {
                    next = Some(at - now);
                    break;
                }
                alarms.remove(&(at, run.clone()));
                due.push(run);
            }
        }
        for run in due {
            // A run that came back for another reason, or is driven elsewhere by now, does not need waking.
            if matches!(inner.slots().get(&run), Some(Slot::Dormant(..))) {
                inner.adopt(&run);
            }
        }
        // Without an alarm it still looks now and then whether the engine is gone.
        let next = next.unwrap_or(inner.options.lease).min(inner.options.lease);
        let set = async { inner.alarm_set.notified().await };
        tokio::select! {
            () = wait(next.max(Duration::from_millis(1))) => {}
            () = set => {}
        }
    }
}

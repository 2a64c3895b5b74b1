//! The runs that an engine drives: what every loop and handle shares.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::clock::wait;
use super::error::{OperatorError, RunError, StatusError};
use super::handle::RunHandle;
use super::lease::LeaseWatch;
use super::load::{load, plan_of};
use super::options::EngineOptions;
use super::perform::spell;
use super::turn::{Begin, Dormant, Fresh, Left, drive};
use crate::journal::{Claim, Journal, JournalError, NewRun, SubmitError};
use crate::machine::{Outcome, Reply};
use crate::name::{OwnerName, PipelineName, RunId};
use crate::operator::OperatorInput;
use crate::pipeline::{Bound, Pipeline};
use crate::plan::{InFlightPolicy, Plan};
use crate::report::RunStatus;
use crate::time::{Clock, Now};

/// How many messages may wait for one run's loop. A burst of operators fits; a loop that sends for ever waits.
const MAILBOX: usize = 64;

/// What every loop and handle shares.
pub(super) struct Inner {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) owner: OwnerName,
    pub(super) options: EngineOptions,
    pub(super) lease: LeaseWatch,
    pub(super) closing: watch::Sender<Closing>,
    pub(super) pipelines: BTreeMap<PipelineName, Pipeline>,
    pub(super) slots: Mutex<BTreeMap<RunId, Slot>>,
    /// Claims that could not be given back yet.
    pub(super) unreleased: Mutex<Vec<Claim>>,
    pub(super) alarms: Mutex<BTreeSet<(Duration, RunId)>>,
    pub(super) alarm_set: Notify,
}

/// Whether the engine is shutting down, and when it stops waiting.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Closing {
    pub(super) asked: bool,
    /// On the monotonic clock.
    pub(super) by: Duration,
}

/// What the engine keeps of a run that it drives.
pub(super) enum Slot {
    Live(Live),
    /// With the channel of those who hold a handle, if anybody does.
    Dormant(Dormant, Option<Arc<watch::Sender<Progress>>>),
}

pub(super) struct Live {
    pub(super) mailbox: mpsc::Sender<Message>,
    pub(super) progress: Arc<watch::Sender<Progress>>,
    pub(super) task: JoinHandle<()>,
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

impl Inner {
    pub(super) fn slots(&self) -> MutexGuard<'_, BTreeMap<RunId, Slot>> {
        // The map is only ever inserted into and removed from; a panic in between leaves it whole.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn alarms(&self) -> MutexGuard<'_, BTreeSet<(Duration, RunId)>> {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drives a run, unless it is driven already.
    pub(super) fn adopt(self: &Arc<Self>, run: &RunId) -> RunHandle {
        self.adopt_as(run, None)
    }

    /// Drives a run, unless it is driven already; one that was just created as it stands in memory.
    pub(super) fn adopt_as(self: &Arc<Self>, run: &RunId, fresh: Option<Box<Fresh>>) -> RunHandle {
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
    /// nothing. A rollback of a run that has ended is not told: no release takes its place.
    pub(super) async fn supersede(&self, run: &RunId, plan: &Plan, holder: &RunId) {
        if plan.in_flight != InFlightPolicy::Supersede {
            return;
        }
        let (service, environment) = (plan.release.service.clone(), plan.release.environment.clone());
        let new = NewRun { run: run.clone(), service, environment, queue: plan.queue, records: Vec::new() };
        let told = async {
            let holds = self.journal.entry(holder).await?.is_some_and(|entry| entry.holds_lock);
            // One whose plan this build cannot read is told: whoever drives it knows what to do.
            let takes_back =
                async || plan_of(&*self.journal, holder).await.is_ok_and(|plan| plan.rollback_of.is_some());
            if holds && !takes_back().await {
                self.journal.submit(holder, &new.supersedes(holder)).await?;
            }
            Ok::<_, SubmitError>(())
        };
        if let Err(error) = told.await {
            tracing::warn!(%run, %holder, %error, "the run in flight could not be told that it is superseded");
        }
    }

    /// Forgets the runs that were put out of memory, and says who is left.
    pub(super) fn take_dormant(&self) -> (Vec<watch::Receiver<Progress>>, Vec<(RunId, Claim)>) {
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
    pub(super) fn nudge_waiting(&self) {
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

//! The engine: what a host holds.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::builder::EngineBuilder;
use super::clock::wait;
use super::driven::{Closing, Inner, Slot, Standing};
use super::error::{StartError, StatusError};
use super::handle::RunHandle;
use super::turn::Fresh;
use crate::journal::{CreateError, Envelope, Journal, JournalError, NewRun, Which};
use crate::machine::Machine;
use crate::name::{OwnerName, PipelineName, RunId};
use crate::operator::Principal;
use crate::pipeline::Pipeline;
use crate::plan::Plan;
use crate::release::Release;
use crate::time::{Now, RunTime};

/// How many runs are read at once when unfinished ones are looked for.
const PAGE: usize = 256;

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

impl Engine {
    /// Begins to put an engine together.
    #[must_use]
    pub fn builder(journal: Arc<dyn Journal>) -> EngineBuilder {
        EngineBuilder::new(journal)
    }

    /// Over what its runs share, with the tasks that end when the last clone goes.
    pub(super) fn new(inner: Arc<Inner>, tasks: Vec<JoinHandle<()>>) -> Self {
        Self { _tasks: Arc::new(Tasks(tasks, Arc::downgrade(&inner))), inner }
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

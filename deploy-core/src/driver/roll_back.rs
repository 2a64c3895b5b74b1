//! Taking back a run that has ended: what served before it is released by a run of its own, which names the one it takes back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::engine::Engine;
use super::error::{StartError, StatusError};
use super::handle::RunHandle;
use super::load::{load, plan_of};
use crate::digest::Digest;
use crate::journal::{CreateError, Journal, JournalError, QueuePolicy, RunEntry, Which};
use crate::machine::{Machine, Mode, Outcome, StepState};
use crate::name::{PipelineName, RevisionName, RunId, TargetName};
use crate::operator::Principal;
use crate::plan::{RollbackOf, RollbackTo, StepId, Work};
use crate::release::Release;

/// How many runs are read at once when those of a service are looked for.
const PAGE: usize = 256;

/// A run that was not taken back. Nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RollBackError {
    /// It has not ended: say [`RollBack`](crate::operator::Act::RollBack) to it, and it goes back by itself.
    #[error("run {0} has not ended: tell it to roll back instead, and it goes back by itself")]
    UnderWay(RunId),
    /// It is itself a rollback: release the revision that is wanted.
    #[error("run {run} took back run {of}, and a rollback starts no other: release the revision that you want instead")]
    IsRollback {
        /// The run.
        run: RunId,
        /// The run that it took back.
        of: RunId,
    },
    /// It left nothing behind: what was there before is there already.
    #[error("run {run} {outcome}, and nothing that it rolled out still stands")]
    NothingStands {
        /// The run.
        run: RunId,
        /// How it ended.
        outcome: Outcome,
    },
    /// A later run has gone out since, so that it is not what serves: take back that one, or release the revision that is wanted.
    #[error(
        "run {by} has released {revision} after run {run}: take back that one, or release the revision that you want"
    )]
    Later {
        /// The run.
        run: RunId,
        /// The later run.
        by: RunId,
        /// What that has released.
        revision: RevisionName,
    },
    /// No way back is known: release the revision that is wanted.
    #[error("run {run} cannot be taken back: {reason}")]
    NoWayBack {
        /// The run.
        run: RunId,
        /// Why, in a sentence.
        reason: String,
    },
    /// The id of the rollback belongs to a run that takes back nothing: release the revision that is wanted.
    #[error("run {id} should take back run {run}, and is there already as something else")]
    Taken {
        /// The run.
        run: RunId,
        /// The id.
        id: RunId,
    },
    /// The run could not be read.
    #[error("what run {run} did could not be read")]
    Unreadable {
        /// The run.
        run: RunId,
        /// Why.
        #[source]
        source: StatusError,
    },
    /// The journal could not be read.
    #[error("the journal could not be read")]
    Journal(#[from] JournalError),
    /// The rollback could not be started.
    #[error("the run that takes back run {run} could not be started")]
    Start {
        /// The run that should be taken back.
        run: RunId,
        /// Why.
        #[source]
        source: StartError,
    },
}

impl Engine {
    /// Takes back a run that has ended: starts a run of the same pipeline that releases what served before it.
    ///
    /// The new run names the other one in its plan ([`rollback_of`](crate::plan::Plan::rollback_of)). It waits before every
    /// release of the service to the environment ([`QueuePolicy::Priority`]), and lets one that is under way finish. It releases
    /// the artifacts and the change that were recorded when that revision went out, if this journal knows them, as the kind of
    /// the run that it takes back, so that it goes through the same phases. What that run's tasks did beside its rollouts is not
    /// undone.
    ///
    /// A rollback starts no other: where it fails it stays as it is for a person to look after, it takes no operator's
    /// `RollBack`, and it is not taken back when it has ended.
    ///
    /// One run is taken back once: whoever asks again, whatever the reason, is given the run that is there. Its
    /// [id](Self::rollback_id) follows from the one that it takes back.
    ///
    /// # Errors
    ///
    /// [`RollBackError`] says what speaks against it; nothing was written then.
    ///
    /// # Cancel safety
    ///
    /// May be called again with the same run.
    ///
    /// Rows: M233.
    pub async fn roll_back(
        &self,
        ended: &RunId,
        who: Principal,
        why: impl Into<String>,
    ) -> Result<RunHandle, RollBackError> {
        let id = Self::rollback_id(ended);
        if self.journal().entry(&id).await?.is_some() {
            return self.rollback_that_is_there(ended, id).await;
        }
        let of = RollbackOf { run: ended.clone(), why: why.into() };
        let (name, release) = Ended::read(&**self.journal(), ended).await?.rollback().await?;
        let failed = |source| RollBackError::Start { run: ended.clone(), source };
        let pipeline = self.pipeline(&name).ok_or_else(|| failed(StartError::NoSuchPipeline(name)))?;
        let plan = pipeline.plan_rollback(release, who, of).map_err(|error| failed(error.into()))?;
        match self.start_plan(id.clone(), plan).await {
            Ok(run) => Ok(run),
            // Somebody else asked at the same time, and was quicker.
            Err(StartError::Create(CreateError::Taken(_))) => self.rollback_that_is_there(ended, id).await,
            Err(error) => Err(failed(error)),
        }
    }

    /// The id of the run that takes back this one.
    #[must_use]
    pub fn rollback_id(ended: &RunId) -> RunId {
        let digest = || Digest::of(ended.as_str().as_bytes()).to_string().replace(':', "-");
        // A digest is short enough and has only letters, digits and a dash.
        RunId::new(format!("rollback-of-{ended}"))
            .or_else(|_| RunId::new(format!("rollback-of-{}", digest())))
            .unwrap_or_else(|_| RunId::generate())
    }

    async fn rollback_that_is_there(&self, ended: &RunId, id: RunId) -> Result<RunHandle, RollBackError> {
        let unreadable = |source| RollBackError::Unreadable { run: id.clone(), source };
        let plan = plan_of(&**self.journal(), &id).await.map_err(unreadable)?;
        if plan.rollback_of.as_ref().is_none_or(|of| of.run != *ended) {
            return Err(RollBackError::Taken { run: ended.clone(), id });
        }
        self.run(&id).await.map_err(unreadable)
    }
}

/// A run that has ended, with the journal that knows it.
struct Ended<'a> {
    journal: &'a dyn Journal,
    machine: Machine,
}

impl<'a> Ended<'a> {
    /// Reads a run, which must have ended and left something behind.
    async fn read(journal: &'a dyn Journal, run: &RunId) -> Result<Self, RollBackError> {
        let entry = journal.entry(run).await?.ok_or_else(|| JournalError::NoSuchRun(run.clone()))?;
        let unreadable = |source| RollBackError::Unreadable { run: run.clone(), source };
        let machine = load(journal, run).await.map_err(unreadable)?.machine;
        if let Some(of) = &machine.plan().rollback_of {
            return Err(RollBackError::IsRollback { run: run.clone(), of: of.run.clone() });
        }
        let Mode::Ended { outcome, .. } = machine.state().mode else {
            return Err(RollBackError::UnderWay(run.clone()));
        };
        if entry.outcome.is_none() || !stands(&machine) {
            return Err(RollBackError::NothingStands { run: run.clone(), outcome });
        }
        Ok(Self { journal, machine })
    }

    fn run(&self) -> &RunId {
        &self.machine.state().run
    }

    /// The pipeline, and the release of what served before.
    async fn rollback(&self) -> Result<(PipelineName, Release), RollBackError> {
        let before =
            before(&self.machine).map_err(|reason| RollBackError::NoWayBack { run: self.run().clone(), reason })?;
        let others = self.others().await?;
        self.check_later(&others).await?;
        let plan = self.machine.plan();
        let Release { service, environment, kind, .. } = plan.release.clone();
        let known = self.released(&others, &before).await.unwrap_or_else(|| Release::new(service, environment, before));
        Ok((plan.pipeline.clone(), known.kind(kind)))
    }

    /// The other runs of the service in the environment that have ended, in order of creation.
    async fn others(&self) -> Result<Vec<RunEntry>, JournalError> {
        let release = &self.machine.plan().release;
        // Another host may be asked at the same time, and its rollback be quicker than this reading.
        let own = [self.run().clone(), Engine::rollback_id(self.run())];
        let mut others = Vec::new();
        let mut after: Option<RunId> = None;
        loop {
            let page = self.journal.list(Which::All, after.as_ref(), PAGE).await?;
            after = page.last().map(|entry| entry.run.clone());
            let whole = page.len() == PAGE;
            others.extend(page.into_iter().filter(|entry| {
                let here = entry.service == release.service && entry.environment == release.environment;
                here && entry.outcome.is_some() && !own.contains(&entry.run)
            }));
            if !whole {
                return Ok(others);
            }
        }
    }

    /// That no other run has gone out since. The epoch of the lock tells who came later: it rises from run to run.
    async fn check_later(&self, others: &[RunEntry]) -> Result<(), RollBackError> {
        let since = self.journal.entry(self.run()).await?.map(|entry| entry.created);
        // Whoever was created earlier held the lock earlier, unless this run went before those who waited.
        let jumped = self.machine.plan().queue == QueuePolicy::Priority;
        for other in others.iter().rev().filter(|other| jumped || since.is_none_or(|since| other.created >= since)) {
            let unreadable = |source| RollBackError::Unreadable { run: other.run.clone(), source };
            let there = load(self.journal, &other.run).await.map_err(unreadable)?.machine;
            let went_out = stands(&there) && !there.state().from.is_empty();
            if there.state().epoch > self.machine.state().epoch && went_out {
                let (run, by) = (self.run().clone(), other.run.clone());
                return Err(RollBackError::Later { run, by, revision: there.plan().release.revision.clone() });
            }
        }
        Ok(())
    }

    /// What was recorded when this revision went out last.
    async fn released(&self, others: &[RunEntry], revision: &RevisionName) -> Option<Release> {
        let succeeded = |entry: &&RunEntry| entry.outcome.as_deref() == Some(Outcome::Succeeded.as_str());
        for other in others.iter().rev().filter(succeeded) {
            match plan_of(self.journal, &other.run).await {
                Ok(plan) if plan.release.revision == *revision => return Some(plan.release.clone()),
                Ok(_) => {}
                // Another one may be known, and the revision is enough where none is.
                Err(error) => tracing::warn!(run = %other.run, %error, "an earlier release could not be read"),
            }
        }
        None
    }
}

/// Whether a run has ended and what it rolled out, or some of it, was left as it is.
fn stands(machine: &Machine) -> bool {
    let succeeded = matches!(machine.state().mode, Mode::Ended { outcome: Outcome::Succeeded, .. });
    succeeded || machine.state().left_standing > 0
}

/// The revision that served everywhere before a run, or why nothing leads back to it.
fn before(machine: &Machine) -> Result<RevisionName, String> {
    let (plan, from) = (machine.plan(), &machine.state().from);
    if let RollbackTo::None { reason } = &plan.rollback {
        return Err(format!("its pipeline has no way back: {reason}"));
    }
    let mut there: BTreeMap<&TargetName, Option<&RevisionName>> = BTreeMap::new();
    for ((id, step), stands) in (0_u32..).map(StepId).zip(&plan.steps).zip(&machine.state().steps) {
        if let (Some(reason), StepState::Done) = (&step.point_of_no_return, &stands.state) {
            return Err(format!("it went past a point of no return with {}: {reason}", step.path));
        }
        if let (Work::Rollout(work), Some(from)) = (&step.work, from.get(&id)) {
            // Of several rollouts to one target the first saw what was there before the run.
            there.entry(&work.target).or_insert_with(|| from.serving());
        }
    }
    if let Some((target, _)) = there.iter().find(|(_, served)| served.is_none()) {
        return Err(format!("nothing served at {target} before it"));
    }
    let served: BTreeSet<&RevisionName> = there.values().copied().flatten().collect();
    let mut served = served.into_iter();
    match (served.next(), served.next()) {
        (None, _) => Err("it rolled out nothing".to_owned()),
        (Some(only), None) if *only == plan.release.revision => Err(format!("{only} served before it too")),
        (Some(only), None) => Ok(only.clone()),
        (Some(_), Some(_)) => {
            let mut text = String::from("different revisions served before it:");
            for (target, served) in there {
                let _ = write!(text, " {} at {target}", served.map_or("none", RevisionName::as_str));
            }
            Err(text + "; release the one that you want to each")
        }
    }
}

//! Taking a run up: its claim, its records, its blocks, its lock, and where its time stands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::append::{APPEND_AGAIN, Snapshots, append_failed};
use super::{Begin, Fresh, Lock, Loop, Origin};
use crate::driver::clock::{Alarm, wait};
use crate::driver::driven::Inner;
use crate::driver::error::RunError;
use crate::driver::lease::Tenure;
use crate::driver::load::{Loaded, load};
use crate::driver::perform::Workshop;
use crate::journal::{Claim, LockAnswer};
use crate::machine::Input;
use crate::name::RunId;
use crate::pipeline::Bound;
use crate::time::{Now, RunTime, Timestamp};

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

impl Loop {
    /// Claims the run, reads it, and finds its blocks. Says what the machine is told first.
    pub(super) async fn prepare(begin: Begin) -> Result<(Box<Self>, Option<Input>), RunError> {
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

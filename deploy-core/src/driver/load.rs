//! Rebuilds a machine from the journal: the only way to come by a machine for a run that exists.

use std::sync::Arc;

use super::error::StatusError;
use crate::journal::{Head, Journal, JournalError, Stored};
use crate::machine::{Event, MACHINE_VERSION, Machine, Record, State};
use crate::name::RunId;
use crate::plan::Plan;

/// How many records are read at once: bounds the memory of a replay.
const PAGE: usize = 512;

/// A machine as its records left it, and where they end.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) machine: Machine,
    pub(crate) head: Head,
    /// The position that replay began at: what lies before it was in the snapshot.
    pub(crate) from: u64,
}

/// Replays a run: the first record for its plan, then from the newest snapshot that this build can read.
///
/// # Cancel safety
///
/// Reads only.
pub(crate) async fn load(journal: &dyn Journal, run: &RunId) -> Result<Loaded, StatusError> {
    let (first, record, plan) = begun(journal, run).await?;
    let (mut machine, mut head) = match from_snapshot(journal, run, &plan).await? {
        Some(there) => there,
        None => {
            let mut machine = Machine::new(plan, run);
            check_chain(run, &Head { next: 0, hash: crate::digest::Digest::ZERO }, &first)?;
            machine.apply(&record);
            (machine, Head { next: 1, hash: first.hash })
        }
    };
    let from = head.next;
    loop {
        let page = journal.read(run, head.next, PAGE).await?;
        for stored in &page {
            check_chain(run, &head, stored)?;
            machine.apply(&Record::read::<StatusError>(&stored.bytes)?);
            head = Head { next: stored.position + 1, hash: stored.hash };
        }
        if page.len() < PAGE {
            return Ok(Loaded { machine, head, from });
        }
    }
}

/// The plan of a run, from its first record alone.
///
/// # Cancel safety
///
/// Reads only.
pub(crate) async fn plan_of(journal: &dyn Journal, run: &RunId) -> Result<Arc<Plan>, StatusError> {
    begun(journal, run).await.map(|(_, _, plan)| plan)
}

/// The first record, as it is stored and read, with the plan in it.
async fn begun(journal: &dyn Journal, run: &RunId) -> Result<(Stored, Record, Arc<Plan>), StatusError> {
    let first = journal.read(run, 0, 1).await?.pop().ok_or_else(|| StatusError::NoPlan(run.clone()))?;
    let record = Record::read::<StatusError>(&first.bytes)?;
    let Event::Started(started) = &record.event else { return Err(StatusError::NoPlan(run.clone())) };
    if started.machine != MACHINE_VERSION {
        return Err(StatusError::MachineVersion { found: started.machine, known: MACHINE_VERSION });
    }
    let plan = Arc::clone(&started.plan);
    Ok((first, record, plan))
}

async fn from_snapshot(
    journal: &dyn Journal,
    run: &RunId,
    plan: &Arc<Plan>,
) -> Result<Option<(Machine, Head)>, StatusError> {
    let Some(snapshot) = journal.snapshot(run).await? else { return Ok(None) };
    if snapshot.version != MACHINE_VERSION {
        return Ok(None);
    }
    // A snapshot only saves time: one that cannot be read is passed over, and the records speak.
    let Ok(state) = serde_json::from_str::<State>(&snapshot.state) else { return Ok(None) };
    let Ok(machine) = Machine::from_state(Arc::clone(plan), state) else { return Ok(None) };
    Ok(Some((machine, Head { next: snapshot.position, hash: snapshot.hash })))
}

fn check_chain(run: &RunId, head: &Head, stored: &Stored) -> Result<(), JournalError> {
    if stored.position == head.next && stored.hash == head.hash.then(&stored.bytes) {
        return Ok(());
    }
    let what = format!("record {} of run {run} does not follow from the one before it", stored.position);
    Err(JournalError::Damaged { what, source: None })
}

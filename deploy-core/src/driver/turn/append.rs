//! Takes inputs in and appends what follows: only then is anything started or shown.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Bounded, Loop, Taking};
use crate::driver::clock::wait;
use crate::driver::driven::{Inner, Progress, Standing};
use crate::driver::error::{OperatorError, RunError, StatusError};
use crate::driver::load::{Loaded, load};
use crate::journal::{Append, AppendError, Snapshot};
use crate::machine::{IllegalInput, Input, MACHINE_VERSION, Mode, Record, Reply};
use crate::name::{InputId, RunId};

/// The shortest and longest wait before a failed append is tried again.
pub(super) const APPEND_AGAIN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How many appends of our own that were given up for lost may turn up one after the other.
const CONFLICTS_AT_MOST: u32 = 3;

/// When the next snapshot is due: after so many records, and never before those records weigh as much as the last snapshot
/// did. So a replay reads at most twice the state, and snapshots cost a long pipeline no more for each step than a short one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Snapshots {
    pub(super) next: u64,
    /// Bytes recorded since the last one.
    pub(super) since: usize,
    /// Bytes of the last one.
    pub(super) size: usize,
}

impl Snapshots {
    pub(super) fn due(&self, position: u64) -> bool {
        position >= self.next && self.since >= self.size
    }

    pub(super) fn taken(&mut self, next: u64, size: usize) {
        *self = Self { next, since: 0, size };
    }
}

impl Loop {
    /// Takes inputs in, appends what follows as one batch, and only then starts and shows anything.
    ///
    /// What seldom happens is boxed, here and below: the task of every run would be as large as all of it.
    pub(super) async fn take(&mut self, mut inputs: Vec<Taking>) -> Result<(), RunError> {
        let mut pause = APPEND_AGAIN.0;
        let mut conflicts = 0;
        let mut rebuilt = false;
        while !inputs.is_empty() {
            // Asked before the turn: the machine remembers the newest ids, the journal all of them.
            let known = self.taken_long_ago(&inputs).await?;
            let now = self.now();
            let mut records = Vec::new();
            let mut results = Vec::with_capacity(inputs.len());
            for taking in &inputs {
                let result = match &taking.input {
                    Input::Operator(input) if known.contains(&input.id) => Ok(Reply::Ignored),
                    input => self.machine.turn(input, now, &Bounded(&self.bound), &mut records),
                };
                results.push(result);
            }
            match self.append(&inputs, &records).await {
                Ok(()) => {
                    self.answer(inputs, results);
                    self.after_append(&records).await;
                    // Records that came from an append given up for lost name steps that this turn does not.
                    return if rebuilt { self.start_all() } else { self.start(&records) };
                }
                Err(AppendError::Journal(error)) if error.is_retryable() => {
                    tracing::warn!(run = %self.run, %error, "records could not be appended; trying again");
                    wait(pause).await;
                    pause = (pause * 2).min(APPEND_AGAIN.1);
                }
                Err(AppendError::Unknown { source, .. }) => {
                    tracing::warn!(run = %self.run, ?source, "an append was not acknowledged; reading the head again");
                    if Box::pin(self.was_written(&records)).await? {
                        self.answer(inputs, results);
                        self.after_append(&records).await;
                        return if rebuilt { self.start_all() } else { self.start(&records) };
                    }
                }
                // Nobody else can append under this claim: it is an append of ours that was given up for lost and came late.
                Err(AppendError::Conflict { .. }) if conflicts < CONFLICTS_AT_MOST => conflicts += 1,
                // An append of ours that came late may have been the last one: the end gives the claim back.
                Err(AppendError::Fenced { .. }) if Box::pin(self.has_ended()).await => {
                    Box::pin(self.rebuild()).await?;
                    self.publish();
                    return Ok(());
                }
                Err(error) => return Err(append_failed(&self.run, error)),
            }
            self.still_held()?;
            // The machine has run ahead of the journal: drop it, rebuild it, and let the same inputs happen again.
            Box::pin(self.rebuild()).await?;
            rebuilt = true;
            inputs.retain(|taking| !matches!(taking.input, Input::Wake) || self.machine.wake_at().is_some());
        }
        Ok(())
    }

    /// The operator inputs among these that the journal knows as taken and the machine has forgotten.
    async fn taken_long_ago(&self, inputs: &[Taking]) -> Result<BTreeSet<InputId>, RunError> {
        let mut known = BTreeSet::new();
        let mut pause = APPEND_AGAIN.0;
        for taking in inputs {
            let Input::Operator(input) = &taking.input else { continue };
            if self.machine.state().taken.contains(&input.id) {
                continue;
            }
            loop {
                match self.engine.journal.was_taken(&self.run, &input.id).await {
                    Ok(true) => {
                        known.insert(input.id.clone());
                    }
                    Ok(false) => {}
                    // Not to know it and go on would be to take it twice.
                    Err(error) if error.is_retryable() => {
                        tracing::warn!(run = %self.run, %error, "the inputs taken before could not be read; trying again");
                        self.still_held()?;
                        wait(pause).await;
                        pause = (pause * 2).min(APPEND_AGAIN.1);
                        continue;
                    }
                    Err(source) => return Err(RunError::Journal { run: self.run.clone(), source }),
                }
                break;
            }
        }
        Ok(known)
    }

    async fn append(&mut self, inputs: &[Taking], records: &[Record]) -> Result<(), AppendError> {
        let taken: Vec<InputId> = inputs
            .iter()
            .filter_map(|taking| match &taking.input {
                Input::Operator(input) => Some(input.id.clone()),
                _ => None,
            })
            .filter(|id| {
                let recorded = records.iter().any(|record| match &record.event {
                    crate::machine::Event::Took(took) => took.input.id == *id,
                    crate::machine::Event::Kept(kept) => kept.input.id == *id,
                    _ => false,
                });
                recorded || inputs.iter().any(|taking| taking.from_inbox.as_ref() == Some(id))
            })
            .collect();
        if records.is_empty() && taken.is_empty() {
            return Ok(());
        }
        let sealed = records.iter().map(Record::seal).collect::<Result<Vec<_>, _>>();
        let sealed = sealed.map_err(|error| {
            AppendError::Journal(crate::journal::JournalError::Damaged {
                what: "a record of ours could not be written as JSON".to_owned(),
                source: Some(error.into()),
            })
        })?;
        let ends = match &self.machine.state().mode {
            Mode::Ended { outcome, .. } => Some(outcome.as_str().to_owned()),
            Mode::Forward | Mode::Undoing { .. } => None,
        };
        let waits = ends.is_none().then(|| crate::report::headline(&self.machine));
        let append = Append {
            claim: self.claim.clone(),
            expected: self.head.next,
            records: sealed,
            blobs: inputs.iter().flat_map(|taking| taking.blobs.iter().cloned()).collect(),
            taken,
            ends,
            waits,
        };
        self.snapshots.since += append.records.iter().map(|envelope| envelope.body.get().len()).sum::<usize>();
        self.head = self.engine.journal.append(append).await?;
        Ok(())
    }

    /// Whether an append whose acknowledgement was lost is there after all.
    async fn was_written(&mut self, records: &[Record]) -> Result<bool, RunError> {
        let mut pause = APPEND_AGAIN.0;
        loop {
            match self.engine.journal.head(&self.run).await {
                Ok(head) => {
                    let sealed = records.iter().filter_map(|record| record.seal().ok());
                    let hash = sealed.fold(self.head.hash, |hash, envelope| hash.then(&envelope.to_bytes()));
                    if head.hash == hash {
                        self.head = head;
                        return Ok(true);
                    }
                    return Ok(false);
                }
                Err(error) if error.is_retryable() && self.still_held().is_ok() => {
                    tracing::warn!(run = %self.run, %error, "the head could not be read; trying again");
                    wait(pause).await;
                    pause = (pause * 2).min(APPEND_AGAIN.1);
                }
                Err(source) => return Err(RunError::Journal { run: self.run.clone(), source }),
            }
        }
    }

    pub(super) async fn has_ended(&self) -> bool {
        let entry = self.engine.journal.entry(&self.run).await;
        entry.is_ok_and(|entry| entry.is_some_and(|entry| entry.outcome.is_some()))
    }

    pub(super) async fn rebuild(&mut self) -> Result<(), RunError> {
        let mut pause = APPEND_AGAIN.0;
        loop {
            match load(&*self.engine.journal, &self.run).await {
                Ok(Loaded { machine, head, .. }) => {
                    (self.machine, self.head) = (machine, head);
                    return Ok(());
                }
                Err(StatusError::Journal(error)) if error.is_retryable() && self.still_held().is_ok() => {
                    wait(pause).await;
                    pause = (pause * 2).min(APPEND_AGAIN.1);
                }
                Err(error) => return Err(Inner::unreadable(&self.run, error)),
            }
        }
    }

    fn answer(&mut self, inputs: Vec<Taking>, results: Vec<Result<Reply, IllegalInput>>) {
        for (taking, result) in inputs.into_iter().zip(results) {
            if let Some(id) = &taking.from_inbox {
                // It left the inbox with the append; if it was read before, the journal knows that it was taken.
                self.seen.remove(id);
            }
            if let Err(error) = &result {
                tracing::warn!(run = %self.run, %error, "an input was refused");
            }
            if let Some(reply) = taking.reply {
                // Whoever asked may have gone; the record stands.
                let _gone = reply.send(result.map_err(OperatorError::Illegal));
            }
        }
    }

    async fn after_append(&mut self, records: &[Record]) {
        if records.is_empty() {
            return;
        }
        self.idle_since = None;
        self.publish();
        let ended = matches!(self.machine.state().mode, Mode::Ended { .. });
        if self.snapshots.due(self.head.next) && !ended {
            let Ok(state) = serde_json::to_string(self.machine.state()) else { return };
            self.snapshots.taken(self.head.next.saturating_add(self.engine.options.snapshot_every), state.len());
            let snapshot = Snapshot { position: self.head.next, hash: self.head.hash, version: MACHINE_VERSION, state };
            // Without it the next replay is longer, and nothing else.
            if let Err(error) = self.engine.journal.save_snapshot(&self.claim, snapshot).await {
                tracing::warn!(run = %self.run, %error, "a snapshot could not be saved");
            }
        }
    }

    pub(super) fn publish(&self) {
        let standing = match &self.machine.state().mode {
            Mode::Ended { outcome, because } => Standing::Ended { outcome: *outcome, because: because.clone() },
            Mode::Forward | Mode::Undoing { .. } => Standing::Driven,
        };
        self.progress.send_replace(Progress { next: self.head.next, standing });
    }
}

pub(super) fn append_failed(run: &RunId, error: AppendError) -> RunError {
    match error {
        AppendError::Conflict { .. } | AppendError::Fenced { .. } => {
            RunError::TakenOver { run: run.clone(), source: Some(error.into()) }
        }
        AppendError::Journal(source) => RunError::Journal { run: run.clone(), source },
        AppendError::Unknown { source, .. } => RunError::Journal {
            run: run.clone(),
            source: crate::journal::JournalError::Unavailable {
                what: "an append was not acknowledged".to_owned(),
                source,
            },
        },
    }
}

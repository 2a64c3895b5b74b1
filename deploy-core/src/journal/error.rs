//! What can go wrong with a journal, one type per operation.

use std::error::Error;

use crate::name::{InputId, OwnerName, RunId};
use crate::time::Timestamp;

/// The journal could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// There is no such run: check the id, and that this is the right database.
    #[error("there is no run {0} in this journal")]
    NoSuchRun(RunId),
    /// The store is damaged: restore it from a backup; nothing was written to it.
    #[error("the journal is damaged: {what}")]
    Damaged {
        /// What was found, and where.
        what: String,
        /// The cause.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// What is there belongs to somebody else: check the path. Nothing was written to it.
    #[error("this is not a journal: {0}")]
    NotAJournal(String),
    /// What was to be written contradicts itself: a mistake in the caller. Nothing was written.
    #[error("this cannot be written: {0}")]
    Malformed(String),
    /// The store was written by a newer version of this library: use that version. Nothing was written to it.
    #[error("the journal has format {found}, and this build knows up to {known}; use a newer build")]
    FutureFormat {
        /// The format that was found.
        found: u32,
        /// The newest that this build knows.
        known: u32,
    },
    /// The store may only be read: give write access to the file and its folder.
    #[error("the journal may only be read: {0}")]
    ReadOnly(String),
    /// The disk is full: free space and try again; what was acknowledged is safe.
    #[error("there is no room left for the journal: {0}")]
    Full(String),
    /// Another process keeps the store locked: try again, and look for what holds it.
    #[error("the journal is locked by another process: {0}")]
    Busy(String),
    /// The store could not be reached, or failed in another way: the cause says how.
    #[error("the journal could not be reached: {what}")]
    Unavailable {
        /// What was tried.
        what: String,
        /// The cause.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

impl JournalError {
    /// Whether trying again later may help without anybody doing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Busy(_) | Self::Unavailable { .. } | Self::Full(_))
    }
}

/// A run that could not be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The id belongs to a run with other content: choose another id.
    #[error("run {0} exists with other content; choose another id")]
    Taken(RunId),
    /// The lock is held or waited for, and the queue's policy is to reject: try again when that run has ended.
    #[error("{holder} holds the lock or waits for it, and nobody may queue behind it")]
    Rejected {
        /// The run in the way.
        holder: RunId,
    },
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// A run that could not be claimed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// Somebody else owns it: wait until the lease has passed.
    #[error("run {run} is owned by {owner} until {until}")]
    Owned {
        /// The run.
        run: RunId,
        /// Who owns it.
        owner: OwnerName,
        /// Until when, by the store's clock.
        until: Timestamp,
    },
    /// It has ended: there is nothing left to do.
    #[error("run {run} has ended: {outcome}")]
    Ended {
        /// The run.
        run: RunId,
        /// How.
        outcome: String,
    },
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Records that could not be appended. Except for [`AppendError::Unknown`], nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// Somebody else appended first: drop the machine and rebuild it from the journal.
    #[error("record {expected} of run {run} was to be written, and the run already has {found}")]
    Conflict {
        /// The run.
        run: RunId,
        /// The position that was expected to be free.
        expected: u64,
        /// The position that is free.
        found: u64,
    },
    /// The claim has passed to somebody else: stop driving this run.
    #[error("run {run} was taken over: claim {ours} is older than {found}")]
    Fenced {
        /// The run.
        run: RunId,
        /// The claim's epoch.
        ours: u64,
        /// The newest claim's epoch.
        found: u64,
    },
    /// It is not known whether it was written: read the head.
    #[error("it is not known whether the records of run {run} were written")]
    Unknown {
        /// The run.
        run: RunId,
        /// The cause.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The journal failed; nothing was written.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// An operator's input that could not be put before a run's owner.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The run has ended: there is nothing left to steer.
    #[error("run {run} has ended: {outcome}")]
    Ended {
        /// The run.
        run: RunId,
        /// How.
        outcome: String,
    },
    /// Too many inputs wait already: see why nobody takes them.
    #[error("{waiting} inputs wait for run {run} already; {input} was refused")]
    Full {
        /// The run.
        run: RunId,
        /// How many wait.
        waiting: usize,
        /// The one that was refused.
        input: InputId,
    },
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

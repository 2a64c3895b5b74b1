//! The journal: every run's records, and the small print that lets several processes share them.
//!
//! Append is the commit point: nothing starts before the record that led to it is durable, and nothing is shown as done
//! before its record is.

mod admission;
mod chain;
mod error;
mod export;
mod memory;
mod record;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use self::chain::{Chain, ChainError, ChainReport, VerifyError, verify, verify_run};
pub use self::error::{AppendError, ClaimError, CreateError, JournalError, SubmitError};
pub use self::export::{Export, ExportError, ExportHeader, ImportError, export, import};
pub use self::memory::MemoryJournal;
pub use self::record::{Envelope, Head, Stored};
#[cfg(feature = "sqlite")]
pub use self::sqlite::{SqliteJournal, SqliteOptions, Synchronous};
use crate::digest::Digest;
use crate::name::{EnvironmentName, InputId, OwnerName, RunId, ServiceName};
use crate::operator::OperatorInput;
use crate::time::Timestamp;

/// Keeps the records of runs, and who may write them.
///
/// # Contract for implementors
///
/// - An acknowledged append is there for ever, after a power cut too (at the store's documented default setting), and what
///   was acknowledged is never changed.
/// - The position is the compare-and-set: of two writers at the same position one gets [`AppendError::Conflict`], and an
///   append under an older claim gets [`AppendError::Fenced`]. Neither writes anything.
/// - Everything in one [`Append`] is one transaction: records, blobs, taken inputs, and the release of lock and claim when
///   the run ends.
/// - Leases are measured by the store's clock, read after whatever lock the store takes. A lease belongs to an owner and
///   covers every run that it has claimed, so that renewing costs the same for one run and for a hundred thousand.
/// - A claim that has passed, was given back or ended with its run writes nothing any more.
///
/// # Cancel safety
///
/// Dropping the future of a writing call leaves it unknown whether it was written: read the head again.
#[async_trait]
pub trait Journal: Debug + Send + Sync + 'static {
    /// Creates a run with its first records and puts it in the queue for its lock.
    ///
    /// The same run with the same [content](NewRun::content) again is no error and writes nothing ([`Created::already`]).
    ///
    /// # Errors
    ///
    /// [`CreateError`] if the id is taken by another content, or the queue's policy is to reject.
    async fn create(&self, run: NewRun) -> Result<Created, CreateError>;

    /// Makes `owner` the one who may append to the run, if nobody else's lease still holds, and renews the owner's lease.
    ///
    /// Every claim fences the claims before it, those of the same owner too: a process that comes back under its old name
    /// fences what is left of its former self.
    ///
    /// # Errors
    ///
    /// [`ClaimError`] says who owns it and until when, or that it has ended.
    async fn claim(&self, run: &RunId, owner: &OwnerName, lease: Duration) -> Result<Claim, ClaimError>;

    /// Renews the lease of `owner`, which covers all its claims. One statement, however many runs there are. A claim whose
    /// lease had passed is renewed too, if nobody else has claimed its run meanwhile.
    ///
    /// A host that comes back under its old name must claim its runs again before it renews; otherwise it keeps runs from
    /// other hosts that it does not drive itself. A name of its own for each process avoids that.
    ///
    /// # Errors
    ///
    /// [`JournalError`] if the store could not be reached; the owner stops before its lease can have passed.
    async fn renew(&self, owner: &OwnerName, lease: Duration) -> Result<(), JournalError>;

    /// Gives a run back, so that another owner can claim it at once. Does nothing if the claim has passed to somebody else.
    ///
    /// # Errors
    ///
    /// [`JournalError`] if the store could not be reached; the lease then runs out by itself.
    async fn release(&self, claim: &Claim) -> Result<(), JournalError>;

    /// Asks for the lock of the run's service and environment. Whoever holds it keeps it until the run ends; asking again
    /// under a newer claim raises the epoch. Runs come in the order of their creation, those of
    /// [priority](QueuePolicy::Priority) before the others.
    ///
    /// A superseded run never gets the lock. It can still be claimed and appended to, so that its abort is recorded.
    ///
    /// # Errors
    ///
    /// [`AppendError::Fenced`] if the claim has passed to somebody else.
    async fn lock(&self, claim: &Claim) -> Result<LockAnswer, AppendError>;

    /// Appends records, with all that belongs to them, in one transaction.
    ///
    /// # Errors
    ///
    /// [`AppendError`]; after [`AppendError::Unknown`] the head tells whether it was written.
    async fn append(&self, append: Append) -> Result<Head, AppendError>;

    /// Reads records from a position on, at most `at_most` of them.
    ///
    /// # Errors
    ///
    /// [`JournalError`] if the run is unknown or the store is damaged.
    async fn read(&self, run: &RunId, from: u64, at_most: usize) -> Result<Vec<Stored>, JournalError>;

    /// Where the run's records end.
    ///
    /// # Errors
    ///
    /// [`JournalError`] if the run is unknown.
    async fn head(&self, run: &RunId) -> Result<Head, JournalError>;

    /// What is known about one run without reading its records; nothing if there is no such run.
    ///
    /// # Errors
    ///
    /// [`JournalError`] if the store could not be read.
    async fn entry(&self, run: &RunId) -> Result<Option<RunEntry>, JournalError>;

    /// Runs in order of creation, after the one named, at most `at_most`.
    ///
    /// # Errors
    ///
    /// [`JournalError`] if the store could not be read.
    async fn list(&self, which: Which, after: Option<&RunId>, at_most: usize) -> Result<Vec<RunEntry>, JournalError>;

    /// Puts an operator's input before the owner of a run, from any process. Repeating an id changes nothing.
    ///
    /// # Errors
    ///
    /// [`SubmitError`] if the run is unknown or has ended, or its inbox is full: then the newest is refused, at once.
    async fn submit(&self, run: &RunId, input: &OperatorInput) -> Result<Submitted, SubmitError>;

    /// The inputs that wait for runs claimed by `owner`, oldest first, from `after` (exclusive) on. An input waits until an
    /// append [takes](Append::taken) it.
    ///
    /// # Errors
    ///
    /// [`JournalError`] if the store could not be read.
    async fn inbox(&self, owner: &OwnerName, after: u64, at_most: usize) -> Result<Vec<Waiting>, JournalError>;

    /// Whether an input of this id was ever taken by the run, however long ago.
    ///
    /// # Errors
    ///
    /// [`JournalError`] if the store could not be read.
    async fn was_taken(&self, run: &RunId, input: &InputId) -> Result<bool, JournalError>;

    /// Keeps bytes under their digest.
    ///
    /// # Errors
    ///
    /// [`JournalError`] if they could not be written.
    async fn put_blob(&self, bytes: Vec<u8>) -> Result<Digest, JournalError>;

    /// The bytes under a digest; nothing if there are none.
    ///
    /// # Errors
    ///
    /// [`JournalError::Damaged`] if what is stored there has another digest.
    async fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, JournalError>;

    /// Keeps a snapshot, which bounds what a resume reads. The records before it stay.
    ///
    /// # Errors
    ///
    /// [`JournalError`] if it could not be written; nothing is lost without it.
    async fn save_snapshot(&self, claim: &Claim, snapshot: Snapshot) -> Result<(), AppendError>;

    /// The newest snapshot; nothing if there is none.
    ///
    /// # Errors
    ///
    /// [`JournalError`] if the store could not be read.
    async fn snapshot(&self, run: &RunId) -> Result<Option<Snapshot>, JournalError>;

    /// The store's own clock.
    ///
    /// # Errors
    ///
    /// [`JournalError`] if the store could not be reached.
    async fn now(&self) -> Result<Timestamp, JournalError>;
}

/// A run to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    /// Its id, unique in the store for ever.
    pub run: RunId,
    /// With `environment`: the lock that it needs.
    pub service: ServiceName,
    /// With `service`: the lock that it needs.
    pub environment: EnvironmentName,
    /// Who may wait for the lock.
    pub queue: QueuePolicy,
    /// Its first records, from position 0.
    pub records: Vec<Envelope>,
}

/// Who may wait for a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueuePolicy {
    /// First in, first out. The default: nothing is dropped.
    #[default]
    Fifo,
    /// The newest waits; those that waited before it are superseded, and each is told by whom. Runs of priority are not: the
    /// newest waits behind them.
    NewestWins,
    /// Nobody waits: while a run holds the lock or waits for it, a new one is refused.
    Reject,
    /// Waits before every run of the other policies, and behind those of priority that came before it. The lock stays with
    /// whoever holds it, and the new run is never refused or superseded. For what must not stand in line behind a release: a
    /// [rollback](crate::driver::Engine::roll_back) of a run that has ended is admitted in this way.
    Priority,
}

impl QueuePolicy {
    /// The policy's name, as pipelines and stores write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fifo => "fifo",
            Self::NewestWins => "newest_wins",
            Self::Reject => "reject",
            Self::Priority => "priority",
        }
    }
}

/// What [`Journal::create`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Whether the run was there already, with the same content.
    pub already: bool,
    /// Where its records end now; absent if it was there already.
    pub head: Option<Head>,
    /// The run that holds the lock now, if one does.
    pub behind: Option<RunId>,
    /// The waiting runs that this one superseded. Each has an abort in its inbox that says so.
    pub superseded: Vec<RunId>,
}

/// The right to append to a run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The run.
    pub run: RunId,
    /// Who has the right.
    pub owner: OwnerName,
    /// Counts the claims of this run: an append under an older one is fenced.
    pub epoch: u64,
    /// Until when by the store's clock, unless renewed.
    pub until: Timestamp,
    /// When the previous owner last renewed its lease or gave the run back, by the store's clock: since then nobody has
    /// looked. Absent for the first claim of a run.
    pub unattended_since: Option<Timestamp>,
}

/// The answer to [`Journal::lock`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockAnswer {
    /// The run holds it.
    Held {
        /// Rises at each acquisition and takeover, never resets.
        epoch: u64,
    },
    /// Another run holds it, or comes first.
    Waiting {
        /// The run that holds it or is next.
        behind: RunId,
        /// How many come before this one, the holder included.
        ahead: u32,
    },
    /// A newer run has taken this one's place in the queue.
    Superseded {
        /// The newer run.
        by: RunId,
    },
}

/// What is written in one transaction.
#[derive(Debug, Clone)]
pub struct Append {
    /// The right to write it.
    pub claim: Claim,
    /// The position of the first of `records`: exactly where the run's records end now.
    pub expected: u64,
    /// The records, at consecutive positions.
    pub records: Vec<Envelope>,
    /// Bytes that the records cite, with their digests.
    pub blobs: Vec<(Digest, Vec<u8>)>,
    /// Inputs of the inbox that these records take. Taking one twice changes nothing.
    pub taken: Vec<InputId>,
    /// The outcome, if these records end the run: then lock and claim are released in the same transaction.
    pub ends: Option<String>,
    /// What the run waits for and until when: kept beside it for lists, never read to decide anything.
    pub waits: Option<String>,
}

/// What is known about a run without reading its records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEntry {
    /// The run.
    pub run: RunId,
    /// With `environment`: its lock.
    pub service: ServiceName,
    /// With `service`: its lock.
    pub environment: EnvironmentName,
    /// When it was created, by the store's clock.
    pub created: Timestamp,
    /// How many records it has.
    pub records: u64,
    /// How it ended; nothing while it goes on.
    pub outcome: Option<String>,
    /// Who owns it.
    pub owner: Option<OwnerName>,
    /// Until when, by the store's clock.
    pub owned_until: Option<Timestamp>,
    /// Whether it holds its lock.
    pub holds_lock: bool,
    /// What it waits for, as its owner wrote it last.
    pub waits: Option<String>,
}

/// Which runs to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Which {
    /// All.
    All,
    /// Those that have not ended.
    Unfinished,
    /// Those that have not ended and that nobody owns: to be claimed by any host.
    Unowned,
}

/// What became of a submitted input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Submitted {
    /// It waits for the run's owner.
    Waits,
    /// It was submitted before; nothing changed.
    Repeated,
}

/// How many inputs may wait for one run. A person can give no more before an answer; a loop that does is stopped here. The
/// abort of a superseded run is delivered beyond it, since nobody is there to be refused.
pub const LONGEST_INBOX: usize = 256;

/// An input that waits for a run's owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its place in the order of arrival, over all runs.
    pub arrival: u64,
    /// The run.
    pub run: RunId,
    /// The input.
    pub input: OperatorInput,
}

/// A state from which replay may begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The position of the first record after it.
    pub position: u64,
    /// The hash of the chain there, so that the records after it can be checked against it.
    pub hash: Digest,
    /// The machine version that wrote it.
    pub version: u32,
    /// The state, as JSON.
    pub state: String,
}

/// Writes the whole trait by forwarding, so that no wrapper loses a method.
macro_rules! forward_journal {
    ($($kind:ty),*) => {$(
        #[async_trait]
        impl<T: Journal + ?Sized> Journal for $kind {
            async fn create(&self, run: NewRun) -> Result<Created, CreateError> {
                (**self).create(run).await
            }
            async fn claim(&self, run: &RunId, owner: &OwnerName, lease: Duration) -> Result<Claim, ClaimError> {
                (**self).claim(run, owner, lease).await
            }
            async fn renew(&self, owner: &OwnerName, lease: Duration) -> Result<(), JournalError> {
                (**self).renew(owner, lease).await
            }
            async fn release(&self, claim: &Claim) -> Result<(), JournalError> {
                (**self).release(claim).await
            }
            async fn lock(&self, claim: &Claim) -> Result<LockAnswer, AppendError> {
                (**self).lock(claim).await
            }
            async fn append(&self, append: Append) -> Result<Head, AppendError> {
                (**self).append(append).await
            }
            async fn read(&self, run: &RunId, from: u64, at_most: usize) -> Result<Vec<Stored>, JournalError> {
                (**self).read(run, from, at_most).await
            }
            async fn head(&self, run: &RunId) -> Result<Head, JournalError> {
                (**self).head(run).await
            }
            async fn entry(&self, run: &RunId) -> Result<Option<RunEntry>, JournalError> {
                (**self).entry(run).await
            }
            async fn list(&self, which: Which, after: Option<&RunId>, at_most: usize) -> Result<Vec<RunEntry>, JournalError> {
                (**self).list(which, after, at_most).await
            }
            async fn submit(&self, run: &RunId, input: &OperatorInput) -> Result<Submitted, SubmitError> {
                (**self).submit(run, input).await
            }
            async fn inbox(&self, owner: &OwnerName, after: u64, at_most: usize) -> Result<Vec<Waiting>, JournalError> {
                (**self).inbox(owner, after, at_most).await
            }
            async fn was_taken(&self, run: &RunId, input: &InputId) -> Result<bool, JournalError> {
                (**self).was_taken(run, input).await
            }
            async fn put_blob(&self, bytes: Vec<u8>) -> Result<Digest, JournalError> {
                (**self).put_blob(bytes).await
            }
            async fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, JournalError> {
                (**self).blob(digest).await
            }
            async fn save_snapshot(&self, claim: &Claim, snapshot: Snapshot) -> Result<(), AppendError> {
                (**self).save_snapshot(claim, snapshot).await
            }
            async fn snapshot(&self, run: &RunId) -> Result<Option<Snapshot>, JournalError> {
                (**self).snapshot(run).await
            }
            async fn now(&self) -> Result<Timestamp, JournalError> {
                (**self).now().await
            }
        }
    )*};
}

forward_journal!(std::sync::Arc<T>, Box<T>);

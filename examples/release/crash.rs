//! A journal that kills its own process, to show what a crash at any record does.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::digest::Digest;
use deploy_core::journal::{
    Append, AppendError, Claim, ClaimError, CreateError, Created, Head, Journal, JournalError, LockAnswer, NewRun,
    RunEntry, Snapshot, Stored, SubmitError, Submitted, Waiting, Which,
};
use deploy_core::name::{InputId, OwnerName, RunId};
use deploy_core::operator::OperatorInput;
use deploy_core::time::Timestamp;
use nix::sys::signal::{Signal, kill};
use nix::unistd::getpid;

use crate::show;

/// Passes everything on, and stops the moment that enough records are durable: nobody is told of the last of them.
pub(crate) struct KillAt<J> {
    journal: J,
    at: u64,
    written: AtomicU64,
    stop: Box<dyn Fn(u64) + Send + Sync>,
}

impl<J> KillAt<J> {
    /// Kills the process at the record of this number, counted from 1 and from here on.
    pub(crate) fn new(journal: J, at: u64) -> Self {
        Self::with(journal, at, kill_this_process)
    }

    /// The same, where `stop` ends whatever waits for the journal.
    pub(crate) fn with(journal: J, at: u64, stop: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self { journal, at, written: AtomicU64::new(0), stop: Box::new(stop) }
    }

    async fn count(&self, records: usize) {
        let records = u64::try_from(records).unwrap_or(u64::MAX);
        let written = self.written.fetch_add(records, SeqCst).saturating_add(records);
        if written >= self.at {
            (self.stop)(written);
            std::future::pending::<()>().await;
        }
    }
}

impl<J> fmt::Debug for KillAt<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KillAt").field("at", &self.at).finish_non_exhaustive()
    }
}

fn kill_this_process(written: u64) {
    show::complain(&format!(
        "the engine is killed now: {written} records of this process are durable; run the same again without --kill-at to go on"
    ));
    // SIGKILL to oneself arrives before the call returns; if it could not be sent, nothing was proven.
    let sent = kill(getpid(), Signal::SIGKILL);
    unreachable!("SIGKILL to this very process returned {sent:?}");
}

#[async_trait]
impl<J: Journal> Journal for KillAt<J> {
    async fn create(&self, run: NewRun) -> Result<Created, CreateError> {
        let records = run.records.len();
        let created = self.journal.create(run).await?;
        if !created.already {
            self.count(records).await;
        }
        Ok(created)
    }
    async fn append(&self, append: Append) -> Result<Head, AppendError> {
        let records = append.records.len();
        let head = self.journal.append(append).await?;
        self.count(records).await;
        Ok(head)
    }
    async fn claim(&self, run: &RunId, owner: &OwnerName, lease: Duration) -> Result<Claim, ClaimError> {
        self.journal.claim(run, owner, lease).await
    }
    async fn renew(&self, owner: &OwnerName, lease: Duration) -> Result<(), JournalError> {
        self.journal.renew(owner, lease).await
    }
    async fn release(&self, claim: &Claim) -> Result<(), JournalError> {
        self.journal.release(claim).await
    }
    async fn lock(&self, claim: &Claim) -> Result<LockAnswer, AppendError> {
        self.journal.lock(claim).await
    }
    async fn read(&self, run: &RunId, from: u64, at_most: usize) -> Result<Vec<Stored>, JournalError> {
        self.journal.read(run, from, at_most).await
    }
    async fn head(&self, run: &RunId) -> Result<Head, JournalError> {
        self.journal.head(run).await
    }
    async fn entry(&self, run: &RunId) -> Result<Option<RunEntry>, JournalError> {
        self.journal.entry(run).await
    }
    async fn list(&self, which: Which, after: Option<&RunId>, at_most: usize) -> Result<Vec<RunEntry>, JournalError> {
        self.journal.list(which, after, at_most).await
    }
    async fn submit(&self, run: &RunId, input: &OperatorInput) -> Result<Submitted, SubmitError> {
        self.journal.submit(run, input).await
    }
    async fn inbox(&self, owner: &OwnerName, after: u64, at_most: usize) -> Result<Vec<Waiting>, JournalError> {
        self.journal.inbox(owner, after, at_most).await
    }
    async fn was_taken(&self, run: &RunId, input: &InputId) -> Result<bool, JournalError> {
        self.journal.was_taken(run, input).await
    }
    async fn put_blob(&self, bytes: Vec<u8>) -> Result<Digest, JournalError> {
        self.journal.put_blob(bytes).await
    }
    async fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, JournalError> {
        self.journal.blob(digest).await
    }
    async fn save_snapshot(&self, claim: &Claim, snapshot: Snapshot) -> Result<(), AppendError> {
        self.journal.save_snapshot(claim, snapshot).await
    }
    async fn snapshot(&self, run: &RunId) -> Result<Option<Snapshot>, JournalError> {
        self.journal.snapshot(run).await
    }
    async fn now(&self) -> Result<Timestamp, JournalError> {
        self.journal.now().await
    }
}

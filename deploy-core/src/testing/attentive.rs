//! A journal that takes no virtual time, for tests in which the runtime's time is paused.

use std::fmt::Debug;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use crate::digest::Digest;
use crate::driver::RuntimeClock;
use crate::journal::{
    Append, AppendError, Claim, ClaimError, CreateError, Created, Head, Journal, JournalError, LockAnswer, NewRun,
    RunEntry, Snapshot, Stored, SubmitError, Submitted, Waiting, Which,
};
use crate::name::{InputId, OwnerName, RunId};
use crate::operator::OperatorInput;
use crate::time::{Clock, Timestamp, millis};

/// Waits without letting virtual time run on.
///
/// A runtime whose time is paused leaps to its next timer whenever every task waits, for example for a store's own thread: leases
/// would pass while a file is synced. Awaited through this, what is done in real time takes no virtual time at all.
///
/// # Cancel safety
///
/// As that of `work`.
pub async fn attentive<T>(work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|cx| {
        let answer = work.as_mut().poll(cx);
        if answer.is_pending() {
            cx.waker().wake_by_ref();
            std::thread::yield_now();
        }
        answer
    })
    .await
}

/// Virtual time, as threads without a runtime see it too: there it stands where the runtime's own thread read it last. Give it to
/// a journal that works in a thread of its own, and the same one to the engine.
#[derive(Debug)]
pub struct VirtualClock {
    steady: RuntimeClock,
    home: std::thread::ThreadId,
    began: Timestamp,
    last: AtomicU64,
}

impl VirtualClock {
    /// Begins at `began` by the wall clock and at zero by the monotonic one, in the runtime of this thread.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn new(began: Timestamp) -> Self {
        let steady = RuntimeClock::new(Timestamp(0));
        Self { steady, home: std::thread::current().id(), began, last: AtomicU64::new(0) }
    }
}

impl Clock for VirtualClock {
    fn wall(&self) -> Timestamp {
        self.began.after(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        if std::thread::current().id() == self.home {
            self.last.store(millis(self.steady.monotonic()), Ordering::SeqCst);
        }
        Duration::from_millis(self.last.load(Ordering::SeqCst))
    }
}

/// A journal each of whose calls is awaited [attentively](attentive).
#[derive(Debug)]
pub struct Attentive<J>(pub J);

#[async_trait]
impl<J: Journal> Journal for Attentive<J> {
    async fn create(&self, run: NewRun) -> Result<Created, CreateError> {
        attentive(self.0.create(run)).await
    }
    async fn claim(&self, run: &RunId, owner: &OwnerName, lease: Duration) -> Result<Claim, ClaimError> {
        attentive(self.0.claim(run, owner, lease)).await
    }
    async fn renew(&self, owner: &OwnerName, lease: Duration) -> Result<(), JournalError> {
        attentive(self.0.renew(owner, lease)).await
    }
    async fn release(&self, claim: &Claim) -> Result<(), JournalError> {
        attentive(self.0.release(claim)).await
    }
    async fn lock(&self, claim: &Claim) -> Result<LockAnswer, AppendError> {
        attentive(self.0.lock(claim)).await
    }
    async fn append(&self, append: Append) -> Result<Head, AppendError> {
        attentive(self.0.append(append)).await
    }
    async fn read(&self, run: &RunId, from: u64, at_most: usize) -> Result<Vec<Stored>, JournalError> {
        attentive(self.0.read(run, from, at_most)).await
    }
    async fn head(&self, run: &RunId) -> Result<Head, JournalError> {
        attentive(self.0.head(run)).await
    }
    async fn entry(&self, run: &RunId) -> Result<Option<RunEntry>, JournalError> {
        attentive(self.0.entry(run)).await
    }
    async fn list(&self, which: Which, after: Option<&RunId>, at_most: usize) -> Result<Vec<RunEntry>, JournalError> {
        attentive(self.0.list(which, after, at_most)).await
    }
    async fn submit(&self, run: &RunId, input: &OperatorInput) -> Result<Submitted, SubmitError> {
        attentive(self.0.submit(run, input)).await
    }
    async fn inbox(&self, owner: &OwnerName, after: u64, at_most: usize) -> Result<Vec<Waiting>, JournalError> {
        attentive(self.0.inbox(owner, after, at_most)).await
    }
    async fn was_taken(&self, run: &RunId, input: &InputId) -> Result<bool, JournalError> {
        attentive(self.0.was_taken(run, input)).await
    }
    async fn put_blob(&self, bytes: Vec<u8>) -> Result<Digest, JournalError> {
        attentive(self.0.put_blob(bytes)).await
    }
    async fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, JournalError> {
        attentive(self.0.blob(digest)).await
    }
    async fn save_snapshot(&self, claim: &Claim, snapshot: Snapshot) -> Result<(), AppendError> {
        attentive(self.0.save_snapshot(claim, snapshot)).await
    }
    async fn snapshot(&self, run: &RunId) -> Result<Option<Snapshot>, JournalError> {
        attentive(self.0.snapshot(run)).await
    }
    async fn now(&self) -> Result<Timestamp, JournalError> {
        attentive(self.0.now()).await
    }
}

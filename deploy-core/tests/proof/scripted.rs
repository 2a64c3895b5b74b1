//! A journal between the engine and the real one: it fails, hangs or forgets a rule when it is told to.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
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
use tokio::sync::watch;

pub(crate) use deploy_core::testing::attentive;

use crate::world::pass;

/// What happens to an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is never answered, and nothing was written.
    CrashBefore,
    /// It is written and never answered.
    CrashAfter,
    /// It fails, and nothing was written.
    Fail,
    /// It is written, and the acknowledgement is lost.
    LostAck,
    /// It is not written, and nobody says so.
    Lost,
    /// It is given up for lost, and written just before the next one.
    Late,
    /// It is written after this long.
    Delay(Duration),
}

/// A rule of the journal that can be forgotten, to see that the proofs notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forgets {
    /// Appends and locks count under any claim.
    Epoch,
    /// Records are put wherever the run ends, wherever they were meant to stand.
    Head,
    /// An append is acknowledged before it is written, this long.
    Durability(Duration),
    /// No input was ever taken.
    Taken,
}

/// A journal that can be made to misbehave.
#[derive(Debug)]
pub(crate) struct Scripted {
    inner: Arc<dyn Journal>,
    faults: Mutex<BTreeMap<u64, Fault>>,
    forgets: Option<Forgets>,
    crashed: watch::Sender<bool>,
    late: Mutex<Vec<Append>>,
    newest: Mutex<BTreeMap<RunId, Claim>>,
    /// The claim's epoch of each append that was written, in order.
    pub(crate) written_under: Mutex<Vec<u64>>,
    /// What its clients believe of their leases, if it is not so.
    pub(crate) real_lease: Mutex<Option<Duration>>,
    pub(crate) renew_fails: AtomicBool,
    pub(crate) everything_fails: AtomicBool,
    pub(crate) was_taken_fails: AtomicU64,
    pub(crate) release_fails: AtomicU64,
    pub(crate) claim_fails: AtomicU64,
    pub(crate) appends_hang: AtomicBool,
    /// What happens to the next run that is created.
    pub(crate) create: Mutex<Option<Fault>>,
    /// What is said of a run the next time, as if it had been read earlier.
    pub(crate) said_before: Mutex<Option<RunEntry>>,
}

impl Scripted {
    pub(crate) fn new(inner: Arc<dyn Journal>) -> Self {
        Self {
            inner,
            faults: Mutex::default(),
            forgets: None,
            crashed: watch::Sender::new(false),
            late: Mutex::default(),
            newest: Mutex::default(),
            written_under: Mutex::default(),
            real_lease: Mutex::default(),
            renew_fails: AtomicBool::default(),
            everything_fails: AtomicBool::default(),
            was_taken_fails: AtomicU64::default(),
            release_fails: AtomicU64::default(),
            claim_fails: AtomicU64::default(),
            appends_hang: AtomicBool::default(),
            create: Mutex::default(),
            said_before: Mutex::default(),
        }
    }

    pub(crate) fn at(self, position: u64, fault: Fault) -> Self {
        self.faults.lock().expect("not poisoned").insert(position, fault);
        self
    }

    pub(crate) fn forgetting(mut self, what: Forgets) -> Self {
        self.forgets = Some(what);
        self
    }

    /// Returns when a crash was reached.
    pub(crate) async fn crashed(&self) {
        self.crashed.subscribe().wait_for(|crashed| *crashed).await.expect("it is there");
    }

    /// The next fault that this append meets; each is met once.
    fn fault(&self, append: &Append) -> Option<Fault> {
        let mut faults = self.faults.lock().expect("not poisoned");
        let end = append.expected + append.records.len() as u64;
        let at = faults.range(append.expected..end).next().map(|(at, _)| *at)?;
        faults.remove(&at)
    }

    fn unavailable(what: &str) -> JournalError {
        JournalError::Unavailable { what: what.to_owned(), source: None }
    }

    fn reachable(&self) -> Result<(), JournalError> {
        if self.everything_fails.load(Ordering::SeqCst) { Err(Self::unavailable("anything")) } else { Ok(()) }
    }

    fn fails(counter: &AtomicU64, what: &str) -> Result<(), JournalError> {
        let more = counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if more.is_ok() { Err(Self::unavailable(what)) } else { Ok(()) }
    }

    async fn write(&self, mut append: Append) -> Result<Head, AppendError> {
        if self.forgets == Some(Forgets::Epoch)
            && let Some(claim) = self.newest.lock().expect("not poisoned").get(&append.claim.run)
        {
            append.claim = claim.clone();
        }
        if self.forgets == Some(Forgets::Head) {
            append.expected = self.inner.head(&append.claim.run).await?.next;
            for (position, record) in (append.expected..).zip(&mut append.records) {
                record.position = position;
            }
        }
        let head = attentive(self.inner.append(append)).await?;
        Ok(head)
    }
}

async fn never<T>() -> T {
    std::future::pending().await
}

#[async_trait]
impl Journal for Scripted {
    async fn create(&self, run: NewRun) -> Result<Created, CreateError> {
        let fault = self.create.lock().expect("not poisoned").take();
        if !matches!(fault, Some(Fault::CrashBefore | Fault::Fail | Fault::Lost)) {
            let created = attentive(self.inner.create(run)).await;
            if fault.is_none() {
                return created;
            }
            created?;
        }
        if matches!(fault, Some(Fault::CrashBefore | Fault::CrashAfter)) {
            self.crashed.send_replace(true);
            never::<()>().await;
        }
        Err(Self::unavailable("a new run").into())
    }

    async fn claim(&self, run: &RunId, owner: &OwnerName, lease: Duration) -> Result<Claim, ClaimError> {
        self.reachable()?;
        Self::fails(&self.claim_fails, "a claim")?;
        let lease = self.real_lease.lock().expect("not poisoned").unwrap_or(lease);
        let claim = attentive(self.inner.claim(run, owner, lease)).await?;
        self.newest.lock().expect("not poisoned").insert(run.clone(), claim.clone());
        Ok(claim)
    }

    async fn renew(&self, owner: &OwnerName, lease: Duration) -> Result<(), JournalError> {
        self.reachable()?;
        if self.renew_fails.load(Ordering::SeqCst) {
            return Err(Self::unavailable("a renewal"));
        }
        if self.real_lease.lock().expect("not poisoned").is_some() {
            return Ok(());
        }
        attentive(self.inner.renew(owner, lease)).await
    }

    async fn release(&self, claim: &Claim) -> Result<(), JournalError> {
        self.reachable()?;
        Self::fails(&self.release_fails, "a release")?;
        attentive(self.inner.release(claim)).await
    }

    async fn lock(&self, claim: &Claim) -> Result<LockAnswer, AppendError> {
        self.reachable()?;
        attentive(self.inner.lock(claim)).await
    }

    async fn append(&self, append: Append) -> Result<Head, AppendError> {
        self.reachable()?;
        if self.appends_hang.load(Ordering::SeqCst) {
            never::<()>().await;
        }
        let late = std::mem::take(&mut *self.late.lock().expect("not poisoned"));
        for append in late {
            self.write(append).await?;
        }
        let (run, epoch) = (append.claim.run.clone(), append.claim.epoch);
        let unknown = Err(AppendError::Unknown { run, source: None });
        if let Some(Forgets::Durability(span)) = self.forgets {
            let hash = append
                .records
                .iter()
                .fold(self.inner.head(&append.claim.run).await?.hash, |hash, record| hash.then(&record.to_bytes()));
            let head = Head { next: append.expected + append.records.len() as u64, hash };
            let inner = Arc::clone(&self.inner);
            tokio::spawn(async move {
                pass(span).await;
                // Whether it ever arrives, nobody asks: that is the fault.
                let _gone = inner.append(append).await;
            });
            return Ok(head);
        }
        let written = match self.fault(&append) {
            None => self.write(append).await,
            Some(Fault::CrashBefore) => {
                self.crashed.send_replace(true);
                never().await
            }
            Some(Fault::CrashAfter) => {
                self.write(append).await?;
                self.crashed.send_replace(true);
                never().await
            }
            Some(Fault::Fail) => Err(Self::unavailable("an append").into()),
            Some(Fault::LostAck) => {
                self.write(append).await?;
                unknown
            }
            Some(Fault::Lost) => unknown,
            Some(Fault::Late) => {
                self.late.lock().expect("not poisoned").push(append);
                unknown
            }
            Some(Fault::Delay(span)) => {
                pass(span).await;
                self.write(append).await
            }
        };
        if written.is_ok() {
            self.written_under.lock().expect("not poisoned").push(epoch);
        }
        written
    }

    async fn read(&self, run: &RunId, from: u64, at_most: usize) -> Result<Vec<Stored>, JournalError> {
        self.reachable()?;
        attentive(self.inner.read(run, from, at_most)).await
    }

    async fn head(&self, run: &RunId) -> Result<Head, JournalError> {
        self.reachable()?;
        attentive(self.inner.head(run)).await
    }

    async fn entry(&self, run: &RunId) -> Result<Option<RunEntry>, JournalError> {
        if let Some(before) = self.said_before.lock().expect("not poisoned").take() {
            return Ok(Some(before));
        }
        attentive(self.inner.entry(run)).await
    }

    async fn list(&self, which: Which, after: Option<&RunId>, at_most: usize) -> Result<Vec<RunEntry>, JournalError> {
        attentive(self.inner.list(which, after, at_most)).await
    }

    async fn submit(&self, run: &RunId, input: &OperatorInput) -> Result<Submitted, SubmitError> {
        attentive(self.inner.submit(run, input)).await
    }

    async fn inbox(&self, owner: &OwnerName, after: u64, at_most: usize) -> Result<Vec<Waiting>, JournalError> {
        self.reachable()?;
        attentive(self.inner.inbox(owner, after, at_most)).await
    }

    async fn was_taken(&self, run: &RunId, input: &InputId) -> Result<bool, JournalError> {
        self.reachable()?;
        Self::fails(&self.was_taken_fails, "the inputs taken before")?;
        if self.forgets == Some(Forgets::Taken) {
            return Ok(false);
        }
        attentive(self.inner.was_taken(run, input)).await
    }

    async fn put_blob(&self, bytes: Vec<u8>) -> Result<Digest, JournalError> {
        attentive(self.inner.put_blob(bytes)).await
    }

    async fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, JournalError> {
        attentive(self.inner.blob(digest)).await
    }

    async fn save_snapshot(&self, claim: &Claim, snapshot: Snapshot) -> Result<(), AppendError> {
        attentive(self.inner.save_snapshot(claim, snapshot)).await
    }

    async fn snapshot(&self, run: &RunId) -> Result<Option<Snapshot>, JournalError> {
        attentive(self.inner.snapshot(run)).await
    }

    async fn now(&self) -> Result<Timestamp, JournalError> {
        self.reachable()?;
        attentive(self.inner.now()).await
    }
}

/// Two polls and the answer is there: for tests of the wrapper's own patience.
#[tokio::test]
async fn attention_waits_for_what_takes_a_while() {
    let mut polls = 0;
    let answer = attentive(std::future::poll_fn(|_| {
        polls += 1;
        if polls > 2 { Poll::Ready(polls) } else { Poll::Pending }
    }))
    .await;
    assert_eq!(answer, 3);
}

//! A journal in memory: for tests, rehearsals and runs that need not outlive the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{
    Append, AppendError, Claim, ClaimError, CreateError, Created, Head, Journal, JournalError, LONGEST_INBOX,
    LockAnswer, NewRun, QueuePolicy, RunEntry, Snapshot, Stored, SubmitError, Submitted, Waiting, Which, chain, record,
};
use crate::digest::Digest;
use crate::name::{EnvironmentName, InputId, OwnerName, RunId, ServiceName};
use crate::operator::OperatorInput;
use crate::time::{Clock, Timestamp};

/// Keeps everything in memory, under one mutex. It keeps the whole contract of [`Journal`] except that nothing outlives the
/// process.
#[derive(Debug)]
pub struct MemoryJournal {
    clock: Arc<dyn Clock>,
    store: Mutex<Store>,
}

impl MemoryJournal {
    /// An empty journal that measures leases by `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, store: Mutex::default() }
    }

    /// The store is changed only after every check has passed, so a panic elsewhere cannot have left it half changed.
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn create(&self, new: NewRun) -> Result<Created, CreateError> {
        let content = new.content();
        let mut store = self.store();
        let now = self.clock.wall();
        store.create(new, content, now)
    }

    async fn claim(&self, run: &RunId, owner: &OwnerName, lease: Duration) -> Result<Claim, ClaimError> {
        let mut store = self.store();
        let now = self.clock.wall();
        store.claim(run, owner, now, lease)
    }

    async fn renew(&self, owner: &OwnerName, lease: Duration) -> Result<(), JournalError> {
        let mut store = self.store();
        let now = self.clock.wall();
        store.owners.insert(owner.clone(), Lease { until: now.after(lease), renewed: now });
        Ok(())
    }

    async fn release(&self, claim: &Claim) -> Result<(), JournalError> {
        let mut store = self.store();
        let now = self.clock.wall();
        let at = store.find(&claim.run)?;
        let run = &mut store.runs[at];
        if run.epoch == claim.epoch {
            run.let_go(now);
        }
        Ok(())
    }

    async fn lock(&self, claim: &Claim) -> Result<LockAnswer, AppendError> {
        let mut store = self.store();
        let at = store.fenced(claim)?;
        Ok(store.lock(at))
    }

    async fn append(&self, append: Append) -> Result<Head, AppendError> {
        record::check_blobs(&append.blobs)?;
        let mut store = self.store();
        let now = self.clock.wall();
        store.append(append, now)
    }

    async fn read(&self, run: &RunId, from: u64, at_most: usize) -> Result<Vec<Stored>, JournalError> {
        let store = self.store();
        let records = &store.runs[store.find(run)?].records;
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(records.len());
        Ok(records[from..].iter().take(at_most).cloned().collect())
    }

    async fn head(&self, run: &RunId) -> Result<Head, JournalError> {
        let store = self.store();
        Ok(store.runs[store.find(run)?].head())
    }

    async fn entry(&self, run: &RunId) -> Result<Option<RunEntry>, JournalError> {
        let store = self.store();
        Ok(store.index.get(run).map(|at| store.entry(*at)))
    }

    async fn list(&self, which: Which, after: Option<&RunId>, at_most: usize) -> Result<Vec<RunEntry>, JournalError> {
        let store = self.store();
        let now = self.clock.wall();
        let from = match after {
            Some(run) => store.find(run)? + 1,
            None => 0,
        };
        let wanted = |at: &usize| {
            let run = &store.runs[*at];
            match which {
                Which::All => true,
                Which::Unfinished => run.outcome.is_none(),
                Which::Unowned => run.outcome.is_none() && store.lease(run).is_none_or(|lease| lease.until <= now),
            }
        };
        Ok((from..store.runs.len()).filter(wanted).take(at_most).map(|at| store.entry(at)).collect())
    }

    async fn submit(&self, run: &RunId, input: &OperatorInput) -> Result<Submitted, SubmitError> {
        let mut store = self.store();
        let at = store.find(run)?;
        let found = &store.runs[at];
        if found.inputs.contains(&input.id) {
            return Ok(Submitted::Repeated);
        }
        if let Some(outcome) = &found.outcome {
            return Err(SubmitError::Ended { run: run.clone(), outcome: outcome.clone() });
        }
        if found.waiting.len() >= LONGEST_INBOX {
            return Err(SubmitError::Full { run: run.clone(), waiting: found.waiting.len(), input: input.id.clone() });
        }
        store.deliver(at, input.clone());
        Ok(Submitted::Waits)
    }

    async fn inbox(&self, owner: &OwnerName, after: u64, at_most: usize) -> Result<Vec<Waiting>, JournalError> {
        let store = self.store();
        let theirs = |at: usize| store.runs[at].owner.as_ref() == Some(owner);
        Ok(store
            .inbox
            .range(after.saturating_add(1)..)
            .filter(|(_, (at, _))| theirs(*at))
            .take(at_most)
            .map(|(arrival, (at, input))| Waiting {
                arrival: *arrival,
                run: store.runs[*at].run.clone(),
                input: input.clone(),
            })
            .collect())
    }

    async fn was_taken(&self, run: &RunId, input: &InputId) -> Result<bool, JournalError> {
        let store = self.store();
        Ok(store.index.get(run).is_some_and(|at| store.runs[*at].taken.contains(input)))
    }

    async fn put_blob(&self, bytes: Vec<u8>) -> Result<Digest, JournalError> {
        let digest = Digest::of(&bytes);
        self.store().blobs.entry(digest).or_insert(bytes);
        Ok(digest)
    }

    async fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, JournalError> {
        let found = self.store().blobs.get(digest).cloned();
        record::check_blob(digest, found)
    }

    async fn save_snapshot(&self, claim: &Claim, snapshot: Snapshot) -> Result<(), AppendError> {
        let mut store = self.store();
        let at = store.fenced(claim)?;
        let run = &mut store.runs[at];
        let hash = run.hash_at(snapshot.position);
        record::check_snapshot(&run.run, &snapshot, hash)?;
        if run.snapshot.as_ref().is_none_or(|kept| kept.position <= snapshot.position) {
            run.snapshot = Some(snapshot);
        }
        Ok(())
    }

    async fn snapshot(&self, run: &RunId) -> Result<Option<Snapshot>, JournalError> {
        let store = self.store();
        Ok(store.runs[store.find(run)?].snapshot.clone())
    }

    async fn now(&self) -> Result<Timestamp, JournalError> {
        Ok(self.clock.wall())
    }
}

#[derive(Debug, Default)]
struct Store {
    /// In order of creation.
    runs: Vec<Run>,
    index: BTreeMap<RunId, usize>,
    locks: BTreeMap<Place, Lock>,
    /// The runs of each place that have not ended and were not superseded, the holder of its lock included, in the order in
    /// which they get it.
    places: BTreeMap<Place, BTreeSet<Turn>>,
    /// Inputs that wait, by arrival.
    inbox: BTreeMap<u64, (usize, OperatorInput)>,
    arrivals: u64,
    owners: BTreeMap<OwnerName, Lease>,
    blobs: BTreeMap<Digest, Vec<u8>>,
}

/// The lease of an owner, which covers every run that it owns.
#[derive(Debug, Clone, Copy)]
struct Lease {
    until: Timestamp,
    renewed: Timestamp,
}

/// When a run's turn comes: those of priority first, and then by creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    /// Whether it waits behind every run of priority.
    ordinary: bool,
    at: usize,
}

/// What a lock is for.
type Place = (ServiceName, EnvironmentName);

#[derive(Debug)]
struct Run {
    run: RunId,
    place: Place,
    queue: QueuePolicy,
    content: Digest,
    created: Timestamp,
    records: Vec<Stored>,
    outcome: Option<String>,
    /// Rises whenever the right to append changes hands: at each claim, and when it is given back.
    epoch: u64,
    owner: Option<OwnerName>,
    /// When the last owner gave it back.
    attended: Option<Timestamp>,
    waits: Option<String>,
    superseded_by: Option<RunId>,
    /// Every input ever submitted or taken.
    inputs: BTreeSet<InputId>,
    taken: BTreeSet<InputId>,
    /// The inputs that wait, with their arrival.
    waiting: BTreeMap<InputId, u64>,
    snapshot: Option<Snapshot>,
}

/// The lock of one service and environment. It outlives its holders, because its epoch never resets.
#[derive(Debug, Default)]
struct Lock {
    epoch: u64,
    /// The run, and the epoch of the claim under which it asked last.
    holder: Option<(usize, u64)>,
}

impl Store {
    fn find(&self, run: &RunId) -> Result<usize, JournalError> {
        self.index.get(run).copied().ok_or_else(|| JournalError::NoSuchRun(run.clone()))
    }

    /// The lease that covers a run, if anybody owns it.
    fn lease(&self, run: &Run) -> Option<Lease> {
        run.owner.as_ref().and_then(|owner| self.owners.get(owner)).copied()
    }

    fn claim(&mut self, run: &RunId, owner: &OwnerName, now: Timestamp, lease: Duration) -> Result<Claim, ClaimError> {
        let at = self.find(run)?;
        let found = &self.runs[at];
        if let Some(outcome) = &found.outcome {
            return Err(ClaimError::Ended { run: run.clone(), outcome: outcome.clone() });
        }
        let held = self.lease(found);
        if let (Some(other), Some(held)) = (&found.owner, held)
            && other != owner
            && held.until > now
        {
            return Err(ClaimError::Owned { run: run.clone(), owner: other.clone(), until: held.until });
        }
        let unattended_since = held.map(|held| held.renewed).or(found.attended);
        let until = now.after(lease);
        self.owners.insert(owner.clone(), Lease { until, renewed: now });
        let found = &mut self.runs[at];
        found.epoch += 1;
        found.owner = Some(owner.clone());
        Ok(Claim { run: run.clone(), owner: owner.clone(), epoch: found.epoch, until, unattended_since })
    }

    /// The run of a claim that still counts.
    fn fenced(&self, claim: &Claim) -> Result<usize, AppendError> {
        let at = self.find(&claim.run)?;
        let found = self.runs[at].epoch;
        if found == claim.epoch {
            Ok(at)
        } else {
            Err(AppendError::Fenced { run: claim.run.clone(), ours: claim.epoch, found })
        }
    }

    fn holder(&self, place: &Place) -> Option<usize> {
        self.locks.get(place)?.holder.map(|(at, _)| at)
    }

    /// Those that wait for a lock, in the order in which they get it.
    fn queue(&self, place: &Place) -> impl Iterator<Item = Turn> {
        let holder = self.holder(place);
        self.places.get(place).into_iter().flatten().copied().filter(move |turn| Some(turn.at) != holder)
    }

    fn create(&mut self, new: NewRun, content: Digest, now: Timestamp) -> Result<Created, CreateError> {
        record::check_positions(&new.run, 0, &new.records)?;
        let place = (new.service.clone(), new.environment.clone());
        let holder = self.holder(&place);
        if let Some(at) = self.index.get(&new.run).copied() {
            return self.created_already(at, content, holder);
        }
        if new.queue == QueuePolicy::Reject
            && let Some(at) = holder.or_else(|| self.queue(&place).next().map(|turn| turn.at))
        {
            return Err(CreateError::Rejected { holder: self.runs[at].run.clone() });
        }
        let mut superseded = Vec::new();
        if new.queue == QueuePolicy::NewestWins {
            for turn in self.queue(&place).filter(|turn| turn.ordinary).collect::<Vec<_>>() {
                let at = turn.at;
                let input = new.supersedes(&self.runs[at].run);
                self.runs[at].superseded_by = Some(new.run.clone());
                self.places.entry(place.clone()).or_default().remove(&turn);
                superseded.push(self.runs[at].run.clone());
                self.deliver(at, input);
            }
        }
        let at = self.runs.len();
        self.index.insert(new.run.clone(), at);
        let mut run = Run {
            run: new.run,
            place,
            queue: new.queue,
            content,
            created: now,
            records: Vec::new(),
            outcome: None,
            epoch: 0,
            owner: None,
            attended: None,
            waits: None,
            superseded_by: None,
            inputs: BTreeSet::new(),
            taken: BTreeSet::new(),
            waiting: BTreeMap::new(),
            snapshot: None,
        };
        let head = chain::extend(&mut run.records, Head { next: 0, hash: Digest::ZERO }, &new.records);
        self.places.entry(run.place.clone()).or_default().insert(run.turn(at));
        self.runs.push(run);
        let behind = holder.map(|at| self.runs[at].run.clone());
        Ok(Created { already: false, head: Some(head), behind, superseded })
    }

    fn created_already(&self, at: usize, content: Digest, holder: Option<usize>) -> Result<Created, CreateError> {
        let run = &self.runs[at].run;
        if self.runs[at].content != content {
            return Err(CreateError::Taken(run.clone()));
        }
        let superseded = self.runs.iter().filter(|other| other.superseded_by.as_ref() == Some(run));
        Ok(Created {
            already: true,
            head: None,
            behind: holder.filter(|holder| *holder != at).map(|at| self.runs[at].run.clone()),
            superseded: superseded.map(|other| other.run.clone()).collect(),
        })
    }

    /// Puts an input before a run. Whether there is room for it was decided before.
    fn deliver(&mut self, at: usize, input: OperatorInput) {
        let run = &mut self.runs[at];
        if run.inputs.insert(input.id.clone()) {
            self.arrivals += 1;
            run.waiting.insert(input.id.clone(), self.arrivals);
            self.inbox.insert(self.arrivals, (at, input));
        }
    }

    fn lock(&mut self, at: usize) -> LockAnswer {
        let run = &self.runs[at];
        let claim = run.epoch;
        if let Some(by) = &run.superseded_by {
            return LockAnswer::Superseded { by: by.clone() };
        }
        let turn = run.turn(at);
        let first = self.queue(&run.place).next().map(|turn| turn.at);
        let lock = self.locks.entry(run.place.clone()).or_default();
        match lock.holder {
            Some((holder, under)) if holder == at => {
                if under != claim {
                    lock.epoch += 1;
                    lock.holder = Some((at, claim));
                }
                LockAnswer::Held { epoch: lock.epoch }
            }
            None if first == Some(at) => {
                lock.epoch += 1;
                lock.holder = Some((at, claim));
                LockAnswer::Held { epoch: lock.epoch }
            }
            holder => {
                let next = holder.map(|(holder, _)| holder).or(first).unwrap_or(at);
                let before = self.queue(&run.place).take_while(|other| *other < turn).count();
                let ahead = before + usize::from(holder.is_some());
                LockAnswer::Waiting {
                    behind: self.runs[next].run.clone(),
                    ahead: u32::try_from(ahead).unwrap_or(u32::MAX),
                }
            }
        }
    }

    fn append(&mut self, append: Append, now: Timestamp) -> Result<Head, AppendError> {
        let at = self.fenced(&append.claim)?;
        let run = &mut self.runs[at];
        let head = run.head();
        if append.expected != head.next {
            return Err(AppendError::Conflict { run: run.run.clone(), expected: append.expected, found: head.next });
        }
        record::check_positions(&run.run, append.expected, &append.records)?;

        let head = chain::extend(&mut run.records, head, &append.records);
        run.waits = append.waits;
        for input in append.taken {
            if let Some(arrival) = run.waiting.remove(&input) {
                self.inbox.remove(&arrival);
            }
            run.inputs.insert(input.clone());
            run.taken.insert(input);
        }
        for (digest, bytes) in append.blobs {
            self.blobs.entry(digest).or_insert(bytes);
        }
        if append.ends.is_some() {
            run.outcome = append.ends;
            run.let_go(now);
            for arrival in std::mem::take(&mut run.waiting).into_values() {
                self.inbox.remove(&arrival);
            }
            if let Some(here) = self.places.get_mut(&run.place) {
                here.remove(&run.turn(at));
            }
            let lock = self.locks.get_mut(&run.place);
            if let Some(lock) = lock.filter(|lock| lock.holder.is_some_and(|(holder, _)| holder == at)) {
                lock.holder = None;
            }
        }
        Ok(head)
    }

    fn entry(&self, at: usize) -> RunEntry {
        let run = &self.runs[at];
        RunEntry {
            run: run.run.clone(),
            service: run.place.0.clone(),
            environment: run.place.1.clone(),
            created: run.created,
            records: run.head().next,
            outcome: run.outcome.clone(),
            owner: run.owner.clone(),
            owned_until: self.lease(run).map(|lease| lease.until),
            holds_lock: self.holder(&run.place) == Some(at),
            waits: run.waits.clone(),
        }
    }
}

impl Run {
    /// Where it stands in the queue, being the run at this place in order of creation.
    fn turn(&self, at: usize) -> Turn {
        Turn { ordinary: self.queue != QueuePolicy::Priority, at }
    }

    fn head(&self) -> Head {
        self.records
            .last()
            .map_or(Head { next: 0, hash: Digest::ZERO }, |last| Head { next: last.position + 1, hash: last.hash })
    }

    /// The chain's hash before the record at `position`; nothing beyond the head.
    fn hash_at(&self, position: u64) -> Option<Digest> {
        match position.checked_sub(1) {
            None => Some(Digest::ZERO),
            Some(last) => self.records.get(usize::try_from(last).ok()?).map(|record| record.hash),
        }
    }

    /// Nobody owns the run any more, and the claim that did is fenced.
    fn let_go(&mut self, now: Timestamp) {
        self.epoch += 1;
        self.owner = None;
        self.attended = Some(now);
    }
}

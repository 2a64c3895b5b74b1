//! The writing half: what happens inside a transaction. Every check comes before the first write, so that a refused call
//! leaves the transaction as it was, and the others of the same transaction go on.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

use super::column::{count, digest, name, optional_name, signed};
use super::fault::Trouble;
use super::heads::{Heads, Known};
use super::query;
use crate::digest::Digest;
use crate::journal::{
    AppendError, Claim, ClaimError, CreateError, Created, Head, JournalError, LONGEST_INBOX, LockAnswer, NewRun,
    QueuePolicy, Snapshot, SubmitError, Submitted, record,
};
use crate::name::{InputId, OwnerName, RunId};
use crate::operator::OperatorInput;
use crate::time::{Clock, Timestamp};

type Tried<T, E> = Result<T, Trouble<E>>;

fn refuse<T, E>(error: impl Into<E>) -> Tried<T, E> {
    Err(Trouble::Refused(error.into()))
}

/// The database within a transaction that holds the write lock.
pub(super) struct Store<'a> {
    pub(super) sql: &'a Connection,
    pub(super) heads: &'a mut Heads,
    pub(super) clock: &'a dyn Clock,
}

/// An append with its records already written out.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) claim: Claim,
    pub(super) expected: u64,
    pub(super) records: Vec<String>,
    pub(super) blobs: Vec<(Digest, Vec<u8>)>,
    pub(super) taken: Vec<InputId>,
    pub(super) ends: Option<String>,
    pub(super) waits: Option<String>,
}

/// Who holds a lock, and under which claim.
struct Lock {
    epoch: u64,
    holder: Option<(i64, u64)>,
}

impl Store<'_> {
    /// The store's clock, read while the write lock is held.
    fn now(&self) -> Timestamp {
        self.clock.wall()
    }

    fn run(&mut self, run: &RunId) -> Tried<&Known, JournalError> {
        if self.heads.get(run).is_none() {
            let found = self
                .sql
                .prepare_cached("SELECT id, epoch, waits FROM runs WHERE run = ?1")?
                .query_row([run.as_str()], |row| Ok((row.get(0)?, count(row, 1)?, row.get(2)?)))
                .optional()?;
            let Some((id, epoch, waits)) = found else {
                return refuse(JournalError::NoSuchRun(run.clone()));
            };
            let head = query::head(self.sql, id)?;
            self.heads.put(run, Known { id, epoch, head, waits });
        }
        match self.heads.get(run) {
            Some(known) => Ok(known),
            None => refuse(JournalError::NoSuchRun(run.clone())),
        }
    }

    /// The run of a claim that still counts.
    fn fenced(&mut self, claim: &Claim) -> Tried<&Known, AppendError> {
        let known = self.run(&claim.run).map_err(widen)?;
        if known.epoch == claim.epoch {
            Ok(known)
        } else {
            refuse(AppendError::Fenced { run: claim.run.clone(), ours: claim.epoch, found: known.epoch })
        }
    }

    fn name_of(&self, id: i64) -> rusqlite::Result<RunId> {
        self.sql.prepare_cached("SELECT run FROM runs WHERE id = ?1")?.query_row([id], |row| name(row, 0))
    }

    fn lock_of(&self, service: &str, environment: &str) -> rusqlite::Result<Lock> {
        self.sql
            .prepare_cached("SELECT epoch, holder, claim FROM locks WHERE service = ?1 AND environment = ?2")?
            .query_row((service, environment), |row| {
                let holder = match row.get(1)? {
                    Some(holder) => Some((holder, count(row, 2)?)),
                    None => None,
                };
                Ok(Lock { epoch: count(row, 0)?, holder })
            })
            .optional()
            .map(|lock| lock.unwrap_or(Lock { epoch: 0, holder: None }))
    }

    /// The first of those that wait for a lock: those of priority come before the others, each in order of creation.
    fn first(&self, service: &str, environment: &str, holder: Option<i64>) -> rusqlite::Result<Option<i64>> {
        // Each is the first row of its index, however many wait.
        for order in [
            "SELECT id FROM runs
             WHERE service = ?1 AND environment = ?2 AND queue = 'priority' AND outcome IS NULL AND superseded_by IS NULL
               AND id IS NOT ?3
             ORDER BY id LIMIT 1",
            "SELECT id FROM runs
             WHERE service = ?1 AND environment = ?2 AND outcome IS NULL AND superseded_by IS NULL AND id IS NOT ?3
             ORDER BY id LIMIT 1",
        ] {
            let mut statement = self.sql.prepare_cached(order)?;
            let found = statement.query_row((service, environment, holder), |row| row.get(0)).optional()?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Those that wait for a lock and may be superseded, oldest first.
    fn ordinary(&self, service: &str, environment: &str, holder: Option<i64>) -> rusqlite::Result<Vec<i64>> {
        self.sql
            .prepare_cached(
                "SELECT id FROM runs
                 WHERE service = ?1 AND environment = ?2 AND outcome IS NULL AND superseded_by IS NULL AND id IS NOT ?3
                   AND queue <> 'priority'
                 ORDER BY id",
            )?
            .query_map((service, environment, holder), |row| row.get(0))?
            .collect()
    }

    /// How many wait for a lock and come before a run.
    fn queue_before(&self, service: &str, environment: &str, holder: Option<i64>, id: i64) -> rusqlite::Result<u64> {
        self.sql
            .prepare_cached(
                "SELECT count(*) FROM runs
                 WHERE service = ?1 AND environment = ?2 AND outcome IS NULL AND superseded_by IS NULL AND id IS NOT ?3
                   AND (queue <> 'priority', id) < (SELECT queue <> 'priority', id FROM runs WHERE id = ?4)",
            )?
            .query_row((service, environment, holder, id), |row| count(row, 0))
    }

    pub(super) fn create(&mut self, new: &NewRun, content: Digest, records: &[String]) -> Tried<Created, CreateError> {
        let (service, environment) = (new.service.as_str(), new.environment.as_str());
        let holder = self.lock_of(service, environment)?.holder.map(|(holder, _)| holder);
        let found: Option<(i64, Digest)> = self
            .sql
            .prepare_cached("SELECT id, content FROM runs WHERE run = ?1")?
            .query_row([new.run.as_str()], |row| Ok((row.get(0)?, digest(row, 1)?)))
            .optional()?;
        if let Some((id, kept)) = found {
            return if kept == content {
                self.created_already(id, holder)
            } else {
                refuse(CreateError::Taken(new.run.clone()))
            };
        }
        // Who waits matters to a policy that looks at it: nobody reads a queue of thousands to stand behind it.
        let superseded = match new.queue {
            QueuePolicy::Fifo | QueuePolicy::Priority => Vec::new(),
            QueuePolicy::NewestWins => self.ordinary(service, environment, holder)?,
            QueuePolicy::Reject => {
                match holder.map_or_else(|| self.first(service, environment, holder), |at| Ok(Some(at)))? {
                    Some(first) => return refuse(CreateError::Rejected { holder: self.name_of(first)? }),
                    None => Vec::new(),
                }
            }
        };
        let behind = holder.map(|holder| self.name_of(holder)).transpose()?;

        self.sql
            .prepare_cached(
                "INSERT INTO runs (run, service, environment, queue, content, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute((new.run.as_str(), service, environment, new.queue.name(), content.as_bytes(), self.now().0))?;
        let id = self.sql.last_insert_rowid();
        let superseded = superseded
            .into_iter()
            .map(|waiting| {
                let run = self.name_of(waiting)?;
                self.sql.prepare_cached("UPDATE runs SET superseded_by = ?1 WHERE id = ?2")?.execute((id, waiting))?;
                self.deliver(waiting, &new.supersedes(&run))?;
                Ok(run)
            })
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let head = self.write_records(id, Head { next: 0, hash: Digest::ZERO }, records)?;
        self.heads.put(&new.run, Known { id, epoch: 0, head, waits: None });
        Ok(Created { already: false, head: Some(head), behind, superseded })
    }

    fn created_already(&self, id: i64, holder: Option<i64>) -> Tried<Created, CreateError> {
        let behind = holder.filter(|holder| *holder != id).map(|holder| self.name_of(holder)).transpose()?;
        let superseded = self
            .sql
            .prepare_cached("SELECT run FROM runs WHERE superseded_by = ?1 ORDER BY id")?
            .query_map([id], |row| name(row, 0))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(Created { already: true, head: None, behind, superseded })
    }

    /// Puts an input before a run. Whether there is room for it was decided before.
    fn deliver(&self, id: i64, input: &OperatorInput) -> rusqlite::Result<()> {
        let body =
            serde_json::to_string(input).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        self.sql
            .prepare_cached("INSERT OR IGNORE INTO inputs (run, input, body, state) VALUES (?1, ?2, ?3, 'waits')")?
            .execute((id, input.id.as_str(), body))?;
        Ok(())
    }

    fn write_records(&self, id: i64, mut head: Head, records: &[String]) -> rusqlite::Result<Head> {
        let mut insert =
            self.sql.prepare_cached("INSERT INTO records (run, position, envelope, hash) VALUES (?1, ?2, ?3, ?4)")?;
        for envelope in records {
            let hash = head.hash.then(envelope.as_bytes());
            insert.execute((id, signed(head.next), envelope, hash.as_bytes()))?;
            head = Head { next: head.next + 1, hash };
        }
        Ok(head)
    }

    pub(super) fn claim(&mut self, run: &RunId, owner: &OwnerName, lease: Duration) -> Tried<Claim, ClaimError> {
        let found = self
            .sql
            .prepare_cached(
                "SELECT runs.id, runs.outcome, runs.epoch, runs.owner, runs.attended, owners.until, owners.renewed
                 FROM runs LEFT JOIN owners ON owners.owner = runs.owner WHERE runs.run = ?1",
            )?
            .query_row([run.as_str()], |row| {
                Ok(Claimed {
                    id: row.get(0)?,
                    outcome: row.get(1)?,
                    epoch: count(row, 2)?,
                    owner: optional_name(row, 3)?,
                    attended: row.get::<_, Option<i64>>(4)?.map(Timestamp),
                    until: row.get::<_, Option<i64>>(5)?.map(Timestamp),
                    renewed: row.get::<_, Option<i64>>(6)?.map(Timestamp),
                })
            })
            .optional()?;
        let Some(found) = found else {
            return refuse(JournalError::NoSuchRun(run.clone()));
        };
        if let Some(outcome) = found.outcome {
            return refuse(ClaimError::Ended { run: run.clone(), outcome });
        }
        let now = self.now();
        if let (Some(other), Some(until)) = (found.owner, found.until)
            && other != *owner
            && until > now
        {
            return refuse(ClaimError::Owned { run: run.clone(), owner: other, until });
        }
        let until = self.extend_lease(owner, now, lease)?;
        let epoch = found.epoch + 1;
        self.sql.prepare_cached("UPDATE runs SET epoch = ?2, owner = ?3 WHERE id = ?1")?.execute((
            found.id,
            signed(epoch),
            owner.as_str(),
        ))?;
        self.heads.forget(run);
        let unattended_since = found.renewed.or(found.attended);
        Ok(Claim { run: run.clone(), owner: owner.clone(), epoch, until, unattended_since })
    }

    fn extend_lease(&self, owner: &OwnerName, now: Timestamp, lease: Duration) -> rusqlite::Result<Timestamp> {
        let until = now.after(lease);
        self.sql
            .prepare_cached(
                "INSERT INTO owners (owner, until, renewed) VALUES (?1, ?2, ?3)
                 ON CONFLICT (owner) DO UPDATE SET until = excluded.until, renewed = excluded.renewed",
            )?
            .execute((owner.as_str(), until.0, now.0))?;
        Ok(until)
    }

    pub(super) fn renew(&mut self, owner: &OwnerName, lease: Duration) -> Tried<(), JournalError> {
        let now = self.now();
        self.extend_lease(owner, now, lease)?;
        Ok(())
    }

    pub(super) fn release(&mut self, claim: &Claim) -> Tried<(), JournalError> {
        let known = self.run(&claim.run)?;
        if known.epoch != claim.epoch {
            return Ok(());
        }
        let id = known.id;
        self.sql
            .prepare_cached("UPDATE runs SET epoch = epoch + 1, owner = NULL, attended = ?2 WHERE id = ?1")?
            .execute((id, self.now().0))?;
        self.heads.forget(&claim.run);
        Ok(())
    }

    pub(super) fn lock(&mut self, claim: &Claim) -> Tried<LockAnswer, AppendError> {
        let id = self.fenced(claim)?.id;
        let (service, environment, superseded_by): (String, String, Option<i64>) = self
            .sql
            .prepare_cached("SELECT service, environment, superseded_by FROM runs WHERE id = ?1")?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        if let Some(by) = superseded_by {
            return Ok(LockAnswer::Superseded { by: self.name_of(by)? });
        }
        let lock = self.lock_of(&service, &environment)?;
        let holder = lock.holder.map(|(holder, _)| holder);
        let first = self.first(&service, &environment, holder)?;
        let rises = match lock.holder {
            Some((holder, under)) if holder == id => under != claim.epoch,
            None if first == Some(id) => true,
            _ => {
                let before = self.queue_before(&service, &environment, holder, id)?;
                let ahead = before + u64::from(holder.is_some());
                return Ok(LockAnswer::Waiting {
                    behind: self.name_of(holder.or(first).unwrap_or(id))?,
                    ahead: u32::try_from(ahead).unwrap_or(u32::MAX),
                });
            }
        };
        let epoch = lock.epoch + u64::from(rises);
        if rises {
            self.sql
                .prepare_cached(
                    "INSERT INTO locks (service, environment, epoch, holder, claim) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (service, environment)
                     DO UPDATE SET epoch = excluded.epoch, holder = excluded.holder, claim = excluded.claim",
                )?
                .execute((service, environment, signed(epoch), id, signed(claim.epoch)))?;
        }
        Ok(LockAnswer::Held { epoch })
    }

    pub(super) fn append(&mut self, append: &Written) -> Tried<Head, AppendError> {
        let run = &append.claim.run;
        let known = self.fenced(&append.claim)?;
        if known.head.next != append.expected {
            let found = known.head.next;
            return refuse(AppendError::Conflict { run: run.clone(), expected: append.expected, found });
        }
        let mut known = known.clone();

        known.head = self.write_records(known.id, known.head, &append.records)?;
        for (digest, bytes) in &append.blobs {
            self.keep_blob(digest, bytes)?;
        }
        for input in &append.taken {
            self.sql
                .prepare_cached(
                    "INSERT INTO inputs (run, input, state) VALUES (?1, ?2, 'taken')
                     ON CONFLICT (run, input) DO UPDATE SET state = 'taken'",
                )?
                .execute((known.id, input.as_str()))?;
        }
        let head = known.head;
        if append.waits != known.waits {
            self.sql.prepare_cached("UPDATE runs SET waits = ?2 WHERE id = ?1")?.execute((known.id, &append.waits))?;
            known.waits.clone_from(&append.waits);
        }
        if let Some(outcome) = &append.ends {
            self.end(known.id, outcome)?;
            self.heads.forget(run);
        } else {
            self.heads.put(run, known);
        }
        Ok(head)
    }

    /// Ends a run: claim and lock are released, and nobody will take what still waits for it.
    fn end(&self, id: i64, outcome: &str) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached(
                "UPDATE runs SET outcome = ?2, epoch = epoch + 1, owner = NULL, attended = ?3 WHERE id = ?1",
            )?
            .execute((id, outcome, self.now().0))?;
        self.sql
            .prepare_cached(
                "UPDATE locks SET holder = NULL, claim = NULL
                 WHERE (service, environment) = (SELECT service, environment FROM runs WHERE id = ?1) AND holder = ?1",
            )?
            .execute([id])?;
        self.sql
            .prepare_cached("UPDATE inputs SET state = 'left' WHERE run = ?1 AND state = 'waits'")?
            .execute([id])?;
        Ok(())
    }

    pub(super) fn submit(&mut self, run: &RunId, input: &OperatorInput) -> Tried<Submitted, SubmitError> {
        let found: Option<(i64, Option<String>)> = self
            .sql
            .prepare_cached("SELECT id, outcome FROM runs WHERE run = ?1")?
            .query_row([run.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((id, outcome)) = found else {
            return refuse(JournalError::NoSuchRun(run.clone()));
        };
        let repeated: bool = self
            .sql
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM inputs WHERE run = ?1 AND input = ?2)")?
            .query_row((id, input.id.as_str()), |row| row.get(0))?;
        if repeated {
            return Ok(Submitted::Repeated);
        }
        if let Some(outcome) = outcome {
            return refuse(SubmitError::Ended { run: run.clone(), outcome });
        }
        let waiting = self
            .sql
            .prepare_cached("SELECT count(*) FROM inputs WHERE run = ?1 AND state = 'waits'")?
            .query_row([id], |row| count(row, 0))?;
        let waiting = usize::try_from(waiting).unwrap_or(usize::MAX);
        if waiting >= LONGEST_INBOX {
            return refuse(SubmitError::Full { run: run.clone(), waiting, input: input.id.clone() });
        }
        self.deliver(id, input)?;
        Ok(Submitted::Waits)
    }

    pub(super) fn keep_blob(&self, digest: &Digest, bytes: &[u8]) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached("INSERT OR IGNORE INTO blobs (digest, bytes) VALUES (?1, ?2)")?
            .execute((digest.as_bytes(), bytes))?;
        Ok(())
    }

    pub(super) fn save_snapshot(&mut self, claim: &Claim, snapshot: &Snapshot) -> Tried<(), AppendError> {
        let id = self.fenced(claim)?.id;
        let hash = query::hash_at(self.sql, id, snapshot.position)?;
        if let Err(malformed) = record::check_snapshot(&claim.run, snapshot, hash) {
            return refuse(malformed);
        }
        self.sql
            .prepare_cached(
                "INSERT INTO snapshots (run, position, hash, version, state) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (run) DO UPDATE SET position = excluded.position, hash = excluded.hash,
                                                 version = excluded.version, state = excluded.state
                 WHERE excluded.position >= snapshots.position",
            )?
            .execute((id, signed(snapshot.position), snapshot.hash.as_bytes(), snapshot.version, &snapshot.state))?;
        Ok(())
    }
}

/// A run as a claim finds it.
struct Claimed {
    id: i64,
    outcome: Option<String>,
    epoch: u64,
    owner: Option<OwnerName>,
    attended: Option<Timestamp>,
    until: Option<Timestamp>,
    renewed: Option<Timestamp>,
}

/// The same trouble, as an append reports it.
fn widen(trouble: Trouble<JournalError>) -> Trouble<AppendError> {
    match trouble {
        Trouble::Refused(error) => Trouble::Refused(error.into()),
        Trouble::Failed(error) => Trouble::Failed(error),
    }
}

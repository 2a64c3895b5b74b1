//! The one thread that writes. What waits for it while it commits goes together into its next transaction: the more runs
//! write, the more of them share one wait for the disk, and nobody is delayed on purpose.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::mpsc;

use super::call::{Ticket, call};
use super::fault::{Refusal, Trouble, leaves_unknown};
use super::heads::Heads;
use super::store::Store;
use crate::journal::JournalError;
use crate::name::RunId;
use crate::time::Clock;

/// How many calls share a transaction at most. Above that the gain is gone and the first one only waits longer.
const BATCH: usize = 256;

/// How many calls may wait for the thread: four transactions' worth. A caller beyond that waits for room.
const QUEUE: usize = 4 * BATCH;

/// The write-ahead log is copied back and truncated by force when it has grown beyond this. SQLite itself copies it back at 4
/// MiB, but cannot start it anew while readers follow one another without a gap.
const LARGEST_LOG: u64 = 32 * 1024 * 1024;

/// How long a forced truncation waits for readers. They hold a page of records at most.
const PATIENCE: Duration = Duration::from_millis(250);

/// How often, in transactions, the size of the log is looked at.
const LOOK_EVERY: u32 = 64;

/// The sending side of the thread.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Ticket>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(
        sql: Connection,
        clock: Arc<dyn Clock>,
        log: PathBuf,
        busy_timeout: Duration,
    ) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let state = State { sql, heads: Heads::default(), clock, log, busy_timeout, commits: 0 };
        let thread = std::thread::Builder::new().name("journal-writer".to_owned()).spawn(move || state.serve(jobs))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Has the thread do `work` in a transaction, and waits until that is committed. The work may be done more than once,
    /// if the transaction has to be tried again; only the last time counts.
    pub(super) async fn write<T, E, W>(&self, run: Option<&RunId>, work: W) -> Result<T, E>
    where
        T: Send + 'static,
        E: Refusal,
        W: FnMut(&mut Store<'_>) -> Result<T, Trouble<E>> + Send + 'static,
    {
        let stopped = || JournalError::Unavailable { what: "the writing thread has stopped".to_owned(), source: None };
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        let (ticket, outcome) = call(run, work);
        queue.send(ticket).await.map_err(|_| stopped())?;
        outcome.await
    }
}

impl Drop for Writer {
    /// Finishes what was accepted, then closes the file.
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the journal's writing thread has panicked");
        }
    }
}

/// What the thread owns.
struct State {
    sql: Connection,
    heads: Heads,
    clock: Arc<dyn Clock>,
    log: PathBuf,
    busy_timeout: Duration,
    commits: u32,
}

/// A transaction that was rolled back, and whether its commit had begun.
struct Rollback {
    error: rusqlite::Error,
    committing: bool,
}

impl State {
    fn serve(mut self, mut queue: mpsc::Receiver<Ticket>) {
        let mut jobs = Vec::with_capacity(BATCH);
        while queue.blocking_recv_many(&mut jobs, BATCH) > 0 {
            match self.transact(&jobs) {
                Ok(()) => jobs.drain(..).for_each(Ticket::settle),
                Err(Rollback { error, committing }) if jobs.len() == 1 || (committing && leaves_unknown(&error)) => {
                    let error = Arc::new(error);
                    jobs.drain(..).for_each(|job| job.fail(&error, committing));
                }
                // One that fails must not take the others with it, for example where the disk is full and some still fit.
                Err(_) => jobs.drain(..).for_each(|job| self.alone(job)),
            }
            self.bound_log();
        }
    }

    fn alone(&mut self, job: Ticket) {
        match self.transact(std::slice::from_ref(&job)) {
            Ok(()) => job.settle(),
            Err(Rollback { error, committing }) => job.fail(&Arc::new(error), committing),
        }
    }

    fn transact(&mut self, jobs: &[Ticket]) -> Result<(), Rollback> {
        let worked = self.work(jobs).map_err(|error| Rollback { error, committing: false });
        let done =
            worked.and_then(|()| self.run_cached("COMMIT").map_err(|error| Rollback { error, committing: true }));
        if done.is_err() {
            self.heads.clear();
            if !self.sql.is_autocommit()
                && let Err(error) = self.run_cached("ROLLBACK")
            {
                tracing::error!(%error, "the journal could not roll a transaction back");
            }
        }
        done
    }

    fn work(&mut self, jobs: &[Ticket]) -> rusqlite::Result<()> {
        self.run_cached("BEGIN IMMEDIATE")?;
        let data_version = self.sql.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        self.heads.seen(data_version);
        let mut store = Store { sql: &self.sql, heads: &mut self.heads, clock: &*self.clock };
        jobs.iter().try_for_each(|job| job.run(&mut store))
    }

    fn run_cached(&self, statement: &str) -> rusqlite::Result<()> {
        self.sql.prepare_cached(statement)?.execute([]).map(drop)
    }

    /// Keeps the write-ahead log from growing for ever.
    fn bound_log(&mut self) {
        self.commits = (self.commits + 1) % LOOK_EVERY;
        if self.commits != 0 || std::fs::metadata(&self.log).map_or(0, |file| file.len()) <= LARGEST_LOG {
            return;
        }
        let truncated = self
            .sql
            .busy_timeout(PATIENCE)
            .and_then(|()| self.sql.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)));
        match truncated {
            Ok(0) => {}
            Ok(_) => tracing::warn!("a reader keeps the journal's write-ahead log from being truncated"),
            Err(error) => tracing::warn!(%error, "the journal's write-ahead log could not be truncated"),
        }
        if let Err(error) = self.sql.busy_timeout(self.busy_timeout) {
            tracing::warn!(%error, "the journal's busy timeout could not be restored");
        }
    }
}

//! The embedded journal: one SQLite file, which several processes may share.
//!
//! `docs/journal-format.md` describes the layout, what it promises, and how to look into it with ordinary tools.

mod call;
mod column;
mod fault;
mod format;
mod heads;
mod options;
mod query;
mod reader;
mod store;
mod writer;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags};

use self::fault::fault;
use self::format::Found;
pub use self::options::{SqliteOptions, Synchronous};
use self::reader::Readers;
use self::store::Written;
use self::writer::Writer;
use super::{
    Append, AppendError, Claim, ClaimError, CreateError, Created, Envelope, Head, Journal, JournalError, LockAnswer,
    NewRun, RunEntry, Snapshot, Stored, SubmitError, Submitted, Waiting, Which, record,
};
use crate::digest::Digest;
use crate::name::{InputId, OwnerName, RunId};
use crate::operator::OperatorInput;
use crate::time::{Clock, Timestamp};

/// How often switching the file to a write-ahead log is tried while other processes do the same. Each waits for the busy
/// timeout in between.
const TRIES: usize = 8;

/// Keeps runs in a SQLite file.
///
/// One thread writes, in transactions that several runs share; a few threads read. Nothing blocks the async runtime.
/// Dropping the journal waits until what was accepted is written.
#[derive(Debug)]
pub struct SqliteJournal {
    // The readers go first, so that the writer is the last to close the file, and leaves no log behind.
    readers: Readers,
    writer: Option<Writer>,
    clock: Arc<dyn Clock>,
    path: PathBuf,
}

impl SqliteJournal {
    /// Opens the journal at `path` with the defaults of [`SqliteOptions`], and creates it if it is missing.
    ///
    /// # Errors
    ///
    /// Those of [`SqliteOptions::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, JournalError> {
        SqliteOptions::new(path).open()
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Has SQLite check the whole file: pages, indexes, constraints. Takes as long as reading the file. The hash chains of
    /// the runs are the business of [`verify_run`](super::verify_run).
    ///
    /// # Errors
    ///
    /// [`JournalError::Damaged`] says what SQLite found.
    ///
    /// # Cancel safety
    ///
    /// It only reads.
    pub async fn check(&self) -> Result<(), JournalError> {
        let found: String = self
            .readers
            .ask("checking the journal", |sql| sql.query_row("PRAGMA integrity_check(8)", [], |row| row.get(0)))
            .await?;
        if found == "ok" { Ok(()) } else { Err(JournalError::Damaged { what: found, source: None }) }
    }

    pub(super) fn open_with(options: SqliteOptions) -> Result<Self, JournalError> {
        let opening = format!("opening {}", options.path.display());
        let broken = |error: format::Trouble| match error {
            format::Trouble::Ours(error) => error,
            format::Trouble::Sqlite(error) => fault(&opening, &Arc::new(error)),
        };
        let sql = connect(&options).map_err(|error| broken(error.into()))?;
        // SQLite opens for reading what it may not write, and would say so only at the first write.
        if !options.read_only && sql.is_readonly("main").map_err(|error| broken(error.into()))? {
            return Err(JournalError::ReadOnly(options.path.display().to_string()));
        }
        let found = format::look(&sql).map_err(broken)?;
        let writer = if options.read_only {
            if found == Found::Empty {
                return Err(JournalError::NotAJournal(format!("{} is empty", options.path.display())));
            }
            None
        } else {
            prepare(&sql, &options).map_err(broken)?;
            Some(sql)
        };
        let readers = (0..options.readers)
            .map(|_| connect(&options).and_then(|sql| sql.pragma_update(None, "query_only", true).map(|()| sql)))
            .collect::<rusqlite::Result<Vec<_>>>()
            .map_err(|error| broken(error.into()))?;

        let unstarted = |error: std::io::Error| JournalError::Unavailable {
            what: "starting the journal's threads".to_owned(),
            source: Some(error.into()),
        };
        let writer = writer
            .map(|sql| Writer::start(sql, Arc::clone(&options.clock), log_of(&options.path), options.busy_timeout))
            .transpose()
            .map_err(unstarted)?;
        let readers = Readers::start(readers).map_err(unstarted)?;
        Ok(Self { readers, writer, clock: options.clock, path: options.path })
    }

    fn writer(&self) -> Result<&Writer, JournalError> {
        self.writer.as_ref().ok_or_else(|| JournalError::ReadOnly("it was opened for inspection".to_owned()))
    }

    /// Asks a question about a run that must exist.
    async fn about<T, Q>(&self, what: &'static str, run: &RunId, question: Q) -> Result<T, JournalError>
    where
        T: Send + 'static,
        Q: FnOnce(&Connection, i64) -> rusqlite::Result<T> + Send + 'static,
    {
        let wanted = run.clone();
        let answer = self
            .readers
            .ask(what, move |sql| match query::find(sql, &wanted)? {
                Some(id) => question(sql, id).map(Some),
                None => Ok(None),
            })
            .await?;
        answer.ok_or_else(|| JournalError::NoSuchRun(run.clone()))
    }
}

/// Opens one connection with the settings that all share.
fn connect(options: &SqliteOptions) -> rusqlite::Result<Connection> {
    let access = match (options.read_only, options.create) {
        (true, _) => OpenFlags::SQLITE_OPEN_READ_ONLY,
        (false, false) => OpenFlags::SQLITE_OPEN_READ_WRITE,
        (false, true) => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
    };
    // Each connection stays on one thread, and a path is a path: no URI is read into it.
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sql = match &options.vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(&options.path, flags, vfs.as_str())?,
        None => Connection::open_with_flags(&options.path, flags)?,
    };
    sql.busy_timeout(options.busy_timeout)?;
    sql.set_prepared_statement_cache_capacity(64);
    Ok(sql)
}

/// Brings the file into shape, and the writing connection with it.
fn prepare(sql: &Connection, options: &SqliteOptions) -> Result<(), format::Trouble> {
    sql.pragma_update(None, "synchronous", options.synchronous.pragma())?;
    // On Apple systems a plain sync leaves the bytes in the drive's cache; elsewhere this changes nothing.
    sql.pragma_update(None, "fullfsync", options.synchronous == Synchronous::Full)?;
    sql.pragma_update(None, "checkpoint_fullfsync", options.synchronous == Synchronous::Full)?;
    write_ahead(sql)?;
    sql.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    // The writer has looked a row's run up before it writes the row.
    sql.pragma_update(None, "foreign_keys", false)?;
    format::migrate(sql, options.clock.wall())?;
    if let Some(bytes) = options.max_bytes {
        let page: i64 = sql.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        let pages = i64::try_from(bytes).unwrap_or(i64::MAX) / page.max(1);
        sql.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
    }
    Ok(())
}

/// Switches the file to a write-ahead log, in which readers and the writer do not wait for each other.
fn write_ahead(sql: &Connection) -> Result<(), format::Trouble> {
    for _ in 0..TRIES {
        match sql.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0)) {
            Ok(mode) if mode.eq_ignore_ascii_case("wal") => return Ok(()),
            Ok(mode) => {
                return Err(format::Trouble::Ours(JournalError::Unavailable {
                    what: format!("the file system allows no write-ahead log (journal mode {mode})"),
                    source: None,
                }));
            }
            // The switch does not wait for others that switch too; taking the write lock does.
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {
                sql.execute_batch("BEGIN IMMEDIATE; COMMIT")?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(format::Trouble::Ours(JournalError::Busy("others keep switching it to a write-ahead log".to_owned())))
}

/// The file of the write-ahead log.
fn log_of(path: &Path) -> PathBuf {
    let mut log = OsString::from(path);
    log.push("-wal");
    log.into()
}

/// The text that is stored for each record.
fn written(records: &[Envelope]) -> Result<Vec<String>, JournalError> {
    let text = |record: &Envelope| {
        String::from_utf8(record.to_bytes())
            .map_err(|_| JournalError::Malformed(format!("record {} is not text", record.position)))
    };
    records.iter().map(text).collect()
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn create(&self, new: NewRun) -> Result<Created, CreateError> {
        record::check_positions(&new.run, 0, &new.records)?;
        let (content, records) = (new.content(), written(&new.records)?);
        let run = new.run.clone();
        self.writer()?.write(Some(&run), move |store| store.create(&new, content, &records)).await
    }

    async fn claim(&self, run: &RunId, owner: &OwnerName, lease: Duration) -> Result<Claim, ClaimError> {
        let (wanted, owner) = (run.clone(), owner.clone());
        self.writer()?.write(Some(run), move |store| store.claim(&wanted, &owner, lease)).await
    }

    async fn renew(&self, owner: &OwnerName, lease: Duration) -> Result<(), JournalError> {
        let owner = owner.clone();
        self.writer()?.write(None, move |store| store.renew(&owner, lease)).await
    }

    async fn release(&self, claim: &Claim) -> Result<(), JournalError> {
        let claimed = claim.clone();
        self.writer()?.write(Some(&claim.run), move |store| store.release(&claimed)).await
    }

    async fn lock(&self, claim: &Claim) -> Result<LockAnswer, AppendError> {
        let claimed = claim.clone();
        self.writer()?.write(Some(&claim.run), move |store| store.lock(&claimed)).await
    }

    async fn append(&self, append: Append) -> Result<Head, AppendError> {
        record::check_positions(&append.claim.run, append.expected, &append.records)?;
        record::check_blobs(&append.blobs)?;
        let run = append.claim.run.clone();
        let written = Written {
            records: written(&append.records)?,
            claim: append.claim,
            expected: append.expected,
            blobs: append.blobs,
            taken: append.taken,
            ends: append.ends,
            waits: append.waits,
        };
        self.writer()?.write(Some(&run), move |store| store.append(&written)).await
    }

    async fn read(&self, run: &RunId, from: u64, at_most: usize) -> Result<Vec<Stored>, JournalError> {
        let read = self.about("reading records", run, move |sql, id| query::read(sql, id, from, at_most)).await?;
        read.map_err(|broken| JournalError::Damaged {
            what: format!("the chain of run {run} is broken"),
            source: Some(broken.into()),
        })
    }

    async fn head(&self, run: &RunId) -> Result<Head, JournalError> {
        self.about("reading a run's head", run, query::head).await
    }

    async fn entry(&self, run: &RunId) -> Result<Option<RunEntry>, JournalError> {
        let run = run.clone();
        self.readers.ask("reading a run's entry", move |sql| query::entry(sql, &run)).await
    }

    async fn list(&self, which: Which, after: Option<&RunId>, at_most: usize) -> Result<Vec<RunEntry>, JournalError> {
        let now = self.clock.wall();
        match after {
            Some(run) => {
                self.about("listing runs", run, move |sql, id| query::list(sql, which, id, at_most, now)).await
            }
            None => self.readers.ask("listing runs", move |sql| query::list(sql, which, 0, at_most, now)).await,
        }
    }

    async fn submit(&self, run: &RunId, input: &OperatorInput) -> Result<Submitted, SubmitError> {
        let (wanted, input) = (run.clone(), input.clone());
        self.writer()?.write(Some(run), move |store| store.submit(&wanted, &input)).await
    }

    async fn inbox(&self, owner: &OwnerName, after: u64, at_most: usize) -> Result<Vec<Waiting>, JournalError> {
        let owner = owner.clone();
        self.readers.ask("reading the inbox", move |sql| query::inbox(sql, &owner, after, at_most)).await
    }

    async fn was_taken(&self, run: &RunId, input: &InputId) -> Result<bool, JournalError> {
        let (run, input) = (run.clone(), input.clone());
        self.readers.ask("looking for an input", move |sql| query::was_taken(sql, &run, &input)).await
    }

    async fn put_blob(&self, bytes: Vec<u8>) -> Result<Digest, JournalError> {
        let digest = Digest::of(&bytes);
        self.writer()?.write(None, move |store| Ok(store.keep_blob(&digest, &bytes).map(|()| digest)?)).await
    }

    async fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, JournalError> {
        let wanted = *digest;
        let found = self.readers.ask("reading a blob", move |sql| query::blob(sql, &wanted)).await?;
        record::check_blob(digest, found)
    }

    async fn save_snapshot(&self, claim: &Claim, snapshot: Snapshot) -> Result<(), AppendError> {
        let claimed = claim.clone();
        self.writer()?.write(Some(&claim.run), move |store| store.save_snapshot(&claimed, &snapshot)).await
    }

    async fn snapshot(&self, run: &RunId) -> Result<Option<Snapshot>, JournalError> {
        self.about("reading a snapshot", run, query::snapshot).await
    }

    async fn now(&self) -> Result<Timestamp, JournalError> {
        Ok(self.clock.wall())
    }
}

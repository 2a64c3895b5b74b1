//! The layout of the file: who it belongs to, which format it has, and the numbered steps from one format to the next.

use rusqlite::Connection;

use crate::digest::Digest;
use crate::journal::JournalError;
use crate::time::Timestamp;

/// `PRAGMA application_id` of a journal: "dplj" in ASCII, so that `file` and people can tell it from other databases.
pub(super) const APPLICATION_ID: i64 = 0x6470_6c6a;

/// The steps from an empty file to the newest format. The number of a step is its place, from 1; `PRAGMA user_version` is the
/// number of the last one taken. A step that was released is never changed, only followed by another.
const MIGRATIONS: [&str; 2] = [include_str!("migrations/1.sql"), include_str!("migrations/2.sql")];

/// The newest format that this build knows.
pub(super) const NEWEST: u32 = MIGRATIONS.len() as u32;

/// What a file is, before anything is written to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// An empty database, to be made a journal.
    Empty,
    /// A journal of this format, which this build can read.
    Format(u32),
}

/// Looks at a file without writing to it.
pub(super) fn look(sql: &Connection) -> Result<Found, Trouble> {
    // In one transaction: while another process makes the file a journal, it is seen as it was before or after.
    let transaction = sql.unchecked_transaction()?;
    let found = look_within(sql)?;
    transaction.commit()?;
    Ok(found)
}

fn look_within(sql: &Connection) -> Result<Found, Trouble> {
    let application: i64 = sql.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let version: i64 = sql.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables: i64 = sql.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, u32::try_from(version), tables) {
        (0, Ok(0), 0) => Ok(Found::Empty),
        (APPLICATION_ID, Ok(found), _) if found > NEWEST => {
            Err(Trouble::Ours(JournalError::FutureFormat { found, known: NEWEST }))
        }
        (APPLICATION_ID, Ok(found), _) if found > 0 => Ok(Found::Format(found)),
        _ => Err(Trouble::Ours(JournalError::NotAJournal(format!(
            "a database of another application (application_id {application}, {tables} tables)"
        )))),
    }
}

/// Takes the steps that the file still lacks, all in one transaction. Of several processes that try, one does it.
pub(super) fn migrate(sql: &Connection, now: Timestamp) -> Result<(), Trouble> {
    sql.execute_batch("BEGIN IMMEDIATE")?;
    let migrated = migrate_within(sql, now);
    if migrated.is_ok() {
        sql.execute_batch("COMMIT")?;
    } else if !sql.is_autocommit() {
        sql.execute_batch("ROLLBACK")?;
    }
    migrated
}

fn migrate_within(sql: &Connection, now: Timestamp) -> Result<(), Trouble> {
    // Another process may have been quicker since the file was looked at.
    let done = match look_within(sql)? {
        Found::Empty => 0,
        Found::Format(found) => found,
    };
    for (number, step) in (1_u32..).zip(MIGRATIONS) {
        let checksum = Digest::of(step.as_bytes()).to_string();
        if number > done {
            sql.execute_batch(step)?;
            sql.execute(
                "INSERT INTO migrations (number, checksum, applied) VALUES (?1, ?2, ?3)",
                (number, &checksum, now.0),
            )?;
            sql.pragma_update(None, "user_version", number)?;
        } else {
            let kept: String =
                sql.query_row("SELECT checksum FROM migrations WHERE number = ?1", [number], |row| row.get(0))?;
            if kept != checksum {
                return Err(Trouble::Ours(JournalError::NotAJournal(format!(
                    "format {number} was laid out by another build ({kept}, and this build has {checksum})"
                ))));
            }
        }
    }
    if done == 0 {
        sql.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    Ok(())
}

/// Why a file could not be looked at or migrated.
#[derive(Debug)]
pub(super) enum Trouble {
    Ours(JournalError),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

//! What SQLite's errors mean to a journal.

use std::error::Error;
use std::sync::Arc;

use rusqlite::ErrorCode;

use crate::journal::{AppendError, ClaimError, CreateError, JournalError, SubmitError};
use crate::name::RunId;

/// A piece of work in a transaction that did not come to its end.
#[derive(Debug)]
pub(super) enum Trouble<E> {
    /// The journal's own rules refused it before anything was written; the transaction goes on without it.
    Refused(E),
    /// SQLite failed; the transaction is rolled back.
    Failed(rusqlite::Error),
}

impl<E> From<rusqlite::Error> for Trouble<E> {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}

/// The error of an operation, which can also say that the outcome is unknown.
pub(super) trait Refusal: From<JournalError> + Send + 'static {
    fn unknown(run: Option<&RunId>, source: Option<Box<dyn Error + Send + Sync>>) -> Self {
        let of = run.map_or_else(String::new, |run| format!(" for run {run}"));
        let what = format!("it is not known whether this was written{of}");
        Self::from(JournalError::Unavailable { what, source })
    }
}

impl Refusal for JournalError {}
impl Refusal for CreateError {}
impl Refusal for ClaimError {}
impl Refusal for SubmitError {}
impl Refusal for AppendError {
    fn unknown(run: Option<&RunId>, source: Option<Box<dyn Error + Send + Sync>>) -> Self {
        match run {
            Some(run) => Self::Unknown { run: run.clone(), source },
            None => JournalError::unknown(None, source).into(),
        }
    }
}

/// Says in the journal's words what SQLite reported. One failure can concern many callers, hence the shared error.
pub(super) fn fault(what: &str, error: &Arc<rusqlite::Error>) -> JournalError {
    let source: Option<Box<dyn Error + Send + Sync>> = Some(Box::new(Arc::clone(error)));
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => JournalError::Full(format!("{what}: {error}")),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
            JournalError::Busy(format!("{what}: {error}"))
        }
        Some(ErrorCode::ReadOnly) => JournalError::ReadOnly(format!("{what}: {error}")),
        Some(ErrorCode::NotADatabase) => JournalError::NotAJournal(format!("{what}: {error}")),
        Some(ErrorCode::DatabaseCorrupt) => JournalError::Damaged { what: what.to_owned(), source },
        Some(_) => JournalError::Unavailable { what: what.to_owned(), source },
        None => match **error {
            // A value that cannot be what the journal wrote, or a row that it wrote and that is missing.
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::QueryReturnedNoRows
            | rusqlite::Error::Utf8Error(..) => JournalError::Damaged { what: what.to_owned(), source },
            _ => JournalError::Unavailable { what: what.to_owned(), source },
        },
    }
}

/// Whether a failed commit may yet be found after a crash: its last frame may have been written, and only the sync failed.
pub(super) fn leaves_unknown(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
}

//! What a migration asks of a database.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// A database that takes migrations.
///
/// # Contract for implementors
///
/// - A [`MigrationWork`] is one transaction: all of its scripts and their entries in the table of migrations, or nothing.
/// - One migration at a time: whoever comes second waits at most for the lock timeout, and so does every statement that waits for
///   somebody else's lock.
/// - The table of migrations is made where it is not there yet.
#[async_trait]
pub trait Database: Debug + Send + Sync + 'static {
    /// What it is called, without secrets.
    fn name(&self) -> String;

    /// The entries of the table of migrations, in the order in which they were made.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`].
    async fn applied(&self) -> Result<Vec<AppliedMigration>, DatabaseError>;

    /// Does the work as one transaction; with [`MigrationWork::rehearse`] it is rolled back in the end.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`]; of all but [`DatabaseError::Broken`] it is certain that nothing was changed.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the transaction is rolled back, unless it was being committed: then the table of migrations tells.
    async fn transact(&self, work: &MigrationWork) -> Result<(), DatabaseError>;
}

/// An entry of the table of migrations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedMigration {
    /// Which.
    pub name: String,
    /// The digest of its script when it was applied.
    pub checksum: String,
    /// Which run and step applied it.
    pub change: String,
}

/// One transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationWork {
    /// What is done, in this order.
    pub scripts: Vec<MigrationScript>,
    /// How long it may wait for a lock.
    pub lock_timeout: Duration,
    /// How long one script may take.
    pub script_timeout: Duration,
    /// Whether it is rolled back in the end, even if all went well.
    pub rehearse: bool,
}

/// A script, and what the table of migrations says after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationScript {
    /// SQL, of any number of statements, none of which begins or ends a transaction.
    pub sql: String,
    /// A query of one number: how many rows would be lost. Unless it answers 0, nothing is done.
    pub loses: Option<String>,
    /// The entry that it makes or takes away.
    pub entry: AppliedMigration,
    /// Whether it takes the entry away.
    pub reverts: bool,
}

/// What a database did not do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// Nobody answers: try again later.
    #[error("{database} cannot be reached: {reason}")]
    Unreachable {
        /// Which.
        database: String,
        /// The client's words.
        reason: String,
    },
    /// Somebody else held a lock for too long: nothing was changed, and it may be tried again when less is going on.
    #[error("{database} is in use: a lock was not had in time, and nothing was changed: {reason}")]
    Locked {
        /// Which.
        database: String,
        /// The database's words.
        reason: String,
    },
    /// Rows would have been lost: nothing was changed.
    #[error("{database}: {migration} would lose {rows} rows, and nothing was changed")]
    WouldLose {
        /// Which database.
        database: String,
        /// Which migration.
        migration: String,
        /// How many rows.
        rows: u64,
    },
    /// The database refused the script: nothing was changed.
    #[error("{database} refused it, and nothing was changed: {reason}")]
    Refused {
        /// Which.
        database: String,
        /// The database's words.
        reason: String,
    },
    /// The connection broke or was given up: whether it was committed, the table of migrations tells.
    #[error("{database}: it is not known whether it was committed: {reason}")]
    Broken {
        /// Which.
        database: String,
        /// The client's words.
        reason: String,
    },
}

//! Facts of backups: pgBackRest, restic.

use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::evidence::{Doubt, Pointer, Sourced};

/// What a backup program says about its backups.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BackupFacts {
    /// The program: `pgbackrest` or `restic`.
    pub tool: String,
    /// The repositories or stanzas.
    pub stores: Vec<BackupStore>,
    /// The backups, oldest first.
    pub backups: Vec<Backup>,
    /// What a check of the repository said, if one was made.
    pub check: Option<BackupCheck>,
    /// Restores that were tried. A backup that was never restored is a hope.
    pub restores: Vec<RestoreTest>,
    /// What keeps it from being taken at its word.
    pub doubts: Vec<Doubt>,
}

impl BackupFacts {
    /// The newest backup that ended without an error.
    #[must_use]
    pub fn newest_good(&self) -> Option<&Backup> {
        let good = self.backups.iter().filter(|backup| !backup.failed);
        good.max_by_key(|backup| backup.finished.as_ref().or(backup.started.as_ref()).map(|at| at.value))
    }
}

/// A repository or stanza.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BackupStore {
    /// Its name.
    pub name: String,
    /// What it says about itself: 0 is good.
    pub code: Option<Sourced<i64>>,
    /// The same for people.
    pub message: String,
}

/// A backup.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Backup {
    /// The repository or stanza in which it lies.
    pub store: String,
    /// What it is called.
    pub label: String,
    /// `full`, `diff` or `incr` for pgBackRest, `snapshot` for restic.
    pub kind: String,
    /// When it began. Changes after this are not in it for certain.
    pub started: Option<Sourced<Timestamp>>,
    /// When it ended; restic's snapshots do not say.
    pub finished: Option<Sourced<Timestamp>>,
    /// Whether something was wrong with it.
    pub failed: bool,
    /// How many bytes were backed up, if it says.
    pub bytes: Option<Sourced<u64>>,
    /// Where the write-ahead log stood when it began and ended.
    pub log_range: Option<(String, String)>,
    /// The backups that it needs.
    pub needs: Vec<String>,
    /// What was backed up: paths or databases.
    pub contents: Vec<String>,
    /// Where it stands.
    pub at: Pointer,
}

/// What a check of a repository said.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BackupCheck {
    /// Whether the repository is sound.
    pub sound: bool,
    /// The program's exit code.
    pub exit_code: i32,
    /// What that means.
    pub meaning: String,
}

/// A restore that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RestoreTest {
    /// The backup.
    pub label: String,
    /// When.
    pub at: Timestamp,
    /// Whether what came back was what was wanted.
    pub verified: bool,
}

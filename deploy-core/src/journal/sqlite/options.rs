//! How a SQLite journal is opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::SqliteJournal;
use crate::journal::JournalError;
use crate::time::{Clock, SystemClock};

/// When SQLite waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Synchronous {
    /// Each commit waits until its bytes are on the disk. The default, because the engine starts an effect on the word of an
    /// append: an acknowledged record that a power cut takes away is an effect that nobody remembers.
    #[default]
    Full,
    /// Commits wait for nothing; only checkpoints do. A power cut takes away the last commits, and the journal stays
    /// consistent. A crash of the process alone takes nothing. For rehearsals and for stores that can be rebuilt.
    Normal,
    /// Nothing waits. A power cut may damage the whole file. For tests.
    Off,
}

impl Synchronous {
    pub(super) fn pragma(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Normal => "NORMAL",
            Self::Off => "OFF",
        }
    }
}

/// How a SQLite journal is opened: start from [`SqliteOptions::new`], change what you need, then [`open`](Self::open).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use deploy_core::journal::SqliteOptions;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("journal.db");
/// let journal = SqliteOptions::new(&path).busy_timeout(Duration::from_secs(1)).open()?;
/// # drop(journal);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    pub(super) path: PathBuf,
    pub(super) synchronous: Synchronous,
    pub(super) busy_timeout: Duration,
    pub(super) read_only: bool,
    pub(super) create: bool,
    pub(super) readers: usize,
    pub(super) max_bytes: Option<u64>,
    pub(super) vfs: Option<String>,
    pub(super) clock: Arc<dyn Clock>,
}

impl SqliteOptions {
    /// The defaults for the file at `path`: created if it is missing, written at [`Synchronous::Full`].
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            synchronous: Synchronous::Full,
            busy_timeout: Duration::from_secs(5),
            read_only: false,
            create: true,
            readers: 2,
            max_bytes: None,
            vfs: None,
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// When a commit waits for the disk. Default: [`Synchronous::Full`].
    #[must_use]
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// How long to wait for another process that is writing before [`JournalError::Busy`] is returned. Default: 5 seconds,
    /// many times what a transaction takes, and well below a usual lease.
    #[must_use]
    pub fn busy_timeout(mut self, span: Duration) -> Self {
        self.busy_timeout = span;
        self
    }

    /// Opens the file for inspection: whatever writes is refused with [`JournalError::ReadOnly`].
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Refuses a path at which there is no file, where a mistyped path must not become an empty journal.
    #[must_use]
    pub fn must_exist(mut self) -> Self {
        self.create = false;
        self
    }

    /// How many threads read. Default: 2, so that one long page of records does not hold up a short question. At least 1.
    #[must_use]
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers.max(1);
        self
    }

    /// Limits the database to so many bytes, rounded down to whole pages; beyond it, [`JournalError::Full`]. Default: the
    /// disk is the limit.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// The name of the SQLite file system to use, for hosts that have registered their own. Default: SQLite's default for
    /// the platform.
    #[must_use]
    pub fn vfs(mut self, name: impl Into<String>) -> Self {
        self.vfs = Some(name.into());
        self
    }

    /// The clock that leases are measured by. Processes that share a file need clocks that agree to within the margin of
    /// their leases. Default: the system's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Opens the journal, and creates or migrates the file where that is needed.
    ///
    /// It reads and writes the file on the calling thread, up to the busy timeout where another process holds it: open it
    /// before the runtime starts to serve, or on a thread that may block.
    ///
    /// # Errors
    ///
    /// [`JournalError::NotAJournal`] and [`JournalError::FutureFormat`] if the file is not ours to write,
    /// [`JournalError::Damaged`] if it is broken, [`JournalError::Busy`] if another process keeps it locked,
    /// [`JournalError::ReadOnly`] if it may not be written, and [`JournalError::Unavailable`] if it cannot be opened.
    pub fn open(self) -> Result<SqliteJournal, JournalError> {
        SqliteJournal::open_with(self)
    }
}

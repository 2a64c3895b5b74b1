//! The journal file: where it lies, and how it is opened.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use deploy_core::journal::{Journal, JournalError, SqliteOptions};

use crate::Failure;
use crate::code::Code;
use crate::trouble::Trouble;

/// A journal in a file, which several processes may have open at the same time: one drives a run, others watch and steer it.
#[derive(Debug, Clone)]
pub(crate) struct JournalFile {
    path: PathBuf,
}

impl JournalFile {
    pub(crate) fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder it lies in: what belongs to its runs lies there too.
    pub(crate) fn folder(&self) -> Result<PathBuf, Failure> {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = parent.unwrap_or_else(|| Path::new("."));
        folder.canonicalize().map_err(|error| {
            Trouble::usage(format!("the folder {} of the journal cannot be used: {error}", folder.display()))
        })
    }

    /// Opens it to drive runs. It is made, with its folder, if it is not there.
    pub(crate) fn make(&self) -> Result<Arc<dyn Journal>, Failure> {
        if let Some(parent) = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(|error| {
                Trouble::usage(format!("the folder {} of the journal cannot be made: {error}", parent.display()))
            })?;
        }
        self.opened(SqliteOptions::new(&self.path))
    }

    /// Opens it to say something to a run.
    pub(crate) fn open(&self) -> Result<Arc<dyn Journal>, Failure> {
        self.is_there()?;
        self.opened(SqliteOptions::new(&self.path).must_exist())
    }

    /// Opens it to look at runs; nothing of it is changed.
    pub(crate) fn read(&self) -> Result<Arc<dyn Journal>, Failure> {
        self.is_there()?;
        self.opened(SqliteOptions::new(&self.path).must_exist().read_only())
    }

    fn is_there(&self) -> Result<(), Failure> {
        if self.path.exists() {
            return Ok(());
        }
        Err(Trouble::usage(format!(
            "there is no journal at {}; `deployctl run` makes one, or name another with --journal",
            self.path.display()
        )))
    }

    fn opened(&self, options: SqliteOptions) -> Result<Arc<dyn Journal>, Failure> {
        match options.open() {
            Ok(journal) => Ok(Arc::new(journal)),
            Err(error) => {
                let code = match &error {
                    JournalError::NotAJournal(_) | JournalError::ReadOnly(_) => Code::Usage,
                    JournalError::Damaged { .. } => Code::Failed,
                    _ => Code::Unavailable,
                };
                let cause = deploy_core::report::chain(&error);
                Err(Trouble::ends(code, format!("the journal {} cannot be opened: {cause}", self.path.display())))
            }
        }
    }
}

//! What every command can be told.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::Failure;
use crate::journal::JournalFile;
use crate::trouble::Trouble;

/// What every command can be told.
#[derive(Debug, Clone, Args)]
pub(crate) struct Shared {
    /// The file with the records of all runs. Default: `journal.sqlite` in the folder that `DEPLOYCTL_STATE` names, else in
    /// `deployctl` under `XDG_STATE_HOME`, else in `~/.local/state/deployctl`. Only you can read what is made there.
    #[arg(long, global = true, value_name = "FILE")]
    journal: Option<PathBuf>,

    /// Print one JSON object a line, each with its `kind`, instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Shared {
    /// The journal that is meant, whether it is there or not.
    pub(crate) fn journal(&self) -> Result<JournalFile, Failure> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(path) = &self.journal {
            return Ok(JournalFile::at(path));
        }
        let folder = variable("DEPLOYCTL_STATE")
            .or_else(|| variable("XDG_STATE_HOME").map(|state| state.join("deployctl")))
            .or_else(|| variable("HOME").map(|home| home.join(Path::new(".local/state/deployctl"))));
        let folder = folder
            .ok_or_else(|| Trouble::usage("there is no home folder to keep the journal in; give --journal FILE"))?;
        Ok(JournalFile::at(&folder.join("journal.sqlite")))
    }
}

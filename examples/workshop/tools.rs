//! Which programs are on this machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::Failure;

/// The programs that make reports, as far as they are here.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    without: Vec<String>,
}

impl Tools {
    pub(crate) fn new(without: &[String]) -> Self {
        Self { without: without.to_vec() }
    }

    /// Where a program is, if it is here.
    pub(crate) fn find(&self, program: &str) -> Option<PathBuf> {
        if self.without.iter().any(|name| name == program) {
            return None;
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Debian keeps some of them where a user's path does not lead.
        let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
        folders.map(|folder| folder.join(program)).find(|file| file.is_file())
    }

    /// Cargo, the one that runs this example.
    pub(crate) fn cargo() -> PathBuf {
        std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
    }
}

/// What a program wrote and how it ended.
pub(crate) fn run(command: &mut Command) -> Result<Output, Failure> {
    command.stdin(Stdio::null());
    command.output().map_err(|error| format!("{}: {error}", shown(command)).into())
}

/// What a program wrote, if it ended well.
pub(crate) fn succeed(command: &mut Command) -> Result<Vec<u8>, Failure> {
    let said = run(command)?;
    if said.status.success() {
        return Ok(said.stdout);
    }
    let text = String::from_utf8_lossy(&said.stderr);
    let last: Vec<&str> = text.lines().rev().take(5).collect();
    Err(format!("{} ended with {}: {}", shown(command), said.status, last.join(" | ")).into())
}

/// A file, or an error that names it.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()).into())
}

fn shown(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let words = command.get_args().take(3).map(|word| word.to_string_lossy().into_owned());
    std::iter::once(name).chain(words).collect::<Vec<_>>().join(" ")
}

//! Where something stands.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::outcome::Failure;

/// A place in a file; lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: Arc<Path>,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Place {
    pub(crate) fn new(file: &Arc<Path>, (line, column): (usize, usize)) -> Self {
        Self { file: Arc::clone(file), line, column }
    }

    /// What is wrong here.
    pub(crate) fn wrong(&self, what: impl Into<String>) -> Failure {
        Failure::Malformed { path: self.file.to_path_buf(), line: self.line, column: self.column, wrong: what.into() }
    }

    /// Line and column of the byte of a text that is so far from its beginning.
    pub(crate) fn of_byte(text: &[u8], offset: usize) -> (usize, usize) {
        let before = String::from_utf8_lossy(&text[..offset]);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

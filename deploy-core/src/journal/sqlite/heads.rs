//! What the writer remembers of the runs that it wrote to last, so that an append reads nothing.

use std::collections::HashMap;

use crate::journal::Head;
use crate::name::RunId;

/// How many runs are remembered. Beyond that all are forgotten, which costs each two index look-ups.
const MOST: usize = 4096;

/// A run as the last transaction left it.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) id: i64,
    pub(super) epoch: u64,
    pub(super) head: Head,
    pub(super) waits: Option<String>,
}

/// Valid as long as nobody else commits: the writer compares `PRAGMA data_version` at the start of each transaction.
#[derive(Debug, Default)]
pub(super) struct Heads {
    known: HashMap<RunId, Known>,
    data_version: i64,
}

impl Heads {
    /// Forgets everything if another connection has committed since `data_version` was seen last.
    pub(super) fn seen(&mut self, data_version: i64) {
        if self.data_version != data_version {
            self.known.clear();
            self.data_version = data_version;
        }
    }

    pub(super) fn get(&self, run: &RunId) -> Option<&Known> {
        self.known.get(run)
    }

    pub(super) fn put(&mut self, run: &RunId, known: Known) {
        if self.known.len() >= MOST {
            self.known.clear();
        }
        self.known.insert(run.clone(), known);
    }

    pub(super) fn forget(&mut self, run: &RunId) {
        self.known.remove(run);
    }

    pub(super) fn clear(&mut self) {
        self.known.clear();
    }
}

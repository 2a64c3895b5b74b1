//! How much a reader takes before it refuses.

use serde::{Deserialize, Serialize};

/// How much a reader takes before it refuses. Every reader takes the same.
///
/// The memory of a reader is bounded by these: measured were at most 550 bytes for each thing (a million empty results of SARIF, 2 MiB
/// of input, 501 MiB in memory). An honest report takes a few times its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// The longest input, in bytes. Default 32 MiB: reports of real projects with ten thousand tests stay below 10 MiB.
    pub bytes: usize,
    /// How deep elements, objects and arrays may stand in each other. Default 64: no format here needs more than 20.
    pub depth: usize,
    /// How many things an input may hold: values, elements, attributes, lines, entries. Default one million.
    pub things: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 32 * 1024 * 1024, depth: 64, things: 1_000_000 }
    }
}

impl Limits {
    /// The same limits with another number of bytes.
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// The same limits with another depth. More than 120 is taken as 120: beyond it the stack is not safe.
    #[must_use]
    pub fn depth(mut self, depth: usize) -> Self {
        self.depth = depth.min(120);
        self
    }

    /// The same limits with another number of things.
    #[must_use]
    pub fn things(mut self, things: usize) -> Self {
        self.things = things;
        self
    }
}

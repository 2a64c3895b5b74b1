//! How a simulated run went, or why it could not go on.

use std::collections::BTreeSet;

use super::driver::TURNS_AT_MOST;
use super::world::World;
use crate::digest::Digest;
use crate::effect::EffectKey;
use crate::machine::{IllegalInput, Machine, Outcome, RecordError};
use crate::time::RunTime;

/// How a simulated run went.
#[derive(Debug, Clone)]
pub struct Finished {
    /// How it ended; nothing if it waits for a person.
    pub outcome: Option<Outcome>,
    /// Its records, as they were stored.
    pub records: Vec<Vec<u8>>,
    /// The world afterwards, with every effect counted.
    pub world: World,
    /// When it was over.
    pub at: RunTime,
    /// How often its driver stopped.
    pub stops: u32,
    /// The machine as it was at the end.
    pub machine: Machine,
}

impl Finished {
    /// One digest over every stored byte: the same seed gives the same.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.records.iter().fold(Digest::ZERO, |chain, record| chain.then(record))
    }

    /// Every effect that happened. With the outcome, this is what any driver must agree on, given the same plan and the same
    /// results.
    #[must_use]
    pub fn effect_keys(&self) -> BTreeSet<EffectKey> {
        self.world.effects.iter().filter(|(_, c)| c.happened > 0).map(|(key, _)| key.clone()).collect()
    }
}

/// A simulation that could not go on: a fault of the engine, since the world does nothing that it may not do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulationError {
    /// It goes round for ever: the records show where.
    #[error("the run took more than {TURNS_AT_MOST} turns; its newest records: {0}")]
    Endless(String),
    /// Nothing is under way and nothing is due, yet it has not ended and asks nobody.
    #[error("the run is stuck at {0}: nothing is under way, nothing is due, and nobody is asked")]
    Stuck(RunTime),
    /// The driver told the machine what it holds impossible.
    #[error(transparent)]
    Illegal(#[from] IllegalInput),
    /// A stored record does not read back.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A stored record is no envelope.
    #[error(transparent)]
    Journal(#[from] crate::journal::JournalError),
    /// A record could not be written.
    #[error("a record could not be written")]
    Write(#[from] serde_json::Error),
    /// A rebuild from the stored records is not what was live.
    #[error("rebuilt from its {records} records, the run is not what it was")]
    Differs {
        /// How many records there were.
        records: usize,
    },
}

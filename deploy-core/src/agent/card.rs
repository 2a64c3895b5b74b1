//! Who an agent is and what it may be asked.

use serde::{Deserialize, Serialize};

use crate::deliverable::{Deliverable, DeliverableKey, Slot};
use crate::name::BlockName;

/// Who an agent is, what it needs and provides, whether its work may be repeated.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AgentCard {
    /// How plans and records name it.
    pub name: BlockName,
    /// Its contract version: a run recorded under a version that is not in `accepts` waits for a host that has it.
    pub version: u32,
    /// The oldest recorded contract version that this build still honours.
    pub accepts: u32,
    /// What it answers for, in a sentence.
    pub responsibility: String,
    /// Deliverables that it reads.
    pub needs: Vec<DeliverableKey>,
    /// Deliverables that it hands over when it is done.
    pub provides: Vec<DeliverableKey>,
    /// Whether an attempt whose outcome nobody can tell may be made again with the same key.
    pub repeatable: Repeatable,
}

/// Whether work may be repeated with the same effect key when nobody can tell what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeatable {
    /// Repeating it with the same key has no further effect: it is tried again.
    Yes,
    /// It must not be done twice: the run parks and a person settles it. The default, because it loses nothing.
    #[default]
    No,
}

impl AgentCard {
    /// A card of contract version 1 that needs and provides nothing and must not be repeated blindly.
    #[must_use]
    pub fn new(name: BlockName, responsibility: impl Into<String>) -> Self {
        Self {
            name,
            version: 1,
            accepts: 1,
            responsibility: responsibility.into(),
            needs: Vec::new(),
            provides: Vec::new(),
            repeatable: Repeatable::No,
        }
    }

    /// The same card; its work may be repeated with the same key.
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.repeatable = Repeatable::Yes;
        self
    }

    /// The same card with one more thing that it reads.
    #[must_use]
    pub fn needs<D: Deliverable>(mut self, slot: Slot<D>) -> Self {
        self.needs.push(slot.key());
        self
    }

    /// The same card with one more thing that it hands over.
    #[must_use]
    pub fn provides<D: Deliverable>(mut self, slot: Slot<D>) -> Self {
        self.provides.push(slot.key());
        self
    }

    /// The same card at another contract version, honouring recorded runs back to `accepts`.
    #[must_use]
    pub fn version(mut self, version: u32, accepts: u32) -> Self {
        self.version = version;
        self.accepts = accepts;
        self
    }
}

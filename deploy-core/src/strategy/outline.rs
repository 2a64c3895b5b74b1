//! The stages as they stand before anything happens.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The stages of a strategy as they stand before anything happens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Outline {
    /// In order.
    pub stages: Vec<OutlineStage>,
    /// On what the times rest, in a sentence.
    pub basis: String,
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OutlineStage {
    /// What it is called.
    pub name: String,
    /// How much traffic the new revision gets, in percent; absent where nothing is routed.
    pub percent: Option<u32>,
    /// How long it takes at least.
    #[serde(with = "crate::time::duration_ms")]
    pub at_least: Duration,
    /// What it waits for, in a sentence; empty if for nothing.
    pub waits_for: String,
}

impl Outline {
    /// How long it takes at least; waits for people not counted.
    #[must_use]
    pub fn at_least(&self) -> Duration {
        self.stages.iter().map(|s| s.at_least).sum()
    }
}

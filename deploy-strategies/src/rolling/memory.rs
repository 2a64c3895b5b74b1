//! What a rolling update asks to be shown again.

use std::time::Duration;

use deploy_core::time::millis;
use serde::{Deserialize, Serialize};

use crate::analysis::AnalysisState;
use crate::hold::Held;
use crate::watch::Watch;

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Remembered {
    pub(super) batch: u32,
    pub(super) watch: Watch,
    pub(super) new: Healthy,
    /// The wanted number at the last look; zero before the first.
    pub(super) size: u32,
    pub(super) held: Held,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) full: bool,
    /// Of this batch's analyses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) inline: Vec<AnalysisState>,
    /// Of those over all batches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) background: Vec<AnalysisState>,
    /// Of the way back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) back: Option<Back>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_false(b: &bool) -> bool {
    !*b
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Back {
    pub(super) watch: Watch,
    pub(super) stable: Healthy,
}

/// How many instances have been ready for long enough. A place only tells how many are ready, so a number counts once it has
/// stood for the whole span; a smaller one counts at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Healthy {
    count: u32,
    coming: u32,
    /// For how long `coming` has stood; milliseconds.
    stood: u64,
}

impl Healthy {
    /// Those that were ready before anybody looked count.
    pub(super) fn already(ready: u32) -> Self {
        Self { count: ready, coming: ready, stood: 0 }
    }

    pub(super) fn see(&mut self, ready: u32, tick: Duration, min_healthy: Duration) -> u32 {
        self.count = self.count.min(ready);
        if self.coming <= self.count {
            // Nothing was on its way: what is there now begins to stand.
            (self.coming, self.stood) = (ready, 0);
        } else if ready < self.coming {
            (self.coming, self.stood) = (ready, 0);
        } else {
            self.stood = self.stood.saturating_add(millis(tick));
        }
        if Duration::from_millis(self.stood) >= min_healthy && self.coming > self.count {
            self.count = self.coming;
            (self.coming, self.stood) = (ready, 0);
        }
        if min_healthy.is_zero() {
            (self.count, self.coming) = (ready, ready);
        }
        self.count
    }
}

impl Remembered {
    pub(super) fn enter(&mut self, batch: u32) {
        self.batch = batch;
        self.watch = Watch::next_stage();
        self.held = Held::default();
        self.inline = Vec::new();
    }
}

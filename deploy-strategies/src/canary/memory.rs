//! What a canary asks to be shown again.

use deploy_core::strategy::Memory;
use serde::{Deserialize, Serialize};

use crate::analysis::AnalysisState;
use crate::handover::Handover;
use crate::hold::Held;
use crate::retreat::Retreat;
use crate::watch::Watch;

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Remembered {
    /// Which step; as many as there are steps: the handover.
    pub(super) step: u32,
    /// Whether an operator skipped every further step.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) full: bool,
    pub(super) watch: Watch,
    pub(super) held: Held,
    /// How long the handover has waited for measurements; milliseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) unmeasured: u64,
    /// Of this step's analyses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) inline: Vec<AnalysisState>,
    /// Of those in the background.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) background: Vec<AnalysisState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) handover: Option<Handover>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retreat: Option<Retreat>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_false(b: &bool) -> bool {
    !*b
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Remembered {
    /// What was remembered; a beginning if there is nothing, or nothing that can be read: then the steps start anew, which
    /// never raises traffic.
    pub(super) fn of(memory: &Memory) -> Self {
        memory.read().ok().flatten().unwrap_or_default()
    }

    /// Begins another step.
    pub(super) fn enter(&mut self, step: u32) {
        self.step = step;
        self.watch = Watch::next_stage();
        (self.held, self.unmeasured) = (Held::default(), 0);
        self.inline = Vec::new();
    }
}

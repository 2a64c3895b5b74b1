//! What a canary asks to be shown again.

use deploy_core::strategy::Memory;
use serde::{Deserialize, Serialize};

use crate::analysis::AnalysisState;
use crate::handover::Handover;
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
    /// How long nothing has been measured that could be judged; milliseconds.
    pub(super) unmeasured: u64,
    /// For how long the step has been observed in place; milliseconds.
    pub(super) soaked: u64,
    /// Whether it was in place at the last look.
    pub(super) in_place: bool,
    /// Whether an operator went past the soak and the analysis of this step.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) accepted: bool,
    /// Whether the last look asked the person whom the step names.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) asked: bool,
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
        (self.soaked, self.unmeasured, self.in_place) = (0, 0, false);
        (self.accepted, self.asked) = (false, false);
        self.inline = Vec::new();
    }
}

//! Counts what users meet of the new revision before it is proven.

use std::time::Duration;

use deploy_core::strategy::{Decision, Exposure, Next, Situation};
use deploy_core::target::TargetState;
use deploy_core::time::RunTime;
use serde::{Deserialize, Serialize};

/// What is remembered of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Met {
    /// All of it so far.
    #[serde(skip_serializing_if = "Exposure::is_none")]
    pub(crate) met: Exposure,
    /// When it was last looked: what nobody watched, users met all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<RunTime>,
    /// Whether a judge, or the last of its steps, has called the revision good: nothing is counted from then on.
    #[serde(skip_serializing_if = "is_false")]
    proven: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_false(b: &bool) -> bool {
    !*b
}

impl Met {
    /// Counts the time since the last look, in which users met `part` of `whole`.
    pub(crate) fn look(&mut self, s: &Situation<'_>, (part, whole): (u32, u32)) {
        let since = self.seen.replace(s.now).map_or(Duration::ZERO, |seen| s.now.since(seen));
        if !self.proven {
            self.met = self.met.and(Exposure::of(part, whole, since));
        }
    }

    /// Writes the figure into a decision, and into its last word.
    pub(crate) fn tell(&mut self, decision: &mut Decision, proven: bool) {
        self.proven = proven;
        decision.exposure = self.met;
        if matches!(decision.next, Next::Complete | Next::RollBack) && !self.met.is_none() {
            decision.reason.sentence.push_str(&format!("; before it was proven users met {}", self.met));
        }
    }
}

/// The part of the users that meets the new revision now and did not before, of the whole: by its weight, where nothing is routed by
/// its share of the ready instances. Nobody on a first install, where there is nothing better that they could meet.
pub(crate) fn share(s: &Situation<'_>) -> (u32, u32) {
    let new = &s.release.revision;
    let part = |state: &TargetState| {
        if state.max_weight > 0 {
            return (state.weight(new), state.max_weight);
        }
        (state.revision(new).ready, state.revisions.values().map(|r| r.ready).sum())
    };
    let (before, all_before) = part(s.from);
    let others = s.from.revisions.iter().any(|(name, r)| name != new && r.desired > 0);
    if !others || (before > 0 && before == all_before) {
        return (0, 0);
    }
    part(s.observed)
}

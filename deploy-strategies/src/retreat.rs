//! The way back: traffic to the stable side as fast as it can carry it, then the new side goes.

use std::time::Duration;

use deploy_core::strategy::{Decision, Exposure, Memory, Next, Reason, ReasonCode, Stage};
use deploy_core::target::DesiredState;
use deploy_core::time::{Spell, millis};
use serde::{Deserialize, Serialize};

use crate::field::{Field, without_zeros};
use crate::watch::Watch;

/// How much more than its usual share a stable instance may carry while traffic comes back to it. Two: where half of the
/// stable side is ready it takes everything at once, since a double load for a short time does less harm than a revision
/// that failed; under that, a double load on each is the most that is risked before more of them are ready.
const OVERLOAD: u64 = 2;

/// What is remembered of a retreat.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Retreat {
    #[serde(default)]
    watch: Watch,
    /// For how long the stable side has carried everything; milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quiet: Option<u64>,
}

impl Retreat {
    /// Goes on back. `delay` is how long the new side is kept once it gets no traffic. `remember` writes the memory that
    /// the next look gets.
    pub(crate) fn decide(
        &mut self,
        field: &Field<'_>,
        delay: Duration,
        remember: impl FnOnce(&Self) -> Memory,
    ) -> Decision {
        let Some(stable) = field.stable else {
            // Nothing served before, or the new revision itself did: there is nobody to hand traffic back to.
            return field.s.restore();
        };
        let tick = self.watch.tick(field.s);
        let goal = goal(field, stable);
        let weights = weights(field, stable);
        // Where nothing is routed every instance serves, so none goes before the stable side is whole again.
        let whole_again = field.whole() > 0 || field.stable_now().ready >= field.stable_size();
        let free = field.weight_now() == 0 && enough(field) && whole_again;
        // Where nothing is routed an instance that stays is an instance that serves, so nothing is waited for.
        let delay = if field.whole() == 0 { Duration::ZERO } else { delay };
        // Nothing is remembered beyond the delay, so that a long way back does not grow.
        let more = |quiet: u64| quiet.saturating_add(millis(tick)).min(millis(delay));
        self.quiet = free.then(|| self.quiet.map_or(0, more));
        let quiet = self.quiet.map(Duration::from_millis);
        let mut capacity = goal.capacity.clone();
        if quiet.is_none_or(|quiet| quiet < delay) {
            capacity.insert(field.new.clone(), field.new_now().desired);
        }
        let want = DesiredState { capacity: without_zeros(capacity), weights, ..goal.clone() };
        let (stable_now, size) = (field.stable_now(), field.stable_size());
        let done = field.s.observed.satisfies(&goal);
        let (index, next, reason) = if done {
            let text = format!("{stable} is back with {} instances and all the traffic", stable_now.ready);
            (1, Next::Complete, Reason::new(ReasonCode::Restored, text))
        } else {
            let text = format!(
                "{stable} has {} of {size} instances ready and gets {} of {}; {} has {}",
                stable_now.ready,
                want.weights.get(stable).copied().unwrap_or(0),
                field.whole(),
                field.new,
                field.new_now().ready
            );
            let wake = match quiet {
                Some(quiet) if quiet < delay => delay.saturating_sub(quiet),
                _ => field.s.observe_every,
            };
            let otherwise =
                format!("once {stable} has carried everything for {}, {} is removed", Spell(delay), field.new);
            (
                0,
                Next::WakeAt(field.s.now + wake.max(Duration::from_millis(1))),
                Reason::new(ReasonCode::Restoring, text).otherwise(otherwise),
            )
        };
        let stage = Stage { index, of: 1, name: "restore".to_owned() };
        Decision {
            want,
            measure: Vec::new(),
            next,
            memory: remember(self),
            stage,
            reason,
            judgements: Vec::new(),
            exposure: Exposure::NONE,
        }
    }
}

/// Whether the stable side can carry everything.
fn enough(field: &Field<'_>) -> bool {
    let ready = field.stable_now().ready;
    ready > 0 && u64::from(ready) * OVERLOAD >= u64::from(field.stable_size())
}

/// What was there before, without the revision that just failed.
fn goal(field: &Field<'_>, stable: &deploy_core::name::RevisionName) -> DesiredState {
    let mut goal = DesiredState { flags: field.s.observed.flags.clone(), ..field.s.from.as_desired() };
    goal.capacity.remove(field.new);
    goal.capacity.insert(stable.clone(), field.stable_size());
    let freed = goal.weights.remove(field.new).unwrap_or(0);
    if goal.max_weight > 0 {
        *goal.weights.entry(stable.clone()).or_insert(0) += freed;
    }
    goal
}

fn weights(
    field: &Field<'_>,
    stable: &deploy_core::name::RevisionName,
) -> std::collections::BTreeMap<deploy_core::name::RevisionName, u32> {
    let (whole, new, old) = (field.whole(), field.new_now(), field.stable_now());
    if whole == 0 || new.ready == 0 || old.ready == 0 || enough(field) {
        return if old.ready > 0 && (new.ready == 0 || enough(field)) {
            goal(field, stable).weights
        } else {
            field.split(field.weight_now())
        };
    }
    let carried = u64::from(old.ready) * OVERLOAD * u64::from(whole) / u64::from(field.stable_size());
    let kept = whole.saturating_sub(u32::try_from(carried).unwrap_or(whole));
    field.split(kept.min(field.weight_now()))
}

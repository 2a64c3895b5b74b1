//! A canary without a router: instances share the traffic in equal parts, so the weight is the share of instances.

use std::collections::BTreeMap;

use deploy_core::strategy::{Decision, Exposure, Memory, Next, Reason, ReasonCode, Stage};
use deploy_core::target::DesiredState;
use serde::{Deserialize, Serialize};

use super::Canary;
use super::memory::Remembered;
use super::replicas::{Present, Sides, approximate, reconcile};
use crate::field::{Field, without_zeros};
use crate::rolling::{Allowance, Amount, Set, shrink_old};

/// What carries a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Carrier {
    /// A router, exactly.
    #[default]
    Router,
    /// Instances: each gets an equal part, so a weight is met as nearly as their number allows, and never exactly nothing or
    /// everything in between.
    Instances {
        /// How many more than wanted there may be; a share is rounded up.
        surge: Amount,
        /// How many fewer may be ready; a share is rounded down.
        unavailable: Amount,
    },
}

impl Carrier {
    pub(super) fn allowance(self, size: u32) -> Option<Allowance> {
        match self {
            Self::Router => None,
            Self::Instances { surge, unavailable } => Some(Allowance::of(surge, unavailable, size)),
        }
    }
}

/// One step towards a split of instances.
#[derive(Debug)]
pub(super) struct Split {
    pub(super) want: DesiredState,
    pub(super) target: Sides,
    pub(super) in_place: bool,
}

/// One step towards the split for a weight.
pub(super) fn split(field: &Field<'_>, allowance: Allowance, weight: u32, of: u32) -> Split {
    let (observed, size) = (field.s.observed, field.size);
    let target = approximate(size, weight, of, allowance.surge);
    // Where somebody routes by weight all the same, an instance stands in for another one only once traffic reaches its side.
    let reached = |weight: u32| field.whole() == 0 || weight > 0;
    let set = |asked: u32, ready: u32, reached: bool| Set { asked, ready: if reached { ready.min(asked) } else { 0 } };
    let (new, old) = (field.new_now(), field.stable_now());
    let canary = set(new.desired, new.ready, reached(field.weight_now()));
    let stable_weight = field.stable.map_or(0, |name| observed.weight(name));
    let stable = set(old.desired, old.ready, reached(stable_weight));
    let mut older = field.others_now();
    if let Some(name) = field.stable {
        older.remove(name);
    }
    let mut sets: Vec<Set> = older
        .iter()
        .map(|(name, asked)| Set { asked: *asked, ready: observed.revision(name).ready.min(*asked) })
        .collect();
    let present = Present {
        canary,
        stable,
        older: older.values().sum(),
        ending: observed.revisions.values().map(|r| r.terminating).sum(),
    };
    let next = reconcile(size, target, allowance, present);
    let both = Set { asked: canary.asked + stable.asked, ready: canary.ready + stable.ready };
    shrink_old(&mut sets, both, size, allowance, 0);
    let mut capacity: BTreeMap<_, _> = older.into_keys().zip(sets.iter().map(|set| set.asked)).collect();
    if let Some(name) = field.stable {
        capacity.insert(name.clone(), next.stable);
    }
    capacity.insert(field.new.clone(), next.canary);
    let in_place = present.older == 0
        && (new.desired, old.desired) == (target.canary, target.stable)
        && new.ready >= target.canary
        && canary.ready >= target.canary.min(new.ready);
    Split { want: field.shared_out(without_zeros(capacity)), target, in_place }
}

/// The way back within the same limits.
pub(super) fn revert(canary: &Canary, field: &Field<'_>, allowance: Allowance) -> Decision {
    if field.stable.is_none() {
        return field.s.restore();
    }
    let stable_size = field.stable_size();
    let back = field.sized(stable_size);
    let split = split(&back, allowance, 0, canary.spec().weights_of);
    let (new, old) = (field.new_now(), field.stable_now());
    let done = new.desired == 0 && field.s.observed.satisfies(&split.want);
    let text =
        format!("{} of {stable_size} old instances are ready, {} of {} are left", old.ready, new.desired, field.new);
    let (next, code) = if done {
        (Next::Complete, ReasonCode::Restored)
    } else {
        (Next::WakeAt(field.s.now + field.s.observe_every), ReasonCode::Restoring)
    };
    let memory = Memory::of(&Remembered::default()).unwrap_or_default();
    Decision {
        want: split.want,
        measure: Vec::new(),
        next,
        memory,
        stage: Stage { index: u32::from(done), of: 1, name: "restore".to_owned() },
        reason: Reason::new(code, text),
        judgements: Vec::new(),
        exposure: Exposure::NONE,
    }
}

//! How many instances each side has where no router carries the weight, and what a router needs where one does. The rules are
//! those of Argo Rollouts (`utils/replicaset/canary.go`), as pure functions of counts.

use crate::rolling::{Allowance, Amount, Set};
use crate::share::{part_down, part_up};

/// The counts of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sides {
    /// Of the new revision.
    pub canary: u32,
    /// Of the one that served before.
    pub stable: u32,
}

/// The split of `size` instances that comes nearest to a weight.
///
/// Either side has at least one instance for a weight strictly between nothing and everything, which may take one more in all
/// if there may be a surge; with a single instance and no surge one side has to go without.
///
/// ```
/// use deploy_strategies::canary::replicas::{Sides, approximate};
///
/// assert_eq!(approximate(10, 24, 100, 1), Sides { canary: 3, stable: 8 });
/// assert_eq!(approximate(10, 1, 100, 0), Sides { canary: 1, stable: 9 });
/// ```
#[must_use]
pub fn approximate(size: u32, weight: u32, of: u32, surge: u32) -> Sides {
    if size == 0 || of == 0 {
        return Sides::default();
    }
    let (up, down) = (part_up(weight, size, of), part_down(weight, size, of));
    let none_allowed = weight == 0 || weight >= of || (size == 1 && surge == 0);
    let exact_half = |whole: u32| u64::from(weight) * u64::from(whole) * 2 % (u64::from(of) * 2) == u64::from(of);
    let lower = |whole: u32| (!exact_half(whole) && (down != 0 || none_allowed)).then_some((down, whole));
    let candidates = [
        (up < size || none_allowed).then_some((up, size)),
        lower(size),
        (surge > 0).then_some((up, size + 1)),
        if surge > 0 { lower(size + 1) } else { None },
    ];
    // |canary · of / total − weight| as a fraction, so that ties are ties: the numerator over `total`.
    let off = |(canary, total): (u32, u32)| {
        (u64::from(canary) * u64::from(of)).abs_diff(u64::from(weight) * u64::from(total))
    };
    let nearer = |best: (u32, u32), next: (u32, u32)| {
        let (a, b) = (u128::from(off(best)) * u128::from(next.1), u128::from(off(next)) * u128::from(best.1));
        if b < a { next } else { best }
    };
    match candidates.into_iter().flatten().reduce(nearer) {
        Some((canary, total)) => Sides { canary, stable: total - canary },
        // The peer answers nothing for the new side here, though the weight is nearly everything (90 % of 5 instances without
        // a surge): the upper count leaves no stable instance and the lower one is barred by the tie. We take the lower one.
        None => Sides { canary: down, stable: size - down },
    }
}

/// What is there before one step towards a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Present {
    /// The new revision; nothing if it is not there yet.
    pub canary: Set,
    /// The one that served before.
    pub stable: Set,
    /// How many of still older ones are asked for. They go before either side shrinks.
    pub older: u32,
    /// How many are on their way out and still take room. The peer does not count them.
    pub ending: u32,
}

/// One step towards a split, within a surge and a shortage.
///
/// Room goes to the stable side first, then to the new one. Nothing shrinks while older revisions are there, nor under the fewest that
/// have to be ready; the side that shrinks counts whether it is ready or not, so that broken instances do not hold it up.
#[must_use]
pub fn reconcile(size: u32, target: Sides, allowance: Allowance, now: Present) -> Sides {
    let mut next = Sides { canary: now.canary.asked, stable: now.stable.asked };
    let current = next.canary + next.stable + now.older + now.ending;
    let mut room = allowance.most(size).saturating_sub(current);
    let grown = |have: u32, target: u32, room: &mut u32| {
        let more = target.saturating_sub(have).min(*room);
        *room -= more;
        have + more
    };
    next.stable = grown(next.stable, target.stable, &mut room);
    next.canary = grown(next.canary, target.canary, &mut room);
    if now.older > 0 {
        return next;
    }
    let increasing = target.canary >= now.canary.asked;
    let least = allowance.least(size);
    let removable = counted(now.canary, !increasing) + counted(now.stable, increasing);
    let Some(spare) = removable.checked_sub(least).filter(|spare| *spare > 0) else { return next };
    let most = allowance.most(size);
    if increasing {
        if next.stable > target.stable {
            next.stable = target.stable.max(now.stable.asked.saturating_sub(spare));
        }
        next.canary = trimmed(next.canary, target.canary, next.stable, now.canary, now.stable, most, least);
    } else {
        next.canary = target.canary.max(now.canary.asked.saturating_sub(spare));
        next.stable = trimmed(next.stable, target.stable, next.canary, now.stable, now.canary, most, least);
    }
    next
}

/// How many instances of a set count when others go. A set that is larger than asked for is already on its way down.
#[must_use]
pub fn counted(set: Set, ignore_availability: bool) -> u32 {
    if set.asked < set.ready || ignore_availability { set.asked } else { set.ready }
}

/// Takes from a side what is too much in all, but leaves what has to be ready.
fn trimmed(size: u32, target: u32, other: u32, now: Set, other_now: Set, most: u32, least: u32) -> u32 {
    let excess = (size + other).saturating_sub(most).min(size.saturating_sub(target));
    let cut = size - excess;
    let ready = now.ready.min(cut) + other_now.ready.min(other);
    let back = least.saturating_sub(ready).min(excess);
    cut + back
}

/// The instances that a share of the traffic needs: `size · weight / of`, rounded up.
#[must_use]
pub fn for_weight(size: u32, weight: u32, of: u32) -> u32 {
    part_up(weight, size, of)
}

/// What both sides need where a router carries the weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Routed {
    /// How many instances the service has.
    pub size: u32,
    /// The weight that is wanted, in parts of `of`.
    pub weight: u32,
    /// The whole that weights are parts of.
    pub of: u32,
    /// A count of its own for the new side.
    pub explicit: Option<u32>,
    /// The fewest instances of a side that has any.
    pub least: u32,
    /// The weights as they are, if the stable side shrinks as the new one grows; nothing if it keeps everything.
    pub dynamic: Option<ActualWeights>,
}

/// The weights that a router has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActualWeights {
    /// Of the new revision.
    pub canary: u32,
    /// Of the one that served before.
    pub stable: u32,
    /// Whether the rollout goes back: then the new side keeps what its traffic needs.
    pub aborted: bool,
}

impl Routed {
    /// The counts of both sides.
    #[must_use]
    pub fn sides(self) -> Sides {
        let need = |weight: u32| for_weight(self.size, weight, self.of);
        let mut canary = self.explicit.unwrap_or_else(|| need(self.weight));
        let mut stable = self.size;
        if let Some(actual) = self.dynamic {
            if actual.aborted {
                canary = canary.max(need(actual.canary));
            }
            stable = need(self.of.saturating_sub(self.weight)).max(need(actual.stable));
        }
        let at_least = |count: u32| {
            if count == 0 || self.explicit == Some(count) { count } else { count.max(self.least.min(self.size)) }
        };
        Sides { canary: at_least(canary), stable: at_least(stable) }
    }
}

/// Whether enough of the wanted instances are ready to call it progress.
#[must_use]
pub fn enough(threshold: Amount, ready: u32, wanted: u32) -> bool {
    wanted == 0 || ready >= threshold.rounded_up(wanted)
}

/// Whether both sides are where they should be: the new one with all instances ready, the stable one with all created, and
/// no older one ready.
#[must_use]
pub fn arrived(target: Sides, canary: Set, stable: Set, stable_created: u32, older_ready: u32) -> bool {
    canary.asked == target.canary
        && canary.ready == target.canary
        && stable.asked == target.stable
        && stable_created == target.stable
        && older_ready == 0
}

/// One step of an imported manifest, as far as it concerns weights and counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerStep {
    /// The router gets this weight.
    SetWeight(u32),
    /// The new side gets this many instances, whatever its weight.
    SetInstances(u32),
    /// The new side gets as many instances as this weight needs.
    SetInstancesFor(u32),
    /// The new side follows its weight again.
    MatchWeight,
    /// Neither.
    Other,
}

/// The weight at a step: the last one set at or before it; nothing if none was, the whole after the last step, nothing when it
/// goes back.
#[must_use]
pub fn weight_at(steps: &[PeerStep], index: usize, aborted: bool, of: u32) -> u32 {
    if aborted {
        return 0;
    }
    let Some(so_far) = steps.get(..=index) else { return of };
    let set = so_far.iter().rev().find_map(|step| match step {
        PeerStep::SetWeight(weight) => Some(*weight),
        _ => None,
    });
    set.unwrap_or(0)
}

/// A count of its own that the new side has at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnScale {
    /// This many.
    Instances(u32),
    /// As many as this weight needs.
    Weight(u32),
}

/// The count of its own at a step; nothing after the last one, and nothing when it goes back unless the author said that the
/// new side is kept for good then (`kept_on_abort`).
#[must_use]
pub fn scale_at(steps: &[PeerStep], index: usize, aborted: bool, kept_on_abort: bool) -> Option<OwnScale> {
    if aborted && !kept_on_abort {
        return None;
    }
    let last = steps.get(..=index)?.iter().rev().find(|step| !matches!(step, PeerStep::SetWeight(_) | PeerStep::Other));
    match last? {
        PeerStep::SetInstances(count) => Some(OwnScale::Instances(*count)),
        PeerStep::SetInstancesFor(weight) => Some(OwnScale::Weight(*weight)),
        PeerStep::MatchWeight | PeerStep::SetWeight(_) | PeerStep::Other => None,
    }
}

/// The weight to go back to next where the stable side has shrunk as the new one grew: the last of the set weights that
/// needs fewer instances than the stable side still lacks, or than the new one still has; nothing if there is none.
///
/// Where the new side is kept for a time of its own (`kept`), what it has must not hold the weight up: the weight would wait
/// for it, it for the stable side, and the stable side for the weight.
#[must_use]
pub fn weight_on_abort(size: u32, weights: &[u32], of: u32, canary_ready: u32, stable_ready: u32, kept: bool) -> u32 {
    let lacking = size.saturating_sub(stable_ready);
    let canary = if kept { lacking } else { lacking.max(canary_ready) };
    weights.iter().rev().copied().find(|weight| for_weight(size, *weight, of) < canary).unwrap_or(0)
}

//! Orders the steps of a phase, and finds those that wait for each other.

use std::collections::{BTreeMap, BTreeSet};

/// The members, each after all that it waits for, otherwise in the order in which they were added; and the cycles that stand
/// in the way. A cycle names its members in the order "waits for", beginning with the one that was added first.
pub(super) fn topological(members: &[usize], after: &[BTreeSet<usize>]) -> (Vec<usize>, Vec<Vec<usize>>) {
    let mut unmet: BTreeMap<usize, usize> = members.iter().map(|m| (*m, after[*m].len())).collect();
    let mut dependents: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for member in members {
        for on in &after[*member] {
            dependents.entry(*on).or_default().push(*member);
        }
    }
    let mut ready: BTreeSet<usize> = unmet.iter().filter(|(_, count)| **count == 0).map(|(m, _)| *m).collect();
    let (mut order, mut cycles) = (Vec::new(), Vec::new());
    while !unmet.is_empty() {
        if ready.is_empty() {
            let cycle = cycle(&unmet, after);
            // Taken as done, so that cycles elsewhere are found as well, and what merely waits for this one is not blamed.
            ready.extend(&cycle);
            cycles.push(cycle);
        }
        while let Some(next) = ready.pop_first() {
            unmet.remove(&next);
            order.push(next);
            for dependent in dependents.get(&next).into_iter().flatten() {
                if let Some(count) = unmet.get_mut(dependent) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        ready.insert(*dependent);
                    }
                }
            }
        }
    }
    (order, cycles)
}

/// Every step that is left waits for another that is left, so that walking back must come round.
fn cycle(left: &BTreeMap<usize, usize>, after: &[BTreeSet<usize>]) -> Vec<usize> {
    let mut walk: Vec<usize> = Vec::new();
    let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
    let mut at = left.keys().next().copied();
    while let Some(step) = at {
        if let Some(start) = seen.get(&step) {
            let mut cycle = walk.split_off(*start);
            let first = cycle.iter().enumerate().min_by_key(|(_, s)| **s).map_or(0, |(place, _)| place);
            cycle.rotate_left(first);
            return cycle;
        }
        seen.insert(step, walk.len());
        walk.push(step);
        at = after[step].iter().find(|on| left.contains_key(on)).copied();
    }
    walk
}

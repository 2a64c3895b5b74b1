//! The wanted number of instances changes in the middle of a roll: every set gets its share of the change.

/// A set in the middle of a roll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sharing {
    /// How many are asked for.
    pub asked: u32,
    /// How many there could be in all when this set was last sized; zero where nobody wrote it down.
    pub most_before: u32,
    /// Higher is newer.
    pub created: u32,
}

/// What one set gets of the change: `asked · most / most_before`, rounded half away from zero, minus what it has.
#[must_use]
pub fn share(set: Sharing, wanted: u32, most: u32, all: u32) -> i64 {
    if wanted == 0 {
        return -i64::from(set.asked);
    }
    let before = if set.most_before == 0 { all } else { set.most_before };
    if before == 0 {
        return 0;
    }
    let product = u64::from(set.asked) * u64::from(most) * 2 + u64::from(before);
    let rounded = product / (u64::from(before) * 2);
    i64::try_from(rounded).unwrap_or(i64::MAX) - i64::from(set.asked)
}

/// Scales all sets to a new wanted number with this surge; answers their sizes in the order given.
///
/// A single set that has any takes everything. Otherwise each gets its [`share`], the largest set first (of equal ones the newer when it
/// grows, the older when it shrinks), never more than there is to give, and what rounding leaves goes to the first.
#[must_use]
pub fn proportional(sets: &[Sharing], wanted: u32, surge: u32) -> Vec<u32> {
    let mut sizes: Vec<u32> = sets.iter().map(|set| set.asked).collect();
    let active: Vec<usize> = (0..sets.len()).filter(|i| sets[*i].asked > 0).collect();
    if active.len() <= 1 {
        let newest = (0..sets.len()).max_by_key(|i| sets[*i].created);
        if let Some(one) = active.first().copied().or(newest) {
            sizes[one] = wanted;
        }
        return sizes;
    }
    let all: u32 = sizes.iter().sum();
    let most = if wanted > 0 { wanted.saturating_add(surge) } else { 0 };
    let to_give = i64::from(most) - i64::from(all);
    let mut order = active;
    order.sort_by_key(|i| {
        let age = i64::from(sets[*i].created);
        (std::cmp::Reverse(sets[*i].asked), if to_give > 0 { -age } else { age })
    });
    let mut given = 0;
    for i in &order {
        let part = if to_give == 0 { 0 } else { share(sets[*i], wanted, most, all) };
        let left = to_give - given;
        // Never against the direction of the change, and never more than is left of it.
        let part = if to_give > 0 { part.clamp(0, left) } else { part.clamp(left, 0) };
        sizes[*i] = u32::try_from(i64::from(sizes[*i]) + part).unwrap_or(0);
        given += part;
    }
    if let Some(first) = order.first() {
        sizes[*first] = u32::try_from(i64::from(sizes[*first]) + to_give - given).unwrap_or(0);
    }
    sizes
}

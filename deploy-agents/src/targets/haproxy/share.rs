//! Revisions have shares, servers have weights: the arithmetic between the two.

use std::collections::BTreeMap;

use deploy_core::name::RevisionName;

/// The largest weight of a server (HAProxy's configuration manual, "weight").
pub(super) const HEAVIEST: u32 = 256;

/// The weights of a revision's servers, so that together they carry exactly its share.
///
/// All shares are multiplied by the same number, and each product is cut into parts that differ by at most one. The largest
/// number is taken for which every part stays within [`HEAVIEST`]; if a number leaves no remainder anywhere, the largest such.
/// A revision with a share and without servers is left out, and the others keep their proportions.
pub(super) fn spread(
    shares: &BTreeMap<RevisionName, u32>,
    servers: &BTreeMap<RevisionName, usize>,
) -> BTreeMap<RevisionName, Vec<u32>> {
    let share = |revision: &RevisionName| u64::from(shares.get(revision).copied().unwrap_or(0));
    let carried = || servers.iter().filter(|(revision, n)| **n > 0 && share(revision) > 0);
    let most = carried().map(|(revision, n)| u64::from(HEAVIEST) * (*n as u64) / share(revision)).min().unwrap_or(1);
    let even = |times: &u64| carried().all(|(revision, n)| (share(revision) * times).is_multiple_of(*n as u64));
    let times = (1..=most).rev().find(even).unwrap_or_else(|| most.max(1));
    let parts = |(revision, n): (&RevisionName, &usize)| {
        let (all, n) = (share(revision) * times, *n as u64);
        let part = |i: u64| u32::try_from(all / n + u64::from(i < all % n)).unwrap_or(HEAVIEST).min(HEAVIEST);
        (revision.clone(), (0..n).map(part).collect())
    };
    servers.iter().map(parts).collect()
}

/// The shares, in parts of `whole`, that these sums of servers' weights amount to. They sum to `whole`, or there are none.
/// Where a share is not a whole part, because somebody else has set a weight, the largest remainders are rounded up.
pub(in crate::targets) fn gather(sums: &BTreeMap<RevisionName, u64>, whole: u32) -> BTreeMap<RevisionName, u32> {
    let (all, whole) = (sums.values().sum::<u64>(), u64::from(whole));
    if all == 0 {
        return BTreeMap::new();
    }
    let mut shares: Vec<(&RevisionName, u64, u64)> =
        sums.iter().map(|(revision, sum)| (revision, sum * whole / all, sum * whole % all)).collect();
    let mut left = whole - shares.iter().map(|(_, share, _)| share).sum::<u64>();
    shares.sort_by_key(|(_, _, remainder)| std::cmp::Reverse(*remainder));
    for (_, share, _) in &mut shares {
        let more = left.min(1);
        *share += more;
        left -= more;
    }
    let some = shares.into_iter().filter(|(_, share, _)| *share > 0);
    some.map(|(revision, share, _)| (revision.clone(), u32::try_from(share).unwrap_or(u32::MAX))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use deploy_core::name::RevisionName;
    use proptest::prelude::*;

    use super::{HEAVIEST, gather, spread};

    fn named<T>(values: impl IntoIterator<Item = T>) -> BTreeMap<RevisionName, T> {
        let name = |n| RevisionName::new(format!("v{n}")).expect("a name");
        values.into_iter().enumerate().map(|(n, value)| (name(n), value)).collect()
    }

    #[test]
    fn five_percent_on_two_servers_is_exactly_five_percent() {
        let weights = spread(&named([95, 5]), &named([4, 2]));
        let (stable, canary): (u32, u32) =
            (weights.values().next().expect("v0").iter().sum(), weights.values().nth(1).expect("v1").iter().sum());
        assert_eq!(stable * 5, canary * 95, "{weights:?}");
    }

    #[test]
    fn weights_that_somebody_else_set_are_told_as_they_are() {
        assert_eq!(gather(&named([200, 100]), 100), named([67, 33]));
        assert_eq!(gather(&named([0, 0]), 100), BTreeMap::new());
    }

    proptest! {
        #[test]
        fn what_is_spread_is_gathered_exactly(
            cuts in prop::collection::vec(0_u32..=256, 1..4),
            whole in 1_u32..=256,
            servers in prop::collection::vec(1_usize..40, 5),
        ) {
            let mut cuts: Vec<u32> = cuts.into_iter().map(|cut| cut.min(whole)).chain([0, whole]).collect();
            cuts.sort_unstable();
            let shares: Vec<u32> = cuts.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let servers = named(servers.into_iter().take(shares.len()));
            let shares: BTreeMap<_, _> = named(shares);
            let weights = spread(&shares, &servers);
            for parts in weights.values() {
                prop_assert!(parts.iter().all(|part| *part <= HEAVIEST));
                prop_assert!(parts.iter().max().expect("some") - parts.iter().min().expect("some") <= 1);
            }
            let sums = weights.iter().map(|(r, parts)| (r.clone(), parts.iter().map(|p| u64::from(*p)).sum())).collect();
            let told: BTreeMap<_, _> = shares.into_iter().filter(|(_, share)| *share > 0).collect();
            prop_assert_eq!(gather(&sums, whole), told);
        }

        #[test]
        fn whatever_is_set_the_shares_sum_to_the_whole(sums in prop::collection::vec(0_u64..5_000, 1..6), whole in 1_u32..1_000) {
            let told = gather(&named(sums.clone()), whole);
            let due = if sums.iter().sum::<u64>() == 0 { 0 } else { whole };
            prop_assert_eq!(told.values().sum::<u32>(), due);
        }
    }
}

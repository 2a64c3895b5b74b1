//! The rank test of two samples (H. Mann and D. Whitney, On a test of whether one of two random variables is
//! stochastically larger than the other, 1947).

use std::collections::BTreeMap;

use super::sample::{SampleError, check, sorted_keys};
use super::special::{length, normal_cdf, real};

/// How two samples compare by rank. The first sample is always the candidate's.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranks {
    m: usize,
    n: usize,
    doubled_u: u64,
    ties: Vec<u64>,
}

/// The chances of what was seen or worse, if both samples come from one distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chances {
    /// Of the first being as small as this, or smaller.
    pub less: f64,
    /// Of the first being as large as this, or larger.
    pub greater: f64,
    /// Of either: twice the smaller of both, at most 1.
    pub differs: f64,
}

impl Ranks {
    /// The largest number of values, of both samples together, for which chances are computed exactly.
    pub const EXACT: usize = 100;

    /// Ranks the values of both samples together.
    ///
    /// Both are sorted on their own as integers and merged, so that the cost is that of sorting.
    ///
    /// # Errors
    ///
    /// [`SampleError`] if a sample is empty or holds something that is not a finite number.
    pub fn of(first: &[f64], second: &[f64]) -> Result<Self, SampleError> {
        check(first, 1)?;
        check(second, 1)?;
        let (a, b) = (sorted_keys(first), sorted_keys(second));
        // Twice U counts, for each value of the first, the values of the second that are below and those that are not above.
        let (below, shared) = pairs(&a, &b, |x, y| x <= y);
        let not_above = if shared { pairs(&a, &b, |x, y| x < y).0 } else { below };
        let alone = |sorted: &[u64]| sorted.windows(2).all(|pair| pair[0] != pair[1]);
        let ties = if !shared && alone(&a) && alone(&b) { Vec::new() } else { tied(&a, &b) };
        let doubled_u = below + not_above;
        Ok(Self { m: a.len(), n: b.len(), doubled_u, ties })
    }

    /// In how many pairs the first sample's value is the larger; ties count a half.
    #[must_use]
    pub fn u(&self) -> f64 {
        real(self.doubled_u) / 2.0
    }

    /// In how many pairs the second sample's value is the larger; ties count a half.
    #[must_use]
    pub fn u_of_second(&self) -> f64 {
        self.pairs() - self.u()
    }

    /// The chance that a value of the first sample is larger than one of the second, ties counting a half.
    #[must_use]
    pub fn superiority(&self) -> f64 {
        self.u() / self.pairs()
    }

    /// The standard deviation of U if both samples come from one distribution, ties taken into account. Zero if all
    /// values are equal.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        deviation(self.m, self.n, self.ties.iter().map(|t| real(*t)))
    }

    /// Exact chances: over all ways to deal the same values out to the two samples.
    ///
    /// # Errors
    ///
    /// [`SampleError::AllEqual`] if there is nothing to rank.
    pub fn exact(&self, values_tied: &Ties) -> Result<Chances, SampleError> {
        if values_tied.0.len() < 2 {
            return Err(SampleError::AllEqual);
        }
        let chance = Distribution::of(self.m, &values_tied.0);
        Ok(Chances::of(chance.at_most(self.doubled_u), chance.at_least(self.doubled_u)))
    }

    /// Chances by the normal approximation, with the continuity step of one half towards the middle unless told
    /// otherwise. All 1 if all values are equal.
    #[must_use]
    pub fn normal(&self, continuity: bool) -> Chances {
        let deviation = self.deviation();
        if deviation == 0.0 {
            return Chances { less: 1.0, greater: 1.0, differs: 1.0 };
        }
        let distance = self.u() - self.pairs() / 2.0;
        let step = if continuity { 0.5 } else { 0.0 };
        let less = normal_cdf((distance + step) / deviation);
        let greater = normal_cdf(-(distance - step) / deviation);
        Chances::of(less, greater)
    }

    fn pairs(&self) -> f64 {
        length(self.m) * length(self.n)
    }
}

/// In how many pairs the value of the second sample goes before that of the first, both sorted, and whether any value is in
/// both; `first` says whether the one of the first goes before the one of the second.
///
/// Which one goes is as good as random, so that a branch on it would be mispredicted every other time: it is computed
/// instead.
fn pairs(a: &[u64], b: &[u64], first: impl Fn(u64, u64) -> bool) -> (u64, bool) {
    let (mut i, mut j, mut pairs, mut shared) = (0, 0, 0, false);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        let takes = usize::from(first(*x, *y));
        // A value that is in both is met by both at once.
        shared |= x == y;
        pairs += (j * takes) as u64;
        i += takes;
        j += 1 - takes;
    }
    // What is left of the first is above all of the second.
    (pairs + (a.len() - i) as u64 * j as u64, shared)
}

/// The sizes of the groups of equal values, of those with more than one, in two sorted samples.
fn tied(a: &[u64], b: &[u64]) -> Vec<u64> {
    let mut ties = Vec::new();
    let (mut i, mut j) = (0, 0);
    while let Some(value) = a.get(i).into_iter().chain(b.get(j)).min().copied() {
        let in_a = a[i..].iter().take_while(|x| **x == value).count();
        let in_b = b[j..].iter().take_while(|y| **y == value).count();
        if in_a + in_b > 1 {
            ties.push((in_a + in_b) as u64);
        }
        i += in_a;
        j += in_b;
    }
    ties
}

impl Chances {
    fn of(less: f64, greater: f64) -> Self {
        Self { less, greater, differs: (2.0 * less.min(greater)).min(1.0) }
    }
}

/// The chances for two samples by the best method that is affordable: exact up to [`Ranks::EXACT`] values, otherwise
/// normal.
///
/// # Errors
///
/// [`SampleError`] if a sample is empty, holds something that is not a finite number, or all values are equal.
pub fn compare(first: &[f64], second: &[f64]) -> Result<(Ranks, Chances), SampleError> {
    let ranks = Ranks::of(first, second)?;
    let chances = if first.len() + second.len() <= Ranks::EXACT {
        ranks.exact(&Ties::of(first, second))?
    } else if ranks.deviation() == 0.0 {
        return Err(SampleError::AllEqual);
    } else {
        ranks.normal(true)
    };
    Ok((ranks, chances))
}

/// The sizes of the groups of equal values in two samples together, from the smallest value up; 1 where a value stands
/// alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ties(Vec<usize>);

impl Ties {
    /// The groups of these samples.
    #[must_use]
    pub fn of(first: &[f64], second: &[f64]) -> Self {
        let mut groups: BTreeMap<u64, usize> = BTreeMap::new();
        for value in first.iter().chain(second) {
            *groups.entry(super::sample::key(*value)).or_default() += 1;
        }
        Self(groups.into_values().collect())
    }
}

/// The distribution of U over all ways to deal out the same values.
#[derive(Debug, Clone)]
pub struct Distribution {
    /// For each twice U, how many ways lead to it, as a share of all.
    share: Vec<f64>,
}

impl Distribution {
    /// Without ties: `m` values dealt to the first sample and `n` to the second.
    #[must_use]
    pub fn untied(m: usize, n: usize) -> Self {
        Self::of(m, &vec![1; m + n])
    }

    /// With groups of equal values of these sizes, from the smallest value up; the first sample gets `m` of them.
    ///
    /// Group by group: dealing k of a group of size t to the first sample, when i are dealt already out of s, adds
    /// k (2 (s − i) + t − k) to twice U and can be done in C(t, k) ways (J. Klotz, The Wilcoxon, ties, and the computer, 1966).
    #[must_use]
    pub fn of(m: usize, groups: &[usize]) -> Self {
        let all: usize = groups.iter().sum();
        let width = 2 * m * (all - m.min(all)) + 1;
        let mut ways: Vec<Vec<f64>> = vec![Vec::new(); m + 1];
        ways[0] = vec![1.0];
        let mut seen = 0;
        for group in groups {
            let mut next: Vec<Vec<f64>> = vec![Vec::new(); m + 1];
            for (dealt, row) in ways.iter().enumerate().filter(|(_, row)| !row.is_empty()) {
                let mut choices = 1.0;
                for k in 0..=(*group).min(m - dealt) {
                    if k > 0 {
                        choices *= length(group - k + 1) / length(k);
                    }
                    if seen < dealt {
                        continue;
                    }
                    let shift = k * (2 * (seen - dealt) + group - k);
                    let into = &mut next[dealt + k];
                    if into.len() < row.len() + shift {
                        into.resize((row.len() + shift).min(width), 0.0);
                    }
                    for (u, ways) in row.iter().enumerate().filter(|(_, ways)| **ways > 0.0) {
                        if let Some(slot) = into.get_mut(u + shift) {
                            *slot += choices * ways;
                        }
                    }
                }
            }
            ways = next;
            seen += group;
        }
        let mut share = ways.swap_remove(m);
        let total: f64 = share.iter().sum();
        for ways in &mut share {
            *ways /= total;
        }
        Self { share }
    }

    /// The chance that twice U is at most this.
    #[must_use]
    pub fn at_most(&self, doubled_u: u64) -> f64 {
        let end = usize::try_from(doubled_u).unwrap_or(usize::MAX).saturating_add(1).min(self.share.len());
        self.share[..end].iter().sum::<f64>().min(1.0)
    }

    /// The chance that twice U is at least this.
    #[must_use]
    pub fn at_least(&self, doubled_u: u64) -> f64 {
        let start = usize::try_from(doubled_u).unwrap_or(usize::MAX).min(self.share.len());
        self.share[start..].iter().sum::<f64>().min(1.0)
    }
}

/// The standard deviation of U with ties of these sizes.
pub(crate) fn deviation(m: usize, n: usize, ties: impl Iterator<Item = f64>) -> f64 {
    let (m, n) = (length(m), length(n));
    let all = m + n;
    let tied: f64 = ties.map(|t| t * t * t - t).sum();
    let correction = if all > 1.0 { tied / (all * (all - 1.0)) } else { 0.0 };
    (m * n / 12.0 * (all + 1.0 - correction)).max(0.0).sqrt()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::{Distribution, Ranks, Ties, compare};
    use crate::analysis::sample::SampleError;
    use crate::analysis::tables::{self, numbers};

    #[test]
    fn the_rows_of_the_rank_test() {
        tables::vectors("mann_whitney", |row| {
            let (x, y) = (row.numbers("x"), row.numbers("y"));
            let ranks = Ranks::of(&x, &y).expect("finite");
            row.near("U1", ranks.u());
            row.near("U2", ranks.u_of_second());
            row.near("cles", ranks.superiority());
            row.near("sigma", ranks.deviation());
            row.near("p_two_sided_no_cc", ranks.normal(false).differs);
            let chances = match row.input["method"].as_str().expect("a method") {
                "exact" => ranks.exact(&Ties::of(&x, &y)).expect("not all equal"),
                _ => ranks.normal(true),
            };
            row.near("p_two_sided", chances.differs);
            row.near("p_less", chances.less);
            row.near("p_greater", chances.greater);
        });
        tables::vectors("mann_whitney_permutation", |row| {
            let (x, y) = (row.numbers("x"), row.numbers("y"));
            let (ranks, chances) = compare(&x, &y).expect("finite");
            row.near("U1", ranks.u());
            row.near("p_two_sided", chances.differs);
            row.near("p_less", chances.less);
            row.near("p_greater", chances.greater);
        });
    }

    #[test]
    fn the_rows_of_the_distribution() {
        tables::rows("pipecd_udist.json", |row| {
            let (m, n) = (row.count("n1") as usize, row.count("n2") as usize);
            let distribution = if row.input["ties"].is_null() {
                Distribution::untied(m, n)
            } else {
                let ties: Vec<usize> = numbers(&row.input["ties"]).into_iter().map(|t| t as usize).collect();
                Distribution::of(m, &ties)
            };
            let doubled = (2.0 * row.number("u")) as u64;
            row.near_by("cumulative_probability", "tolerance", distribution.at_most(doubled));
            true
        });
    }

    #[test]
    fn the_rows_of_the_other_implementation() {
        tables::rows("pipecd_utest.json", |row| {
            let (x, y) = (row.numbers("x1"), row.numbers("x2"));
            let ranks = Ranks::of(&x, &y).expect("finite");
            let chances =
                if row.input["method"] == "exact" { ranks.exact(&Ties::of(&x, &y)) } else { Ok(ranks.normal(true)) };
            if row.expected["error"] == "all_values_equal" {
                assert_eq!(chances, Err(SampleError::AllEqual));
                return true;
            }
            let chances = chances.expect("not all equal");
            row.near_by("p_less", "tolerance", chances.less);
            row.near_by("p_greater", "tolerance", chances.greater);
            row.near_by("p_differs", "tolerance", chances.differs);
            row.near_by("u", "tolerance", ranks.u());
            true
        });
    }

    #[test]
    fn what_is_not_finite_is_refused() {
        assert!(matches!(Ranks::of(&[1.0, f64::NAN], &[1.0]), Err(SampleError::NotFinite { position: 1, .. })));
        assert!(matches!(Ranks::of(&[], &[1.0]), Err(SampleError::TooFew { .. })));
    }

    proptest! {
        #[test]
        fn order_does_not_matter_and_swapping_mirrors(
            mut x in proptest::collection::vec(0u32..30, 1..20), y in proptest::collection::vec(0u32..30, 1..20),
        ) {
            let real = |v: &[u32]| v.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
            let one = Ranks::of(&real(&x), &real(&y)).expect("finite");
            let brute: f64 = x.iter().flat_map(|a| y.iter().map(move |b| match a.cmp(b) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            })).sum();
            prop_assert_eq!(one.u().to_bits(), brute.to_bits());
            x.reverse();
            prop_assert_eq!(&one, &Ranks::of(&real(&x), &real(&y)).expect("finite"));
            let mirrored = Ranks::of(&real(&y), &real(&x)).expect("finite");
            prop_assert_eq!(one.u().to_bits(), mirrored.u_of_second().to_bits());
            // Stretching both samples by a positive factor changes nothing.
            let stretched: Vec<f64> = real(&x).iter().map(|v| v * 1e-7).collect();
            let other: Vec<f64> = real(&y).iter().map(|v| v * 1e-7).collect();
            prop_assert_eq!(one, Ranks::of(&stretched, &other).expect("finite"));
        }

        #[test]
        fn the_distribution_is_that_of_all_ways_to_deal(
            groups in proptest::collection::vec(1usize..4, 1..6), m in 1usize..5,
        ) {
            let values: Vec<usize> = groups.iter().enumerate().flat_map(|(i, t)| vec![i; *t]).collect();
            let m = m.min(values.len());
            let distribution = Distribution::of(m, &groups);
            let (mut at_most, mut all) = (vec![0u32; 200], 0u32);
            for mask in 0u32..1 << values.len() {
                if mask.count_ones() as usize != m {
                    continue;
                }
                all += 1;
                let (first, second): (Vec<_>, Vec<_>) =
                    (0..values.len()).partition(|i| mask >> i & 1 == 1);
                let doubled: usize = first.iter().flat_map(|a| second.iter().map(move |b| (a, b)))
                    .map(|(a, b)| match values[*a].cmp(&values[*b]) {
                        std::cmp::Ordering::Greater => 2,
                        std::cmp::Ordering::Equal => 1,
                        std::cmp::Ordering::Less => 0,
                    }).sum();
                for slot in &mut at_most[doubled..] {
                    *slot += 1;
                }
            }
            for (doubled, ways) in at_most.iter().enumerate() {
                let want = f64::from(*ways) / f64::from(all);
                prop_assert!((distribution.at_most(doubled as u64) - want).abs() < 1e-12);
            }
        }
    }
}

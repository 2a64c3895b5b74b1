//! Who gets the next request: an exact split, not a lucky one.

use deploy_core::name::RevisionName;

/// Smooth weighted round robin: of every `whole` requests in a row exactly as many go to each revision as its weight says,
/// spread as evenly as it can be.
///
/// The rule is the one of nginx's `ngx_http_upstream_round_robin` (2012): each turn every revision gains its weight, the
/// richest is chosen and pays the whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Split {
    lanes: Vec<Lane>,
    whole: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Lane {
    revision: RevisionName,
    weight: i64,
    credit: i64,
}

impl Split {
    /// A split by weights. Revisions of weight zero are never chosen; with no weight at all nobody is.
    pub fn new<'a>(weights: impl IntoIterator<Item = (&'a RevisionName, u32)>) -> Self {
        let lanes: Vec<Lane> = weights
            .into_iter()
            .filter(|(_, weight)| *weight > 0)
            .map(|(revision, weight)| Lane { revision: revision.clone(), weight: i64::from(weight), credit: 0 })
            .collect();
        let whole = lanes.iter().map(|lane| lane.weight).sum();
        Self { lanes, whole }
    }

    /// Who gets the next request; nobody if there is no weight.
    #[must_use]
    #[expect(
        clippy::should_implement_trait,
        reason = "a split never ends; an iterator's adaptors would only invite loops"
    )]
    pub fn next(&mut self) -> Option<&RevisionName> {
        for lane in &mut self.lanes {
            lane.credit += lane.weight;
        }
        // The first of the richest, so that equal weights take turns in the order of their names.
        let richest = self.lanes.iter().map(|lane| lane.credit).max()?;
        let chosen = self.lanes.iter_mut().find(|lane| lane.credit == richest)?;
        chosen.credit -= self.whole;
        Some(&chosen.revision)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use deploy_core::name::RevisionName;
    use proptest::prelude::*;

    use super::Split;

    fn named(weights: &[u32]) -> BTreeMap<RevisionName, u32> {
        weights.iter().enumerate().map(|(i, w)| (RevisionName::new(format!("v{i}")).expect("a name"), *w)).collect()
    }

    #[test]
    fn nobody_is_chosen_without_weight() {
        assert_eq!(Split::new(named(&[0, 0]).iter().map(|(r, w)| (r, *w))).next(), None);
    }

    #[test]
    fn five_one_one_is_spread_as_its_source_says() {
        // nginx, commit 52327e0627f49dbda1e8db695e63a4b0af4448b1: { 5, 1, 1 } gives a, a, b, a, c, a, a.
        let weights = named(&[5, 1, 1]);
        let mut split = Split::new(weights.iter().map(|(r, w)| (r, *w)));
        let order: Vec<String> = (0..7).filter_map(|_| split.next().map(ToString::to_string)).collect();
        assert_eq!(order, ["v0", "v0", "v1", "v0", "v2", "v0", "v0"]);
    }

    proptest! {
        #[test]
        fn every_window_of_the_whole_length_is_split_exactly(weights in prop::collection::vec(0_u32..40, 1..6), start in 0_usize..200) {
            let weights = named(&weights);
            let whole: u32 = weights.values().sum();
            prop_assume!(whole > 0);
            let mut split = Split::new(weights.iter().map(|(r, w)| (r, *w)));
            for _ in 0..start {
                let _ = split.next();
            }
            let mut seen: BTreeMap<RevisionName, u32> = BTreeMap::new();
            for _ in 0..whole {
                *seen.entry(split.next().expect("somebody").clone()).or_default() += 1;
            }
            for (revision, weight) in &weights {
                prop_assert_eq!(seen.get(revision).copied().unwrap_or(0), *weight);
            }
        }

        #[test]
        fn of_two_revisions_none_is_ever_a_whole_request_off(weight in 0_u32..=100, n in 1_u32..500) {
            let weights = named(&[100 - weight, weight]);
            let canary = RevisionName::new("v1").expect("a name");
            let mut split = Split::new(weights.iter().map(|(r, w)| (r, *w)));
            let seen = (0..n).filter(|_| split.next() == Some(&canary)).count();
            let due = f64::from(n) * f64::from(weight) / 100.0;
            prop_assert!((f64::from(u32::try_from(seen).expect("few")) - due).abs() < 1.0);
        }
    }
}

//! Which batches were taken in.

use deploy_core::monitor::BatchKey;
use deploy_core::name::StratumName;
use serde::{Deserialize, Serialize};

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Taken {
    /// It counts.
    Counted,
    /// A batch with its key was taken before: nothing changed.
    Repeated,
    /// An instance of the candidate was warming up: it is noted and does not count.
    Warming,
}

/// The keys of the batches that were taken in, as ranges of window numbers: one range where no window is missing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct TakenKeys(Vec<Strand>);

/// The windows of one stratum (empty: of all traffic) and part, as ranges with both ends inside, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Strand(String, u32, Vec<(u64, u64)>);

/// Batches came in with so many gaps that their keys cannot be remembered within bounds: number windows one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {MOST} gaps in the numbers of the windows, or strata and parts of batches")]
pub struct Scattered;

/// As many ranges are remembered per stratum and part, and as many strata and parts: some 16 KB at the worst, one range in practice.
const MOST: usize = 64;

impl TakenKeys {
    /// Notes a key; says whether it is new.
    pub(crate) fn insert(&mut self, key: &BatchKey) -> Result<bool, Scattered> {
        let stratum = key.stratum.as_ref().map_or("", StratumName::as_str);
        let at = match self.0.iter().position(|strand| strand.0 == stratum && strand.1 == key.part) {
            Some(at) => at,
            None if self.0.len() >= MOST => return Err(Scattered),
            None => {
                self.0.push(Strand(stratum.to_owned(), key.part, Vec::new()));
                self.0.len() - 1
            }
        };
        let ranges = &mut self.0[at].2;
        let window = key.window;
        let after = ranges.partition_point(|(from, _)| *from <= window);
        if after > 0 && window <= ranges[after - 1].1 {
            return Ok(false);
        }
        let joins_before = after > 0 && ranges[after - 1].1.checked_add(1) == Some(window);
        let joins_after = after < ranges.len() && window.checked_add(1) == Some(ranges[after].0);
        match (joins_before, joins_after) {
            (true, true) => {
                ranges[after - 1].1 = ranges[after].1;
                ranges.remove(after);
            }
            (true, false) => ranges[after - 1].1 = window,
            (false, true) => ranges[after].0 = window,
            (false, false) if ranges.len() >= MOST => return Err(Scattered),
            (false, false) => ranges.insert(after, (window, window)),
        }
        Ok(true)
    }

    /// The strata, each once, in the order in which they came first; all traffic is none.
    pub(crate) fn strata(&self) -> Vec<&str> {
        let mut strata = Vec::new();
        for Strand(stratum, ..) in &self.0 {
            if !stratum.is_empty() && !strata.contains(&stratum.as_str()) {
                strata.push(stratum.as_str());
            }
        }
        strata
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use deploy_core::monitor::BatchKey;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::TakenKeys;

    proptest! {
        #[test]
        fn it_remembers_what_a_set_would(windows in proptest::collection::vec((0u64..40, 0u32..2), 0..100)) {
            let (mut keys, mut set) = (TakenKeys::default(), BTreeSet::new());
            for (window, part) in windows {
                let key = BatchKey { part, ..BatchKey::new(0, window) };
                prop_assert_eq!(keys.insert(&key).expect("few gaps"), set.insert((window, part)));
            }
            for strand in &keys.0 {
                prop_assert!(strand.2.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            }
        }
    }

    #[test]
    fn too_many_gaps_are_an_error() {
        let mut keys = TakenKeys::default();
        for window in 0..64 {
            keys.insert(&BatchKey::new(0, window * 2)).expect("within bounds");
        }
        assert!(keys.insert(&BatchKey::new(0, 1000)).is_err());
        assert!(keys.insert(&BatchKey::new(0, 1)).expect("fills a gap"));
    }
}

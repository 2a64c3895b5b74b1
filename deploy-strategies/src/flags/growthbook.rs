//! Bucketing as GrowthBook does it (SDK specification 0.7.1).

use super::hash::fnv1a_32;

/// Which of its two ways of hashing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashVersion {
    /// The older one: one hash of value and seed, a thousand buckets.
    V1,
    /// The newer one: a hash of a hash, ten thousand buckets.
    V2,
}

impl HashVersion {
    /// The version of this number; nothing for an unknown one.
    #[must_use]
    pub fn of(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::V1),
            2 => Some(Self::V2),
            _ => None,
        }
    }
}

/// A share of the buckets: from inclusive, to exclusive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The first point in it, 0 to 1.
    pub from: f64,
    /// The first point after it, 0 to 1.
    pub to: f64,
}

/// A value's place, 0 inclusive to 1 exclusive.
#[must_use]
pub fn bucket(seed: &str, value: &str, version: HashVersion) -> f64 {
    match version {
        HashVersion::V1 => f64::from(fnv1a_32(format!("{value}{seed}").as_bytes()) % 1_000) / 1_000.0,
        HashVersion::V2 => {
            let first = fnv1a_32(format!("{seed}{value}").as_bytes());
            f64::from(fnv1a_32(first.to_string().as_bytes()) % 10_000) / 10_000.0
        }
    }
}

/// The same weight for each variation.
#[must_use]
pub fn equal_weights(variations: usize) -> Vec<f64> {
    let each = 1.0 / f64::from(u32::try_from(variations).unwrap_or(u32::MAX));
    vec![each; variations]
}

/// The range of each variation: it starts where the weights before it end, and is `coverage` times its weight wide, so that a
/// raised coverage only adds users. Weights of another number, or that do not sum to 1 within 0.01, are replaced by equal ones.
#[must_use]
pub fn ranges(variations: usize, coverage: f64, weights: Option<&[f64]>) -> Vec<Range> {
    let coverage = coverage.clamp(0.0, 1.0);
    let given = weights.filter(|weights| {
        let sum: f64 = weights.iter().sum();
        weights.len() == variations && (0.99..=1.01).contains(&sum)
    });
    let weights = given.map_or_else(|| equal_weights(variations), <[f64]>::to_vec);
    let mut from = 0.0;
    let range = |weight: &f64| {
        let start = from;
        from += weight;
        Range { from: start, to: start + coverage * weight }
    };
    weights.iter().map(range).collect()
}

/// The first range that holds a place; nothing if none does.
#[must_use]
pub fn choose(place: f64, ranges: &[Range]) -> Option<usize> {
    ranges.iter().position(|range| range.from <= place && place < range.to)
}

/// Whether a user is in a share of a namespace, so that experiments in other shares never meet them.
#[must_use]
pub fn in_namespace(user: &str, namespace: &str, share: Range) -> bool {
    let place = bucket(&format!("__{namespace}"), user, HashVersion::V1);
    share.from <= place && place < share.to
}

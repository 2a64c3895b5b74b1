//! Samples that a test can be run on.

/// A sample that no test can be run on.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SampleError {
    /// It has fewer values than the test needs: wait for more, or say what no data means.
    #[error("a sample has {got} values where {needed} are needed")]
    TooFew {
        /// How many there are.
        got: usize,
        /// How many are needed.
        needed: usize,
    },
    /// A value is not finite: leave it out, or replace it, before the test.
    #[error("value {position} of a sample is {value}, not a finite number")]
    NotFinite {
        /// Where it stands, from 0.
        position: usize,
        /// What it is.
        value: f64,
    },
    /// All values of both samples are equal: there is nothing to rank.
    #[error("all values are equal, so that there is nothing to rank")]
    AllEqual,
    /// The values are so large, or so close together, that their variance is no number: measure in another unit.
    #[error("the variance of the values is too large or too small to be computed with: measure in another unit")]
    Range,
    /// A level, a confidence or a share lies outside the open interval from 0 to 1.
    #[error("{0} does not lie between 0 and 1")]
    Share(f64),
}

/// Refuses samples that are too short or hold something that is not a finite number.
pub(crate) fn check(sample: &[f64], needed: usize) -> Result<(), SampleError> {
    if sample.len() < needed {
        return Err(SampleError::TooFew { got: sample.len(), needed });
    }
    match sample.iter().position(|value| !value.is_finite()) {
        Some(position) => Err(SampleError::NotFinite { position, value: sample[position] }),
        None => Ok(()),
    }
}

/// Refuses what is not strictly between 0 and 1.
pub(crate) fn check_share(share: f64) -> Result<(), SampleError> {
    if share > 0.0 && share < 1.0 { Ok(()) } else { Err(SampleError::Share(share)) }
}

/// Keys that sort as the numbers do, without NaN: integers sort several times faster than floating point numbers, and
/// can be halved.
pub(crate) fn sorted_keys(sample: &[f64]) -> Vec<u64> {
    let mut keys: Vec<u64> = sample.iter().map(|value| key(*value)).collect();
    keys.sort_unstable();
    keys
}

/// The key of a number. Minus zero has that of zero.
pub(crate) fn key(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    // All bits of a negative number turn over, the sign alone of a positive one; without a branch.
    let negative = 0u64.wrapping_sub(bits >> 63);
    bits ^ (negative | 1 << 63)
}

/// The number of a key.
pub(crate) fn unkey(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}

/// The mean; not a number for nothing.
pub(crate) fn mean(sample: &[f64]) -> f64 {
    sample.iter().sum::<f64>() / super::special::length(sample.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::{key, unkey};

    proptest! {
        #[test]
        fn keys_sort_as_numbers_do(a in proptest::num::f64::NORMAL, b in proptest::num::f64::NORMAL) {
            prop_assert_eq!(key(a).cmp(&key(b)), a.total_cmp(&b));
            prop_assert_eq!(unkey(key(a)).to_bits(), a.to_bits());
        }
    }

    #[test]
    fn both_zeros_are_one() {
        assert_eq!(key(0.0), key(-0.0));
    }
}

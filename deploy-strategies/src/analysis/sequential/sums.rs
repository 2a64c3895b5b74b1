//! Log likelihoods as they stand in a record.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Running sums, each kept to 36 bits of mantissa: ten digits, which is what the terms themselves are good for. What is
/// in memory is what is written, so that a replay gives the same bytes, and it is written in six bytes each.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sums(Vec<f64>);

impl Sums {
    pub(super) fn zero(count: usize) -> Self {
        Self(vec![0.0; count])
    }

    /// Adds to each sum what belongs to its position.
    pub(super) fn add(&mut self, terms: impl IntoIterator<Item = f64>) {
        for (sum, term) in self.0.iter_mut().zip(terms) {
            *sum = kept(*sum + term);
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.fill(0.0);
    }

    pub(super) fn get(&self) -> &[f64] {
        &self.0
    }
}

/// The nearest number whose last sixteen bits are zero.
pub(in crate::analysis) fn kept(sum: f64) -> f64 {
    // A carry into the exponent is the next power of two, which is right; infinities do not occur.
    f64::from_bits((sum.to_bits() + 0x8000) & !0xFFFF)
}

/// The six bytes of a number whose last sixteen bits are zero.
pub(in crate::analysis) fn six_bytes(number: f64) -> [u8; 6] {
    let [a, b, c, d, e, f, ..] = number.to_bits().to_be_bytes();
    [a, b, c, d, e, f]
}

/// The number of six bytes.
pub(in crate::analysis) fn from_six_bytes(six: &[u8]) -> f64 {
    let mut eight = [0; 8];
    eight.iter_mut().zip(six).for_each(|(into, from)| *into = *from);
    f64::from_bits(u64::from_be_bytes(eight))
}

impl Serialize for Sums {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(6 * self.0.len());
        for sum in &self.0 {
            bytes.extend_from_slice(&six_bytes(*sum));
        }
        serializer.serialize_str(&STANDARD_NO_PAD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Sums {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Written)
    }
}

/// Reads sums where they stand, without a text of its own on the way.
struct Written;

impl Visitor<'_> for Written {
    type Value = Sums;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Sums, E> {
        let bytes = STANDARD_NO_PAD.decode(text).map_err(E::custom)?;
        if bytes.len() % 6 != 0 {
            return Err(E::custom("sums are six bytes each"));
        }
        let sums: Vec<f64> = bytes.chunks_exact(6).map(from_six_bytes).collect();
        if sums.iter().all(|sum| sum.is_finite()) { Ok(Sums(sums)) } else { Err(E::custom("a sum is not finite")) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::Sums;

    proptest! {
        #[test]
        fn what_is_kept_is_what_is_written(terms in proptest::collection::vec(-1e6f64..1e6, 1..20)) {
            let mut sums = Sums::zero(terms.len());
            sums.add(terms.iter().copied());
            for (sum, term) in sums.get().iter().zip(&terms) {
                prop_assert!((sum - term).abs() <= 1e-11 * term.abs());
            }
            let text = serde_json::to_string(&sums).expect("written");
            prop_assert_eq!(text.len(), (terms.len() * 6 * 8).div_ceil(6) + 2);
            let back: Sums = serde_json::from_str(&text).expect("read");
            prop_assert_eq!(back, sums);
        }
    }

    #[test]
    fn what_is_no_sum_is_refused() {
        assert!(serde_json::from_str::<Sums>("\"AAAA\"").is_err());
        assert!(serde_json::from_str::<Sums>("\"f/AAAAAA\"").is_err());
    }
}

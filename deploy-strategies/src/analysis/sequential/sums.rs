//! Log likelihoods as they stand in a record.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Running sums, each kept to 36 bits of mantissa: ten digits, which is what the terms themselves are good for. What is
/// in memory is what is written, so that a replay gives the same bytes, and it is written in six bytes each. Zeros at the end, as those
/// of stages to come, are counted instead: `QEVUX2XK*36` is one number and 36 zeros.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Sums(Vec<f64>);

/// Several sums in one text, one after the other.
pub(super) struct Joined<'a, const N: usize>(pub(super) [&'a Sums; N]);

/// What stands between the numbers and how many zeros follow; no letter of the numbers.
const ZEROS: char = '*';

/// So many zeros may follow: far more than any judge has, and little memory.
const MOST_ZEROS: usize = 1024;

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

    /// Adds to the sum at this position, which begins at zero.
    pub(super) fn add_at(&mut self, at: usize, term: f64) {
        if self.0.len() <= at {
            self.0.resize(at + 1, 0.0);
        }
        self.0[at] = kept(self.0[at] + term);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
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
        Joined([self]).serialize(serializer)
    }
}

impl<const N: usize> Serialize for Joined<'_, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (mut bytes, mut zeros) = (Vec::with_capacity(6 * self.0.iter().map(|sums| sums.0.len()).sum::<usize>()), 0);
        for sum in self.0.iter().flat_map(|sums| &sums.0) {
            if sum.to_bits() == 0 {
                zeros += 1;
            } else {
                bytes.resize(bytes.len() + 6 * zeros, 0);
                bytes.extend_from_slice(&six_bytes(*sum));
                zeros = 0;
            }
        }
        let mut text = STANDARD_NO_PAD.encode(bytes);
        if zeros > 0 {
            text.push(ZEROS);
            text.push_str(&zeros.to_string());
        }
        serializer.serialize_str(&text)
    }
}

impl Sums {
    /// The sums that were joined: so many each, and the rest. Nothing if there are fewer.
    pub(super) fn parts<const N: usize>(self, counts: [usize; N]) -> Option<([Self; N], Self)> {
        let mut rest = self.0.as_slice();
        let mut parts = [(); N].map(|()| Self(Vec::new()));
        for (part, count) in parts.iter_mut().zip(counts) {
            let (own, after) = rest.split_at_checked(count)?;
            (part.0, rest) = (own.to_vec(), after);
        }
        Some((parts, Self(rest.to_vec())))
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
        let (numbers, zeros) = match text.rsplit_once(ZEROS) {
            Some((numbers, zeros)) => (numbers, zeros.parse().map_err(E::custom)?),
            None => (text, 0),
        };
        if zeros > MOST_ZEROS {
            return Err(E::custom(format!("{zeros} sums of nothing are more than {MOST_ZEROS}")));
        }
        let bytes = STANDARD_NO_PAD.decode(numbers).map_err(E::custom)?;
        if bytes.len() % 6 != 0 {
            return Err(E::custom("sums are six bytes each"));
        }
        let mut sums = Vec::with_capacity(bytes.len() / 6 + zeros);
        sums.extend(bytes.chunks_exact(6).map(from_six_bytes));
        if !sums.iter().all(|sum| sum.is_finite()) {
            return Err(E::custom("a sum is not finite"));
        }
        sums.resize(sums.len() + zeros, 0.0);
        Ok(Sums(sums))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

    use super::{Joined, Sums};

    fn of(terms: &[f64]) -> Sums {
        let mut sums = Sums::zero(terms.len());
        sums.add(terms.iter().copied());
        sums
    }

    /// With zeros, of both signs, anywhere among them.
    fn terms() -> impl Strategy<Value = Vec<f64>> {
        proptest::collection::vec(prop_oneof![-1e6f64..1e6, Just(0.0), Just(-1e-320), Just(-0.0)], 0..20)
    }

    proptest! {
        #[test]
        fn what_is_kept_is_what_is_written(terms in terms()) {
            let sums = of(&terms);
            for (sum, term) in sums.get().iter().zip(&terms) {
                prop_assert!((sum - term).abs() <= 1e-11 * term.abs() + 1e-300);
            }
            let text = serde_json::to_string(&sums).expect("written");
            prop_assert!(text.len() <= terms.len() * 8 + 2 + 3);
            let back: Sums = serde_json::from_str(&text).expect("read");
            let bits = |sums: &Sums| sums.get().iter().map(|sum| sum.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&back), bits(&sums));
        }

        #[test]
        fn what_was_joined_is_taken_apart_again(a in terms(), b in terms(), c in terms()) {
            let (a, b, c) = (of(&a), of(&b), of(&c));
            let text = serde_json::to_string(&Joined([&a, &b, &c])).expect("written");
            let all: Sums = serde_json::from_str(&text).expect("read");
            let counts = [a.get().len(), b.get().len()];
            prop_assert_eq!(all.clone().parts(counts), Some(([a, b], c)));
            prop_assert_eq!(all.clone().parts([all.get().len(), 1]), None);
        }
    }

    #[test]
    fn zeros_at_the_end_are_counted() {
        let text = |terms: &[f64]| serde_json::to_string(&of(terms)).expect("written");
        assert_eq!(text(&[1.0, 0.0, 2.0, 0.0, 0.0]), "\"P/AAAAAAAAAAAAAAQAAAAAAA*2\"");
        assert_eq!(text(&[0.0; 48]), "\"*48\"");
        // As it was written before they were counted.
        let plain: Sums = serde_json::from_str("\"P/AAAAAAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAAAA\"").expect("read");
        assert_eq!(plain, of(&[1.0, 0.0, 2.0, 0.0, 0.0]));
    }

    #[test]
    fn what_is_no_sum_is_refused() {
        for text in ["AAAA", "f/AAAAAA", "*", "*-1", "*x", "1*", "*1025", "*1*1", "AAAA*1", "f/AAAAAA*1"] {
            assert!(serde_json::from_str::<Sums>(&format!("\"{text}\"")).is_err(), "{text}");
        }
    }
}

//! A log-linear histogram with fixed bins: exact to merge, exact to count above a bin's edge.

use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::real::Real;

/// How often each size of value occurred, in 4,096 fixed bins: 64 to an octave, from 2⁻²⁰ to 2⁴⁴ of whatever unit the
/// metric's name states (seconds from a microsecond on; nanoseconds to five hours; bytes to 17 TB).
///
/// The bins are those of the number's own binary form (exponent and the six leading bits of the mantissa), so that an
/// insert is a shift and an increment, every histogram has the same bins, and two of them merge exactly by addition. A bin
/// is at most 1/64 wide relative to its lower edge, so that a value read from its upper edge is less than 1.6 % too large. Counting the
/// values at or above a bin's edge is exact, and that is what sequential judges need: see [`Threshold`]. Smaller values
/// go to the first bin, zero among them; larger ones are refused, since nothing could be said of how large they are.
///
/// In memory it takes 256 bytes for each octave from that of its smallest value to that of its largest: 2 KB for the times of a
/// service, 10 KB where they are 40 octaves apart, and 16 KB at most. Written down, only the bins that are not empty count.
///
/// # Examples
///
/// ```
/// use deploy_core::monitor::Histogram;
///
/// let mut latency = Histogram::new();
/// for milliseconds in [80.0, 95.0, 101.0, 340.0] {
///     latency.insert(milliseconds)?;
/// }
/// let slow = latency.threshold_at(0.5).expect("there are values");
/// assert_eq!(latency.count(), 4);
/// assert_eq!(latency.at_least(slow), 2);
/// # Ok::<(), deploy_core::monitor::HistogramError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Histogram {
    /// The bin that the first count is of, where an octave begins; the first of all while there is no count.
    first: u16,
    /// Counts of whole octaves, of which the first and the last are not empty: equal contents are equal field by field.
    counts: Vec<u32>,
}

/// A value or a histogram that cannot be taken in.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HistogramError {
    /// Not a finite number of at least zero: count it as an error of the measurement, not as a size.
    #[error("{0} is not a finite number of at least zero")]
    NotASize(f64),
    /// Beyond the last bin: measure in a larger unit.
    #[error("{0} lies beyond {MOST:e}, the largest size that a histogram counts: measure in a larger unit")]
    TooLarge(f64),
    /// A bin would pass 4,294,967,295: close the batch earlier.
    #[error("a bin of the histogram is full: close the batch earlier")]
    Full,
}

/// A lower edge of a bin: the values at or above it are counted exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Threshold(u16);

impl Threshold {
    /// The first edge that is not below `value`; nothing if that lies beyond the last edge.
    #[must_use]
    pub fn at_or_above(value: f64) -> Option<Self> {
        let below = slot(value).ok()?;
        let edge = Self(below);
        if edge.value() >= value {
            Some(edge)
        } else {
            let next = below + 1;
            (usize::from(next) < Histogram::BINS).then_some(Self(next))
        }
    }

    /// The size, in the histogram's unit.
    #[must_use]
    pub fn value(self) -> f64 {
        f64::from_bits((u64::from(self.0) + FIRST) << SHIFT)
    }

    /// The first edge that is not below this one times `factor`; nothing if that lies beyond the last edge.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Option<Self> {
        Self::at_or_above(self.value() * factor)
    }
}

impl TryFrom<u16> for Threshold {
    type Error = String;
    fn try_from(bin: u16) -> Result<Self, String> {
        if usize::from(bin) < Histogram::BINS {
            Ok(Self(bin))
        } else {
            Err(format!("{bin} is no bin of a histogram: they end at {}", Histogram::BINS - 1))
        }
    }
}

impl From<Threshold> for u16 {
    fn from(threshold: Threshold) -> Self {
        threshold.0
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.value(), f)
    }
}

impl Histogram {
    /// How many bins there are.
    pub const BINS: usize = 4096;

    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self { first: 0, counts: Vec::new() }
    }

    /// One of these samples.
    ///
    /// # Errors
    ///
    /// [`HistogramError`] if one of them is negative or beyond the last bin.
    pub fn of(samples: &[Real]) -> Result<Self, HistogramError> {
        let mut histogram = Self::new();
        for sample in samples {
            histogram.insert(sample.get())?;
        }
        Ok(histogram)
    }

    /// Counts one value.
    ///
    /// # Errors
    ///
    /// [`HistogramError`] if it is negative, not finite or beyond the last bin, or its bin is full. Nothing is counted then.
    #[inline]
    pub fn insert(&mut self, value: f64) -> Result<(), HistogramError> {
        // The common case is one subtraction and one comparison: everything else has a bit pattern outside the octaves.
        let at = (value.to_bits() >> SHIFT).wrapping_sub(FIRST + u64::from(self.first));
        match usize::try_from(at).ok().and_then(|at| self.counts.get_mut(at)) {
            Some(count) => {
                *count = count.checked_add(1).ok_or(HistogramError::Full)?;
                Ok(())
            }
            None => self.insert_many(value, 1),
        }
    }

    /// Counts the same value several times.
    ///
    /// # Errors
    ///
    /// As [`Histogram::insert`].
    pub fn insert_many(&mut self, value: f64, times: u32) -> Result<(), HistogramError> {
        let bin = slot(value)?;
        if times > 0 {
            // A bin that is full is inside already: octaves are added only where something is counted in them.
            let count = self.count_of(bin);
            *count = count.checked_add(times).ok_or(HistogramError::Full)?;
        }
        Ok(())
    }

    /// Adds another one. Exact, and in any order the same.
    ///
    /// # Errors
    ///
    /// [`HistogramError::Full`] if a bin would overflow. Nothing is added then.
    pub fn merge(&mut self, other: &Self) -> Result<(), HistogramError> {
        if other.counts.is_empty() {
            return Ok(());
        }
        let both = self.from(other.first).iter().zip(other.from(self.first));
        if both.into_iter().any(|(a, b)| a.checked_add(*b).is_none()) {
            return Err(HistogramError::Full);
        }
        self.make_room(other.first, other.counts.len());
        let there = self.counts.iter_mut().skip(usize::from(other.first - self.first));
        for (into, from) in there.zip(&other.counts) {
            *into += from;
        }
        Ok(())
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    /// How many values are at or above this edge. Exact.
    #[must_use]
    pub fn at_least(&self, threshold: Threshold) -> u64 {
        self.from(threshold.0).iter().map(|count| u64::from(*count)).sum()
    }

    /// The edge that `share` (0 to 1) of the values lie below, at the least: the upper edge of the bin that holds the
    /// quantile. Nothing if there are no values or the bin is the last one.
    #[must_use]
    pub fn threshold_at(&self, share: f64) -> Option<Threshold> {
        let bin = self.quantile_bin(share)?;
        let next = u16::try_from(bin + 1).ok()?;
        Threshold::try_from(next).ok()
    }

    /// The value that `share` (0 to 1) of the values do not exceed, read from the middle of its bin; nothing if there are
    /// no values.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let bin = self.quantile_bin(share)?;
        let low = f64::from_bits((bin as u64 + FIRST) << SHIFT);
        let high = f64::from_bits((bin as u64 + 1 + FIRST) << SHIFT);
        Some(low.midpoint(high))
    }

    /// The bins that are not empty, from the smallest values up: lower edge and count.
    pub fn filled(&self) -> impl Iterator<Item = (Threshold, u32)> + '_ {
        (self.first..).zip(&self.counts).filter(|(_, count)| **count > 0).map(|(bin, count)| (Threshold(bin), *count))
    }

    fn quantile_bin(&self, share: f64) -> Option<usize> {
        let total = self.count();
        if total == 0 || !(0.0..=1.0).contains(&share) {
            return None;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counts stay far below 2^53, and the product lies between 0 and the count"
        )]
        let rank = ((share * total as f64).ceil() as u64).clamp(1, total);
        let mut below = 0;
        for (bin, count) in (usize::from(self.first)..).zip(&self.counts) {
            below += u64::from(*count);
            if below >= rank {
                return Some(bin);
            }
        }
        None
    }

    /// The counts of this bin and those above it, as far as there are any.
    fn from(&self, bin: u16) -> &[u32] {
        self.counts.get(usize::from(bin.saturating_sub(self.first))..).unwrap_or_default()
    }

    /// The count of a bin, for which there is room from now on: something must be counted there.
    fn count_of(&mut self, bin: u16) -> &mut u32 {
        self.make_room(bin - bin % OCTAVE, usize::from(OCTAVE));
        &mut self.counts[usize::from(bin - self.first)]
    }

    /// Room for so many counts of whole octaves from the bin `first` on: something must be counted in the outermost of them.
    fn make_room(&mut self, first: u16, count: usize) {
        if self.counts.is_empty() {
            self.first = first;
            self.counts.reserve_exact(count.max(AT_ONCE));
        }
        if first < self.first {
            let more = usize::from(self.first - first);
            self.counts.splice(0..0, std::iter::repeat_n(0, more));
            self.first = first;
        }
        let end = usize::from(first - self.first) + count;
        if self.counts.len() < end {
            self.counts.resize(end, 0);
        }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.filled().map(|(edge, count)| (edge.value(), count))).finish()
    }
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.filled())
    }
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Filled)
    }
}

/// Reads the bins that are not empty, one after the other.
struct Filled;

impl<'de> Visitor<'de> for Filled {
    type Value = Histogram;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut filled: A) -> Result<Histogram, A::Error> {
        let mut histogram = Histogram::new();
        let mut least = 0;
        while let Some((edge, count)) = filled.next_element::<(Threshold, u32)>()? {
            if edge.0 < least || count == 0 {
                return Err(A::Error::custom(format!("bin {} is empty, or stands after a higher one", edge.0)));
            }
            least = edge.0 + 1;
            *histogram.count_of(edge.0) = count;
        }
        Ok(histogram)
    }
}

/// The bin of a value.
fn slot(value: f64) -> Result<u16, HistogramError> {
    if !value.is_finite() || value < 0.0 {
        return Err(HistogramError::NotASize(value));
    }
    // Minus zero has a sign bit; adding zero takes it away.
    let leading = (value + 0.0).to_bits() >> SHIFT;
    let bin = leading.saturating_sub(FIRST);
    match u16::try_from(bin) {
        Ok(bin) if usize::from(bin) < Histogram::BINS => Ok(bin),
        _ => Err(HistogramError::TooLarge(value)),
    }
}

/// Bins of an octave.
const OCTAVE: u16 = 64;
/// 2⁴⁴, where the last bin ends.
const MOST: f64 = 17_592_186_044_416.0;
/// Room for so many counts is made with the first: eight octaves, as far as the times of a service are apart.
const AT_ONCE: usize = 8 * OCTAVE as usize;
/// Leaves the sign, the exponent and the six leading bits of the mantissa.
const SHIFT: u32 = 52 - 6;
/// What is left of 2⁻²⁰, the first lower edge.
const FIRST: u64 = (1023 - 20) << 6;

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::{Histogram, HistogramError, Threshold};

    #[test]
    fn the_edges_are_a_64th_of_an_octave_apart() {
        let first = Threshold::try_from(0).expect("a bin");
        assert_eq!(first.value().to_bits(), 2f64.powi(-20).to_bits());
        let one = Threshold::at_or_above(1.0).expect("inside");
        assert_eq!(one.value().to_bits(), 1f64.to_bits());
        assert_eq!(
            Threshold::at_or_above(1.000_001).expect("inside").value().to_bits(),
            (1.0 + 1.0 / 64.0f64).to_bits()
        );
        assert_eq!(one.scaled(1.1).expect("inside").value().to_bits(), (1.0 + 7.0 / 64.0f64).to_bits());
        assert!(Threshold::try_from(4096).is_err());
        assert!(Threshold::at_or_above(super::MOST).is_none());
        assert!(Threshold::at_or_above(super::MOST * (1.0 - 1.0 / 64.0)).is_some());
    }

    #[test]
    fn what_is_no_size_is_refused() {
        let mut histogram = Histogram::new();
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -1e-300] {
            assert!(matches!(histogram.insert(value), Err(HistogramError::NotASize(_))), "{value}");
        }
        assert_eq!(histogram.count(), 0);
        for value in [super::MOST, 1e300, f64::MAX] {
            assert_eq!(
                histogram.insert(value),
                Err(HistogramError::TooLarge(value)),
                "how large it is could not be said"
            );
        }
        assert_eq!(histogram.count(), 0);
        for value in [0.0, -0.0, 1e-300, super::MOST.next_down()] {
            histogram.insert(value).expect("a size");
        }
        assert_eq!(histogram.filled().map(|(edge, n)| (u16::from(edge), n)).collect::<Vec<_>>(), [(0, 3), (4095, 1)]);
    }

    #[test]
    fn a_full_bin_is_an_error_and_not_a_wrong_count() {
        let mut histogram = Histogram::new();
        histogram.insert_many(1.0, u32::MAX).expect("room");
        assert_eq!(histogram.insert(1.0), Err(HistogramError::Full));
        let copy = histogram.clone();
        assert_eq!(histogram.merge(&copy), Err(HistogramError::Full));
        assert_eq!(histogram.count(), u64::from(u32::MAX));
    }

    #[test]
    fn a_histogram_that_no_one_of_ours_wrote_is_refused() {
        assert!(serde_json::from_str::<Histogram>("[[3,1],[3,1]]").is_err());
        assert!(serde_json::from_str::<Histogram>("[[3,0]]").is_err());
        assert!(serde_json::from_str::<Histogram>("[[4096,1]]").is_err());
    }

    #[test]
    fn only_octaves_in_which_something_was_counted_take_room() {
        let mut histogram = Histogram::new();
        for (value, octaves) in [(100.0, 1), (127.9, 1), (128.0, 2), (64.0, 2), (63.9, 3), (1_000.0, 5)] {
            histogram.insert(value).expect("a size");
            assert_eq!(histogram.counts.len(), octaves * 64, "after {value}");
            histogram.insert_many(0.001, 0).expect("a size");
        }
        for value in [0.0, super::MOST.next_down()] {
            histogram.insert(value).expect("a size");
        }
        assert_eq!(histogram.counts.len(), Histogram::BINS);
        assert_eq!(histogram.count(), 8);
    }

    proptest! {
        #[test]
        fn contents_are_the_same_whatever_order_they_came_in(values in proptest::collection::vec(1e-7f64..1e6, 0..50)) {
            let of = |values: &mut dyn Iterator<Item = &f64>| {
                let mut histogram = Histogram::new();
                values.for_each(|value| histogram.insert(*value).expect("a size"));
                histogram
            };
            let (there, back) = (of(&mut values.iter()), of(&mut values.iter().rev()));
            prop_assert_eq!(&there, &back);
            prop_assert_eq!(there.count(), values.len() as u64);
            prop_assert_eq!(there.filled().map(|(_, count)| u64::from(count)).sum::<u64>(), values.len() as u64);
            for value in &values {
                let own = Threshold::at_or_above(*value).expect("inside");
                let below = back.filled().filter(|(edge, _)| *edge < own).map(|(_, count)| u64::from(count)).sum::<u64>();
                prop_assert_eq!(back.at_least(own) + below, values.len() as u64);
            }
        }

        #[test]
        fn counting_above_an_edge_is_exact(values in proptest::collection::vec(1e-7f64..2e6, 0..200), edge in 0u16..4096) {
            let mut histogram = Histogram::new();
            for value in &values {
                histogram.insert(*value).expect("a size");
            }
            let edge = Threshold::try_from(edge).expect("a bin");
            let exact = values.iter().filter(|v| **v >= edge.value() || u16::from(edge) == 0).count();
            prop_assert_eq!(histogram.at_least(edge), exact as u64);
        }

        #[test]
        fn merging_is_the_same_as_counting_together(
            a in proptest::collection::vec(1e-3f64..1e4, 0..100),
            b in proptest::collection::vec(1e-3f64..1e4, 0..100),
        ) {
            let count = |values: &[f64]| {
                let mut histogram = Histogram::new();
                for value in values {
                    histogram.insert(*value).expect("a size");
                }
                histogram
            };
            let mut merged = count(&a);
            merged.merge(&count(&b)).expect("room");
            let both: Vec<f64> = a.iter().chain(&b).copied().collect();
            prop_assert_eq!(&merged, &count(&both));
            let text = serde_json::to_string(&merged).expect("written");
            prop_assert_eq!(merged, serde_json::from_str::<Histogram>(&text).expect("read"));
        }

        #[test]
        fn a_quantile_is_within_a_bin_of_the_exact_one(mut values in proptest::collection::vec(1e-3f64..1e5, 1..200), share in 0.0f64..1.0) {
            let mut histogram = Histogram::new();
            for value in &values {
                histogram.insert(*value).expect("a size");
            }
            values.sort_unstable_by(f64::total_cmp);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "small")]
            let rank = ((share * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let exact = values[rank - 1];
            let read = histogram.quantile(share).expect("values");
            prop_assert!((read - exact).abs() <= exact / 64.0, "{read} for {exact}");
            let above = histogram.threshold_at(share).expect("inside").value();
            prop_assert!(above > exact && above <= exact * (1.0 + 1.0 / 64.0), "{above} for {exact}");
        }
    }
}

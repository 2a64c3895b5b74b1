//! `HdrHistogram` (G. Tene), in the V2 encoding that all its ports write.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use deploy_core::monitor::Histogram;
use hdrhistogram::serialization::{DeserializeError, Deserializer};

use super::{SketchError, of_bins};

const FORMAT: &str = "an HdrHistogram in its V2 encoding";

/// The longest encoded histogram that is read, in bytes: one of five digits over an hour of microseconds has some 3 MB.
pub const LONGEST: usize = 8 * 1024 * 1024;

/// Reads an encoded histogram, plain or compressed. `unit` is how much one of its whole numbers is in the metric's unit: for a
/// metric in milliseconds of which microseconds were recorded, 0.001.
///
/// Read only what your own services write: a compressed histogram may claim any size.
///
/// # Errors
///
/// [`SketchError`] if it is longer than [`LONGEST`], or not such a histogram, or does not fit into ours.
pub fn read(bytes: &[u8], unit: f64) -> Result<Histogram, SketchError> {
    if bytes.len() > LONGEST {
        let why = format!("{} bytes, where at most {LONGEST} are read", bytes.len());
        return Err(SketchError::Malformed { format: FORMAT, why });
    }
    let mut rest = bytes;
    let read = Deserializer::new().deserialize::<u64, _>(&mut rest).map_err(|error| match error {
        DeserializeError::UnsupportedFeature => {
            SketchError::Unsupported { format: FORMAT, what: "a normalizing offset or a ratio for doubles".to_owned() }
        }
        error => SketchError::Malformed { format: FORMAT, why: error.to_string() },
    })?;
    let bin = |value: u64| {
        #[expect(clippy::cast_precision_loss, reason = "a bin of so large values is wider than the rounding")]
        let middle = read.median_equivalent(value) as f64;
        middle * unit
    };
    of_bins(read.iter_recorded().map(|point| (bin(point.value_iterated_to()), point.count_at_value())))
}

/// Reads an encoded histogram as it stands in logs, in base 64: `HISTFAAAA…`.
///
/// # Errors
///
/// As [`read`].
pub fn read_base64(text: &str, unit: f64) -> Result<Histogram, SketchError> {
    let bytes = STANDARD.decode(text.trim());
    let bytes = bytes.map_err(|error| SketchError::Malformed { format: FORMAT, why: error.to_string() })?;
    read(&bytes, unit)
}

#[cfg(test)]
mod tests {
    use deploy_core::monitor::{Histogram, Threshold};
    use hdrhistogram::Histogram as Hdr;
    use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer, V2Serializer};
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::{read, read_base64};
    use crate::analysis::sketch::SketchError;

    /// Written by the Python port: 500, 1,000, … 500,000 µs, once each.
    const PYTHON: &str = "HISTFAAAAIJ4nJNpmSzMwMB+mgECmKE0I4i4NnkJg/0HiMBzdqanMLSQhekjMxQtZ2L6zogFrWRkqmaqxIOzmayB0BZMkkfrMkkzyQIhgqQ/n5+Jl4kbiCEQwcIuOlzl2ZlYwZAZSqNC4kVH9Q99/cxMjGgQQwAXJFohLcwctXzU8pFhOQAxiT/+";

    fn hdr(values: &[u64]) -> Hdr<u64> {
        let mut hdr = Hdr::new_with_bounds(1, 3_600_000_000, 3).expect("bounds");
        values.iter().for_each(|value| hdr.record(*value).expect("within bounds"));
        hdr
    }

    fn plain(hdr: &Hdr<u64>) -> Vec<u8> {
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(hdr, &mut bytes).expect("written");
        bytes
    }

    #[test]
    fn what_another_port_wrote_is_read() {
        let milliseconds = read_base64(PYTHON, 0.001).expect("read");
        assert_eq!(milliseconds.count(), 1000);
        for (share, exact) in [(0.5, 250.0), (0.9, 450.0), (0.99, 495.0)] {
            let got = milliseconds.quantile(share).expect("values");
            assert!((got / exact - 1.0).abs() < 0.017, "{got} for {exact}");
        }
    }

    #[test]
    fn compressed_and_plain_are_the_same_and_what_is_neither_is_refused() {
        let hdr = hdr(&[1, 2, 300, 70_000]);
        let mut compressed = Vec::new();
        V2DeflateSerializer::new().serialize(&hdr, &mut compressed).expect("written");
        let plain = plain(&hdr);
        assert_eq!(read(&compressed, 1.0), read(&plain, 1.0));
        for wrong in [&plain[..plain.len() - 1], &plain[1..], b"", b"HISTFAAAA"] {
            assert!(matches!(read(wrong, 1.0), Err(SketchError::Malformed { .. })));
        }
        assert!(read_base64("HISTFAAAA*", 1.0).is_err());
    }

    proptest! {
        /// In its own unit its bins lie in ours, so that counts at or above an edge are those of the values themselves.
        #[test]
        fn counts_above_an_edge_are_exact(values in proptest::collection::vec(1u64..1_000_000, 0..80), edge in 1.0f64..900_000.0) {
            let ours = read(&plain(&hdr(&values)), 1.0).expect("read");
            let edge = Threshold::at_or_above(edge).expect("an edge");
            // Values are whole: what lies between two of them is at the next one.
            let exact = values.iter().filter(|value| **value as f64 >= edge.value()).count() as u64;
            prop_assert_eq!(ours.at_least(edge), exact);
        }

        #[test]
        fn merging_before_and_after_is_the_same(
            a in proptest::collection::vec(1u64..3_000_000, 0..60), b in proptest::collection::vec(1u64..3_000_000, 0..60),
        ) {
            let (one, other) = (hdr(&a), hdr(&b));
            let mut both = one.clone();
            both.add(&other).expect("the same bounds");
            let mut ours: Histogram = read(&plain(&one), 0.001).expect("read");
            ours.merge(&read(&plain(&other), 0.001).expect("read")).expect("few");
            prop_assert_eq!(ours, read(&plain(&both), 0.001).expect("read"));
        }

        #[test]
        fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            prop_assert!(read(&bytes, 1.0).is_err() || !bytes.is_empty());
        }
    }
}

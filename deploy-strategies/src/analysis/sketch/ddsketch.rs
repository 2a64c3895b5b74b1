//! `DDSketch` (Masson, Rim and Lee, VLDB 2019), in the protocol buffers that its authors' libraries share (`DDSketch.proto`).

use std::collections::BTreeMap;

use deploy_core::monitor::Histogram;

use super::{SketchError, of_bins};

const FORMAT: &str = "a DDSketch";

/// The most bins that are read.
const MOST_BINS: usize = 65_536;

/// Reads a sketch with a logarithmic mapping. `unit` is how much one of its units is in the metric's: for a metric in milliseconds of
/// which seconds were recorded, 1000.
///
/// Its bin number i is read as γⁱ. Libraries differ by one in whether i is the bin below or above that; in either case the size is within
/// twice the sketch's relative accuracy, and the same for both arms.
///
/// # Errors
///
/// [`SketchError`] if the bytes are no sketch, its mapping is interpolated, it holds negative values, its counts are no whole
/// numbers, or it does not fit into ours.
pub fn read(bytes: &[u8], unit: f64) -> Result<Histogram, SketchError> {
    let sketch = Sketch::read(bytes)?;
    let (gamma, offset) = (sketch.gamma, sketch.offset);
    if !(gamma.is_finite() && gamma > 1.0 && offset.is_finite()) {
        return Err(malformed(format!("γ is {gamma} and the offset of its bins is {offset}")));
    }
    if sketch.interpolation != 0 {
        let what = match sketch.interpolation {
            1 => "linear interpolation".to_owned(),
            2 => "quadratic interpolation".to_owned(),
            3 => "cubic interpolation".to_owned(),
            other => format!("interpolation {other}"),
        };
        return Err(SketchError::Unsupported { format: FORMAT, what });
    }
    if !sketch.negative.is_empty() {
        return Err(SketchError::Unsupported { format: FORMAT, what: "negative values".to_owned() });
    }
    let size = |bin: i64| {
        #[expect(clippy::cast_precision_loss, reason = "numbers of bins are small")]
        let power = (bin as f64 - offset) * libm::log(gamma);
        libm::exp(power) * unit
    };
    let mut bins = vec![(0.0, whole(sketch.zero)?)];
    for (bin, count) in sketch.positive {
        bins.push((size(bin), whole(count)?));
    }
    of_bins(bins.into_iter().filter(|(_, count)| *count > 0))
}

/// What a message holds.
#[derive(Debug, Default)]
struct Sketch {
    gamma: f64,
    offset: f64,
    interpolation: u64,
    positive: BTreeMap<i64, f64>,
    negative: BTreeMap<i64, f64>,
    zero: f64,
}

impl Sketch {
    fn read(bytes: &[u8]) -> Result<Self, SketchError> {
        let mut sketch = Self::default();
        let mut mapped = false;
        for field in fields(bytes) {
            match field? {
                (1, Wire::Bytes(mapping)) => {
                    mapped = true;
                    for field in fields(mapping) {
                        match field? {
                            (1, Wire::Eight(eight)) => sketch.gamma = f64::from_le_bytes(eight),
                            (2, Wire::Eight(eight)) => sketch.offset = f64::from_le_bytes(eight),
                            (3, Wire::Number(kind)) => sketch.interpolation = kind,
                            _ => {}
                        }
                    }
                }
                (2, Wire::Bytes(store)) => bins(store, &mut sketch.positive)?,
                (3, Wire::Bytes(store)) => bins(store, &mut sketch.negative)?,
                (4, Wire::Eight(eight)) => sketch.zero = f64::from_le_bytes(eight),
                _ => {}
            }
        }
        if mapped { Ok(sketch) } else { Err(malformed("it has no mapping from bins to sizes")) }
    }
}

/// Reads a store: bins by number, and a row of bins from an offset on.
fn bins(store: &[u8], into: &mut BTreeMap<i64, f64>) -> Result<(), SketchError> {
    let (mut row, mut from) = (Vec::new(), 0);
    for field in fields(store) {
        match field? {
            (1, Wire::Bytes(entry)) => {
                let (mut bin, mut count) = (0, 0.0);
                for field in fields(entry) {
                    match field? {
                        (1, Wire::Number(number)) => bin = zigzag(number),
                        (2, Wire::Eight(eight)) => count = f64::from_le_bytes(eight),
                        _ => {}
                    }
                }
                *into.entry(bin).or_default() += count;
            }
            (2, Wire::Bytes(packed)) => {
                let (eights, rest) = packed.as_chunks::<8>();
                if !rest.is_empty() {
                    return Err(malformed("a row of counts is cut off"));
                }
                row.extend(eights.iter().map(|eight| f64::from_le_bytes(*eight)));
            }
            (2, Wire::Eight(eight)) => row.push(f64::from_le_bytes(eight)),
            (3, Wire::Number(number)) => from = zigzag(number),
            _ => {}
        }
        if row.len() + into.len() > MOST_BINS {
            return Err(malformed(format!("it has more than {MOST_BINS} bins")));
        }
    }
    for (bin, count) in (from..).zip(row) {
        if count != 0.0 {
            *into.entry(bin).or_default() += count;
        }
    }
    Ok(())
}

/// A field's value, by how it is written.
#[derive(Debug, Clone, Copy)]
enum Wire<'a> {
    Number(u64),
    Eight([u8; 8]),
    Bytes(&'a [u8]),
    Four,
}

/// The fields of a message: number and value.
fn fields(bytes: &[u8]) -> impl Iterator<Item = Result<(u64, Wire<'_>), SketchError>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = field(&mut rest);
        if field.is_none() {
            // Nothing that follows could be trusted.
            rest = &[];
        }
        Some(field.ok_or_else(|| malformed("a field is cut off, or of a kind that there is not")))
    })
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Wire<'a>)> {
    let key = number(rest)?;
    let wire = match key & 7 {
        0 => Wire::Number(number(rest)?),
        1 => Wire::Eight(*rest.split_off(..8)?.first_chunk()?),
        2 => {
            let length = usize::try_from(number(rest)?).ok()?;
            Wire::Bytes(rest.split_off(..length)?)
        }
        5 => {
            rest.split_off(..4)?;
            Wire::Four
        }
        _ => return None,
    };
    Some((key >> 3, wire))
}

/// A number in groups of seven bits, the lowest first.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *rest.split_off_first()?;
        number |= u64::from(byte & 0x7F).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// A signed number, as the format folds it: 0, −1, 1, −2, …
fn zigzag(number: u64) -> i64 {
    #[expect(clippy::cast_possible_wrap, reason = "half of a 64-bit number fits")]
    let half = (number >> 1) as i64;
    if number & 1 == 0 { half } else { -half - 1 }
}

fn whole(count: f64) -> Result<u64, SketchError> {
    if count < 0.0 || count.fract() != 0.0 || count >= 1e15 || count.is_nan() {
        return Err(SketchError::Unsupported { format: FORMAT, what: format!("a count of {count}") });
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number between 0 and 10^15")]
    let count = count as u64;
    Ok(count)
}

fn malformed(why: impl Into<String>) -> SketchError {
    SketchError::Malformed { format: FORMAT, why: why.into() }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::{SketchError, read};

    /// Written by the authors' Python library: relative accuracy 5 %; 0.5, 1.0, … 50, once each, and seven zeros.
    const PYTHON: &str = "CgkJ8xrKayiv8T8S/QIS+AIAAAAAAADwPwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAADwPwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA8D8AAAAAAAAAAAAAAAAAAPA/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAPA/AAAAAAAA8D8AAAAAAAAAAAAAAAAAAPA/AAAAAAAA8D8AAAAAAAAAAAAAAAAAAPA/AAAAAAAA8D8AAAAAAAAAQAAAAAAAAPA/AAAAAAAA8D8AAAAAAAAAQAAAAAAAAABAAAAAAAAA8D8AAAAAAAAIQAAAAAAAAABAAAAAAAAAAEAAAAAAAAAIQAAAAAAAAAhAAAAAAAAAEEAAAAAAAAAQQAAAAAAAABBAAAAAAAAAFEAAAAAAAAAUQAAAAAAAABhAAAAAAAAAGEAAAAAAAAAcQAAAAAAAACBAAAAAAAAAIEAAAAAAAAAkQAAAAAAAAPA/GAsaACEAAAAAAAAcQA==";

    /// A sketch of bins with γ, and one field more that nobody knows.
    fn sketch(gamma: f64, interpolation: u8, bins: &[(i32, f64)]) -> Vec<u8> {
        let part = |number: u8, bytes: &[u8]| {
            let mut all = vec![number << 3 | 2, u8::try_from(bytes.len()).expect("short")];
            all.extend_from_slice(bytes);
            all
        };
        let eight = |number: u8, value: f64| [&[number << 3 | 1][..], &value.to_le_bytes()].concat();
        let mut mapping = eight(1, gamma);
        mapping.extend([3 << 3, interpolation, 15 << 3, 1]);
        let mut all = part(1, &mapping);
        for (bin, count) in bins {
            let folded = u8::try_from((bin << 1) ^ (bin >> 31)).expect("small");
            let entry = [&[1 << 3, folded & 0x7F | 0x80, folded >> 7][..], &eight(2, *count)].concat();
            all.extend(part(2, &part(1, &entry)));
        }
        all
    }

    #[test]
    fn what_the_authors_library_wrote_is_read() {
        let bytes = STANDARD.decode(PYTHON).expect("base 64");
        let sizes = read(&bytes, 2.0).expect("a sketch");
        assert_eq!(sizes.count(), 107);
        // 43 of the 100 positive values lie below half of all.
        for (share, exact) in [(0.5, 47.0), (0.9, 90.0)] {
            let got = sizes.quantile(share).expect("values");
            assert!((got / exact - 1.0).abs() < 0.12, "{got} for {exact}");
        }
        assert!(read(&bytes[..bytes.len() - 1], 1.0).is_err());
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        let unsupported = |bytes: &[u8]| matches!(read(bytes, 1.0), Err(SketchError::Unsupported { .. }));
        assert!(unsupported(&sketch(1.02, 3, &[(5, 1.0)])), "cubic");
        assert!(unsupported(&sketch(1.02, 0, &[(5, 0.5)])), "a weight");
        assert!(unsupported(&sketch(1.02, 0, &[(5, -1.0)])));
        assert!(matches!(read(&sketch(1.0, 0, &[]), 1.0), Err(SketchError::Malformed { .. })));
        assert!(matches!(read(b"", 1.0), Err(SketchError::Malformed { .. })));
    }

    proptest! {
        #[test]
        fn merging_before_and_after_is_the_same(
            a in proptest::collection::vec((-100i32..100, 1u8..9), 0..30), b in proptest::collection::vec((-100i32..100, 1u8..9), 0..30),
        ) {
            let of = |bins: &[(i32, u8)]| {
                let bins: Vec<(i32, f64)> = bins.iter().map(|(bin, count)| (*bin, f64::from(*count))).collect();
                read(&sketch(1.02, 0, &bins), 1.0).expect("a sketch")
            };
            let mut ours = of(&a);
            ours.merge(&of(&b)).expect("few");
            prop_assert_eq!(ours, of(&[a, b].concat()));
        }

        #[test]
        fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            prop_assert!(read(&bytes, 1.0).is_err() || !bytes.is_empty());
        }
    }
}

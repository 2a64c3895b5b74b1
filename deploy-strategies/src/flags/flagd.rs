//! Weighted variants as flagd shares them out.

use super::hash::murmur3_32;

/// One variant with its weight. A weight below zero counts as zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bucket<'a> {
    /// The variant; nothing where the description names none.
    pub variant: Option<&'a str>,
    /// Its weight among all.
    pub weight: i64,
}

impl Bucket<'_> {
    fn weight(self) -> u64 {
        u64::try_from(self.weight).unwrap_or(0)
    }
}

/// Which of its two ways of sharing out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// The older one: floating-point percentages of the signed hash.
    V1,
    /// The newer one: whole numbers, `(hash · total) >> 32`.
    V2,
}

/// The variant of a key; nothing if no bucket has weight, or if the chosen bucket names none.
#[must_use]
pub fn fractional<'a>(key: &str, buckets: &[Bucket<'a>], version: Version) -> Option<&'a str> {
    let total: u64 = buckets.iter().map(|bucket| bucket.weight()).sum();
    if total == 0 {
        return None;
    }
    let hash = murmur3_32(key.as_bytes(), 0);
    match version {
        Version::V2 => {
            let place = u64::try_from((u128::from(hash) * u128::from(total)) >> 32).ok()?;
            let mut upto = 0;
            let holds = |bucket: &&Bucket<'a>| {
                upto += bucket.weight();
                place < upto
            };
            buckets.iter().find(holds)?.variant
        }
        Version::V1 => {
            let place = (f64::from(hash.cast_signed()) / f64::from(i32::MAX)).abs() * 100.0;
            let mut upto = 0.0;
            #[expect(clippy::cast_precision_loss, reason = "the older version computes in floating point")]
            let holds = |bucket: &&Bucket<'a>| {
                upto += bucket.weight() as f64 * 100.0 / total as f64;
                place < upto
            };
            buckets.iter().find(holds)?.variant
        }
    }
}

//! Finite numbers that compare, hash and round-trip by bits.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

/// A finite `f64`. NaN and the infinities are refused at the door, so that a recorded number is always a number, and
/// minus zero becomes zero, so that equal numbers have equal bits.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Real(f64);

/// A number that is not finite. Say what the absence of a number means instead of recording it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a recorded number must be finite, not NaN or infinite")]
pub struct NotFinite;

impl Real {
    /// Zero.
    pub const ZERO: Self = Self(0.0);

    /// Takes a finite number.
    ///
    /// # Errors
    ///
    /// [`NotFinite`] for NaN and the infinities.
    pub fn new(value: f64) -> Result<Self, NotFinite> {
        if value.is_finite() { Ok(Self(value + 0.0)) } else { Err(NotFinite) }
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Real {
    type Error = NotFinite;
    fn try_from(value: f64) -> Result<Self, NotFinite> {
        Self::new(value)
    }
}

impl From<Real> for f64 {
    fn from(real: Real) -> Self {
        real.0
    }
}

impl From<u32> for Real {
    fn from(value: u32) -> Self {
        Self(f64::from(value))
    }
}

impl fmt::Debug for Real {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Real {
    /// For people: rounded to six significant digits, without trailing zeros. Records keep every bit; `Debug` shows them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(precision) = f.precision() {
            return write!(f, "{:.precision$}", self.0);
        }
        let rounded = format!("{:.5e}", self.0).parse().unwrap_or(self.0);
        f.pad(&rounded.to_string())
    }
}

impl PartialEq for Real {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Real {}

impl PartialOrd for Real {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Real {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Hash for Real {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::{NotFinite, Real};

    #[test]
    fn only_finite_numbers_enter() {
        assert_eq!(Real::new(f64::NAN), Err(NotFinite));
        assert_eq!(Real::new(f64::INFINITY), Err(NotFinite));
        assert_eq!(Real::new(-0.0), Ok(Real::ZERO));
        assert!(serde_json::from_str::<Real>("1e999").is_err());
    }

    #[test]
    fn people_are_shown_six_digits() {
        let shown = |value: f64| Real::new(value).map(|real| real.to_string());
        assert_eq!(shown(0.1 + 0.2), Ok("0.3".to_owned()));
        assert_eq!(shown(0.235_000_000_000_000_01), Ok("0.235".to_owned()));
        assert_eq!(shown(1_234_567.0), Ok("1234570".to_owned()));
        assert_eq!(shown(2.0 / 3.0), Ok("0.666667".to_owned()));
        assert_eq!(shown(0.0), Ok("0".to_owned()));
    }

    proptest::proptest! {
        #[test]
        fn a_recorded_number_reads_back_to_the_same_bits(bits: u64) {
            if let Ok(real) = Real::new(f64::from_bits(bits)) {
                let text = serde_json::to_string(&real).expect("numbers serialise");
                let back: Real = serde_json::from_str(&text).expect("and read back");
                proptest::prop_assert_eq!(real, back);
            }
        }
    }
}

//! Parts of a whole, typed: a percentage is never a lenient string.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A whole percentage, 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Percent(u32);

/// A number that is not a percentage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a percentage; write 0 to 100")]
pub struct PercentError(u32);

impl Percent {
    /// All of it.
    pub const ALL: Self = Self(100);

    /// Takes a percentage.
    ///
    /// # Errors
    ///
    /// [`PercentError`] above 100.
    pub const fn new(percent: u32) -> Result<Self, PercentError> {
        if percent > 100 { Err(PercentError(percent)) } else { Ok(Self(percent)) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// So much of `whole`, rounded up.
    #[must_use]
    pub fn of_rounded_up(self, whole: u32) -> u32 {
        part_up(self.0, whole, 100)
    }

    /// So much of `whole`, rounded down.
    #[must_use]
    pub fn of_rounded_down(self, whole: u32) -> u32 {
        part_down(self.0, whole, 100)
    }
}

impl TryFrom<u32> for Percent {
    type Error = PercentError;
    fn try_from(percent: u32) -> Result<Self, PercentError> {
        Self::new(percent)
    }
}

impl From<Percent> for u32 {
    fn from(percent: Percent) -> Self {
        percent.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

/// `part` of `of`, taken of `whole`, rounded up. Zero if `of` is zero.
pub(crate) fn part_up(part: u32, whole: u32, of: u32) -> u32 {
    let product = u64::from(part) * u64::from(whole);
    u32::try_from(
        product.checked_add(u64::from(of).saturating_sub(1)).and_then(|n| n.checked_div(u64::from(of))).unwrap_or(0),
    )
    .unwrap_or(u32::MAX)
}

/// `part` of `of`, taken of `whole`, rounded down. Zero if `of` is zero.
pub(crate) fn part_down(part: u32, whole: u32, of: u32) -> u32 {
    let product = u64::from(part) * u64::from(whole);
    u32::try_from(product.checked_div(u64::from(of)).unwrap_or(0)).unwrap_or(u32::MAX)
}

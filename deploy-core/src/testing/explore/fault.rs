//! Faults that are planted to see whether the explorer finds them.

use super::rules::Rules;

/// A planted fault.
pub type Planted = Box<dyn Rules>;

/// Every fault that can be planted.
#[must_use]
pub fn planted() -> Vec<Planted> {
    Vec::new()
}

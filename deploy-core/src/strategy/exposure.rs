//! How much users met of a revision that nothing had proven yet.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::{Spell, millis};

/// The blast radius of a rollout so far: the share of the users that met a revision before it was proven, times how long they did.
/// Counted as time of the whole traffic: 5 % for 10 minutes are 30 seconds, or half a share-minute.
///
/// ```
/// use std::time::Duration;
/// use deploy_core::strategy::Exposure;
///
/// let minutes = |n: u64| Duration::from_secs(60 * n);
/// let met = Exposure::of(5, 100, minutes(10)).and(Exposure::of(25, 100, minutes(2)));
/// assert_eq!(met.of_everything(), minutes(1));
/// assert_eq!(met.to_string(), "1m of the whole traffic");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Exposure(u64);

impl Exposure {
    /// Nobody met it.
    pub const NONE: Self = Self(0);

    /// `part` of `whole` for this long; nothing of a whole of nothing.
    #[must_use]
    pub fn of(part: u32, whole: u32, span: Duration) -> Self {
        let product = u128::from(millis(span)) * u128::from(part);
        Self(product.checked_div(u128::from(whole)).map_or(0, |ms| u64::try_from(ms).unwrap_or(u64::MAX)))
    }

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// For how long everybody would have met it to the same effect.
    #[must_use]
    pub const fn of_everything(self) -> Duration {
        Duration::from_millis(self.0)
    }

    /// Share of the users, 0 to 1, times minutes.
    #[must_use]
    pub fn share_minutes(self) -> f64 {
        self.of_everything().as_secs_f64() / 60.0
    }

    /// Whether nobody met it.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of the whole traffic", Spell(self.of_everything()))
    }
}

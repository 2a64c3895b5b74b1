//! A clock that stands still until it is moved.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::time::{Clock, Timestamp};

/// A clock that stands still until a test moves it. Its two times can be moved apart, as the clocks of real machines are.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use deploy_core::testing::ManualClock;
/// use deploy_core::time::{Clock, Timestamp};
///
/// let clock = ManualClock::at(Timestamp(1_000));
/// clock.advance(Duration::from_secs(2));
/// assert_eq!(clock.wall(), Timestamp(3_000));
///
/// clock.set_wall(Timestamp(500));
/// assert_eq!(clock.monotonic(), Duration::from_secs(2));
/// ```
#[derive(Debug)]
pub struct ManualClock {
    times: Mutex<(Timestamp, Duration)>,
}

impl ManualClock {
    /// A clock whose wall stands at `wall`, and whose monotonic time is zero.
    #[must_use]
    pub fn at(wall: Timestamp) -> Self {
        Self { times: Mutex::new((wall, Duration::ZERO)) }
    }

    /// Moves both times on.
    pub fn advance(&self, span: Duration) {
        let mut times = self.times();
        times.0 = times.0.after(span);
        times.1 += span;
    }

    /// Sets the wall time alone, as a person or a time service does.
    pub fn set_wall(&self, wall: Timestamp) {
        self.times().0 = wall;
    }

    fn times(&self) -> MutexGuard<'_, (Timestamp, Duration)> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    /// A Sunday morning in November 2026: an ordinary time, so that times in messages look like times.
    fn default() -> Self {
        Self::at(Timestamp(1_795_334_400_000))
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Timestamp {
        self.times().0
    }

    fn monotonic(&self) -> Duration {
        self.times().1
    }
}

//! The one place that waits, and a clock that stands still when the runtime's does.

use std::time::Duration;

use crate::time::{Clock, Timestamp};

/// Waits. Everything in the driver that waits for time goes through here.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind.
#[expect(clippy::disallowed_methods, reason = "the one place of the driver that waits")]
pub(crate) async fn wait(span: Duration) {
    tokio::time::sleep(span).await;
}

/// Both clocks read from the runtime's timer: with the runtime's time paused, tests run in virtual time.
#[derive(Debug, Clone)]
pub struct RuntimeClock {
    origin: tokio::time::Instant,
    began: Timestamp,
}

impl RuntimeClock {
    /// Starts both clocks: the monotonic one at zero, the wall clock at `began`.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time enabled.
    #[must_use]
    pub fn new(began: Timestamp) -> Self {
        Self { origin: tokio::time::Instant::now(), began }
    }
}

impl Clock for RuntimeClock {
    fn wall(&self) -> Timestamp {
        self.began.after(self.origin.elapsed())
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

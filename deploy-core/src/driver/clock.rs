//! The one place that waits, and a clock that stands still when the runtime's does.

use std::pin::Pin;
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

/// A timer that is only set again when it must ring earlier. A loop that is mostly woken by something else pays nothing for it;
/// a ring that comes too early is a look around for nothing.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: Pin<Box<tokio::time::Sleep>>,
    /// On the engine's monotonic clock.
    at: Duration,
}

impl Alarm {
    #[expect(clippy::disallowed_methods, reason = "the one place of the driver that waits")]
    pub(crate) fn new() -> Self {
        Self { timer: Box::pin(tokio::time::sleep(Duration::ZERO)), at: Duration::ZERO }
    }

    /// Makes it ring at the latest after `span`.
    pub(crate) fn ring_within(&mut self, span: Duration, now: Duration) {
        let at = now.saturating_add(span);
        if at < self.at || self.at <= now || self.timer.is_elapsed() {
            self.at = at;
            self.timer.as_mut().reset(tokio::time::Instant::now() + span);
        }
    }

    /// Waits until it rings.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the timer set.
    pub(crate) async fn rings(&mut self) {
        self.timer.as_mut().await;
    }
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

//! Whether this host may still act: by its own monotonic clock, without asking the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::time::{Clock, millis};

/// The age of an owner's lease, measured from before the last renewal was asked for.
#[derive(Debug)]
pub(crate) struct LeaseWatch {
    clock: Arc<dyn Clock>,
    asked_at: AtomicU64,
    may_act_for: u64,
}

impl LeaseWatch {
    pub(crate) fn new(clock: Arc<dyn Clock>, lease: Duration, margin: Duration) -> Self {
        let asked_at = AtomicU64::new(millis(clock.monotonic()));
        Self { clock, asked_at, may_act_for: millis(lease.saturating_sub(margin)) }
    }

    /// The time to note before a renewal is asked for.
    pub(crate) fn before_asking(&self) -> Duration {
        self.clock.monotonic()
    }

    /// The renewal that was asked for at `asked_at` was granted.
    pub(crate) fn granted(&self, asked_at: Duration) {
        self.asked_at.fetch_max(millis(asked_at), Ordering::Release);
    }

    /// Whether the lease cannot have passed yet, with the margin to spare.
    pub(crate) fn holds(&self) -> bool {
        millis(self.clock.monotonic()).saturating_sub(self.asked_at.load(Ordering::Acquire)) <= self.may_act_for
    }
}

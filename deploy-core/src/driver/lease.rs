//! Whether this host may still act: by its own monotonic clock, without asking the store.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::clock::wait;
use crate::time::{Clock, millis};

/// A stretch of time in which an owner's lease was renewed without a gap.
///
/// What was claimed in one does not count in the next: during the gap another owner may have claimed it, and a renewal that
/// comes after the gap says nothing about that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tenure(u64);

/// The age of an owner's lease, measured from before the last renewal was asked for.
#[derive(Debug)]
pub(crate) struct LeaseWatch {
    clock: Arc<dyn Clock>,
    asked_at: AtomicU64,
    tenure: AtomicU64,
    granting: Mutex<()>,
    may_act_for: u64,
}

impl LeaseWatch {
    /// A margin of more than a third of the lease is cut to that: renewed every third, it could otherwise never act.
    pub(crate) fn new(clock: Arc<dyn Clock>, lease: Duration, margin: Duration) -> Self {
        let asked_at = AtomicU64::new(millis(clock.monotonic()));
        let may_act_for = millis(lease.saturating_sub(margin.min(lease / 3)));
        Self { clock, asked_at, tenure: AtomicU64::new(1), granting: Mutex::new(()), may_act_for }
    }

    /// The time to note before a renewal is asked for.
    pub(crate) fn before_asking(&self) -> Duration {
        self.clock.monotonic()
    }

    /// The renewal that was asked for at `asked_at` was granted. Says in which tenure a claim stands that was granted so.
    pub(crate) fn granted(&self, asked_at: Duration) -> Tenure {
        let asked_at = millis(asked_at);
        // Nothing is left half done by a panic here.
        let _one_at_a_time = self.granting.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, tenure) = (self.asked_at.load(Ordering::Acquire), self.tenure.load(Ordering::Acquire));
        if before.saturating_sub(asked_at) > self.may_act_for {
            // The answer took longer than the lease: what it granted has passed already.
            return Tenure(tenure - 1);
        }
        let gap = asked_at.saturating_sub(before) > self.may_act_for;
        let tenure = if gap { tenure + 1 } else { tenure };
        // The tenure first: whoever sees the new time must see that it belongs to a new tenure.
        self.tenure.store(tenure, Ordering::Release);
        self.asked_at.fetch_max(asked_at, Ordering::Release);
        Tenure(tenure)
    }

    /// Whether the lease cannot have passed since the tenure began, with the margin to spare.
    pub(crate) fn holds(&self, tenure: Tenure) -> bool {
        self.left() > 0 && self.tenure.load(Ordering::Acquire) == tenure.0
    }

    /// Returns when the tenure is over.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub(crate) async fn lapsed(&self, tenure: Tenure) {
        while self.holds(tenure) {
            wait(Duration::from_millis(self.left().max(1))).await;
        }
    }

    /// For how many milliseconds this owner may act without another renewal.
    fn left(&self) -> u64 {
        let asked_at = self.asked_at.load(Ordering::Acquire);
        let age = millis(self.clock.monotonic()).saturating_sub(asked_at);
        (self.may_act_for + 1).saturating_sub(age)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::LeaseWatch;
    use crate::testing::ManualClock;
    use crate::time::{Clock, Timestamp};

    fn watch() -> (Arc<ManualClock>, LeaseWatch) {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let lease = LeaseWatch::new(Arc::<ManualClock>::clone(&clock), Duration::from_secs(30), Duration::from_secs(5));
        (clock, lease)
    }

    #[test]
    fn a_renewal_after_a_gap_does_not_bring_back_what_was_claimed_before_it() {
        let (clock, lease) = watch();
        let old = lease.granted(lease.before_asking());
        clock.advance(Duration::from_secs(25));
        assert!(lease.holds(old));
        clock.advance(Duration::from_secs(1));
        assert!(!lease.holds(old), "the lease may have passed");

        let new = lease.granted(lease.before_asking());

        assert!(!lease.holds(old), "somebody else may have claimed it meanwhile");
        assert!(lease.holds(new));
    }

    #[test]
    fn renewals_without_a_gap_keep_the_tenure() {
        let (clock, lease) = watch();
        let tenure = lease.granted(lease.before_asking());
        for _ in 0..100 {
            clock.advance(Duration::from_secs(10));
            lease.granted(lease.before_asking());
        }
        assert!(lease.holds(tenure));
    }

    #[test]
    fn an_answer_that_took_longer_than_the_lease_grants_nothing() {
        let (clock, lease) = watch();
        let asked_at = lease.before_asking();
        clock.advance(Duration::from_secs(40));
        lease.granted(clock.monotonic());
        let late = lease.granted(asked_at);
        assert!(!lease.holds(late));
    }

    #[test]
    fn a_margin_longer_than_the_lease_is_cut() {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let lease =
            LeaseWatch::new(Arc::<ManualClock>::clone(&clock), Duration::from_millis(300), Duration::from_secs(5));
        let tenure = lease.granted(lease.before_asking());
        clock.advance(Duration::from_millis(150));
        assert!(lease.holds(tenure));
    }
}

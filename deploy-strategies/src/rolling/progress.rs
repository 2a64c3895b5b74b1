//! Is it done, is it moving, has it run out of time.

use std::time::Duration;

use deploy_core::time::RunTime;

/// The counts of a rolling update at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Instances of all revisions.
    pub current: u32,
    /// Of those, of the new revision.
    pub updated: u32,
    /// Ready ones of all revisions.
    pub ready: u32,
    /// Those that have been ready for long enough.
    pub available: u32,
}

impl Counts {
    /// Whether nothing is left to do.
    #[must_use]
    pub fn complete(self, wanted: u32) -> bool {
        [self.updated, self.current, self.available].into_iter().all(|count| count == wanted)
    }

    /// Whether anything has moved since `before`: more of the new revision, fewer of the old ones, more ready, more available.
    #[must_use]
    pub fn progressed_since(self, before: Self) -> bool {
        let old = |counts: Self| counts.current.saturating_sub(counts.updated);
        self.updated > before.updated
            || old(self) < old(before)
            || self.ready > before.ready
            || self.available > before.available
    }
}

/// Whether the deadline since the last progress has passed; exactly at it, it has not. `None` never passes.
#[must_use]
pub fn timed_out(last: RunTime, deadline: Option<Duration>, now: RunTime) -> bool {
    deadline.is_some_and(|deadline| last + deadline < now)
}

/// How long until the deadline is worth a look; less than a second counts as now.
#[must_use]
pub fn left(last: RunTime, deadline: Duration, now: RunTime) -> Duration {
    let left = (last + deadline).since(now);
    if left < Duration::from_secs(1) { Duration::ZERO } else { left }
}

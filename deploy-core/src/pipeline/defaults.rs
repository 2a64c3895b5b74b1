//! What a pipeline is unless its author says otherwise, each with its reason.

use std::time::Duration;

/// How many tasks and rollouts may be under way at once: enough to overlap checks, few enough not to overrun a small build
/// farm.
pub const WIDTH: u32 = 4;
/// How long a gate may hold: a day, so that it can wait for the next working day.
pub const HOLD_AT_MOST: Duration = Duration::from_secs(24 * 60 * 60);
/// How long one attempt at a task or its undo may take: longer than most builds; a hang is noticed within the hour.
pub const TASK_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// An undo is repeated more readily than work: what follows its failure is a person.
pub const UNDO_ATTEMPTS: u32 = 3;
/// A gate answers at once; one that needs longer is stuck.
pub const ASK_TIMEOUT: Duration = Duration::from_secs(60);
/// A gate that could not find out five times in a row will not.
pub const ASK_ATTEMPTS: u32 = 5;
/// How often a rollout looks, at least: two Prometheus scrapes of the common 5 s.
pub const OBSERVE_EVERY: Duration = Duration::from_secs(10);
/// Nearly a minute blind at the default interval: past a restart of an API server, short of an outage.
pub const ERRORS_AT_MOST: u32 = 5;
/// Enough to win against one stray change, not to fight another controller for ever.
pub const REASSERT_AT_MOST: u32 = 3;
/// A canary may bake for hours; a day without an end is a hang.
pub const ROLLOUT_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// Going back is faster than going forth; after an hour a person must look.
pub const ROLLOUT_UNDO_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// A soak that took twice its time and an hour was not observed for most of it.
#[must_use]
pub fn soak_timeout(span: Duration) -> Duration {
    span.saturating_mul(2).saturating_add(Duration::from_secs(60 * 60))
}

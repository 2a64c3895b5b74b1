//! How an engine behaves, with the reason for each default.

use std::time::Duration;

/// The bounds of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineOptions {
    /// How long this owner's runs stay its own without a sign of life. Default 30 s: a garbage collection of a neighbour or
    /// a slow disk is no reason for a takeover, a dead host is after half a minute.
    pub lease: Duration,
    /// How long before the lease can have passed this owner stops issuing effects, by its own monotonic clock. Default 5 s,
    /// more than one effect takes to leave this process. More than a third of the lease is cut to that.
    pub lease_margin: Duration,
    /// How long a look, a change, a question or a lookup may take before it counts as unanswered. Default 30 s. Tasks have
    /// their own timeout in the plan.
    pub call_timeout: Duration,
    /// How long a cancelled attempt may take to return before its outcome is looked up. Default 10 s.
    pub cancel_grace: Duration,
    /// How often the journal is asked for inputs that another process gave. Default 250 ms: quick for a person, nothing for
    /// a database.
    pub inbox_every: Duration,
    /// How often a run that waits for its lock asks again. Default 1 s; the end of a run in this process is noticed at once.
    pub lock_every: Duration,
    /// How long a run must have nothing to do before it is put out of memory. Default 30 s.
    pub evict_after: Duration,
    /// After how many records a snapshot bounds the replay. Default 256.
    pub snapshot_every: u64,
    /// How many inputs one turn of the loop takes in before it appends. Default 64: one transaction for a burst of answers.
    pub batch: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            lease_margin: Duration::from_secs(5),
            call_timeout: Duration::from_secs(30),
            cancel_grace: Duration::from_secs(10),
            inbox_every: Duration::from_millis(250),
            lock_every: Duration::from_secs(1),
            evict_after: Duration::from_secs(30),
            snapshot_every: 256,
            batch: 64,
        }
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        impl EngineOptions {
            $($(#[$doc])* #[must_use] pub fn $name(mut self, $name: $type) -> Self { self.$name = $name; self })*
        }
    };
}

setters! {
    /// Sets [`EngineOptions::lease`].
    lease: Duration,
    /// Sets [`EngineOptions::lease_margin`].
    lease_margin: Duration,
    /// Sets [`EngineOptions::call_timeout`].
    call_timeout: Duration,
    /// Sets [`EngineOptions::cancel_grace`].
    cancel_grace: Duration,
    /// Sets [`EngineOptions::inbox_every`].
    inbox_every: Duration,
    /// Sets [`EngineOptions::lock_every`].
    lock_every: Duration,
    /// Sets [`EngineOptions::evict_after`].
    evict_after: Duration,
    /// Sets [`EngineOptions::snapshot_every`].
    snapshot_every: u64,
    /// Sets [`EngineOptions::batch`].
    batch: usize,
}

//! The contract of [`Journal`], clause by clause.
//!
//! ```
//! use std::sync::Arc;
//!
//! use deploy_core::journal::{Journal, MemoryJournal};
//! use deploy_core::testing::conformance::journal;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! journal::check(async |clock| Arc::new(MemoryJournal::new(clock)) as Arc<dyn Journal>).await;
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```

mod append;
mod blob;
mod claim;
mod create;
mod end;
mod inbox;
mod list;
mod lock;
mod read;
mod sample;
mod snapshot;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use self::sample::Sample;
use crate::journal::Journal;
use crate::testing::ManualClock;

/// One clause of the contract.
#[derive(Clone, Copy)]
pub struct Clause {
    /// What it demands, in a sentence.
    pub demands: &'static str,
    check: fn(Sample) -> BoxFuture<'static, ()>,
}

impl Clause {
    /// Checks an empty journal, whose clock is the one given.
    ///
    /// # Panics
    ///
    /// If the journal breaks the clause; the message says how.
    pub async fn check(&self, journal: Arc<dyn Journal>, clock: Arc<ManualClock>) {
        (self.check)(Sample { journal, clock }).await;
    }
}

impl std::fmt::Debug for Clause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clause({:?})", self.demands)
    }
}

/// Checks every clause, each on a journal of its own that `make` opens with the clock it is given.
///
/// # Panics
///
/// If the journal breaks a clause; the message says which, and how.
pub async fn check<M>(make: M)
where
    M: AsyncFn(Arc<ManualClock>) -> Arc<dyn Journal>,
{
    for clause in clauses() {
        let clock = Arc::new(ManualClock::default());
        let journal = make(Arc::clone(&clock)).await;
        let checked = AssertUnwindSafe(clause.check(journal, clock)).catch_unwind().await;
        if let Err(panic) = checked {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
            panic!("the journal breaks a clause of its contract, {:?}: {text}", clause.demands);
        }
    }
}

macro_rules! clauses {
    ($($demands:literal => $check:path;)*) => {
        /// Every clause, in reading order, for hosts that want a test of their own for each.
        #[must_use]
        pub fn clauses() -> Vec<Clause> {
            vec![$(Clause { demands: $demands, check: |sample| Box::pin($check(sample)) }),*]
        }
    };
}

clauses! {
    "a created run has its records and nobody's claim" => create::is_there;
    "creating the same run again writes nothing and answers alike" => create::is_idempotent_by_content;
    "another content under a known id is refused" => create::refuses_other_content;
    "records at wrong positions are refused" => create::refuses_wrong_positions;
    "a policy of rejection refuses while a run holds the lock or waits for it" => create::rejects;
    "an append continues the chain" => append::continues_the_chain;
    "D2: an append at another position than the next is a conflict and writes nothing" => append::conflicts;
    "D2: of two writers at one position exactly one wins" => append::one_of_two_wins;
    "D11: an append under an older claim is fenced and writes nothing" => append::is_fenced;
    "an append of records at wrong positions writes nothing" => append::refuses_wrong_positions;
    "appends of other runs go on beside a refused one" => append::others_go_on;
    "an append of an unknown run is refused" => append::of_unknown_run;
    "D3: stored bytes are those that were written, unknown kinds included" => read::bytes_are_kept;
    "D24: reading is bounded and begins where asked" => read::is_bounded;
    "reading an unknown run is an error" => read::of_unknown_run;
    "D13: one claim at a time, and each has a higher epoch" => claim::one_at_a_time;
    "D12: a lease ends by the store's clock, to the millisecond" => claim::ends_by_the_clock;
    "renewing covers all claims of an owner, passed ones included" => claim::renewal_covers_all;
    "a run that was taken over is not taken back by renewing" => claim::renewal_takes_nothing_back;
    "a run that was given back can be claimed at once, and its old claim is fenced" => claim::is_given_back;
    "giving back a claim that has passed changes nothing" => claim::old_release_changes_nothing;
    "a claim tells since when nobody has looked" => claim::tells_since_when;
    "an unknown run cannot be claimed" => claim::of_unknown_run;
    "a lock goes to one run, in order of creation" => lock::goes_in_order;
    "locks of other services and environments are others" => lock::is_per_place;
    "D10: a lock's epoch rises at each acquisition and takeover, and never resets" => lock::epoch_rises;
    "a claim that has passed gets no lock" => lock::is_fenced;
    "of those that wait the newest wins, and the others find an abort" => lock::newest_wins;
    "a superseded run can be claimed and ended" => lock::superseded_can_end;
    "a run of priority waits before all others, behind whoever holds the lock" => lock::priority_goes_first;
    "runs of priority come in order of creation" => lock::priority_is_in_order;
    "a run of priority is never superseded, and the newest waits behind it" => lock::priority_is_not_superseded;
    "a run of priority is let in where others are refused, and keeps those out who do not wait" => lock::priority_is_not_refused;
    "S10: the end of a run releases claim and lock, for good" => end::releases_all;
    "D19: no lock survives its run" => end::passes_the_lock_on;
    "S6: an input is taken once, and its id counts for ever" => inbox::is_taken_once;
    "an input waits across claims until it is taken" => inbox::waits_for_the_next_owner;
    "D26: an inbox is bounded, and the newest is refused" => inbox::is_bounded;
    "an abort by supersession reaches a full inbox" => inbox::supersession_finds_room;
    "an input that a record took without the inbox counts as taken" => inbox::taken_elsewhere;
    "a refused append takes no input" => inbox::refused_append_takes_none;
    "inputs come in order of arrival, after the one named" => inbox::comes_in_order;
    "D16: an ownerless run can be steered" => inbox::needs_no_owner;
    "a run that has ended takes no more inputs" => inbox::closes_at_the_end;
    "blobs are kept under their digest" => blob::are_kept;
    "an append brings its blobs, or neither is there" => blob::come_with_their_append;
    "D24, D25: the newest snapshot bounds what is read, and the archive stays" => snapshot::bounds_reading;
    "a snapshot that does not belong to the records is refused" => snapshot::must_fit;
    "a snapshot under an older claim is fenced" => snapshot::is_fenced;
    "D15: runs that nobody owns are found, lapsed leases included" => list::finds_the_unowned;
    "lists come in order of creation, page by page" => list::comes_in_pages;
    "an entry follows its run" => list::entry_follows;
}

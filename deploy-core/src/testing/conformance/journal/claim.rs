use std::time::Duration;

use super::sample::{LEASE, Sample, owner, run};
use crate::journal::{ClaimError, JournalError};
use crate::time::Clock;

const MOMENT: Duration = Duration::from_millis(1);

pub(super) async fn one_at_a_time(s: Sample) {
    let first = s.created_and_claimed("a", "one").await;
    assert_eq!((first.owner.as_str(), first.until), ("one", s.clock.wall().after(LEASE)));
    match s.journal.claim(&run("a"), &owner("two"), LEASE).await {
        Err(ClaimError::Owned { run: of, owner: by, until }) => {
            assert_eq!((of, by, until), (run("a"), owner("one"), first.until));
        }
        answer => panic!("the run is owned, and this was the answer: {answer:?}"),
    }
    let again = s.claim("a", "one").await;
    assert!(again.epoch > first.epoch, "a claim by the same owner fences its former self");
    s.clock.advance(LEASE);
    let other = s.claim("a", "two").await;
    assert!(other.epoch > again.epoch);
    let head = s.head("a").await;
    s.assert_fenced(head, s.journal.append(s.append(&again, 1, 1)).await).await;
    s.written(&other, 1, 1).await;
}

pub(super) async fn ends_by_the_clock(s: Sample) {
    let first = s.created_and_claimed("a", "one").await;
    s.clock.advance(LEASE - MOMENT);
    let answer = s.journal.claim(&run("a"), &owner("two"), LEASE).await;
    assert!(matches!(answer, Err(ClaimError::Owned { .. })), "the lease still holds: {answer:?}");
    // The clock is read by the store: what the owner believes does not count.
    s.clock.advance(MOMENT);
    assert_eq!(s.clock.wall(), first.until);
    assert_eq!(s.claim("a", "two").await.until, s.clock.wall().after(LEASE));
}

pub(super) async fn renewal_covers_all(s: Sample) {
    let a = s.created_and_claimed("a", "one").await;
    let b = s.created_and_claimed("b", "one").await;
    s.clock.advance(LEASE - MOMENT);
    s.journal.renew(&owner("one"), LEASE).await.expect("a renewal");
    s.clock.advance(LEASE - MOMENT);
    for claim in [&a, &b] {
        let answer = s.journal.claim(&claim.run, &owner("two"), LEASE).await;
        assert!(matches!(answer, Err(ClaimError::Owned { .. })), "{answer:?}");
    }
    s.clock.advance(LEASE);
    s.journal.renew(&owner("one"), LEASE).await.expect("a late renewal");
    let answer = s.journal.claim(&run("a"), &owner("two"), LEASE).await;
    assert!(matches!(answer, Err(ClaimError::Owned { .. })), "nobody was quicker: {answer:?}");
    s.written(&a, 1, 1).await;
}

pub(super) async fn renewal_takes_nothing_back(s: Sample) {
    let old = s.created_and_claimed("a", "one").await;
    s.clock.advance(LEASE);
    let new = s.claim("a", "two").await;
    s.journal.renew(&owner("one"), 10 * LEASE).await.expect("a late renewal");
    let head = s.head("a").await;
    s.assert_fenced(head, s.journal.append(s.append(&old, 1, 1)).await).await;
    let entry = s.journal.entry(&run("a")).await.expect("an answer").expect("an entry");
    assert_eq!((entry.owner, entry.owned_until), (Some(owner("two")), Some(new.until)));
    s.clock.advance(LEASE);
    assert!(s.claim("a", "three").await.epoch > new.epoch);
}

pub(super) async fn is_given_back(s: Sample) {
    let old = s.created_and_claimed("a", "one").await;
    let kept = s.created_and_claimed("b", "one").await;
    s.journal.release(&old).await.expect("a release");
    let head = s.head("a").await;
    s.assert_fenced(head, s.journal.append(s.append(&old, 1, 1)).await).await;
    assert!(s.claim("a", "two").await.epoch > old.epoch);
    s.written(&kept, 1, 1).await;
}

pub(super) async fn old_release_changes_nothing(s: Sample) {
    let old = s.created_and_claimed("a", "one").await;
    s.clock.advance(LEASE);
    let new = s.claim("a", "two").await;
    s.journal.release(&old).await.expect("a release that comes too late");
    let answer = s.journal.claim(&run("a"), &owner("one"), LEASE).await;
    assert!(matches!(answer, Err(ClaimError::Owned { .. })), "{answer:?}");
    s.written(&new, 1, 1).await;
}

pub(super) async fn tells_since_when(s: Sample) {
    let first = s.created_and_claimed("a", "one").await;
    assert_eq!(first.unattended_since, None, "nobody had looked before");
    s.clock.advance(LEASE / 2);
    s.journal.renew(&owner("one"), LEASE).await.expect("a renewal");
    let renewed = s.clock.wall();
    s.clock.advance(LEASE * 3);
    let second = s.claim("a", "two").await;
    assert_eq!(second.unattended_since, Some(renewed));
    s.clock.advance(LEASE / 3);
    s.journal.release(&second).await.expect("a release");
    let released = s.clock.wall();
    s.clock.advance(LEASE);
    assert_eq!(s.claim("a", "one").await.unattended_since, Some(released));
}

pub(super) async fn of_unknown_run(s: Sample) {
    let answer = s.journal.claim(&run("a"), &owner("one"), LEASE).await;
    assert!(matches!(answer, Err(ClaimError::Journal(JournalError::NoSuchRun(_)))), "{answer:?}");
}

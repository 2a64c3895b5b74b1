use super::sample::{LEASE, Sample, owner, run};
use crate::journal::ClaimError;

pub(super) async fn releases_all(s: Sample) {
    let a = s.created_and_claimed("a", "host").await;
    s.lock_epoch(&a).await;
    let head = s.ended(&a).await;
    let entry = s.journal.entry(&run("a")).await.expect("an answer").expect("an entry");
    assert_eq!(entry.outcome.as_deref(), Some("succeeded"));
    assert_eq!((entry.owner, entry.owned_until, entry.holds_lock), (None, None, false));
    assert_eq!(entry.records, head.next);

    match s.journal.claim(&run("a"), &owner("host"), LEASE).await {
        Err(ClaimError::Ended { run: of, outcome }) => assert_eq!((of, outcome.as_str()), (run("a"), "succeeded")),
        answer => panic!("the run has ended, and this was the answer: {answer:?}"),
    }
    s.assert_fenced(head, s.journal.append(s.append(&a, head.next, 1)).await).await;
    s.assert_fenced(head, s.journal.lock(&a).await).await;
}

pub(super) async fn passes_the_lock_on(s: Sample) {
    let a = s.created_and_claimed("a", "one").await;
    s.lock_epoch(&a).await;
    let b = s.created_and_claimed("b", "two").await;
    // A host that dies keeps the lock: only the end of the run releases it.
    s.clock.advance(10 * LEASE);
    assert!(matches!(s.lock(&b).await, crate::journal::LockAnswer::Waiting { .. }));
    let a = s.claim("a", "two").await;
    s.ended(&a).await;
    s.lock_epoch(&b).await;
    let entry = s.journal.entry(&run("b")).await.expect("an answer").expect("an entry");
    assert!(entry.holds_lock);
}

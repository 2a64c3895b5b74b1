use super::sample::{Sample, run};
use crate::digest::Digest;
use crate::journal::{AppendError, Head, JournalError, Snapshot};

fn at(head: Head) -> Snapshot {
    Snapshot { position: head.next, hash: head.hash, version: 3, state: format!(r#"{{"next":{}}}"#, head.next) }
}

pub(super) async fn bounds_reading(s: Sample) {
    let claim = s.created_and_claimed("a", "host").await;
    assert_eq!(s.journal.snapshot(&run("a")).await.expect("an answer"), None);
    let first = at(s.written(&claim, 1, 5).await);
    let second = at(s.written(&claim, 6, 5).await);
    s.journal.save_snapshot(&claim, first.clone()).await.expect("room");
    s.journal.save_snapshot(&claim, second.clone()).await.expect("room");
    s.journal.save_snapshot(&claim, first).await.expect("an older one changes nothing");
    let kept = s.journal.snapshot(&run("a")).await.expect("an answer").expect("a snapshot");
    assert_eq!(kept, second, "the newest is kept");

    s.written(&claim, 11, 2).await;
    let rest = s.journal.read(&run("a"), kept.position, usize::MAX).await.expect("records");
    assert_eq!(rest.iter().map(|record| record.position).collect::<Vec<_>>(), [11, 12]);
    assert_eq!(rest[0].hash, kept.hash.then(&rest[0].bytes), "the records after it continue its hash");
    assert_eq!(s.journal.read(&run("a"), 0, usize::MAX).await.expect("records").len(), 13, "the archive stays");
}

pub(super) async fn must_fit(s: Sample) {
    let claim = s.created_and_claimed("a", "host").await;
    let head = s.head("a").await;
    let beyond = Snapshot { position: 2, ..at(head) };
    let other_hash = Snapshot { hash: Digest::of(b"another chain"), ..at(head) };
    for wrong in [beyond, other_hash] {
        let answer = s.journal.save_snapshot(&claim, wrong).await;
        assert!(matches!(answer, Err(AppendError::Journal(JournalError::Malformed(_)))), "{answer:?}");
    }
    assert_eq!(s.journal.snapshot(&run("a")).await.expect("an answer"), None);
}

pub(super) async fn is_fenced(s: Sample) {
    let old = s.created_and_claimed("a", "host").await;
    s.claim("a", "host").await;
    let head = s.head("a").await;
    s.assert_fenced(head, s.journal.save_snapshot(&old, at(head)).await).await;
    assert_eq!(s.journal.snapshot(&run("a")).await.expect("an answer"), None);
}

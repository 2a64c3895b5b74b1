use super::sample::{Sample, run};
use crate::journal::{Append, AppendError, Claim, Head, JournalError};

pub(super) async fn continues_the_chain(s: Sample) {
    let claim = s.created_and_claimed("a", "host").await;
    let before = s.head("a").await;
    let append = s.append(&claim, 1, 3);
    let hash = append.records.iter().fold(before.hash, |hash, record| hash.then(&record.to_bytes()));
    let head = s.journal.append(append).await.expect("an append");
    assert_eq!(head, Head { next: 4, hash });
    assert_eq!(s.head("a").await, head, "the head is what the append said");

    let nothing = s.written(&claim, 4, 0).await;
    assert_eq!(nothing, head, "an append without records leaves the head");
    assert_eq!(s.written(&claim, 4, 1).await.next, 5);
}

pub(super) async fn conflicts(s: Sample) {
    let claim = s.created_and_claimed("a", "host").await;
    let head = s.written(&claim, 1, 2).await;
    for expected in [0, 1, 2, 4, 1 << 40] {
        match s.journal.append(s.append(&claim, expected, 1)).await {
            Err(AppendError::Conflict { run: of, expected: asked, found }) => {
                assert_eq!((of, asked, found), (run("a"), expected, 3));
            }
            answer => panic!("position {expected} is not free, and this was the answer: {answer:?}"),
        }
    }
    assert_eq!(s.head("a").await, head, "nothing was written");
}

pub(super) async fn one_of_two_wins(s: Sample) {
    let claim = s.created_and_claimed("a", "host").await;
    let attempts = (0..8).map(|_| s.journal.append(s.append(&claim, 1, 2)));
    let answers = futures::future::join_all(attempts).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    let lost = |answer: &Result<Head, AppendError>| matches!(answer, Err(AppendError::Conflict { found: 3, .. }));
    assert_eq!(answers.iter().filter(|answer| lost(answer)).count(), 7, "{answers:?}");
    assert_eq!(s.head("a").await.next, 3);
}

pub(super) async fn is_fenced(s: Sample) {
    let old = s.created_and_claimed("a", "host").await;
    let new = s.claim("a", "host").await;
    let head = s.head("a").await;
    s.assert_fenced(head, s.journal.append(s.append(&old, 1, 1)).await).await;
    // The fence comes before the position: a fenced owner has nothing to read again.
    s.assert_fenced(head, s.journal.append(s.append(&old, 7, 1)).await).await;
    s.written(&new, 1, 1).await;
}

pub(super) async fn refuses_wrong_positions(s: Sample) {
    let claim = s.created_and_claimed("a", "host").await;
    let head = s.head("a").await;
    for from in [0, 2] {
        let append = Append { records: s.records(from, 1), ..s.append(&claim, 1, 1) };
        let answer = s.journal.append(append).await;
        assert!(matches!(answer, Err(AppendError::Journal(JournalError::Malformed(_)))), "{answer:?}");
    }
    assert_eq!(s.head("a").await, head, "nothing was written");
}

pub(super) async fn others_go_on(s: Sample) {
    let mut claims = Vec::new();
    for name in ["a", "b", "c", "d"] {
        claims.push(s.created_and_claimed(name, "host").await);
    }
    // Every second append is refused, all at the same time.
    let attempt = |(at, claim): (u64, &Claim)| s.journal.append(s.append(claim, 1 + at % 2, 1));
    let answers = futures::future::join_all((0..).zip(&claims).map(attempt)).await;
    let written: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(written, [true, false, true, false], "{answers:?}");
    for (claim, next) in claims.iter().zip([2, 1, 2, 1]) {
        assert_eq!(s.head(claim.run.as_str()).await.next, next);
    }
}

pub(super) async fn of_unknown_run(s: Sample) {
    let claim = Claim { run: run("b"), ..s.created_and_claimed("a", "host").await };
    let answer = s.journal.append(s.append(&claim, 1, 1)).await;
    assert!(matches!(answer, Err(AppendError::Journal(JournalError::NoSuchRun(_)))), "{answer:?}");
}

use super::sample::{Sample, body, owner, run};
use crate::digest::Digest;
use crate::journal::{CreateError, Created, JournalError, NewRun, QueuePolicy, Which};
use crate::time::Clock;

pub(super) async fn is_there(s: Sample) {
    assert_eq!(s.journal.entry(&run("a")).await.expect("an answer"), None, "there is no run before it is created");
    let new = s.new_run("a");
    let bytes = new.records[0].to_bytes();
    let created = s.journal.create(new).await.expect("a new run");

    let head = s.head("a").await;
    assert_eq!(created, Created { already: false, head: Some(head), behind: None, superseded: Vec::new() });
    assert_eq!((head.next, head.hash), (1, Digest::ZERO.then(&bytes)));
    let entry = s.journal.entry(&run("a")).await.expect("an answer").expect("an entry");
    assert_eq!((entry.created, entry.records, entry.outcome), (s.clock.wall(), 1, None));
    assert_eq!((entry.owner, entry.owned_until, entry.holds_lock), (None, None, false));
}

pub(super) async fn is_idempotent_by_content(s: Sample) {
    s.create("old").await;
    let new = NewRun { queue: QueuePolicy::NewestWins, ..s.new_run("a") };
    let first = s.journal.create(new.clone()).await.expect("a new run");
    assert_eq!(first.superseded, [run("old")]);
    let head = s.head("a").await;

    let mut again = new;
    s.clock.advance(std::time::Duration::from_secs(60));
    again.records[0].at.wall = s.clock.wall();
    let second = s.journal.create(again).await.expect("the same run again");
    assert_eq!(
        second,
        Created { already: true, head: None, ..first },
        "a later start with the same content is the same start"
    );
    assert_eq!(s.head("a").await, head, "it writes nothing");
    assert_eq!(s.journal.list(Which::All, None, 9).await.expect("a list").len(), 2);
    s.claim("old", "host").await;
    assert_eq!(s.inbox("host").await.len(), 1, "the abort is delivered once");
}

pub(super) async fn refuses_other_content(s: Sample) {
    s.create("a").await;
    let head = s.head("a").await;
    let mut body_differs = s.new_run("a");
    body_differs.records[0].body = body(r#"{"n":1}"#);
    let mut longer = s.new_run("a");
    longer.records = s.records(0, 2);
    let queue_differs = NewRun { queue: QueuePolicy::Reject, ..s.new_run("a") };
    let place_differs = NewRun { environment: "staging".try_into().expect("a valid name"), ..s.new_run("a") };
    for other in [body_differs, longer, queue_differs, place_differs] {
        match s.journal.create(other).await {
            Err(CreateError::Taken(taken)) => assert_eq!(taken, run("a")),
            answer => panic!("the id is taken, and this was the answer: {answer:?}"),
        }
    }
    assert_eq!(s.head("a").await, head, "nothing was written");
}

pub(super) async fn refuses_wrong_positions(s: Sample) {
    let gap = NewRun { records: vec![s.record(0, "started"), s.record(2, "sampled")], ..s.new_run("a") };
    let late = NewRun { records: s.records(1, 2), ..s.new_run("a") };
    for wrong in [gap, late] {
        let answer = s.journal.create(wrong).await;
        assert!(matches!(answer, Err(CreateError::Journal(JournalError::Malformed(_)))), "{answer:?}");
    }
    assert_eq!(s.journal.entry(&run("a")).await.expect("an answer"), None, "nothing was written");
}

pub(super) async fn rejects(s: Sample) {
    let first = s.created_and_claimed("first", "host").await;
    let reject = |name: &str| NewRun { queue: QueuePolicy::Reject, ..s.new_run(name) };
    let refused = |answer: Result<Created, CreateError>| match answer {
        Err(CreateError::Rejected { holder }) => assert_eq!(holder, run("first")),
        answer => panic!("somebody is in the way, and this was the answer: {answer:?}"),
    };
    refused(s.journal.create(reject("a")).await);
    s.lock_epoch(&first).await;
    refused(s.journal.create(reject("a")).await);
    assert_eq!(s.journal.entry(&run("a")).await.expect("an answer"), None, "nothing was written");

    s.ended(&first).await;
    let created = s.journal.create(reject("a")).await.expect("the way is free");
    assert!(!created.already);
    assert!(s.journal.claim(&run("a"), &owner("host"), super::sample::LEASE).await.is_ok());
}

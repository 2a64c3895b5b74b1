use super::sample::{LEASE, Sample, input, owner, run};
use crate::journal::{Append, JournalError, LONGEST_INBOX, QueuePolicy, SubmitError, Submitted};
use crate::name::InputId;
use crate::operator::Act;

fn taking(append: Append, taken: &[InputId]) -> Append {
    Append { taken: taken.to_vec(), ..append }
}

pub(super) async fn is_taken_once(s: Sample) {
    let claim = s.created_and_claimed("a", "host").await;
    let pause = input("pause-1");
    assert_eq!(s.journal.submit(&claim.run, &pause).await.expect("room"), Submitted::Waits);
    assert_eq!(s.journal.submit(&claim.run, &pause).await.expect("room"), Submitted::Repeated);
    let waiting = s.inbox("host").await;
    assert_eq!(waiting.len(), 1);
    assert_eq!((&waiting[0].run, &waiting[0].input), (&claim.run, &pause));
    assert!(!s.was_taken("a", &pause).await);

    let ids = [pause.id.clone()];
    s.journal.append(taking(s.append(&claim, 1, 1), &ids)).await.expect("an append that takes it");
    assert!(s.was_taken("a", &pause).await);
    assert!(s.inbox("host").await.is_empty());
    assert_eq!(s.journal.submit(&claim.run, &pause).await.expect("an answer"), Submitted::Repeated);
    s.journal.append(taking(s.append(&claim, 2, 1), &ids)).await.expect("taking it twice changes nothing");
    assert!(s.inbox("host").await.is_empty());

    // The same id of another run is another input.
    let other = s.created_and_claimed("b", "host").await;
    assert!(!s.was_taken("b", &pause).await);
    assert_eq!(s.journal.submit(&other.run, &pause).await.expect("room"), Submitted::Waits);
}

pub(super) async fn waits_for_the_next_owner(s: Sample) {
    s.created_and_claimed("a", "one").await;
    s.journal.submit(&run("a"), &input("pause-1")).await.expect("room");
    assert_eq!(s.inbox("two").await, []);
    s.clock.advance(LEASE);
    s.claim("a", "two").await;
    assert_eq!(s.inbox("one").await, [], "it goes to whoever owns the run");
    assert_eq!(s.inbox("two").await.len(), 1);
    assert_eq!(s.inbox("two").await.len(), 1, "reading takes nothing");
}

pub(super) async fn is_bounded(s: Sample) {
    let claim = s.created_and_claimed("a", "host").await;
    s.create("b").await;
    for n in 0..LONGEST_INBOX {
        s.journal.submit(&claim.run, &input(&format!("input-{n}"))).await.expect("room");
    }
    match s.journal.submit(&claim.run, &input("newest")).await {
        Err(SubmitError::Full { run: of, waiting, input }) => {
            assert_eq!((of, waiting, input.as_str()), (run("a"), LONGEST_INBOX, "newest"));
        }
        answer => panic!("the inbox is full, and this was the answer: {answer:?}"),
    }
    assert_eq!(s.inbox("host").await.len(), LONGEST_INBOX, "none of the older ones was dropped");
    let repeated = s.journal.submit(&claim.run, &input("input-0")).await;
    assert_eq!(repeated.expect("a repetition needs no room"), Submitted::Repeated);
    assert_eq!(s.journal.submit(&run("b"), &input("newest")).await.expect("room elsewhere"), Submitted::Waits);

    s.journal.append(taking(s.append(&claim, 1, 1), &[input("input-3").id])).await.expect("an append that takes one");
    assert_eq!(s.journal.submit(&claim.run, &input("newest")).await.expect("room again"), Submitted::Waits);
}

pub(super) async fn supersession_finds_room(s: Sample) {
    s.created_and_claimed("a", "host").await;
    for n in 0..LONGEST_INBOX {
        s.journal.submit(&run("a"), &input(&format!("input-{n}"))).await.expect("room");
    }
    s.create_with("b", QueuePolicy::NewestWins).await;
    let inbox = s.inbox("host").await;
    assert_eq!(inbox.len(), LONGEST_INBOX + 1);
    assert_eq!(inbox.last().map(|waiting| &waiting.input.act), Some(&Act::Abort));
}

pub(super) async fn taken_elsewhere(s: Sample) {
    let claim = s.created_and_claimed("a", "host").await;
    let pause = input("pause-1");
    s.journal.append(taking(s.append(&claim, 1, 1), std::slice::from_ref(&pause.id))).await.expect("an append");
    assert!(s.was_taken("a", &pause).await);
    assert_eq!(s.journal.submit(&claim.run, &pause).await.expect("an answer"), Submitted::Repeated);
    assert_eq!(s.inbox("host").await, []);
}

pub(super) async fn refused_append_takes_none(s: Sample) {
    let old = s.created_and_claimed("a", "host").await;
    let claim = s.claim("a", "host").await;
    let pause = input("pause-1");
    s.journal.submit(&claim.run, &pause).await.expect("room");
    for refused in [s.append(&old, 1, 1), s.append(&claim, 2, 1)] {
        assert!(s.journal.append(taking(refused, std::slice::from_ref(&pause.id))).await.is_err());
    }
    assert!(!s.was_taken("a", &pause).await);
    assert_eq!(s.inbox("host").await.len(), 1);
}

pub(super) async fn comes_in_order(s: Sample) {
    s.created_and_claimed("a", "host").await;
    s.created_and_claimed("b", "host").await;
    s.created_and_claimed("c", "elsewhere").await;
    for (n, name) in ["a", "b", "c", "a", "b"].into_iter().enumerate() {
        s.journal.submit(&run(name), &input(&format!("input-{n}"))).await.expect("room");
    }
    let inbox = s.inbox("host").await;
    let ids: Vec<&str> = inbox.iter().map(|waiting| waiting.input.id.as_str()).collect();
    assert_eq!(ids, ["input-0", "input-1", "input-3", "input-4"]);
    assert!(inbox.is_sorted_by_key(|waiting| waiting.arrival));
    let page = s.journal.inbox(&owner("host"), inbox[0].arrival, 2).await.expect("a page");
    assert_eq!(page, inbox[1..3]);
}

pub(super) async fn needs_no_owner(s: Sample) {
    s.create("a").await;
    let mut abort = input("abort-1");
    abort.act = Act::Abort;
    assert_eq!(s.journal.submit(&run("a"), &abort).await.expect("room"), Submitted::Waits);
    s.claim("a", "host").await;
    assert_eq!(s.inbox("host").await.len(), 1);
    let unknown = s.journal.submit(&run("b"), &abort).await;
    assert!(matches!(unknown, Err(SubmitError::Journal(JournalError::NoSuchRun(_)))), "{unknown:?}");
}

pub(super) async fn closes_at_the_end(s: Sample) {
    let claim = s.created_and_claimed("a", "host").await;
    s.journal.submit(&claim.run, &input("early")).await.expect("room");
    s.ended(&claim).await;
    match s.journal.submit(&claim.run, &input("late")).await {
        Err(SubmitError::Ended { run: of, outcome }) => assert_eq!((of, outcome.as_str()), (run("a"), "succeeded")),
        answer => panic!("the run has ended, and this was the answer: {answer:?}"),
    }
    assert_eq!(s.journal.submit(&claim.run, &input("early")).await.expect("an answer"), Submitted::Repeated);
    assert_eq!(s.inbox("host").await, []);
    assert!(!s.was_taken("a", &input("early")).await);
}

use super::sample::{LEASE, Sample, owner, run};
use crate::journal::{CreateError, LockAnswer, NewRun, QueuePolicy};
use crate::operator::Act;

pub(super) async fn goes_in_order(s: Sample) {
    let a = s.created_and_claimed("a", "host").await;
    let b = s.created_and_claimed("b", "host").await;
    let c = s.created_and_claimed("c", "host").await;
    assert_eq!(s.lock(&b).await, LockAnswer::Waiting { behind: run("a"), ahead: 1 }, "the first comes first");
    s.lock_epoch(&a).await;
    assert_eq!(s.lock(&b).await, LockAnswer::Waiting { behind: run("a"), ahead: 1 });
    assert_eq!(s.lock(&c).await, LockAnswer::Waiting { behind: run("a"), ahead: 2 });
    let created = s.create("d").await;
    assert_eq!(created.behind, Some(run("a")));
    s.ended(&b).await;
    assert_eq!(s.lock(&c).await, LockAnswer::Waiting { behind: run("a"), ahead: 1 }, "an ended run leaves the queue");
    s.ended(&a).await;
    s.lock_epoch(&c).await;
}

pub(super) async fn is_per_place(s: Sample) {
    let a = s.created_and_claimed("a", "host").await;
    s.lock_epoch(&a).await;
    let staging = NewRun { environment: "staging".try_into().expect("a valid name"), ..s.new_run("b") };
    let search = NewRun { service: "search".try_into().expect("a valid name"), ..s.new_run("c") };
    for other in [staging, search] {
        let name = other.run.clone();
        let created = s.journal.create(other).await.expect("a new run");
        assert_eq!(created.behind, None);
        s.lock_epoch(&s.claim(name.as_str(), "host").await).await;
    }
}

pub(super) async fn epoch_rises(s: Sample) {
    let a = s.created_and_claimed("a", "one").await;
    let first = s.lock_epoch(&a).await;
    assert_eq!(s.lock_epoch(&a).await, first, "asking again under the same claim changes nothing");
    s.clock.advance(LEASE);
    let taken_over = s.claim("a", "two").await;
    let second = s.lock_epoch(&taken_over).await;
    assert!(second > first, "a takeover raises it");
    let restarted = s.claim("a", "two").await;
    let third = s.lock_epoch(&restarted).await;
    assert!(third > second, "a restart under the same name is a takeover too");
    s.ended(&restarted).await;
    let b = s.created_and_claimed("b", "two").await;
    let fourth = s.lock_epoch(&b).await;
    assert!(fourth > third, "it does not begin anew with the next run");
}

pub(super) async fn is_fenced(s: Sample) {
    let old = s.created_and_claimed("a", "one").await;
    s.clock.advance(LEASE);
    let new = s.claim("a", "two").await;
    let head = s.head("a").await;
    s.assert_fenced(head, s.journal.lock(&old).await).await;
    s.lock_epoch(&new).await;
    s.assert_fenced(head, s.journal.lock(&old).await).await;
}

pub(super) async fn newest_wins(s: Sample) {
    let holder = s.created_and_claimed("holder", "host").await;
    s.lock_epoch(&holder).await;
    s.create("b").await;
    s.create("c").await;
    let created = s.create_with("d", QueuePolicy::NewestWins).await;
    assert_eq!(created.behind, Some(run("holder")), "who runs is not superseded by who waits");
    assert_eq!(created.superseded, [run("b"), run("c")]);

    for name in ["b", "c"] {
        let claim = s.claim(name, name).await;
        assert_eq!(s.lock(&claim).await, LockAnswer::Superseded { by: run("d") });
        let inbox = s.inbox(name).await;
        assert_eq!(inbox.len(), 1, "run {name} finds one abort: {inbox:?}");
        assert_eq!((&inbox[0].run, &inbox[0].input.act), (&run(name), &Act::Abort));
        assert_eq!(inbox[0].input.who.subject, "engine");
        assert!(inbox[0].input.why.contains("run d"), "it names the newer run: {}", inbox[0].input.why);
    }
    let d = s.claim("d", "host").await;
    assert_eq!(s.lock(&d).await, LockAnswer::Waiting { behind: run("holder"), ahead: 1 });
    s.ended(&holder).await;
    s.lock_epoch(&d).await;
}

pub(super) async fn superseded_can_end(s: Sample) {
    s.create("a").await;
    s.create_with("b", QueuePolicy::NewestWins).await;
    let a = s.claim("a", "host").await;
    s.written(&a, 1, 1).await;
    s.ended(&a).await;
    let answer = s.journal.claim(&run("a"), &owner("host"), LEASE).await;
    assert!(answer.is_err(), "{answer:?}");
    s.lock_epoch(&s.claim("b", "host").await).await;
}

pub(super) async fn priority_goes_first(s: Sample) {
    let holder = s.created_and_claimed("holder", "host").await;
    s.lock_epoch(&holder).await;
    let early = s.created_and_claimed("early", "host").await;
    let created = s.create_with("urgent", QueuePolicy::Priority).await;
    assert_eq!((created.behind, created.superseded), (Some(run("holder")), Vec::new()));
    let urgent = s.claim("urgent", "host").await;
    let late = s.created_and_claimed("late", "host").await;

    let waiting = |ahead| LockAnswer::Waiting { behind: run("holder"), ahead };
    assert_eq!(s.lock(&urgent).await, waiting(1), "the lock stays with whoever holds it");
    assert_eq!(s.lock(&early).await, waiting(2), "it waits behind one that came later");
    assert_eq!(s.lock(&late).await, waiting(3));
    s.lock_epoch(&holder).await;
    s.ended(&holder).await;
    assert_eq!(s.lock(&early).await, LockAnswer::Waiting { behind: run("urgent"), ahead: 1 }, "whoever asks first");
    s.lock_epoch(&urgent).await;
    s.ended(&urgent).await;
    assert_eq!(s.lock(&late).await, LockAnswer::Waiting { behind: run("early"), ahead: 1 });
    s.lock_epoch(&early).await;
}

pub(super) async fn priority_is_in_order(s: Sample) {
    let plain = s.created_and_claimed("plain", "host").await;
    for name in ["b", "a"] {
        s.create_with(name, QueuePolicy::Priority).await;
    }
    let (b, a) = (s.claim("b", "host").await, s.claim("a", "host").await);
    assert_eq!(s.lock(&plain).await, LockAnswer::Waiting { behind: run("b"), ahead: 2 });
    assert_eq!(
        s.lock(&a).await,
        LockAnswer::Waiting { behind: run("b"), ahead: 1 },
        "in order of creation, not of names"
    );
    s.lock_epoch(&b).await;
    assert_eq!(s.lock(&plain).await, LockAnswer::Waiting { behind: run("b"), ahead: 2 });
    s.ended(&b).await;
    s.lock_epoch(&a).await;
    s.ended(&a).await;
    s.lock_epoch(&plain).await;
}

pub(super) async fn priority_is_not_superseded(s: Sample) {
    s.create("plain").await;
    s.create_with("urgent", QueuePolicy::Priority).await;
    let created = s.create_with("newest", QueuePolicy::NewestWins).await;
    assert_eq!(created.superseded, [run("plain")]);
    let (urgent, newest) = (s.claim("urgent", "one").await, s.claim("newest", "two").await);
    assert_eq!(s.inbox("one").await, [], "nobody tells it to abort");
    assert_eq!(s.lock(&newest).await, LockAnswer::Waiting { behind: run("urgent"), ahead: 1 });
    s.lock_epoch(&urgent).await;
    s.ended(&urgent).await;
    s.lock_epoch(&newest).await;
}

pub(super) async fn priority_is_not_refused(s: Sample) {
    let reject = |name: &str| NewRun { queue: QueuePolicy::Reject, ..s.new_run(name) };
    let holder = s.created_and_claimed("holder", "host").await;
    s.lock_epoch(&holder).await;
    s.create_with("urgent", QueuePolicy::Priority).await;
    s.ended(&holder).await;
    let refused = s.journal.create(reject("late")).await;
    let Err(CreateError::Rejected { holder: first }) = refused else { panic!("it does not wait: {refused:?}") };
    assert_eq!(first, run("urgent"));
    s.ended(&s.claim("urgent", "host").await).await;
    assert!(!s.journal.create(reject("late")).await.expect("the way is free").already);
    let created = s.create_with("again", QueuePolicy::Priority).await;
    assert!(!created.already, "one that waits for nobody keeps no run of priority out");
}

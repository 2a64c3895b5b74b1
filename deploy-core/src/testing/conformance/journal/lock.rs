use super::sample::{LEASE, Sample, owner, run};
use crate::journal::{LockAnswer, NewRun, QueuePolicy};
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

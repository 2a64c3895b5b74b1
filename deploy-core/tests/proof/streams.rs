//! What listeners and operators see: every record once and in order, and an answer to every input.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use deploy_core::driver::{EngineOptions, OperatorError};
use deploy_core::journal::Journal as _;
use deploy_core::machine::{Outcome, Reply};
use deploy_core::operator::Act;
use futures::StreamExt as _;

use crate::judge::records;
use crate::scripted::Scripted;
use crate::world::{Ending, Work, World, ada, approval, name, pass, release, run_id, says};

/// I3: a reader that comes back reads on where it was, through a change of engines, and a slow one misses nothing.
#[tokio::test(start_paused = true)]
async fn a_reader_that_comes_back_and_a_slow_one_miss_nothing() {
    let world = World::in_memory();
    let pipeline = world.reference(Ending::Good);
    let run = run_id("read");
    let one = world.engine(&pipeline);
    let handle = one.start_as(run.clone(), name(&pipeline), release("v2"), ada()).await.expect("it starts");
    world.journal.submit(&run, &approval()).await.expect("room for it");
    let slow = tokio::spawn({
        let handle = handle.clone();
        async move {
            let mut seen = Vec::new();
            let mut events = Box::pin(handle.events(0));
            while let Some(record) = events.next().await {
                seen.push(record.expect("readable"));
                pass(Duration::from_secs(20)).await;
            }
            seen
        }
    });
    let mut seen = Vec::new();
    // It reads three records, goes, and comes back for the next three.
    for _ in 0..3 {
        let from = seen.len() as u64;
        let mut events = Box::pin(handle.events(from));
        for _ in 0..3 {
            seen.push(events.next().await.expect("more to come").expect("readable"));
        }
    }
    one.shutdown(Duration::from_secs(60)).await;
    let two = world.engine(&pipeline);
    let resumed = two.resume_all().await.expect("readable").pop().expect("free");
    let mut rest = Box::pin(resumed.events(seen.len() as u64));
    while let Some(record) = rest.next().await {
        let record = record.expect("readable");
        let durable = world.journal.head(&run).await.expect("readable").next;
        assert!(record.position < durable, "nothing is shown before it is durable");
        seen.push(record);
    }

    let all = records(&*world.journal, &run).await;
    assert_eq!(seen, all);
    assert_eq!(
        slow.await.expect("it reads to the end"),
        all,
        "the handle of the first engine saw the work of the second"
    );
    let mut again = Box::pin(resumed.events(all.len() as u64 - 1));
    assert!(again.next().await.is_some_and(|r| r.is_ok_and(|r| r == all[all.len() - 1])));
    assert!(again.next().await.is_none(), "a stream ends with its run");
}

/// I14, S6: many tasks say things at once, some of them twice, and each input counts once.
#[tokio::test(start_paused = true)]
async fn many_tasks_may_say_things_at_once() {
    let world = World::in_memory();
    let pipeline = world.waiting();
    let engine = world.engine(&pipeline);
    let run = run_id("busy");
    let handle = engine.start_as(run.clone(), name(&pipeline), release("v2"), ada()).await.expect("it starts");
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..40 {
        let handle = handle.clone();
        tasks.spawn(async move {
            let act = if n % 2 == 0 { Act::Pause } else { Act::Resume };
            let input = says(&format!("input-{}", n / 2 * 2 + n % 2), act);
            let first = handle.submit(input.clone()).await;
            let second = handle.submit(input).await;
            (first.is_ok(), matches!(second, Ok(Reply::Ignored)))
        });
    }
    let replies: Vec<_> = tasks.join_all().await;
    for (taken, ignored) in &replies {
        assert!(!taken || *ignored, "what was taken is ignored when it is said again");
    }
    let taken = replies.iter().filter(|(taken, _)| *taken).count();
    let recorded: Vec<_> = records(&*world.journal, &run)
        .await
        .into_iter()
        .filter_map(|record| match record.event {
            deploy_core::machine::Event::Took(took) => Some(took.input.id),
            _ => None,
        })
        .collect();
    assert_eq!(recorded.iter().collect::<BTreeSet<_>>().len(), recorded.len(), "each once");
    assert!(recorded.len() >= taken, "every answer stands in a record");
}

/// D26, S6: a run that takes nothing in refuses the newest input at once; those before it are taken in the end.
#[tokio::test(start_paused = true)]
async fn too_many_inputs_are_refused_at_once() {
    let world = World::in_memory();
    let pipeline = world.waiting();
    let journal = Arc::new(Scripted::new(Arc::clone(&world.journal)));
    let engine = world.engine_on(Arc::clone(&journal) as _, &pipeline, EngineOptions::default());
    let run = run_id("stuck");
    let handle = engine.start_as(run, name(&pipeline), release("v2"), ada()).await.expect("it starts");
    pass(Duration::from_secs(1)).await;
    journal.appends_hang.store(true, Ordering::SeqCst);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..300 {
        let handle = handle.clone();
        tasks.spawn(async move { handle.submit(says(&format!("input-{n}"), Act::Pause)).await });
        tokio::task::yield_now().await;
    }
    pass(Duration::from_secs(1)).await;
    let mut busy = 0;
    while let Some(Ok(answer)) = tasks.try_join_next() {
        match answer {
            Err(OperatorError::Busy) => busy += 1,
            other => panic!("nothing else can be answered while the journal hangs: {other:?}"),
        }
    }
    assert!(
        (300 - 128..300).contains(&busy),
        "a mailbox of 64 and a batch of 64 are all that waits: {busy} were refused"
    );
    assert!(handle.status().now_or_never_is_pending(), "a status waits for the loop, and nothing breaks");
}

/// Asks a future once.
trait Once {
    fn now_or_never_is_pending(self) -> bool;
}

impl<F: Future> Once for F {
    fn now_or_never_is_pending(self) -> bool {
        futures::FutureExt::now_or_never(self).is_none()
    }
}

/// S6: what is said while a run goes to sleep is taken, and wakes it.
#[tokio::test(start_paused = true)]
async fn an_input_finds_a_run_asleep_or_on_its_way_there() {
    for offset in [58_000, 59_999, 60_000, 60_001, 61_000, 90_000] {
        let world = World::in_memory();
        let pipeline = world.waiting();
        let engine = world.engine_on(
            Arc::clone(&world.journal),
            &pipeline,
            EngineOptions::default().evict_after(Duration::from_secs(60)),
        );
        let run = run_id("sleepy");
        let handle = engine.start_as(run, name(&pipeline), release("v2"), ada()).await.expect("it starts");
        pass(Duration::from_millis(offset)).await;
        let reply = handle.submit(approval()).await.expect("taken");
        assert!(matches!(reply, Reply::Taken | Reply::Kept), "{reply:?}");
        assert_eq!(handle.wait().await.expect("it ends").outcome, Outcome::Succeeded);
    }
}

/// I14: an input for a run that has ended is refused with the reason, whoever is asked.
#[tokio::test(start_paused = true)]
async fn an_input_after_the_end_is_refused_with_the_reason() {
    let world = World::in_memory();
    let pipeline = world.single("single", Work::Quick);
    let engine = world.engine(&pipeline);
    let handle = engine.start_as(run_id("a"), name(&pipeline), release("v2"), ada()).await.expect("it starts");
    handle.wait().await.expect("it ends");
    let refused = handle.submit(says("late", Act::Abort)).await.expect_err("it has ended");
    assert!(refused.to_string().contains("has ended"), "{refused}");
}

//! Leases: an owner stops in time by its own clock, and what it does not drive any more is free for others.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use deploy_core::driver::{EngineOptions, RunError};
use deploy_core::journal::{Journal as _, Which};
use deploy_core::machine::Outcome;
use tokio::time::{Instant, timeout};

use crate::scripted::Scripted;
use crate::world::{Work, World, ada, approval, name, pass, release, run_id};

const MINUTE: Duration = Duration::from_secs(60);

/// D14: without a renewal no effect leaves this host after lease less margin, though the agent would go on for ever.
#[tokio::test(start_paused = true)]
async fn no_effect_leaves_a_host_that_cannot_renew() {
    let world = World::in_memory();
    let pipeline = world.single("dripping", Work::Drip);
    let journal = Arc::new(Scripted::new(Arc::clone(&world.journal)));
    journal.renew_fails.store(true, Ordering::SeqCst);
    let engine = world.engine_on(journal, &pipeline, EngineOptions::default());
    let run = run_id("dripping");
    let handle = engine.start_as(run.clone(), name(&pipeline), release("v2"), ada()).await.expect("it starts");

    let stopped = timeout(MINUTE, handle.wait()).await.expect("in time").expect_err("its lease is lost");

    assert!(matches!(*stopped, RunError::LeaseLost { .. }), "{stopped}");
    let drops = world.ledger.effects().len();
    assert!((20..=26).contains(&drops), "an effect each second, and the last after 25 s at most: {drops}");
    pass(MINUTE).await;
    assert_eq!(world.ledger.effects().len(), drops, "nothing drips after it");
}

/// D14: a journal that never answers does not keep a host from stopping in time.
#[tokio::test(start_paused = true)]
async fn a_host_stops_in_time_though_its_journal_never_answers() {
    let world = World::in_memory();
    let pipeline = world.single("slow", Work::Slow(5, 5));
    let journal = Arc::new(Scripted::new(Arc::clone(&world.journal)));
    let engine = world.engine_on(Arc::clone(&journal) as _, &pipeline, EngineOptions::default());
    let run = run_id("slow");
    let handle = engine.start_as(run, name(&pipeline), release("v2"), ada()).await.expect("it starts");
    pass(Duration::from_secs(1)).await;
    journal.appends_hang.store(true, Ordering::SeqCst);
    journal.renew_fails.store(true, Ordering::SeqCst);

    let began = Instant::now();
    let stopped = timeout(MINUTE, handle.wait()).await.expect("in time").expect_err("its lease is lost");

    assert!(matches!(*stopped, RunError::LeaseLost { .. }), "{stopped}");
    assert!(began.elapsed() < Duration::from_secs(30));
}

/// D15: a run that a host cannot drive is free for others, though the host lives, renews its lease for other runs, and could
/// not give the run back at first.
#[tokio::test(start_paused = true)]
async fn a_run_that_stopped_is_free_though_its_host_lives() {
    let world = World::in_memory();
    let (waiting, single) = (world.waiting(), world.single("single", Work::Quick));
    let journal = Arc::new(Scripted::new(Arc::clone(&world.journal)));
    let one = world.engine_on(Arc::clone(&journal) as _, &waiting, EngineOptions::default());
    one.start_as(run_id("waits"), name(&waiting), release("v2"), ada()).await.expect("it starts");
    // Another environment, so that it does not wait for the lock of the first.
    let elsewhere = deploy_core::release::Release::new(
        "web".try_into().expect("a valid name"),
        "production".try_into().expect("a valid name"),
        "v2".try_into().expect("a valid name"),
    );
    let creator = world.engine(&single);
    creator.start_as(run_id("stops"), name(&single), elsewhere, ada()).await.expect("it starts");
    drop(creator);
    pass(MINUTE).await;
    journal.release_fails.store(3, Ordering::SeqCst);
    let stopped = one.resume_all().await.expect("readable").pop().expect("it is free");
    let why = stopped.wait().await.expect_err("it has no such pipeline");
    assert!(matches!(*why, RunError::PipelineMissing { .. }), "{why}");

    pass(MINUTE).await;

    let unowned = world.journal.list(Which::Unowned, None, 10).await.expect("readable");
    assert_eq!(unowned.iter().map(|e| e.run.as_str()).collect::<Vec<_>>(), ["stops"], "and the other is still owned");
    let two = world.engine(&single);
    let resumed = two.resume_all().await.expect("readable");
    assert_eq!(resumed[0].wait().await.expect("it ends").outcome, Outcome::Succeeded);
}

/// D15: a claim that fails now and then does not strand a run.
#[tokio::test(start_paused = true)]
async fn a_claim_that_fails_is_tried_again() {
    let world = World::in_memory();
    let pipeline = world.single("single", Work::Quick);
    let journal = Arc::new(Scripted::new(Arc::clone(&world.journal)));
    journal.claim_fails.store(5, Ordering::SeqCst);
    let engine = world.engine_on(journal, &pipeline, EngineOptions::default());
    let handle = engine.start_as(run_id("a"), name(&pipeline), release("v2"), ada()).await.expect("it starts");
    assert_eq!(handle.wait().await.expect("it ends").outcome, Outcome::Succeeded);
}

/// D13: a run that slept in memory while its lease passed is claimed again, and left alone if another has it now.
#[tokio::test(start_paused = true)]
async fn a_sleeping_run_that_was_taken_over_is_not_driven_when_it_wakes() {
    let world = World::in_memory();
    let pipeline = world.waiting();
    let journal = Arc::new(Scripted::new(Arc::clone(&world.journal)));
    let one = world.engine_on(Arc::clone(&journal) as _, &pipeline, EngineOptions::default());
    let run = run_id("sleeps");
    let handle = one.start_as(run.clone(), name(&pipeline), release("v2"), ada()).await.expect("it starts");
    pass(MINUTE * 2).await;
    assert_eq!(one.driven().in_memory, 0, "it sleeps");
    journal.everything_fails.store(true, Ordering::SeqCst);
    pass(MINUTE).await;
    let two = world.engine(&pipeline);
    let taken = two.resume_all().await.expect("readable").pop().expect("its lease has passed");
    pass(Duration::from_secs(1)).await;
    journal.everything_fails.store(false, Ordering::SeqCst);
    pass(MINUTE).await;

    // Asking wakes it; the answer comes from the journal.
    handle.status().await.expect("readable");
    let why = timeout(MINUTE, handle.wait()).await.expect("in time").expect_err("another has it");
    assert!(matches!(*why, RunError::Claim { .. }), "{why}");
    world.journal.submit(&run, &approval()).await.expect("room for it");
    assert_eq!(taken.wait().await.expect("it ends").outcome, Outcome::Succeeded);
}

/// Whoever holds a run when its engine goes is told so.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_an_engine_that_is_gone() {
    let world = World::in_memory();
    let pipeline = world.waiting();
    let engine = world.engine(&pipeline);
    let handle = engine.start_as(run_id("a"), name(&pipeline), release("v2"), ada()).await.expect("it starts");
    pass(Duration::from_secs(1)).await;
    drop(engine);
    let gone = timeout(MINUTE, handle.wait()).await.expect("it does not hang").expect_err("nobody drives it");
    assert!(matches!(*gone, RunError::HandedBack { .. }), "{gone}");
}

/// Runs that sleep are handed back, too, and can be taken up at once.
#[tokio::test(start_paused = true)]
async fn a_shutdown_hands_sleeping_runs_back() {
    let world = World::in_memory();
    let pipeline = world.waiting();
    let one = world.engine(&pipeline);
    let run = run_id("sleeps");
    one.start_as(run.clone(), name(&pipeline), release("v2"), ada()).await.expect("it starts");
    pass(MINUTE * 2).await;
    assert_eq!((one.driven().runs, one.driven().in_memory), (1, 0));

    timeout(MINUTE, one.shutdown(MINUTE)).await.expect("it ends");

    let two = world.engine(&pipeline);
    let handle = two.resume_all().await.expect("readable").pop().expect("free at once");
    world.journal.submit(&run, &approval()).await.expect("room for it");
    assert_eq!(handle.wait().await.expect("it ends").outcome, Outcome::Succeeded);
}

/// A call under way when the time of a shutdown is over ends before the run is given back.
#[tokio::test(start_paused = true)]
async fn nothing_goes_on_after_the_run_was_handed_back() {
    let world = World::in_memory();
    let pipeline = world.single("dripping", Work::Drip);
    let engine = world.engine(&pipeline);
    let run = run_id("dripping");
    let handle = engine.start_as(run.clone(), name(&pipeline), release("v2"), ada()).await.expect("it starts");
    pass(Duration::from_secs(5)).await;

    engine.shutdown(Duration::from_secs(3)).await;

    let stopped = handle.wait().await.expect_err("handed back");
    assert!(matches!(*stopped, RunError::HandedBack { .. }), "{stopped}");
    let drops = world.ledger.effects().len();
    pass(MINUTE).await;
    assert_eq!(world.ledger.effects().len(), drops);
    assert_eq!(world.journal.list(Which::Unowned, None, 10).await.expect("readable").len(), 1);
}

//! Appends that fail, or that nobody knows about: nothing is lost and nothing done twice, or the run stops and says why.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use deploy_core::driver::{EngineOptions, RunError};
use deploy_core::journal::Journal as _;
use deploy_core::machine::Outcome;

use crate::judge::{Counts, breaches};
use crate::scripted::{Fault, Scripted};
use crate::world::{Ending, World, ada, approval, name, pass, release, run_id};

/// Drives a fresh run of the reference pipeline through faults of the journal to its end, with a second engine where the
/// first stops. Says how the first one stopped.
async fn through(world: &World, faults: &[(u64, Fault)]) -> Option<Arc<RunError>> {
    let pipeline = world.reference(Ending::Good);
    let run = run_id("faulty");
    let mut journal = Scripted::new(Arc::clone(&world.journal));
    for (position, fault) in faults {
        journal = journal.at(*position, *fault);
    }
    let journal = Arc::new(journal);
    let engine = world.engine_on(journal, &pipeline, EngineOptions::default());
    let handle = engine.start_as(run.clone(), name(&pipeline), release("v2"), ada()).await.expect("it starts");
    world.journal.submit(&run, &approval()).await.expect("room for it");
    let stopped = handle.wait().await.err();
    if stopped.is_some() {
        pass(Duration::from_secs(60)).await;
        let second = world.engine(&pipeline);
        let resumed = second.resume_all().await.expect("readable");
        assert_eq!(
            resumed.len(),
            1,
            "{faults:?}: a run that stopped can be taken up, though its engine lives: {stopped:?}"
        );
        resumed[0].wait().await.expect("it ends");
    }
    stopped
}

async fn at_every_record(fault: Fault) -> (u64, Counts, u64) {
    let (mut runs, mut all, mut stops) = (0, Counts::default(), 0);
    for position in 1.. {
        let world = World::in_memory();
        let stopped = through(&world, &[(position, fault)]).await;
        let (wrong, counts) = breaches(&*world.journal, &world.ledger, &run_id("faulty"), Outcome::Succeeded).await;
        assert!(wrong.is_empty(), "{fault:?} at record {position}: {wrong:#?}");
        runs += 1;
        all += counts;
        stops += u64::from(stopped.is_some());
        if position >= counts.records {
            break;
        }
    }
    println!(
        "{fault:?} at every record: {runs} runs, {stops} stops, {} effects, {} repeated",
        all.effects, all.repeats
    );
    (runs, all, stops)
}

/// D11: an append that fails writes nothing, is tried again, and nothing is done twice.
#[tokio::test(start_paused = true)]
async fn an_append_that_fails_is_tried_again() {
    let (_, all, stops) = at_every_record(Fault::Fail).await;
    assert_eq!((all.repeats, stops), (0, 0));
}

/// S2: an acknowledgement that is lost is asked for, and nothing is written twice.
#[tokio::test(start_paused = true)]
async fn an_append_whose_acknowledgement_is_lost_counts() {
    let (_, all, stops) = at_every_record(Fault::LostAck).await;
    assert_eq!((all.repeats, stops), (0, 0));
}

/// S1: an append that nobody knows about and that was not written is written again.
#[tokio::test(start_paused = true)]
async fn an_append_that_was_lost_is_written_again() {
    let (_, all, stops) = at_every_record(Fault::Lost).await;
    assert_eq!((all.repeats, stops), (0, 0));
}

/// D13: an append that comes late is our own, not a takeover, and its records count once.
#[tokio::test(start_paused = true)]
async fn an_append_that_comes_late_counts_once() {
    let (_, all, stops) = at_every_record(Fault::Late).await;
    assert_eq!((all.repeats, stops), (0, 0));
}

/// D14: an append that takes longer than the lease ends this host's part, and another goes on.
#[tokio::test(start_paused = true)]
async fn an_append_longer_than_the_lease_stops_the_run() {
    let world = World::in_memory();
    let pipeline = world.single("slow", crate::world::Work::Quick);
    let journal = Arc::new(Scripted::new(Arc::clone(&world.journal)).at(3, Fault::Delay(Duration::from_secs(40))));
    journal.renew_fails.store(true, Ordering::SeqCst);
    let engine = world.engine_on(journal, &pipeline, EngineOptions::default());
    let run = run_id("slow");
    let handle = engine.start_as(run.clone(), name(&pipeline), release("v2"), ada()).await.expect("it starts");

    let began = tokio::time::Instant::now();
    let stopped = handle.wait().await.expect_err("its lease is lost");

    assert!(matches!(*stopped, RunError::LeaseLost { .. }), "{stopped}");
    assert!(began.elapsed() < Duration::from_secs(30), "it stops before anybody can take over: {:?}", began.elapsed());
    let second = world.engine(&pipeline);
    pass(Duration::from_secs(31)).await;
    let resumed = second.resume_all().await.expect("readable");
    assert_eq!(resumed[0].wait().await.expect("it ends").outcome, Outcome::Succeeded);
    let (wrong, counts) = breaches(&*world.journal, &world.ledger, &run, Outcome::Succeeded).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(counts.repeats, 0);
}

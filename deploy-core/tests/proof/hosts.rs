//! Two hosts on one run: one drives it, the other stops by itself and says why.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::driver::{EngineOptions, RunError};
use deploy_core::journal::{ClaimError, Journal as _};
use deploy_core::machine::Outcome;
use nix::sys::signal::Signal;

use crate::judge::breaches;
use crate::processes::{Host, options, the_run, until_driven_on, until_owned_by_another, until_records, world};
use crate::scripted::Scripted;
use crate::world::{Ending, World, ada, approval, name, pass, release, run_id};

/// D13, I6: of two engines that reach for a run at once one gets it, and the other says who has it.
#[tokio::test(start_paused = true)]
async fn of_two_engines_that_reach_for_a_run_one_gets_it() {
    let world = World::in_memory();
    let pipeline = world.small();
    let run = run_id("wanted");
    world.create(&pipeline, &run).await;
    pass(Duration::from_secs(31)).await;
    let (one, two) = (world.engine(&pipeline), world.engine(&pipeline));

    let (a, b) = (one.resume_all().await.expect("readable"), two.resume_all().await.expect("readable"));
    assert_eq!((a.len(), b.len()), (1, 1), "both saw it before either had it");
    let (a, b) = tokio::join!(a[0].wait(), b[0].wait());

    let (won, lost) = if a.is_ok() { (a, b) } else { (b, a) };
    assert_eq!(won.expect("one of them").outcome, Outcome::Succeeded);
    let lost = lost.expect_err("only one");
    assert!(matches!(&*lost, RunError::Claim { source: ClaimError::Owned { .. }, .. }), "{lost}");
    let (wrong, counts) = breaches(&*world.journal, &world.ledger, &run, Outcome::Succeeded).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(counts.repeats, 0);
}

/// D11, D13, I6: a host that believes in a lease which it does not have any more is stopped by the epoch of its claim.
/// Whoever reaches for a run just as it ends is told how it ended.
#[tokio::test(start_paused = true)]
async fn a_run_that_ends_while_somebody_reaches_for_it_has_ended_for_them_too() {
    let world = World::in_memory();
    let pipeline = world.small();
    let journal = Arc::new(Scripted::new(Arc::clone(&world.journal)));
    let engine = world.engine_on(Arc::clone(&journal) as _, &pipeline, EngineOptions::default());
    let run = run_id("ends");
    let handle = engine.start_as(run.clone(), name(&pipeline), release("v2"), ada()).await.expect("it starts");
    let before = world.journal.entry(&run).await.expect("readable").expect("it is there");
    let end = handle.wait().await.expect("it ends");
    assert_eq!(before.outcome, None, "it was read before the end");

    *journal.said_before.lock().expect("not poisoned") = Some(before);
    let late = engine.run(&run).await.expect("it is there");
    let seen = late.wait().await.expect("it has ended");
    assert_eq!((seen.outcome, seen.because), (end.outcome, end.because));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_was_taken_over_writes_nothing_more() {
    let world = World::in_memory();
    let pipeline = world.reference(Ending::Good);
    let run = run_id("taken");
    let journal = Arc::new(Scripted::new(Arc::clone(&world.journal)));
    *journal.real_lease.lock().expect("not poisoned") = Some(Duration::from_millis(500));
    let one = world.engine_on(journal, &pipeline, EngineOptions::default());
    let handle = one.start_as(run.clone(), name(&pipeline), release("v2"), ada()).await.expect("it starts");
    world.journal.submit(&run, &approval()).await.expect("room for it");
    pass(Duration::from_secs(1)).await;
    let before = world.journal.head(&run).await.expect("readable").next;

    let two = world.engine(&pipeline);
    let taken = two.resume_all().await.expect("readable");
    assert_eq!(taken.len(), 1, "the store knows that the lease has passed");

    let stopped = handle.wait().await.expect_err("taken over");
    assert!(matches!(&*stopped, RunError::TakenOver { .. }), "{stopped}");
    assert_eq!(taken[0].wait().await.expect("it ends").outcome, Outcome::Succeeded);
    assert!(world.journal.head(&run).await.expect("readable").next > before);
    let (wrong, _) = breaches(&*world.journal, &world.ledger, &run, Outcome::Succeeded).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// D10, D11, D13, D14, I5, I6: a process that is stopped for longer than its lease and then goes on does nothing more, and
/// says why.
#[tokio::test]
async fn a_stopped_process_that_goes_on_after_its_lease_does_nothing_more() {
    let unit = Duration::from_millis(20);
    let (mut refused, mut round, mut tries) = (0, 0, 0);
    while round < 6 {
        tries += 1;
        assert!(tries < 60, "this machine keeps no lease for half a second");
        let folder = tempfile::tempdir().expect("a folder");
        let world = world(folder.path(), unit);
        let pipeline = world.reference(Ending::Good);
        let creator = world.engine_on(Arc::clone(&world.journal), &pipeline, options());
        creator.start_as(the_run(), name(&pipeline), release("v2"), ada()).await.expect("it starts");
        let creators = creator.owner().clone();
        drop(creator);
        let mut one = Host::start(folder.path(), Ending::Good, false, unit);
        // What the creator wrote may be enough records: it is the first host that has to be stopped with the run in its hands.
        let ones = until_owned_by_another(&*world.journal, &creators).await;
        until_records(&*world.journal, &mut one, 4 + round).await;
        if !one.stop(folder.path()) {
            // On a machine so busy that it lost its lease without being stopped.
            continue;
        }
        round += 1;
        // It may have written more before it stood still, up to all that it can before a person answers.
        let had = world.journal.head(&the_run()).await.expect("readable").next;

        let two = Host::start(folder.path(), Ending::Good, true, unit);
        // It can only have it, and write, after the lease of the first has passed.
        until_owned_by_another(&*world.journal, &ones).await;
        until_driven_on(&*world.journal, had).await;
        one.signal(Signal::SIGCONT);
        let words = one.last_words().await;
        world.journal.submit(&the_run(), &approval()).await.expect("room for it");
        let end = two.last_words().await;

        assert!(words.contains("LeaseLost") || words.contains("TakenOver"), "{words:?}");
        assert!(end.contains("succeeded"), "{end:?}");
        let (wrong, counts) = breaches(&*world.journal, &world.ledger, &the_run(), Outcome::Succeeded).await;
        assert!(wrong.is_empty(), "{wrong:#?}");
        refused += counts.refused;
    }
    println!("6 processes stopped for longer than their lease: {refused} effects of theirs refused afterwards");
}

//! Planted faults: a proof that finds nothing in a broken engine proves nothing. Each rule is taken away once, and the same
//! checks that pass with it must fail without it.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::driver::{EngineOptions, RunError};
use deploy_core::journal::Journal as _;
use deploy_core::machine::{Event, Outcome, Reply};
use deploy_core::operator::Act;
use tokio::time::timeout;

use crate::judge::{breaches, of_records, records};
use crate::scripted::{Fault, Forgets, Scripted};
use crate::world::{Ending, World, ada, approval, name, pass, release, run_id, says};

const HOUR: Duration = Duration::from_secs(3_600);

fn scripted(world: &World, forgets: Option<Forgets>) -> Scripted {
    let journal = Scripted::new(Arc::clone(&world.journal));
    match forgets {
        Some(what) => journal.forgetting(what),
        None => journal,
    }
}

/// Whether a host that does not know that its lease has passed goes on after a takeover.
async fn an_older_host_goes_on(forgets: Option<Forgets>) -> bool {
    let world = World::in_memory();
    let pipeline = world.reference(Ending::Good);
    let run = run_id("taken");
    let journal = Arc::new(scripted(&world, forgets));
    *journal.real_lease.lock().expect("not poisoned") = Some(Duration::from_millis(500));
    let one = world.engine_on(Arc::clone(&journal) as _, &pipeline, EngineOptions::default());
    let first = one.start_as(run.clone(), name(&pipeline), release("v2"), ada()).await.expect("it starts");
    world.journal.submit(&run, &approval()).await.expect("room for it");
    pass(Duration::from_secs(1)).await;
    let two = world.engine_on(Arc::clone(&journal) as _, &pipeline, EngineOptions::default());
    let second = two.resume_all().await.expect("readable").pop().expect("its lease has passed");
    let ends = timeout(HOUR, futures::future::join(first.wait(), second.wait())).await;
    let stopped = ends.is_ok_and(|(first, _)| first.is_err_and(|error| matches!(*error, RunError::TakenOver { .. })));
    let under = journal.written_under.lock().expect("not poisoned").clone();
    !stopped || !under.is_sorted()
}

/// D11, D13: without the test of the epoch a host goes on that was taken over, and the drill sees it.
#[tokio::test(start_paused = true)]
async fn a_journal_without_the_test_of_the_epoch_is_found() {
    assert!(!an_older_host_goes_on(None).await);
    assert!(an_older_host_goes_on(Some(Forgets::Epoch)).await);
}

/// In how many of the runs something is wrong when an append comes late, at each of these records.
async fn late_appends_that_break(forgets: Option<Forgets>) -> usize {
    let mut broken = 0;
    for position in 1..20 {
        let world = World::in_memory();
        let pipeline = world.small();
        let run = run_id("late");
        let journal = Arc::new(scripted(&world, forgets).at(position, Fault::Late));
        let engine = world.engine_on(journal, &pipeline, EngineOptions::default());
        let handle = engine.start_as(run.clone(), name(&pipeline), release("v2"), ada()).await.expect("it starts");
        let ended = timeout(HOUR, handle.wait()).await.is_ok_and(|end| end.is_ok());
        let wrong =
            if ended { breaches(&*world.journal, &world.ledger, &run, Outcome::Succeeded).await.0 } else { Vec::new() };
        broken += usize::from(!ended || !wrong.is_empty());
    }
    broken
}

/// D2, D11: without the test of the head a late append is written beside the one that replaced it, and the judge sees it.
#[tokio::test(start_paused = true)]
async fn a_journal_without_the_test_of_the_head_is_found() {
    assert_eq!(late_appends_that_break(None).await, 0);
    let found = late_appends_that_break(Some(Forgets::Head)).await;
    // Most late appends only repeat what the next one says anyway; some of them are recorded twice or out of place.
    assert!(found > 0, "nothing was found");
}

async fn breaches_with(forgets: Option<Forgets>) -> Vec<String> {
    let world = World::in_memory();
    let pipeline = world.small();
    let run = run_id("hasty");
    let engine = world.engine_on(Arc::new(scripted(&world, forgets)), &pipeline, EngineOptions::default());
    let handle = engine.start_as(run.clone(), name(&pipeline), release("v2"), ada()).await.expect("it starts");
    let _end = timeout(HOUR, handle.wait()).await;
    pass(Duration::from_secs(60)).await;
    world.ledger.remarks()
}

/// D9, I3: an acknowledgement before the write lets effects begin whose record is not durable, and the agents see it.
#[tokio::test(start_paused = true)]
async fn a_journal_that_acknowledges_too_early_is_found() {
    assert_eq!(breaches_with(None).await, Vec::<String>::new());
    let found = breaches_with(Some(Forgets::Durability(Duration::from_millis(50)))).await;
    assert!(found.iter().any(|text| text.contains("are durable")), "{found:?}");
}

/// How an input is answered that was taken long ago, and what the judge says of it.
async fn said_again(forgets: Option<Forgets>) -> (Reply, bool) {
    let world = World::in_memory();
    let pipeline = world.waiting();
    let run = run_id("repeated");
    let engine = world.engine_on(Arc::new(scripted(&world, forgets)), &pipeline, EngineOptions::default());
    let handle = engine.start_as(run.clone(), name(&pipeline), release("v2"), ada()).await.expect("it starts");
    for n in 0..50 {
        handle.submit(says(&format!("pause-{n}"), Act::Pause)).await.expect("taken");
        handle.submit(says(&format!("resume-{n}"), Act::Resume)).await.expect("taken");
    }
    let again = handle.submit(says("pause-0", Act::Pause)).await.expect("answered");
    let wrong = of_records(&run, &records(&*world.journal, &run).await);
    (again, wrong.iter().any(|text| text.contains("taken twice")))
}

/// I14, S6: without the filter of inputs taken long ago one is taken twice, and the judge sees it.
#[tokio::test(start_paused = true)]
async fn a_journal_without_the_filter_of_repeated_inputs_is_found() {
    assert_eq!(said_again(None).await, (Reply::Ignored, false));
    assert_eq!(said_again(Some(Forgets::Taken)).await, (Reply::Taken, true));
}

/// I14: an input of long ago is not taken twice because the journal could not be asked at first.
#[tokio::test(start_paused = true)]
async fn an_input_of_long_ago_is_not_taken_twice_by_a_failing_journal() {
    let world = World::in_memory();
    let pipeline = world.waiting();
    let journal = Arc::new(scripted(&world, None));
    let engine = world.engine_on(Arc::clone(&journal) as _, &pipeline, EngineOptions::default());
    let run = run_id("repeated");
    let handle = engine.start_as(run, name(&pipeline), release("v2"), ada()).await.expect("it starts");
    for n in 0..50 {
        handle.submit(says(&format!("pause-{n}"), Act::Pause)).await.expect("taken");
        handle.submit(says(&format!("resume-{n}"), Act::Resume)).await.expect("taken");
    }
    journal.was_taken_fails.store(3, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(handle.submit(says("pause-0", Act::Pause)).await.expect("answered"), Reply::Ignored);
}

/// D18, I7: the judge sees undo in another order, twice, or not at all, and a lost record.
#[tokio::test(start_paused = true)]
async fn a_way_back_in_another_order_is_found() {
    let world = World::in_memory();
    let pipeline = world.reference(Ending::Broken);
    let run = run_id("back");
    let engine = world.engine(&pipeline);
    let handle = engine.start_as(run.clone(), name(&pipeline), release("v2"), ada()).await.expect("it starts");
    world.journal.submit(&run, &approval()).await.expect("room for it");
    assert_eq!(handle.wait().await.expect("it ends").outcome, Outcome::RolledBack);
    let all = records(&*world.journal, &run).await;
    assert_eq!(of_records(&run, &all), Vec::<String>::new());
    let undos: Vec<usize> =
        all.iter().enumerate().filter(|(_, r)| matches!(r.event, Event::UndoOpened(_))).map(|(at, _)| at).collect();
    assert!(undos.len() >= 4, "{undos:?}");

    let mut swapped = all.clone();
    let (a, b) = (swapped[undos[0]].event.clone(), swapped[undos[1]].event.clone());
    (swapped[undos[0]].event, swapped[undos[1]].event) = (b, a);
    assert!(of_records(&run, &swapped).iter().any(|text| text.starts_with("undo was begun as")));

    let mut lost = all.clone();
    lost.remove(undos[0]);
    assert!(!of_records(&run, &lost).is_empty());

    let mut shorter = all.clone();
    shorter.pop();
    assert!(of_records(&run, &shorter).iter().any(|text| text.contains("do not add up")));
}

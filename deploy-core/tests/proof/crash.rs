//! Crash after every record, before its acknowledgement or before it is written: the run ends as it would have without.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::driver::EngineOptions;
use deploy_core::journal::Journal as _;
use deploy_core::machine::Outcome;
use deploy_core::name::RunId;
use deploy_core::operator::Act;
use deploy_core::pipeline::Pipeline;

use crate::judge::{Counts, breaches, of_clocks, records};
use crate::scripted::{Fault, Scripted, attentive};
use crate::world::{Ending, World, ada, approval, name, pass, release, run_id, says};

/// Longer than any lease of these tests.
const LEASE_AND_MORE: Duration = Duration::from_secs(31);
/// More virtual time than any of these runs needs.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Starts the run, and lets engine after engine meet a crash, until none is left to meet.
async fn through_crashes(
    world: &World,
    pipeline: &Pipeline,
    run: &RunId,
    crashes: &[(u64, Fault)],
    abort_at: Option<u64>,
) {
    // Created and dropped at once: whoever resumes finds a run that nobody ever drove.
    let journal = Arc::new(Scripted::new(Arc::clone(&world.journal)));
    let first = world.engine_on(journal, pipeline, EngineOptions::default());
    first.start_as(run.clone(), name(pipeline), release("v2"), ada()).await.expect("it starts");
    drop(first);
    if name(pipeline).as_str() == "reference" {
        attentive(world.journal.submit(run, &approval())).await.expect("room for it");
    }
    for (position, fault) in crashes {
        rest(world).await;
        let journal = Arc::new(Scripted::new(Arc::clone(&world.journal)).at(*position, *fault));
        let engine = world.engine_on(Arc::clone(&journal) as _, pipeline, EngineOptions::default());
        let mut resumed = engine.resume_all().await.expect("readable");
        let Some(handle) = resumed.pop() else { break };
        if abort_at.is_some_and(|at| at <= *position) {
            attentive(world.journal.submit(run, &says("abort", Act::Abort))).await.ok();
        }
        tokio::select! {
            () = journal.crashed() => {}
            end = handle.wait() => { end.expect("it ends before it meets its crash"); }
        }
        drop((engine, handle));
        // Tasks that were aborted are gone at their next turn.
        tokio::task::yield_now().await;
    }
    finish(world, pipeline, crashes).await;
}

/// Until any lease has passed, for every thread to see.
async fn rest(world: &World) {
    pass(LEASE_AND_MORE).await;
    world.clock.wall();
}

/// An engine that meets no crash.
async fn finish(world: &World, pipeline: &Pipeline, crashes: &[(u64, Fault)]) {
    rest(world).await;
    let journal = Arc::new(Scripted::new(Arc::clone(&world.journal)));
    let engine = world.engine_on(journal, pipeline, EngineOptions::default());
    for handle in engine.resume_all().await.expect("readable") {
        let end = tokio::time::timeout(PATIENCE, handle.wait()).await;
        let end = end.unwrap_or_else(|_| panic!("no end after crashes at {crashes:?}"));
        end.unwrap_or_else(|error| panic!("after crashes at {crashes:?}: {error:?}"));
    }
}

async fn judged(world: &World, run: &RunId, expected: Outcome, story: &str) -> Counts {
    let (mut wrong, counts) = attentive(breaches(&*world.journal, &world.ledger, run, expected)).await;
    wrong.extend(of_clocks(&attentive(records(&*world.journal, run)).await));
    assert!(wrong.is_empty(), "{story}: {wrong:#?}");
    counts
}

/// How many records the run has without a crash.
async fn length(world: &World, pipeline: &Pipeline, outcome: Outcome) -> u64 {
    let run = run_id("undisturbed");
    through_crashes(world, pipeline, &run, &[], None).await;
    let counts = judged(world, &run, outcome, "without a crash").await;
    assert_eq!(counts.repeats, 0, "without a crash nothing is done twice");
    counts.records
}

type Build = fn(&World) -> Pipeline;

fn good(world: &World) -> Pipeline {
    world.reference(Ending::Good)
}

fn broken(world: &World) -> Pipeline {
    world.reference(Ending::Broken)
}

async fn crash_after_every_record(journal: &str, world: impl Fn(u64) -> World, build: Build, outcome: Outcome) {
    let first = world(0);
    let records = length(&first, &build(&first), outcome).await;
    let (mut all, mut runs) = (Counts::default(), 0);
    for position in 1..records {
        for fault in [Fault::CrashBefore, Fault::CrashAfter] {
            runs += 1;
            let world = world(runs);
            let pipeline = build(&world);
            let run = run_id("crashed");
            through_crashes(&world, &pipeline, &run, &[(position, fault)], None).await;
            all += judged(&world, &run, outcome, &format!("{fault:?} at record {position}")).await;
        }
    }
    println!(
        "{journal}, {outcome}: {runs} crashes at {records} records: {} effects, {} of them repeated, {} refused",
        all.effects, all.repeats, all.refused
    );
    assert!(all.repeats > 0, "an agent that cannot look up repeats now and then, or the crashes hit nothing");
}

/// I4, D1, D2, D7, D8, D9, D19, S2, S3: succeeding runs on the journal in memory.
#[tokio::test(start_paused = true)]
async fn after_a_crash_at_any_record_a_good_release_ends_well() {
    crash_after_every_record("memory", |_| World::in_memory(), good, Outcome::Succeeded).await;
}

/// I4, I7, D18, S8: the way back survives a crash at any record of it.
#[tokio::test(start_paused = true)]
async fn after_a_crash_at_any_record_a_broken_release_is_undone() {
    crash_after_every_record("memory", |_| World::in_memory(), broken, Outcome::RolledBack).await;
}

/// I4 and all that goes with it, on the journal in a file.
#[tokio::test(start_paused = true)]
async fn after_a_crash_at_any_record_of_a_file_a_good_release_ends_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = |n: u64| World::on_sqlite(&folder.path().join(format!("{n}.db")));
    crash_after_every_record("sqlite", world, good, Outcome::Succeeded).await;
}

/// I4, I7, D18 on the journal in a file.
#[tokio::test(start_paused = true)]
async fn after_a_crash_at_any_record_of_a_file_a_broken_release_is_undone() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = |n: u64| World::on_sqlite(&folder.path().join(format!("{n}.db")));
    crash_after_every_record("sqlite", world, broken, Outcome::RolledBack).await;
}

/// I4: the second crash falls into the recovery from the first.
#[tokio::test(start_paused = true)]
async fn after_two_crashes_at_any_two_records_a_run_ends_well() {
    let first = World::in_memory();
    let records = length(&first, &first.small(), Outcome::Succeeded).await;
    let (mut all, mut runs) = (Counts::default(), 0);
    for one in 1..records {
        // A recovery writes records of its own: the second crash may fall behind the undisturbed end.
        for two in one..records + 2 {
            for (a, b) in [
                (Fault::CrashBefore, Fault::CrashBefore),
                (Fault::CrashBefore, Fault::CrashAfter),
                (Fault::CrashAfter, Fault::CrashBefore),
                (Fault::CrashAfter, Fault::CrashAfter),
            ] {
                runs += 1;
                let world = World::in_memory();
                let run = run_id("crashed");
                through_crashes(&world, &world.small(), &run, &[(one, a), (two, b)], None).await;
                let story = format!("{a:?} at {one}, {b:?} at {two}");
                all += judged(&world, &run, Outcome::Succeeded, &story).await;
            }
        }
    }
    println!("{runs} pairs of crashes: {} effects, {} repeated", all.effects, all.repeats);
}

/// D17, S7: an abort that is given around a crash leads to the end it asks for, wherever the crash falls.
#[tokio::test(start_paused = true)]
async fn an_abort_survives_a_crash_at_any_record() {
    let first = World::in_memory();
    let records = length(&first, &first.small(), Outcome::Succeeded).await;
    let mut all = Counts::default();
    for position in 1..records - 1 {
        for fault in [Fault::CrashBefore, Fault::CrashAfter] {
            let world = World::in_memory();
            let pipeline = world.small();
            let run = run_id("aborted");
            through_crashes(&world, &pipeline, &run, &[(position, fault)], Some(0)).await;
            all += judged(&world, &run, Outcome::Aborted, &format!("{fault:?} at record {position}")).await;
        }
    }
    println!("aborts around a crash: {} records, {} effects, {} repeated", all.records, all.effects, all.repeats);
}

/// D24, D25: replay from a snapshot gives what replay from the beginning gives, and snapshots are taken though no engine lives
/// for long.
#[tokio::test(start_paused = true)]
async fn a_snapshot_and_the_records_after_it_are_the_same_as_all_records() {
    let world = World::in_memory();
    let pipeline = world.reference(Ending::Broken);
    let run = run_id("snapshotted");
    world.create(&pipeline, &run).await;
    world.journal.submit(&run, &approval()).await.expect("room for it");
    let mut taken = 0;
    for position in (3..120).step_by(5) {
        pass(LEASE_AND_MORE).await;
        let journal = Arc::new(Scripted::new(Arc::clone(&world.journal)).at(position, Fault::CrashAfter));
        let options = EngineOptions::default().snapshot_every(4);
        let engine = world.engine_on(Arc::clone(&journal) as _, &pipeline, options);
        let Some(handle) = engine.resume_all().await.expect("readable").pop() else { break };
        tokio::select! {
            () = journal.crashed() => {}
            end = handle.wait() => { end.expect("it ends"); }
        }
        drop((engine, handle));
        tokio::task::yield_now().await;
        let all = records(&*world.journal, &run).await;
        if let Some(snapshot) = world.journal.snapshot(&run).await.expect("readable") {
            taken += 1;
            let before = &all[..usize::try_from(snapshot.position).expect("small")];
            let folded = crate::judge::fold(&run, before);
            let kept: deploy_core::machine::State = serde_json::from_str(&snapshot.state).expect("a state");
            assert_eq!(folded.state(), &kept, "the snapshot at {} is the fold of the records", snapshot.position);
            assert!(all.len() as u64 - snapshot.position <= 4 + 8, "replay stays bounded by snapshot and one batch");
        }
    }
    finish(&world, &pipeline, &[]).await;
    let counts = judged(&world, &run, Outcome::RolledBack, "with snapshots").await;
    println!("{taken} resumes from snapshots of a run of {} records", counts.records);
    assert!(taken > 3, "engines that live for three records take snapshots, too");
}

/// D3, D4: any event in any state is taken without a panic, and the same events give the same state from the same bytes.
#[tokio::test(start_paused = true)]
async fn any_event_in_any_state_is_taken_and_gives_one_state() {
    let mut pool = Vec::new();
    let mut plans = Vec::new();
    for (name, ending, outcome) in
        [("good", Ending::Good, Outcome::Succeeded), ("broken", Ending::Broken, Outcome::RolledBack)]
    {
        let world = World::in_memory();
        let pipeline = world.reference(ending);
        let run = run_id(name);
        through_crashes(&world, &pipeline, &run, &[(9, Fault::CrashAfter), (20, Fault::CrashBefore)], None).await;
        judged(&world, &run, outcome, name).await;
        let all = records(&*world.journal, &run).await;
        plans.push(all[..1].to_vec());
        pool.extend(all.into_iter().skip(1).map(|record| record.event));
    }
    let mut dice = 0x9E37_79B9_7F4A_7C15_u64;
    let mut applied = 0;
    for round in 0..400 {
        let mut story = plans[round % plans.len()].clone();
        for position in 1..60 {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            let event = pool[usize::try_from(dice % pool.len() as u64).expect("small")].clone();
            story.push(deploy_core::machine::Record { position, at: story[0].at, event });
        }
        let run = run_id("any");
        let once = crate::judge::fold(&run, &story);
        let bytes: Vec<_> = story.iter().map(|record| record.seal().expect("JSON").to_bytes()).collect();
        let again: Vec<_> = bytes
            .iter()
            .map(|bytes| deploy_core::journal::Envelope::parse(bytes).expect("an envelope"))
            .map(|envelope| deploy_core::machine::Record::open(&envelope).expect("a record"))
            .collect();
        assert_eq!(once, crate::judge::fold(&run, &again), "the same bytes give the same state");
        applied += story.len();
    }
    println!("{applied} events applied in states they were not made for");
}

/// D5: what changes nothing is not recorded.
#[tokio::test(start_paused = true)]
async fn what_changes_nothing_is_not_recorded() {
    let world = World::in_memory();
    let pipeline = world.waiting();
    let engine = world.engine(&pipeline);
    let run = run_id("quiet");
    let handle = engine.start_as(run.clone(), name(&pipeline), release("v2"), ada()).await.expect("it starts");
    handle.submit(says("pause", Act::Pause)).await.expect("taken");
    let before = world.journal.head(&run).await.expect("readable");
    handle.submit(says("pause", Act::Pause)).await.expect("ignored");
    handle.submit(says("another-pause", Act::Pause)).await.expect_err("it is paused already");
    handle.status().await.expect("readable");
    pass(Duration::from_secs(3_600)).await;
    assert_eq!(world.journal.head(&run).await.expect("readable"), before);
}

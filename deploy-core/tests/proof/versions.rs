//! Runs that this host cannot drive: nothing is written, the claim is given back, and the error names what is missing.

use std::time::Duration;

use deploy_core::driver::{RunError, StatusError};
use deploy_core::journal::{Append, Envelope, Journal as _, NewRun, QueuePolicy, Which};
use deploy_core::machine::{MACHINE_VERSION, Outcome, RecordError};
use deploy_core::name::{OwnerName, RunId};
use deploy_core::pipeline::Pipeline;
use deploy_core::time::Now;
use serde_json::value::RawValue;

use crate::judge::{breaches, records};
use crate::world::{Work, World, ada, name, pass, release, run_id};

/// Tries to drive the run on a host of this pipeline: it must stop, write nothing, and leave the run free for others.
async fn stops(world: &World, pipeline: &Pipeline, run: &RunId) -> RunError {
    let before = world.journal.head(run).await.expect("readable");
    let host = world.engine(pipeline);
    let mut why = None;
    // Again and again, as a host does that looks for runs: without a record, and without keeping it from others.
    for _ in 0..3 {
        let handle = host.resume_all().await.expect("readable").pop().expect("it is free");
        why = Some(handle.wait().await.expect_err("it cannot be driven here"));
        assert_eq!(world.journal.head(run).await.expect("readable"), before, "no record was written");
        let free = world.journal.list(Which::Unowned, None, 10).await.expect("readable");
        assert_eq!(free.len(), 1, "the claim was given back at once");
        assert_eq!(free[0].outcome, None, "it has not failed");
    }
    std::sync::Arc::into_inner(why.expect("three times")).expect("the engine keeps no error")
}

/// D23: a host without the pipeline stops; a host that has it goes on.
#[tokio::test(start_paused = true)]
async fn a_host_without_the_blocks_leaves_the_run_to_one_that_has_them() {
    let world = World::in_memory();
    let (here, other) = (world.single("release", Work::Quick), world.single("another", Work::Quick));
    let run = run_id("moved");
    world.create(&here, &run).await;
    pass(Duration::from_secs(31)).await;

    let why = stops(&world, &other, &run).await;
    assert!(matches!(&why, RunError::PipelineMissing { pipeline, .. } if pipeline.as_str() == "release"), "{why}");

    let builder = Pipeline::builder("release");
    builder.rollback(deploy_core::plan::RollbackTo::Previous);
    builder.phase("only").task("work", world.worker("renamed", Work::Quick)).add();
    let changed = builder.build().expect("valid");
    let why = stops(&world, &changed, &run).await;
    assert!(matches!(why, RunError::BlockMissing { .. }), "{why}");
    let text = std::error::Error::source(&why).expect("a cause").to_string();
    assert!(text.contains("work"), "it names the block: {text}");

    let able = world.engine(&here);
    let handle = able.resume_all().await.expect("readable").pop().expect("still free");
    assert_eq!(handle.wait().await.expect("it ends").outcome, Outcome::Succeeded);
    let (wrong, _) = breaches(&*world.journal, &world.ledger, &run, Outcome::Succeeded).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// D20, S9: a changed pipeline of the same name does not change a run that has begun: its plan comes from its first record.
#[tokio::test(start_paused = true)]
async fn a_changed_pipeline_changes_new_runs_only() {
    let world = World::in_memory();
    let run = run_id("old");
    world.create(&world.single("release", Work::Quick), &run).await;
    pass(Duration::from_secs(31)).await;
    let builder = Pipeline::builder("release");
    builder.rollback(deploy_core::plan::RollbackTo::Previous);
    let only = builder.phase("only");
    only.task("work", world.worker("work", Work::Quick)).add();
    only.task("more", world.worker("more", Work::Quick)).add();
    let changed = builder.build().expect("valid");

    let host = world.engine(&changed);
    let handle = host.resume_all().await.expect("readable").pop().expect("free");
    assert_eq!(handle.wait().await.expect("it ends").outcome, Outcome::Succeeded);

    let steps: Vec<String> = world.ledger.effects().into_iter().map(|effect| effect.key).collect();
    assert_eq!(steps, ["old/only/work/do/0/1"]);
    let machine = crate::judge::fold(&run, &records(&*world.journal, &run).await);
    assert_eq!(machine.plan().steps.iter().filter(|s| s.path.as_str() == "only/more").count(), 0);
}

/// D23: an unknown machine version in the first record.
#[tokio::test(start_paused = true)]
async fn an_unknown_machine_version_is_named() {
    let world = World::in_memory();
    let pipeline = world.single("release", Work::Quick);
    let sample = run_id("sample");
    world.create(&pipeline, &sample).await;
    let first = world.journal.read(&sample, 0, 1).await.expect("readable").remove(0);
    let text = String::from_utf8(first.bytes).expect("text");
    let text = text.replace(&format!("\"machine\":{MACHINE_VERSION}"), "\"machine\":99").replace("sample", "newer");
    // In a store where it stands alone.
    let world = World::in_memory();
    let new = NewRun {
        run: run_id("newer"),
        service: release("v2").service,
        environment: release("v2").environment,
        queue: QueuePolicy::Fifo,
        records: vec![Envelope::parse(text.as_bytes()).expect("an envelope")],
    };
    world.journal.create(new).await.expect("a run");

    let why = stops(&world, &world.single("release", Work::Quick), &run_id("newer")).await;

    assert!(matches!(why, RunError::MachineVersion { found: 99, known: MACHINE_VERSION, .. }), "{why}");
    let handle = world.engine(&pipeline).run(&run_id("newer")).await.expect("there");
    assert!(
        matches!(handle.status().await, Err(StatusError::MachineVersion { found: 99, .. })),
        "and the status says so"
    );
}

/// D22, D23, I17: an unknown kind of record stops the run here with its position and kind, and stays as it is.
#[tokio::test(start_paused = true)]
async fn an_unknown_record_is_named_with_its_position() {
    let world = World::in_memory();
    let pipeline = world.waiting();
    let run = run_id("newer");
    let engine = world.engine(&pipeline);
    engine.start_as(run.clone(), name(&pipeline), release("v2"), ada()).await.expect("it starts");
    pass(Duration::from_secs(1)).await;
    engine.shutdown(Duration::from_secs(1)).await;
    let owner = OwnerName::new("a-newer-build").expect("a valid name");
    let claim = world.journal.claim(&run, &owner, Duration::from_secs(1)).await.expect("free");
    let head = world.journal.head(&run).await.expect("readable");
    let record = Envelope {
        position: head.next,
        at: Now::default(),
        kind: "from_the_future".to_owned(),
        version: 7,
        body: RawValue::from_string(r#"{"what":"is not known yet"}"#.to_owned()).expect("JSON"),
    };
    let append = Append {
        claim: claim.clone(),
        expected: head.next,
        records: vec![record.clone()],
        blobs: Vec::new(),
        taken: Vec::new(),
        ends: None,
        waits: None,
    };
    world.journal.append(append).await.expect("kept");
    world.journal.release(&claim).await.expect("given back");

    let why = stops(&world, &pipeline, &run).await;

    let RunError::Record { source: RecordError::Unknown { position, kind, version }, .. } = &why else {
        panic!("{why}")
    };
    assert_eq!((*position, kind.as_str(), *version), (head.next, "from_the_future", 7));
    let kept = world.journal.read(&run, head.next, 1).await.expect("readable").remove(0);
    assert_eq!(Envelope::parse(&kept.bytes).expect("an envelope"), record, "it survives untouched");
}

//! Runs that take back others which have ended: first in the queue, once for each, and never one of another rollback.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::driver::{Engine, EngineOptions, RollBackError, RunHandle, StartError};
use deploy_core::journal::{Journal as _, QueuePolicy, Which, verify_run};
use deploy_core::machine::{Event, Outcome, Strategies};
use deploy_core::name::{BlockName, RunId};
use deploy_core::operator::{Act, ApprovalRequest, Principal};
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{InFlightPolicy, RollbackOf, RollbackTo};
use deploy_core::release::{Change, Release, ReleaseKind};
use deploy_core::simulation::{Faults, Simulation};
use deploy_core::strategy::Strategy;
use deploy_core::target::Target as _;

use crate::judge::{fold, records};
use crate::scripted::{Fault, Scripted};
use crate::world::{Halves, Place, UNIT, Work, World, ada, name, pass, release, revision, run_id, says};

/// A world for each journal: both must behave alike.
async fn in_each_world(test: impl AsyncFn(World)) {
    test(World::in_memory()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::on_sqlite(&folder.path().join("journal.db"));
    world.journal = Arc::new(Scripted::new(Arc::clone(&world.journal)));
    test(world).await;
}

fn grace() -> Principal {
    Principal::new("grace", "example.org")
}

impl World {
    fn quick(&self) -> Pipeline {
        self.rollout(0, InFlightPolicy::Finish, Work::Quick)
    }

    /// Who serves.
    fn serves(&self) -> String {
        self.ledger.place().expect("a place").serving().expect("somebody").to_string()
    }

    /// How many runs there are.
    async fn runs(&self) -> usize {
        self.journal.list(Which::All, None, 100).await.expect("a list").len()
    }

    /// A release that has gone out.
    async fn released(&self, engine: &Engine, run: &str, version: &str) -> RunId {
        let handle = started(engine, run, release(version)).await;
        assert_eq!(ended(&handle).await, Outcome::Succeeded);
        assert_eq!(self.serves(), version);
        handle.id().clone()
    }

    /// The epoch of the lock under which a run was admitted.
    async fn admitted(&self, run: &RunId) -> Option<u64> {
        let records = records(&*self.journal, run).await;
        records.iter().find_map(|record| match &record.event {
            Event::Admitted(admitted) => Some(admitted.epoch),
            _ => None,
        })
    }
}

async fn started(engine: &Engine, run: &str, release: Release) -> RunHandle {
    let pipeline = deploy_core::name::PipelineName::new("rollout").expect("a valid name");
    engine.start_as(run_id(run), &pipeline, release, ada()).await.expect("it starts")
}

async fn ended(run: &RunHandle) -> Outcome {
    run.wait().await.expect("it ends").outcome
}

/// Rows: M233.
#[tokio::test(start_paused = true)]
async fn a_waiting_release_never_goes_before_a_rollback() {
    in_each_world(async |world| {
        let engine = world.engine(&world.rollout(30, InFlightPolicy::Finish, Work::Quick));
        let bad = world.released(&engine, "bad", "v2").await;
        let under_way = started(&engine, "under-way", release("v3")).await;
        pass(UNIT).await;
        let early = started(&engine, "early", release("v4")).await;
        pass(UNIT).await;

        let back = engine.roll_back(&bad, grace(), "orders are lost").await.expect("it can be taken back");
        let late = started(&engine, "late", release("v5")).await;
        pass(UNIT * 2).await;
        assert_eq!(back.status().await.expect("a status").queued_behind, Some(run_id("under-way")), "it takes no lock");
        assert_eq!(world.admitted(under_way.id()).await.zip(world.admitted(back.id()).await), None);
        under_way.submit(says("back", Act::RollBack)).await.expect("it is under way");
        assert_eq!(ended(&under_way).await, Outcome::RolledBack);

        assert_eq!(ended(&back).await, Outcome::Succeeded);
        assert_eq!((ended(&early).await, ended(&late).await), (Outcome::Succeeded, Outcome::Succeeded));
        let effects = world.ledger.effects();
        let of = |run: &RunId| {
            let run = format!("{run}/");
            effects.iter().enumerate().filter(move |(_, effect)| effect.key.starts_with(&run))
        };
        let last = of(back.id()).next_back().expect("it has done something").0;
        for waiting in [&early, &late] {
            let first = of(waiting.id()).next().expect("it has done something").0;
            assert!(first > last, "run {} did something before the rollback was over", waiting.id());
        }
        let placed = of(back.id()).rfind(|(_, effect)| effect.content.contains("place:")).expect("a place");
        assert!(placed.1.content.contains(r#""weights":{"v1":100}"#), "who served before: {}", placed.1.content);
        let mut order = Vec::new();
        for run in [under_way.id(), back.id(), early.id(), late.id()] {
            order.push(world.admitted(run).await.expect("each was admitted"));
            verify_run(&*world.journal, run, None).await.expect("an unbroken chain");
        }
        assert!(order.is_sorted_by(|one, next| one < next), "{order:?}");
    })
    .await;
}

/// Rows: M233.
#[tokio::test(start_paused = true)]
async fn a_release_that_supersedes_those_under_way_waits_for_a_rollback() {
    in_each_world(async |world| {
        let engine = world.engine(&world.rollout(30, InFlightPolicy::Supersede, Work::Quick));
        let bad = world.released(&engine, "bad", "v2").await;
        let back = engine.roll_back(&bad, grace(), "orders are lost").await.expect("it can be taken back");
        pass(UNIT * 3).await;
        let next = started(&engine, "next", release("v3")).await;
        assert_eq!(ended(&back).await, Outcome::Succeeded, "nobody told it to stop");
        assert_eq!(world.serves(), "v1");
        assert_eq!(ended(&next).await, Outcome::Succeeded);

        // Among releases it is as it was.
        let first = started(&engine, "first", release("v4")).await;
        pass(UNIT * 3).await;
        let second = started(&engine, "second", release("v5")).await;
        assert_eq!((ended(&first).await, ended(&second).await), (Outcome::Aborted, Outcome::Succeeded));
    })
    .await;
}

/// Rows: M233.
#[tokio::test(start_paused = true)]
async fn whoever_asks_again_is_given_the_run_that_is_there() {
    in_each_world(async |world| {
        let (one, two) = (world.engine(&world.quick()), world.engine(&world.quick()));
        // Of two hosts that reach for a run one drives it, and the other says who has it.
        let drives = async |run: &RunId| loop {
            match one.run(run).await.expect("it is there").wait().await {
                Ok(end) => break end.outcome,
                Err(_) => pass(UNIT).await,
            }
        };
        let bad = world.released(&one, "bad", "v2").await;
        let (a, b) = tokio::join!(
            one.roll_back(&bad, grace(), "orders are lost"),
            two.roll_back(&bad, ada(), "it is slow, too")
        );
        let (a, b) = (a.expect("one of them starts it"), b.expect("the other is given the same"));
        assert_eq!((a.id(), b.id()), (&Engine::rollback_id(&bad), &Engine::rollback_id(&bad)));
        assert_eq!(world.runs().await, 2);
        let again = one.roll_back(&bad, grace(), "is it under way?").await.expect("the one that is there");
        assert_eq!(drives(again.id()).await, Outcome::Succeeded);
        assert_eq!(world.serves(), "v1");

        let after = two.roll_back(&bad, grace(), "once more").await.expect("the one that has ended");
        assert_eq!((after.id(), ended(&after).await), (a.id(), Outcome::Succeeded));
        assert_eq!(world.runs().await, 2);
        let applied = world.ledger.effects().into_iter().filter(|effect| effect.key.starts_with(a.id().as_str()));
        let mut keys: Vec<_> = applied.map(|effect| effect.key).collect();
        let all = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), all, "no effect was had twice");
    })
    .await;
}

/// Rows: M233.
#[tokio::test(start_paused = true)]
async fn a_rollback_says_what_it_takes_back_and_releases_what_was_recorded_before() {
    in_each_world(async |world| {
        let engine = world.engine(&world.quick());
        let digest = deploy_core::digest::Digest::of(b"the good one");
        let change = Change { commit: Some("c0ffee".to_owned()), ..Change::default() };
        let good = release("v2").artifact("api", digest).change(change);
        assert_eq!(ended(&started(&engine, "good", good.clone()).await).await, Outcome::Succeeded);
        let bad = release("v3").kind(ReleaseKind::Hotfix);
        assert_eq!(ended(&started(&engine, "bad", bad).await).await, Outcome::Succeeded);

        let back = engine.roll_back(&run_id("bad"), grace(), "orders are lost").await.expect("it can be taken back");
        let machine = fold(back.id(), &records(&*world.journal, back.id()).await);
        let plan = machine.plan();
        assert_eq!(plan.release, good.kind(ReleaseKind::Hotfix), "with its artifacts, through the phases of the other");
        let of = RollbackOf { run: run_id("bad"), why: "orders are lost".to_owned() };
        assert_eq!((plan.rollback_of.as_ref(), &plan.started_by), (Some(&of), &grace()));
        assert_eq!((plan.queue, plan.in_flight), (QueuePolicy::Priority, InFlightPolicy::Finish));
        assert!(plan.to_string().contains("takes back      run bad: orders are lost"), "{plan}");
        assert_eq!(ended(&back).await, Outcome::Succeeded);
        assert_eq!(world.serves(), "v2");
    })
    .await;
}

/// Rows: M233.
#[tokio::test(start_paused = true)]
async fn a_rollback_starts_no_other() {
    in_each_world(async |world| {
        let engine = world.engine(&world.rollout(30, InFlightPolicy::Finish, Work::Quick));
        let bad = world.released(&engine, "bad", "v2").await;
        drop(engine);
        // Meanwhile the pipeline was changed: what comes after the rollout fails.
        let broken = world.engine(&world.rollout(30, InFlightPolicy::Finish, Work::FailFirst(u32::MAX)));
        let back = broken.roll_back(&bad, grace(), "orders are lost").await.expect("it can be taken back");
        pass(UNIT * 3).await;
        let refused = back.submit(says("back", Act::RollBack)).await.expect_err("it is a rollback");
        let refused = deploy_core::report::chain(&refused);
        assert!(refused.contains("it takes back run bad, and a rollback starts no other"), "{refused}");

        assert_eq!(ended(&back).await, Outcome::Failed);
        assert_eq!(world.serves(), "v1", "it does not go back to what it took back");
        let again = broken.roll_back(back.id(), grace(), "and back again").await.expect_err("it is a rollback");
        assert!(matches!(&again, RollBackError::IsRollback { of, .. } if *of == bad), "{again}");
        assert_eq!(world.runs().await, 2);
    })
    .await;
}

/// Rows: M233.
#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_refused_with_its_reason() {
    in_each_world(async |world| {
        let engine = world.engine(&world.rollout(30, InFlightPolicy::Finish, Work::Quick));
        let under_way = started(&engine, "under-way", release("v2")).await;
        pass(UNIT * 3).await;
        let before = world.runs().await;
        let refused = async |run: &str| engine.roll_back(&run_id(run), grace(), "why not").await.expect_err(run);

        assert!(matches!(refused("under-way").await, RollBackError::UnderWay(_)));
        under_way.submit(says("back", Act::RollBack)).await.expect("it is under way");
        assert_eq!(ended(&under_way).await, Outcome::RolledBack);
        let stands = refused("under-way").await;
        assert!(matches!(stands, RollBackError::NothingStands { outcome: Outcome::RolledBack, .. }), "{stands}");
        assert!(matches!(refused("nobody").await, RollBackError::Journal(_)));
        assert_eq!(world.runs().await, before, "nothing was written");

        let same = world.released(&engine, "same", "v1").await;
        let unchanged = refused(same.as_str()).await.to_string();
        assert!(unchanged.contains("v1 served before it too"), "{unchanged}");
        let first = world.released(&engine, "first", "v3").await;
        let second = world.released(&engine, "second", "v4").await;
        let later = refused(first.as_str()).await;
        assert!(matches!(&later, RollBackError::Later { by, .. } if *by == second), "{later}");
        // The later one is taken back, and so the first may be.
        let back = engine.roll_back(&second, grace(), "orders are lost").await.expect("nothing came after it");
        assert_eq!(ended(&back).await, Outcome::Succeeded);
        let later = refused(first.as_str()).await;
        assert!(matches!(&later, RollBackError::Later { by, .. } if by == back.id() || *by == second), "{later}");
        assert_eq!(world.runs().await, before + 4);
    })
    .await;
}

/// What a later run left standing serves, however that run ended.
///
/// Rows: M233.
#[tokio::test(start_paused = true)]
async fn a_later_run_that_failed_and_still_stands_is_in_the_way() {
    in_each_world(async |world| {
        let p = Pipeline::builder("stays");
        p.rollback(RollbackTo::None { reason: "it is a one-way street".to_owned() });
        let halves = Halves { soak: Duration::ZERO };
        p.phase("out").rollout("rollout", halves, Place(world.clone())).observe_every(UNIT).add();
        p.phase("close").task("work", world.worker("work", Work::FailFirst(u32::MAX))).add();
        let pipeline = p.build().expect("a valid pipeline");
        let stays = world.engine(&pipeline);
        let engine = world.engine(&world.quick());
        let first = world.released(&engine, "first", "v2").await;
        let second = stays.start_as(run_id("second"), name(&pipeline), release("v3"), ada()).await;
        assert_eq!(ended(&second.expect("it starts")).await, Outcome::Failed);
        assert_eq!(world.serves(), "v3");

        let later = engine.roll_back(&first, grace(), "orders are lost").await.expect_err("v3 serves");
        assert!(matches!(&later, RollBackError::Later { by, .. } if by.as_str() == "second"), "{later}");
        assert_eq!(world.runs().await, 2);
    })
    .await;
}

/// Rows: M233.
#[tokio::test(start_paused = true)]
async fn where_no_way_back_is_known_it_is_said() {
    let refused = async |world: &World, pipeline: Pipeline| {
        let engine = world.engine(&pipeline);
        let run = engine.start_as(run_id("run"), name(&pipeline), release("v2"), ada()).await.expect("it starts");
        assert_eq!(ended(&run).await, Outcome::Succeeded);
        let error = engine.roll_back(run.id(), grace(), "why not").await.expect_err("nothing leads back");
        assert!(matches!(error, RollBackError::NoWayBack { .. }), "{error}");
        assert_eq!(world.runs().await, 1);
        error.to_string()
    };
    let pipeline = |world: &World, rollback: RollbackTo, no_return: bool| {
        let p = Pipeline::builder("release");
        p.rollback(rollback);
        let halves = Halves { soak: Duration::ZERO };
        p.phase("out").rollout("rollout", halves, Place(world.clone())).observe_every(UNIT).add();
        let last = p.phase("close").task("work", world.worker("work", Work::Quick));
        if no_return {
            last.point_of_no_return("old readers fail", ApprovalRequest::new("Go past it?")).add()
        } else {
            last.add()
        };
        p.build().expect("a valid pipeline")
    };
    let world = World::in_memory();
    let text = refused(&world, world.single("single", Work::Quick)).await;
    assert!(text.contains("it rolled out nothing"), "{text}");
    let world = World::in_memory();
    let none = RollbackTo::None { reason: "it is a one-way street".to_owned() };
    let text = refused(&world, pipeline(&world, none, false)).await;
    assert!(text.contains("it is a one-way street"), "{text}");
    let world = World::in_memory();
    let mut empty = world.ledger.place().expect("a place");
    empty.weights.clear();
    world.ledger.set_place(&empty);
    let text = refused(&world, pipeline(&world, RollbackTo::Previous, false)).await;
    assert!(text.contains("nothing served at fleet before it"), "{text}");

    let world = World::in_memory();
    let past = pipeline(&world, RollbackTo::Previous, true);
    let engine = world.engine(&past);
    let run = engine.start_as(run_id("run"), name(&past), release("v2"), ada()).await.expect("it starts");
    let consent = says("consent", Act::Approve { step: crate::world::path("close/work/ask") });
    run.submit(consent).await.expect("it is kept until it is asked for");
    assert_eq!(ended(&run).await, Outcome::Succeeded);
    let error = engine.roll_back(run.id(), grace(), "why not").await.expect_err("there is no return").to_string();
    assert!(error.contains("went past a point of no return with close/work: old readers fail"), "{error}");
}

/// Rows: M233.
#[tokio::test(start_paused = true)]
async fn a_crash_between_the_ask_and_the_start_loses_nothing_and_starts_nothing_twice() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter, Fault::Fail, Fault::LostAck] {
        in_each_world(async |world| {
            let pipeline = world.quick();
            let bad = world.released(&world.engine(&pipeline), "bad", "v2").await;
            let journal = Arc::new(Scripted::new(Arc::clone(&world.journal)));
            *journal.create.lock().expect("not poisoned") = Some(fault);
            let dying = world.engine_on(Arc::clone(&journal) as _, &pipeline, EngineOptions::default());
            let asked = tokio::select! {
                asked = dying.roll_back(&bad, grace(), "orders are lost") => Some(asked),
                () = journal.crashed() => None,
            };
            let crashes = matches!(fault, Fault::CrashBefore | Fault::CrashAfter);
            assert_eq!(asked.is_none(), crashes);
            if let Some(Err(error)) = asked {
                assert!(matches!(error, RollBackError::Start { source: StartError::Create(_), .. }), "{error}");
            }
            drop(dying);

            let there = matches!(fault, Fault::CrashAfter | Fault::LostAck);
            assert_eq!(world.runs().await, 1 + usize::from(there), "{fault:?}");
            let host = world.engine(&pipeline);
            let resumed = host.resume_all().await.expect("readable");
            assert_eq!(
                resumed.len(),
                usize::from(there),
                "{fault:?}: what was written is driven on by whoever is there"
            );
            let back = host.roll_back(&bad, grace(), "orders are lost").await.expect("asked again");
            assert_eq!(ended(&back).await, Outcome::Succeeded);
            assert_eq!((world.serves().as_str(), world.runs().await), ("v1", 2), "{fault:?}");
            let mut keys: Vec<_> = world.ledger.effects().into_iter().map(|effect| effect.key).collect();
            let all = keys.len();
            keys.sort();
            keys.dedup();
            assert_eq!(keys.len(), all, "{fault:?}: no effect was had twice");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_that_belongs_to_another_run_is_not_taken_for_a_rollback() {
    let world = World::in_memory();
    let engine = world.engine(&world.quick());
    let bad = world.released(&engine, "bad", "v2").await;
    let (id, single) = (Engine::rollback_id(&bad), world.single("single", Work::Quick));
    let another = world.engine(&single);
    let other = another.start_as(id, name(&single), release("v7"), ada()).await.expect("it starts");
    assert_eq!(ended(&other).await, Outcome::Succeeded);
    let error = engine.roll_back(&bad, grace(), "orders are lost").await.expect_err("it is another run");
    assert!(matches!(error, RollBackError::Taken { .. }), "{error}");

    let longest = run_id(&"r".repeat(96));
    let (id, same) = (Engine::rollback_id(&longest), Engine::rollback_id(&longest));
    assert!(id == same && id.as_str().len() <= 96, "{id}");
    assert_ne!(id, Engine::rollback_id(&run_id(&"r".repeat(95))));
}

/// How many runs are simulated each way.
const SEEDS: u64 = 120;

struct Blocks(Halves);

impl Strategies for Blocks {
    fn strategy(&self, _name: &BlockName) -> Option<&dyn Strategy> {
        Some(&self.0)
    }
}

/// Whatever fails on its way, and whenever somebody asks: a rollback never goes back itself, and says how it ends.
///
/// Rows: M233.
#[tokio::test(start_paused = true)]
async fn in_the_simulation_a_rollback_never_goes_back_whatever_goes_wrong() {
    let world = World::in_memory();
    let pipeline = world.rollout(30, InFlightPolicy::Supersede, Work::Quick);
    let of = RollbackOf { run: run_id("bad"), why: "orders are lost".to_owned() };
    let back = Arc::new(pipeline.plan_rollback(release("v1"), grace(), of).expect("a plan"));
    let forth = Arc::new(pipeline.plan(release("v1"), grace()).expect("a plan"));
    let place = Place(world.clone());
    let mut there = place.observe().await.expect("it can be seen");
    there.weights = [(revision("v2"), 100)].into();
    there.revisions = there.revisions.into_values().map(|instances| (revision("v2"), instances)).collect();

    let blocks = Blocks(Halves { soak: UNIT * 30 });
    let (mut undone, mut failed, mut refused) = ([0_u32; 2], 0_u32, 0_u32);
    let is = |text: &str, kind: &str| text.contains(&format!("\"kind\":\"{kind}\""));
    for seed in 0..SEEDS {
        for (index, plan) in [&back, &forth].into_iter().enumerate() {
            let mut simulation = Simulation::new(Arc::clone(plan), seed)
                .target(place.name(), there.clone())
                .faults(Faults::of_every_kind())
                .says(UNIT * u32::try_from(seed % 60).expect("small"), Act::RollBack);
            if seed % 4 == 0 {
                simulation = simulation.failing(crate::world::path("out/announce"), u32::MAX);
            }
            let finished = simulation.run(&blocks).expect("the engine goes on");
            let records = finished.records.iter().map(|bytes| String::from_utf8_lossy(bytes));
            undone[index] += u32::from(records.clone().any(|text| is(&text, "undo_opened")));
            if index == 0 {
                let rollout = "out/rollout/undo";
                assert!(!finished.effect_keys().iter().any(|key| key.to_string().contains(rollout)), "seed {seed}");
                assert_ne!(finished.outcome, Some(Outcome::RolledBack), "seed {seed}");
                failed += u32::from(finished.outcome == Some(Outcome::Failed));
                refused += u32::from(!records.clone().any(|text| is(&text, "took") && text.contains("roll_back")));
            }
        }
    }
    println!("{SEEDS} simulated rollbacks: {failed} failed, {refused} took no operator's roll back, undone {undone:?}");
    assert!(failed > 20, "some must fail for this to show anything: {failed}");
    assert_eq!(u64::from(refused), SEEDS, "an operator's roll back is refused");
    assert!(undone[1] > 20, "an ordinary release does go back: {undone:?}");
}

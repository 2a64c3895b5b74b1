//! The tokio driver: runs end, survive stops, and go back. Time is virtual.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::agent::{AgentCard, Report, agent_fn};
use deploy_core::digest::Digest;
use deploy_core::driver::{Engine, EngineOptions, RunEnd, RunHandle, RuntimeClock};
use deploy_core::evidence::{Check, CheckInput, Claim, Collected, EvidenceSubject, Verdict, Verification};
use deploy_core::gate::{GateContext, GateDecision, gate_fn};
use deploy_core::journal::{Journal, MemoryJournal};
use deploy_core::machine::{Event, Outcome, Reply};
use deploy_core::name::{CheckName, PipelineName};
use deploy_core::operator::{Act, ApprovalRequest, Principal};
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{RetryPolicy, RollbackTo, StepPath};
use deploy_core::time::{Now, Timestamp};
use futures::StreamExt as _;

use crate::world::{Behaviour, Halves, Ledger, Place, Worker, ada, grace, pass, release};

struct World {
    ledger: Ledger,
    place: Place,
    clock: Arc<RuntimeClock>,
    journal: Arc<dyn Journal>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(RuntimeClock::new(Timestamp(1_700_000_000_000)));
        let journal = Arc::new(MemoryJournal::new(Arc::<RuntimeClock>::clone(&clock)));
        Self { ledger: Ledger::default(), place: Place::serving("v1", 2), clock, journal }
    }

    fn engine(&self, pipeline: &Pipeline) -> Engine {
        Engine::builder(Arc::clone(&self.journal))
            .clock(Arc::<RuntimeClock>::clone(&self.clock))
            .pipeline(pipeline.clone())
            .options(EngineOptions::default().evict_after(Duration::from_secs(60)))
            .build()
    }

    fn worker(&self, name: &str, behaviour: Behaviour) -> Arc<Worker> {
        Worker::new(name, behaviour, &self.ledger)
    }
}

fn name(pipeline: &Pipeline) -> PipelineName {
    pipeline.name().clone()
}

fn path(text: &str) -> StepPath {
    StepPath::new(text).expect("a valid path")
}

/// Two tasks side by side, a rollout, a task after it; each task can be undone.
fn reference(world: &World, rollout: Halves, last: Behaviour) -> Pipeline {
    let p = Pipeline::builder("reference");
    p.rollback(RollbackTo::Previous);
    p.width(4);
    let prepare = p.phase("prepare");
    let undo = |name: &str| world.worker(&format!("undo-{name}"), Behaviour::Succeed);
    let first = prepare.task("first", world.worker("first", Behaviour::Succeed)).undo(undo("first")).add();
    prepare.task("second", world.worker("second", Behaviour::Take(Duration::from_secs(3)))).undo(undo("second")).add();
    prepare.task("third", world.worker("third", Behaviour::Long(2))).after(&first).undo(undo("third")).add();
    let execute = p.phase("execute");
    execute.rollout("rollout", rollout, world.place.clone()).observe_every(Duration::from_secs(1)).add();
    let close = p.phase("close");
    close
        .task("last", world.worker("last", last))
        .timeout(Duration::from_secs(30))
        .retry(RetryPolicy::attempts(3))
        .undo(undo("last"))
        .add();
    p.build().expect("a valid pipeline")
}

async fn start(engine: &Engine, pipeline: &Pipeline) -> RunHandle {
    engine.start(&name(pipeline), release("v2"), ada()).await.expect("it starts")
}

#[tokio::test(start_paused = true)]
async fn a_release_runs_to_its_end() {
    let world = World::new();
    let pipeline = reference(&world, Halves::default(), Behaviour::FailFirst(2));
    let engine = world.engine(&pipeline);
    let run = start(&engine, &pipeline).await;

    let end = run.wait().await.expect("it is driven to its end");

    assert_eq!(end.outcome, Outcome::Succeeded, "{}", end.because);
    assert_eq!(world.place.weight("v2"), 100);
    let entry = world.journal.entry(run.id()).await.expect("readable").expect("there");
    assert_eq!(entry.outcome.as_deref(), Some("succeeded"));
    assert!(!entry.holds_lock, "the end of the run releases its lock");
    assert_eq!(engine.driven().runs, 0);
}

#[tokio::test(start_paused = true)]
async fn a_broken_release_goes_back_in_reverse_of_recorded_start() {
    let world = World::new();
    let pipeline = reference(&world, Halves::default(), Behaviour::FailDefinitively);
    let engine = world.engine(&pipeline);
    let run = start(&engine, &pipeline).await;

    let end = run.wait().await.expect("it is driven to its end");

    assert_eq!(end.outcome, Outcome::RolledBack, "{}", end.because);
    assert!(end.because.contains("close/last failed: it cannot be done"), "{}", end.because);
    assert_eq!(world.place.weight("v1"), 100);
    let order = world.ledger.order();
    let undone: Vec<_> = order.iter().filter_map(|o| o.strip_prefix("undo ")).collect();
    assert_eq!(undone, ["close/last", "prepare/third", "prepare/second", "prepare/first"]);
}

#[tokio::test(start_paused = true)]
async fn a_strategy_that_sees_it_broken_sends_it_back() {
    let world = World::new();
    let pipeline = reference(&world, Halves { fails_at_half: true, ..Halves::default() }, Behaviour::Succeed);
    let engine = world.engine(&pipeline);
    let run = start(&engine, &pipeline).await;

    let end = run.wait().await.expect("it is driven to its end");

    assert_eq!(end.outcome, Outcome::RolledBack);
    assert!(end.because.contains("it is broken"), "{}", end.because);
    assert_eq!((world.place.weight("v1"), world.place.weight("v2")), (100, 0));
}

#[tokio::test(start_paused = true)]
async fn a_question_in_mid_rollout_waits_for_a_person_and_not_for_the_one_who_started_it() {
    let world = World::new();
    let pipeline = reference(&world, Halves { asks: true, ..Halves::default() }, Behaviour::Succeed);
    let engine = world.engine(&pipeline);
    let run = start(&engine, &pipeline).await;
    let step = path("execute/rollout");

    let mut events = Box::pin(run.events(0));
    while let Some(record) = events.next().await {
        if let Event::Looked(looked) = record.expect("readable").event
            && matches!(looked.then, deploy_core::machine::AfterLook::Ask { .. })
        {
            break;
        }
    }
    let status = run.status().await.expect("readable");
    assert!(status.to_string().contains("\"Go on?\": 0 of 1 said yes"), "{status}");
    let own = run.operate(ada(), "I wrote it", Act::Approve { step: step.clone() }).await;
    assert!(own.expect_err("refused").to_string().contains("somebody else must approve"));
    let reply = run.operate(grace(), "looks good", Act::Approve { step }).await.expect("taken");

    assert_eq!(reply, Reply::Taken);
    assert_eq!(run.wait().await.expect("it ends").outcome, Outcome::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn an_approval_that_comes_early_is_kept_until_somebody_asks() {
    let world = World::new();
    let p = Pipeline::builder("early");
    p.rollback(RollbackTo::Previous);
    let only = p.phase("only");
    let work = only.task("work", world.worker("work", Behaviour::Take(Duration::from_secs(60)))).add();
    only.approval("sign-off", ApprovalRequest::new("Ship it?").role("release-manager")).after(&work).add();
    let pipeline = p.build().expect("valid");
    let engine = world.engine(&pipeline);
    let run = start(&engine, &pipeline).await;

    let reply = run.operate(grace(), "I trust it", Act::Approve { step: path("only/sign-off") }).await;

    assert_eq!(reply.expect("kept"), Reply::Kept);
    assert_eq!(run.wait().await.expect("it ends").outcome, Outcome::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_agent_is_caught_and_named() {
    let world = World::new();
    let p = Pipeline::builder("panics");
    p.rollback(RollbackTo::Previous);
    p.phase("only").task("work", world.worker("clumsy", Behaviour::Panic)).add();
    let pipeline = p.build().expect("valid");
    let engine = world.engine(&pipeline);

    let end = start(&engine, &pipeline).await.wait().await.expect("it ends");

    assert_eq!(end.outcome, Outcome::Failed);
    assert!(end.because.contains("clumsy panicked: a fault in the host's agent"), "{}", end.because);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_hangs_is_cancelled_and_looked_up() {
    let world = World::new();
    let p = Pipeline::builder("hangs");
    p.rollback(RollbackTo::Previous);
    p.phase("only").task("work", world.worker("slow", Behaviour::Hang)).timeout(Duration::from_secs(20)).add();
    let pipeline = p.build().expect("valid");
    let engine = world.engine(&pipeline);

    let end = start(&engine, &pipeline).await.wait().await.expect("it ends");

    // The attempt returned when it was told to stop, and its report counts.
    assert_eq!(end.outcome, Outcome::Succeeded, "{}", end.because);
    assert_eq!(world.ledger.times("only/work"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_engine_is_followed_by_another_that_goes_on() {
    let world = World::new();
    let pipeline = reference(&world, Halves { soak: Duration::from_secs(20), ..Halves::default() }, Behaviour::Succeed);
    let first = world.engine(&pipeline);
    let run = start(&first, &pipeline).await;
    let mut events = Box::pin(run.events(0));
    for _ in 0..12 {
        events.next().await.expect("more to come").expect("readable");
    }
    drop((events, first));
    let id = run.id().clone();
    drop(run);

    pass(Duration::from_secs(31)).await;
    let second = world.engine(&pipeline);
    let resumed = second.resume_all().await.expect("readable");
    assert_eq!(resumed.len(), 1);
    assert_eq!(resumed[0].id(), &id);

    assert_eq!(resumed[0].wait().await.expect("it ends").outcome, Outcome::Succeeded);
    for step in ["prepare/first", "prepare/second", "prepare/third", "close/last"] {
        assert_eq!(world.ledger.times(step), 1, "{step} was done once");
    }
}

#[tokio::test(start_paused = true)]
async fn shutting_down_hands_the_run_back_and_loses_nothing() {
    let world = World::new();
    let pipeline = reference(&world, Halves::default(), Behaviour::Succeed);
    let first = world.engine(&pipeline);
    let run = start(&first, &pipeline).await;
    pass(Duration::from_secs(1)).await;

    first.shutdown(Duration::from_secs(60)).await;

    assert!(matches!(*run.wait().await.expect_err("handed back"), deploy_core::driver::RunError::HandedBack { .. }));
    let second = world.engine(&pipeline);
    let resumed = second.resume_all().await.expect("readable");
    assert_eq!(resumed.len(), 1, "it can be claimed at once");
    assert_eq!(resumed[0].wait().await.expect("it ends").outcome, Outcome::Succeeded);
    assert_eq!(world.ledger.times("prepare/second"), 1);
}

#[tokio::test(start_paused = true)]
async fn two_releases_of_one_service_come_one_after_the_other() {
    let world = World::new();
    let pipeline = reference(&world, Halves::default(), Behaviour::Succeed);
    let engine = world.engine(&pipeline);
    let first = start(&engine, &pipeline).await;
    pass(Duration::from_secs(1)).await;
    let second = engine.start(&name(&pipeline), release("v3"), ada()).await.expect("it starts");
    pass(Duration::from_secs(1)).await;

    let waiting = second.status().await.expect("readable");
    assert_eq!(waiting.queued_behind.as_ref(), Some(first.id()), "{waiting}");

    assert_eq!(first.wait().await.expect("it ends").outcome, Outcome::Succeeded);
    assert_eq!(second.wait().await.expect("it ends").outcome, Outcome::Succeeded);
    assert_eq!(world.place.weight("v3"), 100);
}

#[tokio::test(start_paused = true)]
async fn another_process_steers_a_run_through_its_inbox() {
    let world = World::new();
    let pipeline = reference(&world, Halves { asks: true, ..Halves::default() }, Behaviour::Succeed);
    let engine = world.engine(&pipeline);
    let run = start(&engine, &pipeline).await;
    pass(Duration::from_secs(60)).await;
    let elsewhere = world.engine(&pipeline);
    let seen = elsewhere.run(run.id()).await.expect("there");

    let reply = seen.operate(grace(), "stop it", Act::Abort).await.expect("put into the inbox");

    assert_eq!(reply, Reply::Kept);
    assert_eq!(run.wait().await.expect("it ends").outcome, Outcome::Aborted);
    assert_eq!(seen.wait().await.expect("seen from elsewhere too").outcome, Outcome::Aborted);
    assert_eq!(world.place.weight("v1"), 100);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_waits_for_long_is_put_out_of_memory_and_comes_back() {
    let world = World::new();
    let p = Pipeline::builder("patient");
    p.rollback(RollbackTo::Previous);
    let only = p.phase("only");
    only.soak("bake", Duration::from_secs(3_600)).add();
    let pipeline = p.build().expect("valid");
    let engine = world.engine(&pipeline);
    let run = start(&engine, &pipeline).await;

    pass(Duration::from_secs(300)).await;
    let driven = engine.driven();
    assert_eq!((driven.runs, driven.in_memory), (1, 0));

    assert_eq!(run.wait().await.expect("it ends").outcome, Outcome::Succeeded);
    let status = run.status().await.expect("readable");
    assert!(status.elapsed >= Duration::from_secs(3_600) && status.elapsed < Duration::from_secs(3_700), "{status}");
}

#[tokio::test(start_paused = true)]
async fn drift_by_somebody_else_is_put_back_a_few_times_and_then_parks() {
    let world = World::new();
    let pipeline =
        reference(&world, Halves { soak: Duration::from_secs(600), ..Halves::default() }, Behaviour::Succeed);
    let engine = world.engine(&pipeline);
    let run = start(&engine, &pipeline).await;
    pass(Duration::from_secs(40)).await;
    let old = crate::world::revision("v1");
    for _ in 0..20 {
        world.place.meddle(|state| {
            state.weights = std::collections::BTreeMap::from([(old.clone(), 100)]);
        });
        pass(Duration::from_secs(5)).await;
    }

    let status = run.status().await.expect("readable");
    assert_eq!(status.parked.len(), 1, "{status}");
    assert!(status.parked[0].why.contains("somebody else changes the target"), "{status}");
    run.operate(grace(), "enough", Act::RollBack).await.expect("taken");
    assert_eq!(run.wait().await.expect("it ends").outcome, Outcome::RolledBack);
}

/// A world with one step whose agent reports this, beside a gate that reads what was verified.
async fn reporting(
    checks: Vec<Check>,
    wanted: Vec<Verification>,
    report: Report,
) -> (RunEnd, Arc<dyn Journal>, RunHandle) {
    let world = World::new();
    let p = Pipeline::builder("reporting");
    p.rollback(RollbackTo::Previous);
    for check in checks {
        p.check(check);
    }
    let phase = p.phase("say");
    let agent = agent_fn(AgentCard::new(crate::world::block("sayer"), "says so").repeatable(), move |_, _| {
        let report = report.clone();
        async move { Ok(report) }
    });
    let mut step = phase.task("it", agent);
    for wanted in wanted {
        step = step.verify(wanted);
    }
    step.add();
    let pipeline = p.build().expect("a valid pipeline");
    let engine = world.engine(&pipeline);
    let run = start(&engine, &pipeline).await;
    let end = run.wait().await.expect("it is driven to its end");
    (end, Arc::clone(&world.journal), run)
}

fn named(check: &str) -> CheckName {
    CheckName::new(check).expect("a valid name")
}

/// A claim with a piece of evidence that nobody can object to but a check.
fn claiming(check: &str) -> Report {
    let subject = EvidenceSubject { environment: Some(release("v2").environment), ..EvidenceSubject::default() };
    let evidence = Collected::new("log", "the world", subject, Timestamp(1_700_000_000_000), b"all is well".to_vec());
    let claim = Claim { check: named(check), evidence: vec![evidence.evidence.digest], value: String::new() };
    Report::new().claim(claim).evidence(evidence)
}

/// What is claimed beside what is asked for, or where nothing is asked for, is verified all the same: a claim that nothing resolves fails
/// its step, and one that a registered check confirms has a receipt.
#[tokio::test(start_paused = true)]
async fn a_claim_that_nothing_resolves_fails_its_step_even_where_nothing_is_asked_for() {
    let says = |verdict: Verdict| Check::new(named("said"), move |_| verdict.clone());
    let fails = || Verdict::Fail { reason: "it is not so".to_owned() };
    let (end, ..) = reporting(vec![says(Verdict::Pass)], Vec::new(), Report::new()).await;
    assert_eq!(end.outcome, Outcome::Succeeded, "who claims nothing has nothing to show: {}", end.because);

    let (end, ..) = reporting(Vec::new(), Vec::new(), claiming("said")).await;
    assert_ne!(end.outcome, Outcome::Succeeded);
    assert!(
        end.because.contains("said was claimed") && end.because.contains("no check of this name"),
        "{}",
        end.because
    );

    let (end, ..) = reporting(vec![says(fails())], Vec::new(), claiming("said")).await;
    assert_ne!(end.outcome, Outcome::Succeeded);
    assert!(end.because.contains("said was claimed: fails, it is not so"), "{}", end.because);

    let claim = Claim { check: named("said"), evidence: Vec::new(), value: "all is well".to_owned() };
    let (end, ..) = reporting(vec![says(Verdict::Pass)], Vec::new(), Report::new().claim(claim)).await;
    assert_ne!(end.outcome, Outcome::Succeeded, "words alone");
    assert!(end.because.contains("nobody claimed said with evidence"), "{}", end.because);

    let (end, _journal, run) = reporting(vec![says(Verdict::Pass)], Vec::new(), claiming("said")).await;
    assert_eq!(end.outcome, Outcome::Succeeded, "{}", end.because);
    let mut receipts = Vec::new();
    let mut events = std::pin::pin!(run.events(0));
    while let Some(record) = events.next().await {
        if let Event::Verified(verified) = record.expect("readable").event {
            receipts.extend(verified.receipts);
        }
    }
    assert_eq!(receipts.len(), 1, "{receipts:?}");
    assert_eq!((receipts[0].check.as_str(), &receipts[0].verdict, receipts[0].read.len()), ("said", &Verdict::Pass, 1));
}

/// Named people may approve whatever their roles, and nobody else where only people are named; a role beside them does as well.
#[tokio::test(start_paused = true)]
async fn a_question_to_named_people_is_theirs_to_answer() {
    for (request, bob_may) in [
        (ApprovalRequest::new("Ship it?").person("grace"), false),
        (ApprovalRequest::new("Ship it?").person("grace").role("owner"), true),
    ] {
        let world = World::new();
        let p = Pipeline::builder("named");
        p.rollback(RollbackTo::Previous);
        p.phase("only").approval("sign-off", request).add();
        let pipeline = p.build().expect("valid");
        let engine = world.engine(&pipeline);
        let run = start(&engine, &pipeline).await;
        let approve = || Act::Approve { step: path("only/sign-off") };
        let manager = Principal::new("mallory", "example.org").role("release-manager");
        let refused = run.operate(manager, "I manage", approve()).await.expect_err("not one of them").to_string();
        assert!(refused.contains("none of those who may approve") && refused.contains("grace"), "{refused}");
        let bob = run.operate(Principal::new("bob", "example.org").role("owner"), "I own it", approve()).await;
        assert_eq!(bob.is_ok(), bob_may, "{bob:?}");
        if !bob_may {
            let without_role = Principal::new("grace", "example.org");
            assert_eq!(run.operate(without_role, "yes", approve()).await.expect("hers"), Reply::Taken);
        }
        assert_eq!(run.wait().await.expect("it ends").outcome, Outcome::Succeeded);
    }
}

/// A gate is told the fingerprint of the plan that it stands in, and of no other.
#[tokio::test(start_paused = true)]
async fn a_gate_is_told_which_plan_it_stands_in() {
    let world = World::new();
    let told: Arc<std::sync::Mutex<Vec<Option<Digest>>>> = Arc::default();
    let seen = Arc::clone(&told);
    let gate = gate_fn(crate::world::block("look"), "it has looked", move |cx: GateContext| {
        seen.lock().expect("not poisoned").push(cx.plan);
        async { Ok(GateDecision::Go) }
    });
    let p = Pipeline::builder("told");
    p.rollback(RollbackTo::Previous);
    p.phase("only").gate("look", gate).add();
    let pipeline = p.build().expect("valid");
    let engine = world.engine(&pipeline);
    let run = start(&engine, &pipeline).await;
    run.wait().await.expect("it ends");
    let mut events = std::pin::pin!(run.events(0));
    let first = events.next().await.expect("a record").expect("readable");
    let Event::Started(started) = first.event else { panic!("a run starts with its plan") };
    assert_eq!(*told.lock().expect("not poisoned"), [Some(started.plan.fingerprint())]);
    let other = pipeline.plan(release("v3"), ada()).expect("it plans").fingerprint();
    assert_ne!(other, started.plan.fingerprint());
    let alone = GateContext::new(path("only/look"), Arc::new(release("v2")), Now::default(), [].into(), [].into());
    assert_eq!(alone.plan, None, "outside of a plan there is none");
}

/// Evidence that nobody claims is judged without claims; with them, a check sees what was said.
#[test]
fn a_check_sees_claims_only_where_some_were_made() {
    let check = Check::new(named("said"), |input| match input.claims {
        [] => Verdict::Pass,
        [claim, ..] => {
            Verdict::Fail { reason: format!("{} of {} at {}", claim.value, input.release.revision, input.now) }
        }
    });
    let release = release("v2");
    let none = CheckInput::new(&release, &[], Timestamp(7));
    assert!(none.evidence.is_empty() && none.claims.is_empty());
    assert_eq!(check.judge(&none), Verdict::Pass);
    let claim = Claim { check: named("said"), evidence: Vec::new(), value: "12 tests".to_owned() };
    let claims = [&claim];
    let some = CheckInput::new(&release, &[], Timestamp(7)).claims(&claims);
    let Verdict::Fail { reason } = check.judge(&some) else { panic!("it read the claim") };
    assert_eq!(reason, "12 tests of v2 at 1970-01-01T00:00:00.007Z");
}

/// A host's checks are all there for a run, also those that no step of its plan asks for: an agent may claim one.
#[test]
fn binding_keeps_every_check() {
    let p = Pipeline::builder("checks");
    p.rollback(RollbackTo::Previous);
    for name in ["asked", "unasked"] {
        p.check(Check::new(named(name), |_| Verdict::Pass));
    }
    let agent = agent_fn(AgentCard::new(crate::world::block("sayer"), "says so").repeatable(), |_, _| async {
        Ok(Report::new())
    });
    let asked = Check::new(named("asked"), |_| Verdict::Pass).verification();
    p.phase("say").task("it", agent).verify(asked).add();
    let pipeline = p.build().expect("valid");
    let plan = pipeline.plan(release("v2"), ada()).expect("it plans");
    let bound = pipeline.blocks().bind(&plan).expect("all are there");
    for name in ["asked", "unasked"] {
        assert!(bound.check(&named(name)).is_some(), "{name}");
    }
}

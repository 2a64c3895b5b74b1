//! The same plan and the same results under the tokio driver and under the virtual one: the same end, the same effects.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::driver::{Engine, RuntimeClock};
use deploy_core::journal::{Journal, MemoryJournal};
use deploy_core::machine::{Machine, Outcome, Strategies};
use deploy_core::name::{BlockName, RunId, TargetName};
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{Plan, RetryPolicy, RollbackTo, StepPath};
use deploy_core::simulation::{Finished, Simulation};
use deploy_core::strategy::Strategy;
use deploy_core::target::Target as _;
use deploy_core::time::Timestamp;

use crate::world::{Behaviour, Halves, Ledger, Place, Worker, ada, release};

struct Blocks(Halves);

impl Strategies for Blocks {
    fn strategy(&self, _name: &BlockName) -> Option<&dyn Strategy> {
        Some(&self.0)
    }
}

/// Tasks beside each other and after each other, long work, a rollout, a soak, and a last step that fails some times first.
fn pipeline(ledger: &Ledger, place: &Place, rollout: Halves, failing: u32) -> Pipeline {
    let worker = |name: &str, behaviour| Worker::new(name, behaviour, ledger);
    let undo = |name: &str| Worker::new(&format!("undo-{name}"), Behaviour::Succeed, ledger);
    let p = Pipeline::builder("both");
    p.rollback(RollbackTo::Previous);
    p.width(1);
    let prepare = p.phase("prepare");
    let first = prepare.task("first", worker("first", Behaviour::Succeed)).undo(undo("first")).add();
    prepare.task("long", worker("long", Behaviour::Long(2))).after(&first).undo(undo("long")).add();
    let execute = p.phase("execute");
    let roll = execute.rollout("roll", rollout, place.clone()).observe_every(Duration::from_secs(1)).add();
    execute.soak("soak", Duration::from_secs(30)).after(&roll).add();
    let close = p.phase("close");
    let last = close.task("last", worker("last", Behaviour::FailFirst(failing)));
    last.retry(RetryPolicy::attempts(3)).undo(undo("last")).add();
    p.build().expect("a valid pipeline")
}

/// What a driver made of it: the outcome, and the key of every effect that happened.
#[derive(Debug, PartialEq, Eq)]
struct Made {
    outcome: Option<Outcome>,
    keys: BTreeSet<String>,
}

async fn on_tokio(rollout: Halves, failing: u32) -> (Made, Arc<Plan>, RunId) {
    let (ledger, place) = (Ledger::default(), Place::serving("v1", 2));
    let pipeline = pipeline(&ledger, &place, rollout, failing);
    let clock = Arc::new(RuntimeClock::new(Timestamp(1_700_000_000_000)));
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new(Arc::<RuntimeClock>::clone(&clock)));
    let engine = Engine::builder(Arc::clone(&journal)).clock(clock).pipeline(pipeline.clone()).build();
    let run = engine.start(pipeline.name(), release("v2"), ada()).await.expect("it starts");
    let end = run.wait().await.expect("it ends");
    let mut keys: BTreeSet<String> = ledger.keys().into_iter().collect();
    keys.extend(place.applied.lock().expect("not poisoned").iter().map(|(key, _)| key.clone()));
    let first = journal.read(run.id(), 0, 1).await.expect("readable").remove(0);
    let envelope = deploy_core::journal::Envelope::parse(&first.bytes).expect("an envelope");
    let record = deploy_core::machine::Record::open(&envelope).expect("a record");
    let deploy_core::machine::Event::Started(started) = record.event else { panic!("the first record pins the plan") };
    (Made { outcome: Some(end.outcome), keys }, started.plan, run.id().clone())
}

async fn in_virtual_time(plan: &Arc<Plan>, run: &RunId, rollout: Halves, failing: u32) -> Made {
    let place = Place::serving("v1", 2);
    let there = place.observe().await.expect("it can be seen");
    let path = |text: &str| StepPath::new(text).expect("a path");
    let finished: Finished = Simulation::new(Arc::clone(plan), 1)
        .named(run.clone())
        .target(TargetName::new("fleet").expect("a name"), there)
        .polls(path("prepare/long"), 3)
        .failing(path("close/last"), failing)
        .run(&Blocks(rollout))
        .expect("the engine goes on");
    let rebuilt = Machine::from_state(Arc::clone(plan), finished.machine.state().clone());
    assert!(rebuilt.is_ok(), "the same plan, unchanged");
    Made { outcome: finished.outcome, keys: finished.effect_keys().iter().map(ToString::to_string).collect() }
}

#[tokio::test(start_paused = true)]
async fn both_drivers_make_the_same_of_the_same_plan() {
    let broken = Halves { fails_at_half: true, ..Halves::default() };
    let stories = [(Halves::default(), 0), (Halves::default(), 2), (Halves::default(), 9), (broken, 0)];
    for (rollout, failing) in stories {
        let (made, plan, run) = on_tokio(rollout.clone(), failing).await;
        let same = in_virtual_time(&plan, &run, rollout.clone(), failing).await;
        assert_eq!(made, same, "{rollout:?}, {failing} failures");
        assert!(made.keys.len() > 4, "{made:?}");
    }
}

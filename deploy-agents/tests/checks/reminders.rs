//! Who a run asks is told, and reminded, from outside of the run.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use deploy_agents::notifiers::{ApprovalReminders, Notifier, Party};
use deploy_agents::testing::NotifierStandIn;
use deploy_core::driver::{Engine, RunHandle, RuntimeClock};
use deploy_core::journal::MemoryJournal;
use deploy_core::machine::Outcome;
use deploy_core::operator::{Act, ApprovalRequest, Principal};
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{RollbackTo, StepPath};
use deploy_core::target::DesiredState;
use deploy_core::testing::scripted::ScriptedTarget;
use deploy_strategies::canary::{Canary, Step};

use crate::virtual_time::pass;
use crate::world::{now, person, release};

const HOUR: Duration = Duration::from_secs(3600);

/// A host: an engine over a journal that outlives it, in virtual time.
struct Host {
    clock: Arc<RuntimeClock>,
    journal: Arc<MemoryJournal>,
    pipeline: Pipeline,
    engine: Engine,
}

impl Host {
    fn new(pipeline: Pipeline) -> Self {
        let clock = Arc::new(RuntimeClock::new(now()));
        let journal = Arc::new(MemoryJournal::new(Arc::<RuntimeClock>::clone(&clock)));
        let engine = engine(&clock, &journal, &pipeline);
        Self { clock, journal, pipeline, engine }
    }

    async fn start(&self) -> RunHandle {
        let id = "run-1".try_into().expect("a name");
        self.engine.start_as(id, self.pipeline.name(), release(), person("bot")).await.expect("it starts")
    }

    /// The engine stops; another one comes up over the same journal.
    async fn restart(&mut self) -> RunHandle {
        self.engine.shutdown(Duration::from_secs(1)).await;
        self.engine = engine(&self.clock, &self.journal, &self.pipeline);
        let mut runs = self.engine.resume_all().await.expect("the journal is there");
        assert_eq!(runs.len(), 1);
        runs.remove(0)
    }
}

fn engine(clock: &Arc<RuntimeClock>, journal: &Arc<MemoryJournal>, pipeline: &Pipeline) -> Engine {
    let journal = Arc::<MemoryJournal>::clone(journal);
    Engine::builder(journal).clock(Arc::<RuntimeClock>::clone(clock)).pipeline(pipeline.clone()).build()
}

fn asks(request: ApprovalRequest) -> Pipeline {
    let p = Pipeline::builder("release-shop");
    p.rollback(RollbackTo::Previous);
    p.phase("plan").approval("sign-off", request).add();
    p.build().expect("a pipeline")
}

/// Two of: release managers, Olga, and Ada, who wrote the change.
fn request() -> ApprovalRequest {
    let who = ApprovalRequest::new("Ship it?").role("release-manager").person("olga").person("ada");
    who.quorum(2).expires_after(HOUR * 24)
}

fn reminders(carrier: &Arc<NotifierStandIn>) -> ApprovalReminders {
    let carrier: Arc<dyn Notifier> = Arc::<NotifierStandIn>::clone(carrier) as _;
    ApprovalReminders::new(carrier)
}

fn watch(carrier: &Arc<NotifierStandIn>, run: &RunHandle) -> tokio::task::JoinHandle<()> {
    let (reminders, run) = (reminders(carrier), run.clone());
    tokio::spawn(async move { reminders.watch(&run).await })
}

fn told(carrier: &NotifierStandIn) -> Vec<String> {
    carrier.arrived().iter().map(|notice| notice.party().name.clone()).collect()
}

async fn say(run: &RunHandle, who: Principal, act: Act) {
    run.operate(who, "it is time", act).await.expect("it is taken");
}

fn sign_off() -> StepPath {
    StepPath::new("plan/sign-off").expect("a path")
}

/// Whoever is asked hears of it at once, and again every four hours until they have said yes; who wrote the change does not.
///
/// Rows: M28, M43, M146.
#[tokio::test(start_paused = true)]
async fn whoever_a_run_asks_is_told_at_once_and_reminded_until_they_answer() {
    let carrier = Arc::new(NotifierStandIn::new());
    carrier.lose_connection("olga");
    let host = Host::new(asks(request()));
    let run = host.start().await;
    let watching = watch(&carrier, &run);
    pass(HOUR / 2).await;
    assert_eq!(told(&carrier), ["role release-manager"], "Ada's yes would not count, and Olga cannot be reached");
    carrier.mend("olga");
    pass(HOUR / 2).await;
    assert_eq!(told(&carrier), ["role release-manager", "olga"]);
    let first = &carrier.arrived()[1];
    assert!(first.subject().ends_with("asks for your answer"), "{first:?}");
    assert!(first.body().contains("plan/sign-off of run run-1 asks: Ship it?\n0 of 2 said yes."), "{first:?}");
    // Four hours after they were asked, and not a second time before eight.
    pass(HOUR * 5).await;
    assert_eq!(told(&carrier)[2..], ["olga", "role release-manager"]);
    assert!(carrier.arrived()[3].subject().ends_with("still waits for your answer"));
    say(&run, person("olga"), Act::Approve { step: sign_off() }).await;
    pass(HOUR * 3).await;
    assert_eq!(told(&carrier)[4..], ["role release-manager"], "Olga has answered");
    say(&run, person("carol").role("release-manager"), Act::Approve { step: sign_off() }).await;
    assert_eq!(run.wait().await.expect("it ends").outcome, Outcome::Succeeded);
    watching.await.expect("it ends with the run");
    assert_eq!(carrier.arrived().len(), 5);
}

/// Time stands still for a paused run, and for those whom it asks.
#[tokio::test(start_paused = true)]
async fn nobody_is_reminded_while_the_run_is_paused() {
    let carrier = Arc::new(NotifierStandIn::new());
    let host = Host::new(asks(request().expires_after(HOUR * 9)));
    let run = host.start().await;
    let watching = watch(&carrier, &run);
    pass(HOUR * 3).await;
    say(&run, person("olga"), Act::Pause).await;
    pass(HOUR * 20).await;
    assert_eq!(carrier.arrived().len(), 2, "{:?}", told(&carrier));
    say(&run, person("olga"), Act::Resume).await;
    pass(HOUR / 2).await;
    assert_eq!(carrier.arrived().len(), 2, "three and a half hours were asked for");
    pass(HOUR).await;
    assert_eq!(carrier.arrived().len(), 4);
    assert_ne!(run.wait().await.expect("it ends").outcome, Outcome::Succeeded);
    watching.await.expect("it ends with the run");
    assert_eq!(carrier.arrived().len(), 6, "at once, after four hours, after eight; after nine it is over");
}

/// A process that takes over, and a second one that looks on, send what the first one sent, under the same keys: it arrives once.
///
/// Rows: M28, M146.
#[tokio::test(start_paused = true)]
async fn neither_a_restart_nor_a_second_watcher_tells_anybody_twice() {
    let carrier = Arc::new(NotifierStandIn::new());
    let mut host = Host::new(asks(request()));
    let run = host.start().await;
    let watching = [watch(&carrier, &run), watch(&carrier, &run)];
    pass(HOUR * 5).await;
    assert_eq!((carrier.arrived().len(), carrier.calls()), (4, 8), "two watchers, two reminders, two parties");
    for watching in watching {
        watching.abort();
    }
    let run = host.restart().await;
    let watching = watch(&carrier, &run);
    pass(HOUR).await;
    assert_eq!((carrier.arrived().len(), carrier.calls()), (4, 10), "said again under the same keys, and known");
    pass(HOUR * 3).await;
    assert_eq!((carrier.arrived().len(), carrier.calls()), (6, 12));
    assert!(carrier.arrived().iter().all(|notice| carrier.arrived_under(notice.key()) == 1));
    say(&run, person("olga"), Act::Reject { step: sign_off() }).await;
    watching.await.expect("it ends with the run");
    assert_eq!(carrier.arrived().len(), 6);
}

/// Each question of a rollout is one of its own; where it names nobody, the party that the host says is told.
///
/// Rows: M28, M62.
#[tokio::test(start_paused = true)]
async fn a_rollout_that_asks_at_two_stages_tells_them_twice() {
    let four = BTreeMap::from([("v1".try_into().expect("a name"), 4)]);
    let weights = BTreeMap::from([("v1".try_into().expect("a name"), 100)]);
    let before = DesiredState { capacity: four, weights, max_weight: 100, ..DesiredState::default() };
    let target = ScriptedTarget::new("shop".try_into().expect("a name")).holding(before);
    let canary = Canary::builder()
        .instances(NonZeroU32::new(4).expect("not zero"))
        .step(Step::weight(25).soak(HOUR).approval("go on?"))
        .step(Step::weight(50).soak(HOUR).approval("go on?"))
        .build()
        .expect("a canary");
    let p = Pipeline::builder("release-shop");
    p.rollback(RollbackTo::Previous);
    p.phase("plan").rollout("sign-off", canary, target).add();
    let host = Host::new(p.build().expect("a pipeline"));
    let carrier = Arc::new(NotifierStandIn::new());
    let run = host.start().await;
    let watching = {
        let (reminders, run) = (reminders(&carrier).every(Duration::ZERO).anybody(Party::new("the team")), run.clone());
        tokio::spawn(async move { reminders.watch(&run).await })
    };
    for stage in 1..=2 {
        pass(HOUR * 6).await;
        assert_eq!(told(&carrier), vec!["the team"; stage], "once for each stage");
        say(&run, person("carol"), Act::Approve { step: sign_off() }).await;
    }
    assert_eq!(run.wait().await.expect("it ends").outcome, Outcome::Succeeded);
    watching.await.expect("it ends with the run");
    assert_eq!(carrier.arrived().len(), 2);
}

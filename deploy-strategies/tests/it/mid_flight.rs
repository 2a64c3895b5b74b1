//! A release that arrives while another one is under way: who goes on, who waits, and who is dropped, by name.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::driver::{Engine, RunHandle, RuntimeClock};
use deploy_core::journal::{MemoryJournal, QueuePolicy};
use deploy_core::machine::Outcome;
use deploy_core::name::TargetName;
use deploy_core::operator::Principal;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{InFlightPolicy, RollbackTo};
use deploy_core::target::{DesiredState, Target as _};
use deploy_core::testing::scripted::ScriptedTarget;
use deploy_core::time::Timestamp;
use deploy_strategies::canary::{Canary, Step};

use crate::model::{release, revision};

/// A canary of ten minutes, and the place where it goes.
struct Host {
    engine: Engine,
    pipeline: Pipeline,
    place: Arc<ScriptedTarget>,
}

impl Host {
    fn new(in_flight: InFlightPolicy, queue: QueuePolicy) -> Self {
        let name = TargetName::new("site").unwrap();
        let place = Arc::new(ScriptedTarget::new(name).holding(DesiredState::alone(revision("v1"), 2, 100)));
        let canary = Canary::builder().step(Step::weight(50).soak(Duration::from_secs(600))).build().unwrap();
        let p = Pipeline::builder("release");
        p.rollback(RollbackTo::Previous).in_flight(in_flight).queue(queue);
        p.phase("out").rollout("canary", canary, Arc::clone(&place)).add();
        let pipeline = p.build().unwrap();
        let clock = Arc::new(RuntimeClock::new(Timestamp(1_700_000_000_000)));
        let journal = Arc::new(MemoryJournal::new(Arc::<RuntimeClock>::clone(&clock)));
        let engine = Engine::builder(journal).clock(clock).pipeline(pipeline.clone()).build();
        Self { engine, pipeline, place }
    }

    /// Starts a release, and lets two minutes pass.
    async fn start(&self, name: &str) -> RunHandle {
        let ada = Principal::new("ada", "example.org");
        let run = self.engine.start(self.pipeline.name(), release(name), ada).await.unwrap();
        tokio::time::sleep(Duration::from_secs(120)).await;
        run
    }

    async fn weight(&self, name: &str) -> u32 {
        self.place.observe().await.unwrap().weight(&revision(name))
    }
}

async fn ended(run: &RunHandle) -> (Outcome, String) {
    let end = run.wait().await.unwrap();
    (end.outcome, end.because.to_string())
}

#[tokio::test(start_paused = true)]
async fn the_one_under_way_finishes_where_nothing_else_is_declared() {
    let host = Host::new(InFlightPolicy::Finish, QueuePolicy::Fifo);
    let (first, second) = (host.start("v2").await, host.start("v3").await);
    assert_eq!(second.status().await.unwrap().queued_behind.as_ref(), Some(first.id()));
    assert_eq!((host.weight("v2").await, host.weight("v3").await), (50, 0));
    assert_eq!(ended(&first).await.0, Outcome::Succeeded);
    assert_eq!(ended(&second).await.0, Outcome::Succeeded);
    assert_eq!(host.weight("v3").await, 100);
}

#[tokio::test(start_paused = true)]
async fn the_one_under_way_is_undone_where_the_newer_one_supersedes_it() {
    let host = Host::new(InFlightPolicy::Supersede, QueuePolicy::Fifo);
    let (first, second) = (host.start("v2").await, host.start("v3").await);
    let (outcome, because) = ended(&first).await;
    assert!(matches!(outcome, Outcome::RolledBack | Outcome::Aborted), "{outcome:?}: {because}");
    assert!(because.contains(second.id().as_str()), "it is said by whom: {because}");
    assert_eq!(ended(&second).await.0, Outcome::Succeeded);
    assert_eq!((host.weight("v2").await, host.weight("v3").await), (0, 100));
}

#[tokio::test(start_paused = true)]
async fn the_newest_of_those_who_wait_drops_the_others_and_they_are_told_by_whom() {
    let host = Host::new(InFlightPolicy::Finish, QueuePolicy::NewestWins);
    let (first, second, third) = (host.start("v2").await, host.start("v3").await, host.start("v4").await);
    let (outcome, because) = ended(&second).await;
    assert!(!matches!(outcome, Outcome::Succeeded), "{outcome:?}: {because}");
    assert!(because.contains(third.id().as_str()), "it is said by whom: {because}");
    assert_eq!(ended(&first).await.0, Outcome::Succeeded);
    assert_eq!(ended(&third).await.0, Outcome::Succeeded);
    assert_eq!(host.weight("v4").await, 100);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_where_waiting_is_refused() {
    let host = Host::new(InFlightPolicy::Finish, QueuePolicy::Reject);
    let first = host.start("v2").await;
    let ada = Principal::new("ada", "example.org");
    let refused = host.engine.start(host.pipeline.name(), release("v3"), ada).await.unwrap_err();
    let refused = deploy_core::report::chain(&refused);
    assert!(refused.contains(first.id().as_str()), "it is said who is in the way: {refused}");
    assert_eq!(ended(&first).await.0, Outcome::Succeeded);
}

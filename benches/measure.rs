//! What every bench shares: repeated passes, the middle one, and a line per ratio.
//!
//! Absolute figures depend on the machine and on who else uses it; a ratio of two things measured side by side in the same run
//! does not. Each bench alternates between what it measures and the peer it measures against.

use std::sync::Arc;
use std::time::{Duration, Instant};

use deploy_core::agent::{AgentCard, Report, agent_fn};
use deploy_core::driver::Engine;
use deploy_core::journal::Journal;
use deploy_core::name::{BlockName, EnvironmentName, RevisionName, ServiceName};
use deploy_core::operator::Principal;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::RollbackTo;
use deploy_core::release::Release;
use futures::future::join_all;

/// The middle of several measurements.
#[must_use]
pub fn middle(mut measured: Vec<Duration>) -> Duration {
    measured.sort_unstable();
    measured[measured.len() / 2]
}

/// How much processor time `work` takes, in all threads of this process: what else runs on the machine hardly changes it.
///
/// # Panics
///
/// Where the system does not tell.
pub fn spent<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let clock = || {
        let id = nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID;
        Duration::from(nix::time::clock_gettime(id).expect("a processor clock"))
    };
    let began = clock();
    let result = work();
    (clock() - began, result)
}

/// How long `work` takes by the wall clock.
pub fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let began = Instant::now();
    let result = work();
    (began.elapsed(), result)
}

/// One line: what was measured, against what, and whether the target is met.
pub fn line(what: &str, measured: f64, target: &str, met: bool) {
    let verdict = if met { "met" } else { "MISSED" };
    println!("{what:<66} {measured:>9.2}   target {target:<12} {verdict}");
}

/// A pipeline of `steps` tasks that do nothing, one after the other or all side by side.
///
/// # Panics
///
/// If the pipeline does not build, which is a fault of the bench.
#[must_use]
pub fn idle_pipeline(steps: usize, width: u32, chained: bool) -> Pipeline {
    let card = AgentCard::new(BlockName::new("idle").expect("a name"), "does nothing").repeatable();
    let agent = Arc::new(agent_fn(card, |_task, _cx| async { Ok(Report::new()) }));
    let p = Pipeline::builder("idle");
    p.rollback(RollbackTo::Previous);
    p.width(width);
    let phase = p.phase("all");
    let mut last = None;
    for step in 0..steps {
        let mut task = phase.task(format!("step-{step}"), Arc::clone(&agent));
        if let (true, Some(before)) = (chained, &last) {
            task = task.after(before);
        }
        last = Some(task.add());
    }
    p.build().expect("a valid pipeline")
}

/// A release of a service of its own, so that no run waits for another's lock.
///
/// # Panics
///
/// If the names are not names, which is a fault of the bench.
#[must_use]
pub fn release(service: usize) -> Release {
    Release::new(
        ServiceName::new(format!("service-{service}")).expect("a name"),
        EnvironmentName::new("bench").expect("a name"),
        RevisionName::new("v2").expect("a name"),
    )
}

/// Who starts the runs of a bench.
#[must_use]
pub fn somebody() -> Principal {
    Principal::new("bench", "local")
}

/// Drives one run of `pipeline` for each of `services` to its end, all at once.
///
/// # Panics
///
/// If a run cannot be started or driven.
pub async fn drive(journal: Arc<dyn Journal>, pipeline: &Pipeline, services: std::ops::Range<usize>) {
    let engine = Engine::builder(journal).pipeline(pipeline.clone()).build();
    run_all(&engine, pipeline, services).await;
}

/// The same on an engine that is there already.
///
/// # Panics
///
/// If a run cannot be started or driven.
pub async fn run_all(engine: &Engine, pipeline: &Pipeline, services: std::ops::Range<usize>) {
    let starting = services.map(|service| engine.start(pipeline.name(), release(service), somebody()));
    for run in join_all(starting).await {
        run.expect("it starts").wait().await.expect("it is driven to its end");
    }
}

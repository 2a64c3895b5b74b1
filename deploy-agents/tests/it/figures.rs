//! Our own figures, read by a real Prometheus, and sent to a real collector.

use std::net::SocketAddr;
use std::sync::Arc;

use deploy_agents::monitors::{OtlpExporter, OtlpPush, RunMetricsPage};
use deploy_agents::targets::AdminAccess;
use deploy_agents::wait::until;
use deploy_core::driver::{Engine, RunHandle};
use deploy_core::journal::MemoryJournal;
use deploy_core::operator::{ApprovalRequest, Principal};
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::RollbackTo;
use deploy_core::time::SystemClock;

use crate::load::{BOUND, EVERY};
use crate::peers::{Prometheus, Rotel, call};
use crate::program::task;

/// Rows: M235.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_reads_the_state_of_runs() {
    let clock = Arc::new(SystemClock::new());
    let journal = Arc::new(MemoryJournal::new(clock));
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let access = AdminAccess::anyone_on_this_machine();
    let page = RunMetricsPage::bind(any, access, Arc::<MemoryJournal>::clone(&journal)).await.expect("a page");
    let configuration = format!(
        "scrape_configs:\n  - job_name: deploy\n    static_configs:\n      - targets: ['{}']\n",
        page.address()
    );
    let Some(prometheus) = Prometheus::start(&configuration).await else { return };
    let (_engine, run) = ask(journal).await;
    let asked = format!("{}/api/v1/query?query=deploy_run_owned%7Brun%3D%22{}%22%7D", prometheus.url(), run.id());
    let seen = until(BOUND, EVERY, || async {
        let (_, answer) = call("GET", &asked, "").await?;
        let value = answer.pointer("/data/result/0/value/1")?.as_str()?.to_owned();
        (value == "1").then_some(())
    });
    seen.await.expect("Prometheus reads that the run is driven");
}

/// A run that waits for a person.
async fn ask(journal: Arc<MemoryJournal>) -> (Engine, RunHandle) {
    let p = Pipeline::builder("ask");
    p.rollback(RollbackTo::Previous);
    p.phase("only").approval("sign-off", ApprovalRequest::new("Ship it?").person("grace")).add();
    let pipeline = p.build().expect("a pipeline");
    let engine = Engine::builder(journal).pipeline(pipeline.clone()).build();
    let release = (*task().release).clone();
    let run = engine.start(pipeline.name(), release, Principal::new("ada", "test")).await.expect("it starts");
    (engine, run)
}

/// Rows: M235.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_collector_takes_the_state_of_runs() {
    let Some(rotel) = Rotel::start().await else { return };
    let journal = Arc::new(MemoryJournal::new(Arc::new(SystemClock::new())));
    let (_engine, run) = ask(Arc::<MemoryJournal>::clone(&journal)).await;
    let push = OtlpPush::start(OtlpExporter::new(rotel.url()), journal, EVERY);
    let id = run.id().to_string();
    let seen = until(BOUND, EVERY, || async {
        let log = rotel.log();
        let named = ["deploy_run_owned", "service.name", &id].iter().all(|part| log.contains(part));
        (named && matches!(push.last(), Some(Ok(points)) if points >= 5)).then_some(())
    });
    assert!(seen.await.is_ok(), "the collector names what it took: {:?}\n{}", push.last(), rotel.log());
}

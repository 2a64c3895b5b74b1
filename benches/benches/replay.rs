//! Resuming 10,000 unfinished runs against reading and parsing their records.

use std::sync::Arc;
use std::time::Duration;

use deploy_benches::{line, middle, release, somebody, spent};
use deploy_core::agent::{AgentCard, Report, agent_fn};
use deploy_core::driver::{Engine, EngineOptions};
use deploy_core::journal::{Envelope, Journal, MemoryJournal, Which};
use deploy_core::machine::Record;
use deploy_core::name::BlockName;
use deploy_core::operator::ApprovalRequest;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::RollbackTo;
use deploy_core::time::SystemClock;

const RUNS: usize = 10_000;
const PASSES: usize = 3;

/// The reference pipeline: three phases, ten tasks, and a question that keeps it unfinished.
fn reference() -> Pipeline {
    let card = AgentCard::new(BlockName::new("idle").expect("a name"), "does nothing").repeatable();
    let agent = Arc::new(agent_fn(card, |_task, _cx| async { Ok(Report::new()) }));
    let p = Pipeline::builder("reference");
    p.rollback(RollbackTo::Previous);
    p.width(2);
    for phase in ["prepare", "check"] {
        let phase = p.phase(phase);
        for step in 0..5 {
            phase.task(format!("step-{step}"), Arc::clone(&agent)).add();
        }
    }
    let request = ApprovalRequest::new("Ship it?").expires_after(Duration::from_secs(1_000_000));
    p.phase("execute").approval("sign-off", request).add();
    p.build().expect("a valid pipeline")
}

async fn all_runs(journal: &dyn Journal) -> Vec<deploy_core::name::RunId> {
    let page = journal.list(Which::Unfinished, None, RUNS * 2).await.expect("readable");
    page.into_iter().map(|entry| entry.run).collect()
}

async fn settled(engine: &Engine, runs: usize) {
    // Evicted runs are those that have replayed, found nothing to do, and left memory.
    while engine.driven().runs < runs || engine.driven().in_memory > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new(Arc::new(SystemClock::new())));
    let pipeline = reference();
    let options = EngineOptions::default().evict_after(Duration::ZERO).inbox_every(Duration::from_secs(3_600));
    runtime.block_on(async {
        let engine = Engine::builder(Arc::clone(&journal)).pipeline(pipeline.clone()).options(options.clone()).build();
        for service in 0..RUNS {
            engine.start(pipeline.name(), release(service), somebody()).await.expect("it starts");
        }
        settled(&engine, RUNS).await;
        engine.shutdown(Duration::from_secs(10)).await;
    });
    println!("resume of {RUNS} unfinished runs, in memory, {PASSES} passes, middle one\n");
    let (mut resume, mut parse) = (Vec::new(), Vec::new());
    for _ in 0..PASSES {
        parse.push(
            spent(|| {
                runtime.block_on(async {
                    let mut records = 0;
                    for run in all_runs(&*journal).await {
                        for stored in journal.read(&run, 0, 10_000).await.expect("readable") {
                            let envelope = Envelope::parse(&stored.bytes).expect("an envelope");
                            Record::open(&envelope).expect("a record");
                            records += 1;
                        }
                    }
                    assert!(records > RUNS * 20, "every run has its records");
                });
            })
            .0,
        );
        resume.push(
            spent(|| {
                runtime.block_on(async {
                    let engine = Engine::builder(Arc::clone(&journal))
                        .pipeline(pipeline.clone())
                        .options(options.clone())
                        .build();
                    let resumed = engine.resume_all().await.expect("readable");
                    assert_eq!(resumed.len(), RUNS);
                    drop(resumed);
                    settled(&engine, RUNS).await;
                    engine.shutdown(Duration::from_secs(10)).await;
                });
            })
            .0,
        );
    }
    let (resume, parse) = (middle(resume).as_secs_f64(), middle(parse).as_secs_f64());
    let what = format!("{:.0} runs/s; ratio to reading and parsing their records", RUNS as f64 / resume);
    line(&what, resume / parse, "≤ 3", resume / parse <= 3.0);
}

//! 100,000 waiting runs in one engine: the memory of each, and that none of them is polled.

use std::sync::Arc;
use std::time::Duration;

use deploy_benches::{line, release, somebody};
use deploy_core::driver::{Engine, EngineOptions};
use deploy_core::journal::{Journal, SqliteOptions, Synchronous};
use deploy_core::operator::ApprovalRequest;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::RollbackTo;

const RUNS: usize = 100_000;

/// Resident memory of this process, in bytes; zero where the system does not tell.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = statm.split_whitespace().nth(1).and_then(|p| p.parse().ok()).unwrap_or(0);
    pages * 4_096
}

/// Processor time of this process so far, in seconds.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let dir = tempfile::tempdir().expect("a folder");
    // What is measured is the engine's memory; how often the disk is synced does not matter to it.
    let journal = SqliteOptions::new(dir.path().join("waiting.db")).synchronous(Synchronous::Off).open();
    let journal: Arc<dyn Journal> = Arc::new(journal.expect("a journal"));
    let p = Pipeline::builder("waiting");
    p.rollback(RollbackTo::Previous);
    let request = ApprovalRequest::new("Ship it?").expires_after(Duration::from_secs(1_000_000));
    p.phase("only").approval("sign-off", request).add();
    let pipeline = p.build().expect("a valid pipeline");
    runtime.block_on(async {
        let options = EngineOptions::default().evict_after(Duration::ZERO).lease(Duration::from_secs(600));
        let engine = Engine::builder(journal).pipeline(pipeline.clone()).options(options).build();
        let warm = 1_000;
        for service in 0..warm {
            engine.start(pipeline.name(), release(service), somebody()).await.expect("it starts");
        }
        evicted(&engine, warm).await;
        let before = resident();
        for service in warm..RUNS {
            engine.start(pipeline.name(), release(service), somebody()).await.expect("it starts");
        }
        evicted(&engine, RUNS).await;
        let each = resident().saturating_sub(before) as f64 / (RUNS - warm) as f64;
        println!("{RUNS} runs that wait for a person, all put out of memory\n");
        line("bytes of memory for each", each, "≤ 1024", each <= 1_024.0);

        let began = processor();
        tokio::time::sleep(Duration::from_secs(10)).await;
        let share = (processor() - began) / 10.0 * 100.0;
        line("percent of a processor while they wait, over 10 s", share, "≤ 10", share <= 10.0);
    });
}

async fn evicted(engine: &Engine, runs: usize) {
    while engine.driven().runs < runs || engine.driven().in_memory > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

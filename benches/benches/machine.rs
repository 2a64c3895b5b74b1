//! The engine in memory against bare tokio: what hash chain, records, spans and panic guard cost per step, and that the cost
//! does not grow with the length of the pipeline.

use std::sync::Arc;

use deploy_benches::{idle_pipeline, line, middle, run_all, spent};
use deploy_core::driver::Engine;
use deploy_core::journal::MemoryJournal;
use deploy_core::time::SystemClock;

const PASSES: usize = 5;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    println!("engine step in memory, current-thread runtime, {PASSES} passes, middle one\n");
    let mut per_step = Vec::new();
    for (steps, chained) in [(10, true), (100, true), (1_000, true), (10_000, true), (1_000, false), (10_000, false)] {
        let width = if chained { 1 } else { u32::try_from(steps).expect("fits") };
        let pipeline = idle_pipeline(steps, width, chained);
        // Enough runs one after the other that starting and ending them is not what is measured.
        let runs = (2_000 / steps).max(1);
        let (mut engine, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..PASSES {
            engine.push(
                spent(|| {
                    runtime.block_on(async {
                        let journal = Arc::new(MemoryJournal::new(Arc::new(SystemClock::new())));
                        let engine = Engine::builder(journal).pipeline(pipeline.clone()).build();
                        for run in 0..runs {
                            run_all(&engine, &pipeline, run..run + 1).await;
                        }
                    });
                })
                .0,
            );
            bare.push(
                spent(|| {
                    runtime.block_on(async {
                        for _ in 0..steps * runs {
                            tokio::spawn(async {}).await.expect("it joins");
                        }
                    });
                })
                .0,
            );
        }
        let (engine, bare) = (middle(engine).as_secs_f64(), middle(bare).as_secs_f64());
        let micros = engine * 1e6 / (steps * runs) as f64;
        per_step.push((steps, chained, micros));
        let shape = if chained { "chained" } else { "side by side" };
        let what = format!("{steps} steps {shape}: {micros:.1} µs a step; ratio to spawn+join");
        line(&what, engine / bare, "≤ 20", engine / bare <= 20.0);
    }
    let at = |n: usize| per_step.iter().find(|(s, c, _)| *s == n && *c).map_or(f64::NAN, |(_, _, m)| *m);
    let growth = at(10_000) / at(1_000);
    line("cost of a step, 10,000 chained against 1,000 chained", growth, "flat (≤ 1.5)", growth <= 1.5);
}

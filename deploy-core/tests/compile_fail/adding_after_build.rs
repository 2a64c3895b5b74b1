//! A finished pipeline takes no more steps.

use std::time::Duration;

use deploy_core::pipeline::PipelineBuilder;

fn finish(p: PipelineBuilder) {
    let phase = p.phase("checks");
    let pipeline = p.build();
    phase.soak("late", Duration::from_secs(60)).add();
    drop(pipeline);
}

fn main() {}

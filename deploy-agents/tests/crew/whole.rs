//! Whole releases, driven by the engine with the evidence of the sample folder.

use std::sync::Arc;

use deploy_agents::workflows::{Workflow, WorkflowBuilder};
use deploy_core::driver::{Engine, RuntimeClock};
use deploy_core::journal::MemoryJournal;
use deploy_core::machine::Outcome;
use deploy_core::release::Release;

use crate::parts::{eight, three};
use crate::world::{now, person, release};

/// How a release of this workflow ends, and why.
pub(crate) async fn outcome(workflow: &Workflow, release: Release) -> (Outcome, String) {
    let clock = Arc::new(RuntimeClock::new(now()));
    let journal = Arc::new(MemoryJournal::new(Arc::<RuntimeClock>::clone(&clock)));
    let engine = Engine::builder(journal).clock(clock).pipeline(workflow.pipeline.clone()).build();
    let run = engine.start(workflow.pipeline.name(), release, person("bot")).await.expect("it starts");
    let end = run.wait().await.expect("it ends");
    (end.outcome, end.because)
}

async fn succeeds(builder: WorkflowBuilder) {
    let workflow = builder.build().expect("it builds");
    let (end, because) = outcome(&workflow, release()).await;
    assert_eq!(end, Outcome::Succeeded, "{because}");
}

/// Rows: M26, M30, M34, M39, M40, M41, M42, M43.
#[tokio::test(start_paused = true)]
async fn a_release_with_good_evidence_goes_through_three_phases() {
    succeeds(three()).await;
}

/// Rows: M171, M172, M173, M174, M175.
#[tokio::test(start_paused = true)]
async fn a_release_with_good_evidence_goes_through_eight_phases() {
    succeeds(eight()).await;
}

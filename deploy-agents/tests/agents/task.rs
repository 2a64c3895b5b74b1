//! Tasks and contexts, as the engine makes them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::agent::{Agent, AgentError, Cancellation, Performed, Report, StepContext, Task};
use deploy_core::effect::{EffectKey, Fence};
use deploy_core::evidence::{Evidence, Verdict};
use deploy_core::name::{BlockName, EnvironmentName, RevisionName, RunId, ServiceName};
use deploy_core::plan::StepPath;
use deploy_core::release::Release;
use deploy_core::time::{Clock as _, Now, SystemClock};

/// Longer than anything takes; a test that meets it has failed.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

pub(crate) fn block(text: &str) -> BlockName {
    BlockName::new(text).expect("a name")
}

pub(crate) fn release() -> Release {
    Release::new(
        ServiceName::new("orders").expect("a name"),
        EnvironmentName::new("test").expect("a name"),
        RevisionName::new("v2").expect("a name"),
    )
}

pub(crate) fn task(step: &str, undo: bool) -> Task {
    Task::new(StepPath::new(step).expect("a path"), undo, Arc::new(release()), BTreeMap::new())
}

pub(crate) fn context(run: &str, task: &Task, attempt: u32, cancellation: Cancellation) -> StepContext {
    let run = RunId::new(run).expect("a name");
    let key = EffectKey { run, step: task.step.clone(), undo: task.undo, iteration: 0, attempt };
    StepContext::new(key, Fence { epoch: 1, seq: u64::from(attempt) }, Now::default(), BOUND, cancellation)
}

pub(crate) async fn perform(agent: &dyn Agent, run: &str, undo: bool) -> Result<Report, AgentError> {
    let task = task("phase/step", undo);
    match agent.perform(&task, &context(run, &task, 1, Cancellation::never())).await? {
        Performed::Done(report) => Ok(report),
        running @ Performed::Running { .. } => panic!("{running:?}"),
    }
}

/// What a check of the catalogue says of a report.
pub(crate) fn verdict(report: &Report, agent: &dyn Agent, check: &str) -> Verdict {
    use deploy_agents::checks::{Catalogue, Thresholds};
    let catalogue = Catalogue::standard(&Thresholds::default());
    let check = catalogue.check(check).expect("a check");
    let evidence: Vec<Evidence> = report.evidence.iter().map(|piece| piece.evidence.clone()).collect();
    let bytes = report.evidence.iter().map(|piece| (piece.evidence.digest, piece.bytes.clone())).collect();
    let (card, now) = (agent.card(), SystemClock::new().wall());
    let (wanted, judge) = (check.verification(), check.check());
    deploy_core::evidence::verify(
        &wanted,
        &card.name,
        &release(),
        &report.claims,
        &evidence,
        &bytes,
        Some(&judge),
        None,
        now,
    )
    .verdict
}

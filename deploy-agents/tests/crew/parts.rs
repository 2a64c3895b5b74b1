//! Parts of workflows for tests.

use std::sync::Arc;
use std::time::Duration;

use deploy_agents::crew::{Crew, EvidenceFolder, EvidenceSource};
use deploy_agents::workflows::{Site, WorkflowBuilder, eight_phase, three_phase};
use deploy_core::agent::{AgentCard, Report, agent_fn};
use deploy_core::name::{BlockName, RevisionName, TargetName};
use deploy_core::release::{Release, ReleaseKind};
use deploy_core::target::{RevisionState, TargetState};
use deploy_core::testing::scripted::ScriptedTarget;
use deploy_strategies::all_at_once::AllAtOnce;

use crate::sample::{folder, thresholds};
use crate::world::release;

pub(crate) fn evidence() -> EvidenceFolder {
    EvidenceFolder::new(folder())
}

pub(crate) fn crew() -> Crew {
    Crew::new(evidence(), thresholds())
}

pub(crate) fn target(name: &str) -> TargetName {
    TargetName::new(name).expect("a name")
}

pub(crate) fn revision(name: &str) -> RevisionName {
    RevisionName::new(name).expect("a name")
}

/// Version 1 serves with two instances.
pub(crate) fn before() -> TargetState {
    let ready = RevisionState { desired: 2, ready: 2, terminating: 0 };
    TargetState {
        revisions: [(revision("v1"), ready)].into(),
        weights: [(revision("v1"), 100)].into(),
        max_weight: 100,
        ..TargetState::default()
    }
}

pub(crate) fn site(name: &str) -> Site {
    let strategy = AllAtOnce::new().scale_down_delay(Duration::from_secs(10));
    Site::new(strategy, Arc::new(ScriptedTarget::new(target(name))))
}

fn complete(builder: WorkflowBuilder) -> WorkflowBuilder {
    let card = AgentCard::new(BlockName::new("apply").expect("a name"), "applies the plan").repeatable();
    let apply = agent_fn(card, |_, _| async { Ok(Report::new()) });
    builder
        .thresholds(thresholds())
        .staging(site("staging"))
        .feature(site("flags"))
        .configuration(site("settings"))
        .infrastructure(apply, None)
        // The evidence of the sample does not grow younger.
        .bake(Duration::ZERO)
}

pub(crate) fn three() -> WorkflowBuilder {
    three_from(Arc::new(evidence()))
}

pub(crate) fn eight() -> WorkflowBuilder {
    eight_from(Arc::new(evidence()))
}

pub(crate) fn three_from(source: Arc<dyn EvidenceSource>) -> WorkflowBuilder {
    complete(three_phase("release-shop", source, site("production")))
}

pub(crate) fn eight_from(source: Arc<dyn EvidenceSource>) -> WorkflowBuilder {
    complete(eight_phase("release-shop", source, site("production")))
}

pub(crate) fn release_of(kind: ReleaseKind) -> Release {
    release().kind(kind)
}

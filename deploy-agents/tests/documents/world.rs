//! A host with a few blocks that do nothing.

use std::sync::Arc;
use std::time::Duration;

use deploy_agents::documents::Registry;
use deploy_agents::gates::GoNoGo;
use deploy_core::agent::{AgentCard, Report, agent_fn};
use deploy_core::deliverable::{Deliverable, Slot};
use deploy_core::evidence::{Check, EvidencePolicy, Verdict};
use deploy_core::gate::{GateDecision, gate_fn};
use deploy_core::name::{BlockName, CheckName, EnvironmentName, RevisionName, ServiceName, TargetName};
use deploy_core::operator::Principal;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{Plan, PlanError};
use deploy_core::release::{Release, ReleaseKind};
use deploy_core::strategy::{Decision, Outline, Situation, Strategy};
use deploy_core::target::{Capabilities, TargetState};
use deploy_core::testing::scripted::{ScriptedMonitor, ScriptedTarget};
use serde::{Deserialize, Serialize};

/// A built image.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Image {
    reference: String,
}

impl Deliverable for Image {
    const NAME: &'static str = "image";
    const VERSION: u32 = 1;
}

pub(crate) const IMAGE: Slot<Image> = Slot::new();

pub(crate) fn block(name: &str) -> BlockName {
    BlockName::new(name).expect("a name")
}

pub(crate) fn card(name: &str) -> AgentCard {
    AgentCard::new(block(name), format!("does what {name} does")).repeatable()
}

pub(crate) fn idle(registry: Registry, card: AgentCard) -> Registry {
    registry.agent(agent_fn(card, |_task, _cx| async { Ok(Report::new()) }))
}

/// Stays where it is.
#[derive(Debug)]
pub(crate) struct Still {
    pub(crate) name: BlockName,
    pub(crate) asks: Vec<BlockName>,
}

impl Strategy for Still {
    fn name(&self) -> BlockName {
        self.name.clone()
    }
    fn needs(&self) -> Capabilities {
        Capabilities::default()
    }
    fn monitors(&self) -> Vec<BlockName> {
        self.asks.clone()
    }
    fn outline(&self, _release: &Release, _from: &TargetState) -> Outline {
        Outline { stages: Vec::new(), basis: String::new() }
    }
    fn decide(&self, situation: &Situation<'_>) -> Decision {
        situation.restore()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StillParameters {
    #[serde(default)]
    asks: Vec<BlockName>,
}

pub(crate) fn check(name: &str) -> Check {
    Check::new(CheckName::new(name).expect("a name"), |_| Verdict::Pass)
}

pub(crate) fn registry() -> Registry {
    let mut registry = Registry::new();
    for one in [card("builder").provides(IMAGE), card("tester").needs(IMAGE), card("worker"), card("undoer")] {
        registry = idle(registry, one);
    }
    for gate in ["open", "late"] {
        registry = registry.gate(gate_fn(block(gate), format!("{gate} enough"), |_cx| async { Ok(GateDecision::Go) }));
    }
    for target in ["eu", "us"] {
        registry = registry.target(ScriptedTarget::new(TargetName::new(target).expect("a name")));
    }
    for monitor in ["http", "errors"] {
        registry = registry.monitor(ScriptedMonitor::new(block(monitor), []));
    }
    let policy =
        EvidencePolicy { kind: Some("sarif".to_owned()), max_age: Duration::from_secs(3_600), self_attested: false };
    registry
        .strategy(Still { name: block("still"), asks: Vec::new() })
        .strategy(Arc::new(Still { name: block("asking"), asks: vec![block("http")] }))
        .check(check("tests"))
        .check(check("scan").policy(policy))
        .gate_kind("go-no-go", |name, checks: Vec<CheckName>| Ok(GoNoGo::new(name, checks)))
        .strategy_kind("still", |name, StillParameters { asks }| Ok(Still { name, asks }))
}

pub(crate) fn plan(pipeline: &Pipeline, kind: ReleaseKind) -> Result<Plan, PlanError> {
    let release = Release::new(
        ServiceName::new("api").expect("a name"),
        EnvironmentName::new("test").expect("a name"),
        RevisionName::new("v2").expect("a name"),
    );
    pipeline.plan(release.kind(kind), Principal::new("ada", "example.org"))
}

/// Whether two pipelines do the same for every kind of release.
#[track_caller]
pub(crate) fn assert_same(one: &Pipeline, other: &Pipeline) {
    for kind in ReleaseKind::ALL {
        assert_eq!(plan(one, kind), plan(other, kind), "{kind}");
    }
}

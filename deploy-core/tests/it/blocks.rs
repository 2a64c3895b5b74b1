//! Building blocks for stories: they say who they are and do nothing.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::agent::{Agent, AgentCard, Report, agent_fn};
use deploy_core::deliverable::{Deliverable, Slot};
use deploy_core::gate::{Gate, GateDecision, gate_fn};
use deploy_core::monitor::{MeasureContext, MeasureRequest, Measurement, Monitor, MonitorError};
use deploy_core::name::{BlockName, CheckName, EnvironmentName, RevisionName, ServiceName, TargetName};
use deploy_core::operator::Principal;
use deploy_core::release::{Change, Release};
use deploy_core::strategy::{Decision, Outline, OutlineStage, Situation, Strategy};
use deploy_core::target::{Applied, Capabilities, DesiredState, EffectContext, Target, TargetError, TargetState};
use serde::{Deserialize, Serialize};

/// A built image.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Image {
    pub(crate) reference: String,
}

impl Deliverable for Image {
    const NAME: &'static str = "image";
    const VERSION: u32 = 1;
}

pub(crate) const IMAGE: Slot<Image> = Slot::new();

/// The same deliverable in its next shape.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Image2 {
    pub(crate) references: Vec<String>,
}

impl Deliverable for Image2 {
    const NAME: &'static str = "image";
    const VERSION: u32 = 2;
}

pub(crate) const IMAGE2: Slot<Image2> = Slot::new();

pub(crate) fn block(name: &str) -> BlockName {
    BlockName::new(name).expect("a block name")
}

pub(crate) fn check_name(name: &str) -> CheckName {
    CheckName::new(name).expect("a check name")
}

pub(crate) fn card(name: &str) -> AgentCard {
    AgentCard::new(block(name), format!("does what {name} does")).repeatable()
}

pub(crate) fn agent(card: AgentCard) -> Arc<dyn Agent> {
    Arc::new(agent_fn(card, |_task, _cx| async { Ok(Report::new()) }))
}

pub(crate) fn idle(name: &str) -> Arc<dyn Agent> {
    agent(card(name))
}

pub(crate) fn gate(name: &str, criterion: &str) -> Arc<dyn Gate> {
    Arc::new(gate_fn(block(name), criterion, |_cx| async { Ok(GateDecision::Go) }))
}

#[derive(Debug)]
pub(crate) struct Steps {
    pub(crate) name: BlockName,
    pub(crate) needs: Capabilities,
    pub(crate) asks: Vec<BlockName>,
}

impl Steps {
    pub(crate) fn new(name: &str) -> Self {
        let needs = Capabilities { weights: true, capacity: true, ..Capabilities::default() };
        Self { name: block(name), needs, asks: Vec::new() }
    }

    pub(crate) fn asking(mut self, monitor: &str) -> Self {
        self.asks.push(block(monitor));
        self
    }
}

impl Strategy for Steps {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    fn needs(&self) -> Capabilities {
        self.needs
    }

    fn monitors(&self) -> Vec<BlockName> {
        self.asks.clone()
    }

    fn outline(&self, _release: &Release, from: &TargetState) -> Outline {
        let stage = |name: &str, percent, minutes: u64, waits_for: &str| OutlineStage {
            name: name.to_owned(),
            percent: Some(percent),
            at_least: Duration::from_secs(minutes * 60),
            waits_for: waits_for.to_owned(),
        };
        let last = if from.serving().is_some() { "" } else { "the first healthy instance" };
        Outline {
            stages: vec![stage("canary", 10, 5, "a verdict on the error ratio"), stage("everyone", 100, 0, last)],
            basis: "5 minutes of bake at the first stage".to_owned(),
        }
    }

    fn decide(&self, situation: &Situation<'_>) -> Decision {
        situation.restore()
    }
}

#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) name: TargetName,
    pub(crate) can: Capabilities,
}

impl Place {
    pub(crate) fn new(name: &str) -> Self {
        let can = Capabilities { weights: true, capacity: true, fence: true, ..Capabilities::default() };
        Self { name: TargetName::new(name).expect("a target name"), can }
    }
}

#[async_trait]
impl Target for Place {
    fn name(&self) -> TargetName {
        self.name.clone()
    }

    fn capabilities(&self) -> Capabilities {
        self.can
    }

    async fn observe(&self) -> Result<TargetState, TargetError> {
        Ok(TargetState::default())
    }

    async fn apply(&self, _desired: &DesiredState, _cx: &EffectContext) -> Result<Applied, TargetError> {
        Ok(Applied::unchanged())
    }
}

#[derive(Debug)]
pub(crate) struct Numbers(pub(crate) BlockName);

impl Numbers {
    pub(crate) fn new(name: &str) -> Self {
        Self(block(name))
    }
}

#[async_trait]
impl Monitor for Numbers {
    fn name(&self) -> BlockName {
        self.0.clone()
    }

    async fn measure(&self, _: &MeasureRequest, _: &MeasureContext) -> Result<Vec<Measurement>, MonitorError> {
        Ok(Vec::new())
    }
}

pub(crate) fn release() -> Release {
    let service = ServiceName::new("api").expect("a service name");
    let environment = EnvironmentName::new("production").expect("an environment name");
    let change = Change { commit: Some("4f2a9c1".to_owned()), authors: vec!["grace".to_owned()], ..Change::default() };
    Release::new(service, environment, RevisionName::new("v2").expect("a revision name")).change(change)
}

pub(crate) fn ada() -> Principal {
    Principal::new("ada", "example.org")
}

//! Tests of the running service: the smoke suite, and the journeys of users that are asked to accept it.

use std::net::SocketAddr;

use deploy_agents::agents::{Expectation, SmokeProbe, SmokeSuite};
use deploy_agents::checks::kind;
use deploy_core::agent::{Agent as _, AgentError, Performed, StepContext, Task};
use deploy_core::evidence::Collected;
use deploy_core::name::{BlockName, CheckName};

/// A suite whose report is wanted as it is.
#[derive(Debug)]
pub(crate) struct Suite(SmokeSuite);

/// What every instance must do.
pub(crate) fn suite(service: SocketAddr, revision: &str) -> Result<Suite, AgentError> {
    let url = |path: &str| format!("http://{service}{path}");
    let says = |text: &str| Expectation::BodyContains(text.to_owned());
    let suite = SmokeSuite::new(block("smoke")?)
        .function("it serves the new version", ["version"])
        .function("orders are listed", ["list"])
        .function("orders are placed", ["place"])
        .function("what is no order is refused", ["refuse"])
        .probe(SmokeProbe::get("version", url("/version")).expect(says(revision)))
        .probe(SmokeProbe::get("list", url("/orders")).expect(says("orders")))
        .probe(SmokeProbe::post("place", url("/orders"), "tea;2;250").expect(says("tea;2;500")))
        .probe(SmokeProbe::post("refuse", url("/orders"), "tea").expect(Expectation::Status(400, 400)));
    Ok(Suite(suite.claims(check("smoke")?)))
}

/// What users asked for.
pub(crate) fn journeys(service: SocketAddr) -> Result<Suite, AgentError> {
    let url = format!("http://{service}/orders");
    let says = |text: &str| Expectation::BodyContains(text.to_owned());
    let suite = SmokeSuite::new(block("acceptance")?)
        .function("the discount", ["ten pieces cost a tenth less", "nine pieces cost what they cost"])
        .function("orders of nothing", ["no pieces are refused"])
        .probe(SmokeProbe::post("ten pieces cost a tenth less", &url, "tea;10;100").expect(says("tea;10;900")))
        .probe(SmokeProbe::post("nine pieces cost what they cost", &url, "tea;9;100").expect(says("tea;9;900")))
        .probe(SmokeProbe::post("no pieces are refused", &url, "tea;0;100").expect(Expectation::Status(422, 422)));
    Ok(Suite(suite.claims(check("smoke")?)))
}

impl Suite {
    /// Runs it, and hands over its evidence: the plan, and the JUnit report.
    pub(crate) async fn evidence(&self, task: &Task, cx: &StepContext) -> Result<Vec<Collected>, AgentError> {
        match self.0.perform(task, cx).await? {
            Performed::Done(report) => Ok(report.evidence),
            Performed::Running { .. } => Err(AgentError::unknown("a suite is over when it answers")),
        }
    }

    /// Runs it, and hands over the JUnit report alone.
    pub(crate) async fn perform_all(&self, task: &Task, cx: &StepContext) -> Result<Vec<u8>, AgentError> {
        let evidence = self.evidence(task, cx).await?;
        let junit = evidence.into_iter().find(|piece| piece.evidence.kind == kind::SMOKE);
        junit.map(|piece| piece.bytes).ok_or_else(|| AgentError::definitive("the suite left no report"))
    }
}

fn block(name: &str) -> Result<BlockName, AgentError> {
    BlockName::new(name).map_err(|error| AgentError::definitive("a suite has a name").because(error))
}

fn check(name: &str) -> Result<CheckName, AgentError> {
    CheckName::new(name).map_err(|error| AgentError::definitive("a check has a name").because(error))
}

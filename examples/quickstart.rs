//! How do I release something, in thirty lines?
#![expect(clippy::print_stdout, reason = "an example shows what came of it")]

use std::{sync::Arc, time::Duration};

use deploy_agents::{agents::Program, process::CommandLine};
use deploy_core::{agent::AgentCard, operator::Principal, release::Release, target::DesiredState};
use deploy_core::{driver::Engine, journal::MemoryJournal, pipeline::Pipeline, plan::RollbackTo};
use deploy_core::{testing::scripted::ScriptedTarget, time::SystemClock};
use deploy_strategies::canary::{Canary, Step};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tests = Program::new(AgentCard::new("tests".try_into()?, "runs the tests"), CommandLine::new("true"));
    let steps = Canary::builder().step(Step::weight(5)).step(Step::weight(50));
    let canary = steps.scale_down_delay(Duration::ZERO).build()?;
    // Stands in for the place where your service runs: four instances of v1, with all of the traffic.
    let place = ScriptedTarget::new("eu-west".try_into()?).holding(DesiredState::alone("v1".try_into()?, 4, 100));

    let p = Pipeline::builder("release-shop");
    p.rollback(RollbackTo::Previous);
    p.phase("check").task("tests", tests).add();
    p.phase("rollout").rollout("canary", canary, place).observe_every(Duration::from_millis(10)).add();
    let pipeline = p.build()?;

    // `SqliteJournal::open("releases.sqlite")?` keeps runs over a crash of this process.
    let journal = MemoryJournal::new(Arc::new(SystemClock::new()));
    let engine = Engine::builder(Arc::new(journal)).pipeline(pipeline.clone()).build();
    let release = Release::new("shop".try_into()?, "production".try_into()?, "v2".try_into()?);
    let run = engine.start(pipeline.name(), release, Principal::new("ada", "example.org")).await?;
    let end = run.wait().await?;
    println!("{}: {}", end.outcome, end.because);
    Ok(())
}

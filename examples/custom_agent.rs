//! How do I write an agent of my own?
#![expect(clippy::print_stdout, reason = "an example shows what came of it")]

use std::sync::Arc;

use deploy_core::agent::{Agent, AgentCard, AgentError, Performed, Report, StepContext, Task};
use deploy_core::{driver::Engine, journal::MemoryJournal, operator::Principal, pipeline::Pipeline};
use deploy_core::{plan::RollbackTo, release::Release, time::SystemClock};

/// Tells people what happens. Sending the key along lets whoever receives it tell a repeat after a crash from a new message.
#[derive(Debug)]
struct Announcer(AgentCard);

#[async_trait::async_trait]
impl Agent for Announcer {
    fn card(&self) -> AgentCard {
        self.0.clone()
    }
    async fn perform(&self, task: &Task, cx: &StepContext) -> Result<Performed, AgentError> {
        println!("{} is on its way (message {})", task.release, cx.key);
        Ok(Report::new().note("everybody was told").into())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let card = AgentCard::new("announcer".try_into()?, "tells people what happens").repeatable();
    let p = Pipeline::builder("tell-everybody");
    p.rollback(RollbackTo::Previous);
    p.phase("begin").task("announce", Announcer(card)).add();
    let pipeline = p.build()?;
    let journal = Arc::new(MemoryJournal::new(Arc::new(SystemClock::new())));
    let engine = Engine::builder(journal).pipeline(pipeline.clone()).build();
    let release = Release::new("shop".try_into()?, "production".try_into()?, "v2".try_into()?);
    let ada = Principal::new("ada", "example.org");
    let run = engine.start_as("run-1".try_into()?, pipeline.name(), release, ada).await?;
    println!("{}", run.wait().await?.outcome);
    Ok(())
}

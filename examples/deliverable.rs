//! How does one step hand something to another?
#![expect(clippy::print_stdout, reason = "an example shows what came of it")]

use std::sync::Arc;

use async_trait::async_trait;
use deploy_core::agent::{Agent, AgentCard, AgentError, Performed, Report, StepContext, Task, agent_fn};
use deploy_core::deliverable::{Deliverable, Slot};
use deploy_core::driver::Engine;
use deploy_core::journal::MemoryJournal;
use deploy_core::operator::Principal;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::RollbackTo;
use deploy_core::release::Release;
use deploy_core::time::SystemClock;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Image {
    reference: String,
}

impl Deliverable for Image {
    const NAME: &'static str = "image";
    const VERSION: u32 = 1;
}

const IMAGE: Slot<Image> = Slot::new();

/// Builds an image, and hands its reference over.
#[derive(Debug)]
struct Builder(AgentCard);

#[async_trait]
impl Agent for Builder {
    fn card(&self) -> AgentCard {
        self.0.clone()
    }

    async fn perform(&self, task: &Task, _cx: &StepContext) -> Result<Performed, AgentError> {
        let image = Image { reference: format!("registry.example/{}:{}", task.release.service, task.release.revision) };
        let report = Report::new().note("built from a clean tree").deliver(&image);
        report.map(Performed::Done).map_err(|e| AgentError::definitive("the image has no name").because(e))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let builder = Builder(AgentCard::new("builder".try_into()?, "builds the image").repeatable().provides(IMAGE));
    let card = AgentCard::new("scanner".try_into()?, "scans the image").repeatable().needs(IMAGE);
    let scanner = agent_fn(card, |task, _cx| async move {
        let image: Image = task.input().map_err(|e| AgentError::definitive("no image was handed over").because(e))?;
        println!("scans {}", image.reference);
        Ok(Report::new())
    });

    let p = Pipeline::builder("build-shop");
    p.rollback(RollbackTo::Previous);
    let build = p.phase("build");
    let image = build.task("image", builder).add();
    build.task("scan", scanner).input(IMAGE, &image.output(IMAGE)).add();
    let pipeline = p.build()?;

    let engine = Engine::builder(Arc::new(MemoryJournal::new(Arc::new(SystemClock::new()))));
    let engine = engine.pipeline(pipeline.clone()).build();
    let release = Release::new("shop".try_into()?, "production".try_into()?, "v2".try_into()?);
    let run = engine.start(pipeline.name(), release, Principal::new("ada", "example.org")).await?;
    println!("{}", run.wait().await?.outcome);
    Ok(())
}

//! What becomes of work under way when the engine crashes?
//!
//! The engine asks what became of it before it does anything again.
#![expect(clippy::print_stdout, reason = "an example shows what came of it")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use deploy_core::agent::{Agent, AgentCard, AgentError, Lookup, Performed, Report, StepContext, Task};
use deploy_core::driver::Engine;
use deploy_core::effect::EffectKey;
use deploy_core::journal::{Journal, MemoryJournal};
use deploy_core::name::{OwnerName, RunId};
use deploy_core::operator::Principal;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::RollbackTo;
use deploy_core::release::Release;
use deploy_core::time::SystemClock;
use futures::StreamExt as _;
use tokio::sync::Notify;

/// Publishes a package. The registry remembers which effect it has taken; the first answer never arrives.
#[derive(Debug, Default)]
struct Publisher {
    registry: Mutex<BTreeSet<EffectKey>>,
    published: Notify,
}

impl Publisher {
    fn registry(&self) -> std::sync::MutexGuard<'_, BTreeSet<EffectKey>> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Agent for Publisher {
    fn card(&self) -> AgentCard {
        AgentCard::new("publisher".try_into().expect("a valid name"), "publishes the package")
    }

    async fn perform(&self, _task: &Task, cx: &StepContext) -> Result<Performed, AgentError> {
        println!("publishes as {}", cx.key);
        self.registry().insert(cx.key.clone());
        self.published.notify_one();
        std::future::pending().await
    }

    async fn lookup(&self, key: &EffectKey, _cx: &StepContext) -> Result<Lookup, AgentError> {
        let taken = self.registry().contains(key);
        println!("looks up {key}: the registry has {}", if taken { "it" } else { "never seen it" });
        Ok(if taken { Lookup::Finished(Report::new()) } else { Lookup::NeverStarted })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let publisher = Arc::new(Publisher::default());
    let p = Pipeline::builder("publish");
    p.rollback(RollbackTo::Previous);
    p.phase("publish").task("package", Arc::clone(&publisher)).add();
    let pipeline = p.build()?;
    // `SqliteJournal::open("releases.sqlite")?` would outlive the process.
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new(Arc::new(SystemClock::new())));
    // One name, because one comes after the other; engines that run side by side have names of their own.
    let owner = OwnerName::new("host-1")?;
    let engine = || Engine::builder(Arc::clone(&journal)).owner(owner.clone()).pipeline(pipeline.clone()).build();

    let (first, run) = (engine(), RunId::new("run-1")?);
    let release = Release::new("shop".try_into()?, "production".try_into()?, "v2".try_into()?);
    first.start_as(run.clone(), pipeline.name(), release, Principal::new("ada", "example.org")).await?;
    publisher.published.notified().await;
    drop(first);
    println!("the engine crashed");

    let second = engine();
    let resumed = second.run(&run).await?;
    println!("{}: published {} time", resumed.wait().await?.outcome, publisher.registry().len());
    let kinds: Vec<_> = resumed.events(0).map(|record| record.map(|r| r.event.kind())).collect().await;
    println!("{}", kinds.into_iter().collect::<Result<Vec<_>, _>>()?.join(" "));
    Ok(())
}

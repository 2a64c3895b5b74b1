//! How do people say yes, and what becomes of the yes of somebody who may not?
#![expect(clippy::print_stdout, reason = "an example shows what came of it")]

use std::sync::Arc;
use std::time::Duration;

use deploy_agents::wait::until;
use deploy_core::driver::{Engine, RunHandle};
use deploy_core::journal::MemoryJournal;
use deploy_core::operator::{Act, ApprovalRequest, Principal};
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{RollbackTo, StepPath};
use deploy_core::release::{Change, Release};
use deploy_core::report::Waits;
use deploy_core::time::SystemClock;

async fn say(run: &RunHandle, who: &Principal, act: Act) {
    let said = format!("{} says {}", who.subject, act.name());
    match run.operate(who.clone(), "it is time", act).await {
        Ok(reply) => println!("{said}: {reply:?}"),
        Err(refused) => println!("{said}: refused, {refused}"),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let p = Pipeline::builder("release-shop");
    p.rollback(RollbackTo::Previous);
    let two_of_them = ApprovalRequest::new("Ship it?").role("release-manager").quorum(2);
    p.phase("sign-off").approval("ship", two_of_them).add();
    let pipeline = p.build()?;

    let person = |name: &str| Principal::new(name, "example.org");
    let (ada, bob) = (person("ada").role("release-manager"), person("bob"));
    let (carol, dan) = (person("carol").role("release-manager"), person("dan").role("release-manager"));
    // Ada wrote the change, so that her yes does not count, whatever her role.
    let change = Change { authors: vec!["ada".to_owned()], ..Change::default() };
    let release = Release::new("shop".try_into()?, "production".try_into()?, "v2".try_into()?).change(change);

    let journal = Arc::new(MemoryJournal::new(Arc::new(SystemClock::new())));
    let engine = Engine::builder(journal).pipeline(pipeline.clone()).build();
    let run = engine.start_as("run-1".try_into()?, pipeline.name(), release, person("release-bot")).await?;
    let asked = until(Duration::from_secs(30), Duration::from_millis(5), || async {
        run.status().await.ok()?.open.into_iter().find_map(|step| match step.waits {
            Waits::People { request, .. } => Some(request),
            _ => None,
        })
    });
    let asked = asked.await?;
    println!("{} It takes {} of: {}", asked.question, asked.quorum, Vec::from_iter(asked.roles).join(", "));

    let ship = StepPath::new("sign-off/ship")?;
    for who in [&ada, &bob, &carol, &carol, &dan] {
        say(&run, who, Act::Approve { step: ship.clone() }).await;
    }
    println!("{}", run.wait().await?.outcome);
    say(&run, &bob, Act::Abort).await;
    Ok(())
}

//! Building blocks, plan, machine, engine and journal of a release system that a host embeds.
//!
//! A host assembles a [`Pipeline`](pipeline::Pipeline) from building blocks: [agents](agent) do work and report with
//! [evidence], [gates](gate) say whether a run may pass, [strategies](strategy) decide how a release spreads over a
//! [target], [monitors](monitor) measure it. An [engine](driver) carries each run through its phases, keeps every fact
//! in a [journal], survives a crash at any instant, and goes back by itself.
//!
//! ```text
//!  host code        pure: no clock, no I/O, no async         effects (the driver)
//!  Pipeline  ─┐             ┌── command(step), wake_at() ───► start work, set one timer
//!  Release   ─┴─► Plan ─► Machine ◄── decide(Input, now) ◄─── Agent · Gate · Monitor · Target · operator · time
//!                           │      └─ apply, settle ─► Records ─► Journal.append, and only then
//!                           └────────────────────────────────► start commands, publish to reports and host
//! ```
//!
//! # Example
//!
//! One task, one approval that comes before anybody asks for it, and the journal in memory:
//!
//! ```
//! use std::sync::Arc;
//! use deploy_core::agent::{AgentCard, Report, agent_fn};
//! use deploy_core::driver::Engine;
//! use deploy_core::journal::MemoryJournal;
//! use deploy_core::machine::Outcome;
//! use deploy_core::name::{BlockName, EnvironmentName, RevisionName, ServiceName};
//! use deploy_core::operator::{Act, ApprovalRequest, Principal};
//! use deploy_core::pipeline::Pipeline;
//! use deploy_core::plan::{RollbackTo, StepPath};
//! use deploy_core::release::Release;
//! use deploy_core::time::SystemClock;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let card = AgentCard::new(BlockName::new("migrator")?, "migrates the database").repeatable();
//! let migrate = agent_fn(card, |_task, cx| async move { Ok(Report::new().note(format!("done as {}", cx.key))) });
//!
//! let p = Pipeline::builder("nightly");
//! p.rollback(RollbackTo::Previous);
//! let only = p.phase("only");
//! let migrated = only.task("migrate", migrate).add();
//! only.approval("sign-off", ApprovalRequest::new("Is the data right?")).after(&migrated).add();
//! let pipeline = p.build()?;
//!
//! let journal = Arc::new(MemoryJournal::new(Arc::new(SystemClock::new())));
//! let engine = Engine::builder(journal).pipeline(pipeline.clone()).build();
//! let release =
//!     Release::new(ServiceName::new("api")?, EnvironmentName::new("production")?, RevisionName::new("v2")?);
//! let run = engine.start(pipeline.name(), release, Principal::new("ada", "example.org")).await?;
//! let yes = Act::Approve { step: StepPath::new("only/sign-off")? };
//! run.operate(Principal::new("grace", "example.org"), "looked at it", yes).await?;
//! assert_eq!(run.wait().await?.outcome, Outcome::Succeeded);
//! # Ok(())
//! # }
//! ```
//!
//! # Reading order
//!
//! 1. What is said: [`release`], [`operator`], [`name`], [`time`].
//! 2. The building blocks, each a small trait with its contract: [`agent`], [`gate`], [`strategy`], [`monitor`],
//!    [`target`]; and what backs a claim: [`evidence`].
//! 3. What the host writes and what is made of it: [`pipeline`], [`plan`].
//! 4. The heart: [`machine`]. Every rule stands in its `decide`, every change of state in its `apply`.
//! 5. Around it: [`driver`] runs it, [`journal`] keeps it, [`report`] shows it.
//!
//! # Features
//!
//! - `sqlite` (default): the journal in one SQLite file.
//! - `simulation`: the driver in virtual time.
//! - `testing`: fakes, the explorer, and one conformance suite per trait, for the tests of hosts.

pub mod name;
pub mod time;
pub mod real;
pub mod digest;
pub mod identity;
pub mod release;
pub mod operator;
pub mod effect;
pub mod deliverable;
pub mod agent;
pub mod gate;
pub mod evidence;
pub mod strategy;
pub mod monitor;
pub mod target;
pub mod pipeline;
pub mod plan;
pub mod machine;
pub mod journal;
pub mod driver;
pub mod report;
#[cfg(feature = "simulation")]
pub mod simulation;
#[cfg(feature = "testing")]
pub mod testing;

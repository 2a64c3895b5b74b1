//! How does a release go through the three-phase workflow, on real reports?
//!
//! `cargo run --example three_phase_release -- [--json] [--fault NAME] [--folder DIR] [--without PROGRAM,…]`
//!
//! A small service with two versions is built, tested, timed and looked through on the spot; then version 1.1.0 goes through
//! pre-deployment with its go or no-go, staging and a canary, and post-deployment, and everything that was shown ends in a dossier.
//!
//! Rows: M1, M2, M3, M4, M5, M6, M7, M110.

#[path = "../workshop/mod.rs"]
mod workshop;

use std::process::ExitCode;
use std::sync::Arc;

use deploy_agents::workflows::{Hook, WorkflowBuilder, three_phase};

use self::workshop::args::Args;
use self::workshop::release::{Parts, carry_out};
use self::workshop::steps;

/// An error of any kind, with its causes.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What a host writes: evidence, where it goes, and what it adds of its own.
fn workflow(parts: Parts<'_>) -> Result<WorkflowBuilder, Failure> {
    let (production, staging) = (parts.production()?, parts.staging());
    let of = parts.prepared;
    let (file, wanted) = &of.settings;
    let configure = Arc::new(steps::configuration("configure", file, wanted.clone(), &of.built)?);
    let look = steps::look(&of.bench, &of.production, parts.users)?;
    Ok(three_phase("three-phase-release", of.bench.clone(), production)
        .staging(staging)
        .task_with_undo(Hook::BeforeTraffic, "configure", Arc::clone(&configure), configure)
        .task(Hook::AfterTraffic, "look", look))
}

fn main() -> ExitCode {
    workshop::main(|args: Args| async move { carry_out("three-phase-release", &args, workflow).await })
}

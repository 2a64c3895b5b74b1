//! How does a release go through the eight-phase workflow, on real reports?
//!
//! `cargo run --example eight_phase_release -- [--json] [--fault NAME] [--folder DIR] [--without PROGRAM,…]`
//!
//! A small service with two versions is built, tested, timed and looked through on the spot; then version 1.1.0 goes through
//! readiness, planning, build, infrastructure, deployment, validation, monitoring and documentation, each with a gate at its end.
//!
//! Rows: M143, M144, M145, M146, M147, M148, M149, M150, M151, M152, M153, M154, M155, M156, M157, M158.

#[path = "../workshop/mod.rs"]
mod workshop;

use std::process::ExitCode;
use std::sync::Arc;

use deploy_agents::workflows::{Hook, WorkflowBuilder, eight_phase};

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
    Ok(eight_phase("eight-phase-release", of.bench.clone(), production)
        .staging(staging)
        .task_with_undo(Hook::BeforeTraffic, "configure", Arc::clone(&configure), configure)
        .task(Hook::AfterTraffic, "look", look))
}

fn main() -> ExitCode {
    workshop::main(|args: Args| async move { carry_out("eight-phase-release", &args, workflow).await })
}

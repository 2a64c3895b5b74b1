//! How does a release go through the eight-phase workflow, on real reports?
//!
//! `cargo run --example eight_phase_release -- [--json] [--fault NAME] [--folder DIR] [--without PROGRAM,…]`
//!
//! A small service with two versions is built, tested, timed and looked through on the spot; then version 1.1.0 goes through
//! readiness, planning, build, infrastructure, deployment, validation, monitoring and documentation, each with a gate at its end.
//!
//! What a host adds of its own stands in `workflow` of `workshop/release.rs`.
//!
//! Rows: M143, M144, M145, M146, M147, M148, M149, M150, M151, M152, M153, M154, M155, M156, M157, M158.

#[path = "../workshop/mod.rs"]
mod workshop;

use std::process::ExitCode;

use deploy_agents::workflows::eight_phase;

use self::workshop::args::Args;
use self::workshop::release::carry_out;

/// An error of any kind, with its causes.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How the pipeline is called.
const NAME: &str = "eight-phase-release";

fn main() -> ExitCode {
    workshop::main(|args: Args| async move {
        carry_out(NAME, &args, |evidence, production| eight_phase(NAME, evidence, production)).await
    })
}

//! How does a release go through the three-phase workflow, on real reports?
//!
//! `cargo run --example three_phase_release -- [--json] [--fault NAME] [--folder DIR] [--without PROGRAM,…]`
//!
//! A small service with two versions is built, tested, timed and looked through on the spot; then version 1.1.0 goes through
//! pre-deployment with its go or no-go, staging and a canary, and post-deployment, and everything that was shown ends in a dossier.
//!
//! What a host adds of its own stands in `workflow` of `workshop/release.rs`.
//!
//! Rows: M1, M2, M3, M4, M5, M6, M7, M110.

#[path = "../workshop/mod.rs"]
mod workshop;

use std::process::ExitCode;

use deploy_agents::workflows::three_phase;

use self::workshop::args::Args;
use self::workshop::release::carry_out;

/// An error of any kind, with its causes.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How the pipeline is called.
const NAME: &str = "three-phase-release";

fn main() -> ExitCode {
    workshop::main(|args: Args| async move {
        carry_out(NAME, &args, |evidence, production| three_phase(NAME, evidence, production)).await
    })
}

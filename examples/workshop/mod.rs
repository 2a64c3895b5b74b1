//! What both examples share: a small service with a history, a place where it runs, and everybody who reports on it.
//!
//! ```text
//!  repository ─► build, tests, lint, bill ─┐
//!  infrastructure, backup, timing ─────────┤
//!  documents, people's desks ──────────────┼─► shelf ─► bench (EvidenceSource) ─► the crew ─► gates
//!  rehearsal in staging: load, drill ──────┤               ▲
//!  Prometheus, Alertmanager ───────────────┘               └── steps: smoke, health, what the users met
//! ```
//!
//! Start reading at `prepare.rs`, which makes the reports, and at `release.rs`, which carries the workflow out.

pub(crate) mod args;
pub(crate) mod bench;
pub(crate) mod building;
pub(crate) mod ground;
pub(crate) mod papers;
pub(crate) mod place;
pub(crate) mod prepare;
pub(crate) mod rehearsal;
pub(crate) mod release;
pub(crate) mod repository;
pub(crate) mod shelf;
pub(crate) mod signing;
pub(crate) mod smoke;
pub(crate) mod steps;
pub(crate) mod summary;
pub(crate) mod tools;
pub(crate) mod users;
pub(crate) mod watch;

use std::future::Future;
use std::process::ExitCode;

use clap::Parser as _;

use self::args::Args;
use crate::Failure;

/// Reads the command line and runs an example.
#[expect(clippy::print_stderr, reason = "an example says what went wrong")]
pub(crate) fn main<F>(example: impl FnOnce(Args) -> F) -> ExitCode
where
    F: Future<Output = Result<ExitCode, Failure>>,
{
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let done = runtime.map_err(Failure::from).and_then(|runtime| runtime.block_on(example(args)));
    done.unwrap_or_else(|failure| {
        eprintln!("{}", deploy_core::report::chain(failure.as_ref()));
        ExitCode::FAILURE
    })
}

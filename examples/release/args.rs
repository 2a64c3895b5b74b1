//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Releases a small service twice: a good version that goes out, and a broken one that is detected and rolled back.
///
/// The first process is the engine. It starts a second one, the place, which holds the proxy, the service's processes and the
/// users, and which lives on when the engine is killed. Run the same command again, and the engine goes on where it stopped.
#[derive(Debug, Clone, Parser)]
#[command(name = "release", version)]
pub(crate) struct Args {
    /// Kills the engine (SIGKILL, so that it cannot clean up) as soon as the N-th record that it writes is durable. Run again
    /// without it to go on. Records are appended in batches; the kill comes after the batch that holds the N-th.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) kill_at: Option<u64>,

    /// Prints one JSON object a line instead of text.
    #[arg(long)]
    pub(crate) json: bool,

    /// Multiplies soaks and intervals of analysis; below 1 is faster. A place that is alive keeps the pace it was started with.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = pace)]
    pub(crate) pace: f64,

    /// The folder for the journal, the logs and the place's address. Default: beside this program, named `release.state`.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,

    /// Ends a place that an earlier run left behind, and does nothing else.
    #[arg(long, conflicts_with = "kill_at")]
    pub(crate) stop: bool,

    /// What this process is; the engine starts the others itself.
    #[arg(long, value_enum, default_value_t = Role::Engine, hide = true)]
    pub(crate) role: Role,

    /// Which revision is tested.
    #[arg(long, default_value = "", hide = true)]
    pub(crate) revision: String,
}

/// What this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Drives the releases.
    Engine,
    /// Holds the proxy, the service's processes and the users.
    Place,
    /// One process of the service.
    Service,
    /// Tests one revision by itself, before any user meets it.
    SelfTest,
}

fn pace(text: &str) -> Result<f64, String> {
    let factor: f64 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    if (0.1..=10.0).contains(&factor) { Ok(factor) } else { Err("0.1 to 10 is allowed".to_owned()) }
}

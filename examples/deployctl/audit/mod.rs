//! `deployctl audit`: whether the records are those that were written, and what stands behind the practices.

mod practices;
mod verify;

use clap::Subcommand;

use crate::Failure;
use crate::code::Code;
use crate::shared::Shared;

/// Check the records of runs; without a sub-command, print the eight best practices with what proves each.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    /// Say of each practice how it is kept by this run: its id, how its id begins, or `last`.
    #[arg(long)]
    run: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Verify(verify::Args),
}

pub(crate) async fn run(args: &Args, shared: &Shared) -> Result<Code, Failure> {
    match &args.command {
        Some(Command::Verify(args)) => verify::run(args, shared).await,
        None => practices::run(args.run.as_deref(), shared).await,
    }
}

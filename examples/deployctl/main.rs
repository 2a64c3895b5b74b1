//! `deployctl`: the reference host, one file or folder for each thing that it can do.
//!
//! ```console
//! $ cargo run --example deployctl -- judge baseline.csv candidate.csv
//! ```

mod judge;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Releases software, and says why.
#[derive(Debug, Parser)]
#[command(name = "deployctl", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Judge(judge::Args),
}

fn main() -> ExitCode {
    match Args::parse().command {
        Command::Judge(args) => judge::run(&args),
    }
}

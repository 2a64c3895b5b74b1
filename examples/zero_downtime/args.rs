//! The command line.

use clap::{Parser, ValueEnum};

/// Releases under load, forward and back, with every strategy, and counts what users did not get.
#[derive(Debug, Parser)]
#[command(name = "zero_downtime")]
pub(crate) struct Args {
    /// How many requests each strategy has to answer at least; more are sent until a release and a way back are done.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) requests: u64,
    /// What shares the requests out.
    #[arg(long, value_enum, default_value_t = Front::Haproxy)]
    pub(crate) front: Front,
    /// Only these strategies, by name; may be given several times. Default: all.
    #[arg(long)]
    pub(crate) strategy: Vec<String>,
    /// How many users ask at the same time.
    #[arg(long, default_value_t = 8)]
    pub(crate) users: usize,
    /// One instance of the service, instead of all this.
    #[arg(long, hide = true)]
    pub(crate) serve: bool,
}

/// What shares the requests out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Front {
    /// A real HAProxy, driven over its runtime socket.
    Haproxy,
    /// The proxy in this process.
    Proxy,
}

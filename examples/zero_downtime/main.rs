//! Do users notice a release? Every strategy, out and back, on a real load balancer with real processes, under load.
//!
//! ```text
//!  users ──► HAProxy ──► instances (processes)
//!               ▲ runtime socket   ▲ start, drain, stop
//!               └──── ProcessFleet ┘◄── Target ── Engine ◄── Pipeline with one strategy
//! ```
//!
//! Each strategy releases a revision, which stays, and another one, which a last check refuses, so that everything goes back.
//! A request counts as failed when a user did not get a whole answer of the service. None may.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what came of it")]

mod args;
mod flag;
mod place;
mod service;
mod strategies;
mod trial;
mod users;

use std::process::ExitCode;

use clap::Parser as _;

use self::args::{Args, Front};
use self::strategies::Way;
use self::trial::Trial;

/// An error of any kind, with its causes.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What is said where there is no HAProxy.
const NO_HAPROXY: &str = "haproxy is not on the path.\n\
    Debian, Ubuntu:  apt install haproxy\n\
    Fedora:          dnf install haproxy\n\
    macOS:           brew install haproxy\n\
    Or leave it out: cargo run --example zero_downtime -- --front proxy";

fn main() -> ExitCode {
    let args = Args::parse();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = if args.serve { runtime.worker_threads(1) } else { &mut runtime };
    let done = runtime.enable_all().build().map_err(Failure::from).and_then(|runtime| {
        runtime.block_on(async {
            if args.serve { service::run().await.map(|()| ExitCode::SUCCESS) } else { run(&args).await }
        })
    });
    done.unwrap_or_else(|failure| {
        eprintln!("{}", deploy_core::report::chain(failure.as_ref()));
        ExitCode::FAILURE
    })
}

async fn run(args: &Args) -> Result<ExitCode, Failure> {
    if args.front == Front::Haproxy && place::find_haproxy().is_none() {
        eprintln!("{NO_HAPROXY}");
        return Ok(ExitCode::FAILURE);
    }
    let wanted = |way: &Way| args.strategy.is_empty() || args.strategy.iter().any(|name| name == way.name());
    let ways: Vec<Way> = Way::ALL.into_iter().filter(wanted).collect();
    if ways.is_empty() {
        let known: Vec<&str> = Way::ALL.into_iter().map(Way::name).collect();
        return Err(format!("no strategy is called so; there are {}", known.join(", ")).into());
    }
    println!(
        "{:<20} {:>4} {:>5} {:>9} {:>7} {:>10} {:>8} {:>9}",
        "strategy", "out", "back", "requests", "failed", "reconnects", "seconds", "a second"
    );
    let (mut requests, mut failed, mut wrong) = (0, 0, Vec::new());
    for way in ways {
        let trial = Trial::run(way, args).await?;
        let Trial { tally, seconds, .. } = &trial;
        #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
        let rate = tally.answered as f64 / seconds;
        println!(
            "{:<20} {:>4} {:>5} {:>9} {:>7} {:>10} {seconds:>8.1} {rate:>9.0}",
            way.name(),
            trial.out,
            trial.back,
            tally.answered + tally.failed,
            tally.failed,
            tally.reconnects,
        );
        requests += tally.answered + tally.failed;
        failed += tally.failed;
        wrong.extend(trial.wrong.iter().map(|what| format!("{}: {what}", trial.way.name())));
    }
    println!("{requests} requests, {failed} failed");
    for what in &wrong {
        println!("NOT AS IT SHOULD BE: {what}");
    }
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

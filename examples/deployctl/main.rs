#![doc = include_str!("README.md")]
//!
//! # How it is built
//!
//! The commands are thin, the library does the work, and everything that a command knows it reads from the journal.
//!
//! ```text
//!  deployctl run ──────► Engine ── records ──► journal file ◄── reads ── deployctl status --watch · dossier · audit
//!                          ▲                        │
//!                          └────── inbox ───────────┘ ◄── deployctl approve · pause · promote · abort · …
//! ```
//!
//! Start reading at `drive.rs`, which is the whole of a host, and at `demo` for the pipeline that it has unless it is given another.

mod agent;
mod audit;
mod checklist;
mod code;
mod completions;
mod demo;
mod dossier;
mod drive;
mod estimate;
mod follow;
mod host;
mod incident;
mod journal;
mod judge;
mod operate;
mod page;
mod plan;
mod profile;
mod record;
mod registry;
mod release;
mod search;
mod select;
mod shared;
mod span;
mod status;
mod trouble;
mod view;
mod watcher;
mod who;
mod workflow;

// The service that the main job releases, and the way in which that shows what it does, are the ones used here.
#[path = "../release/judged.rs"]
mod judged;
#[path = "../release/said.rs"]
mod said;
#[path = "../release/self_test.rs"]
mod self_test;
#[path = "../release/server.rs"]
mod server;
#[path = "../release/service.rs"]
mod service;
#[path = "../release/show.rs"]
mod show;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde_json::json;

use self::code::{Code, TABLE};
use self::shared::Shared;
use self::show::Screen;
use self::trouble::Trouble;

/// An error of any kind, with its causes.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Releases software, and says why.
///
/// One process drives a run (`run`); any number of others watch it (`status`) and steer it (`approve`, `pause`, ...). All of
/// them meet in one journal file. RUN is the id of a run, the beginning of its id, or `last`; without it, the only run that
/// has not ended is meant.
#[derive(Debug, Parser)]
#[command(name = "deployctl", version, after_help = TABLE, after_long_help = TABLE)]
struct Args {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Plan(plan::Args),
    Run(drive::Args),
    Status(status::Args),
    #[command(flatten)]
    Operate(operate::Command),
    Workflow(workflow::Args),
    Agent(agent::Args),
    Checklist(checklist::Args),
    Dossier(dossier::Args),
    Audit(audit::Args),
    Search(search::Args),
    Judge(judge::Args),
    Place(demo::Args),
    Completions(completions::Args),
}

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return misread(&error),
    };
    if let Command::Judge(args) = &args.command {
        return judge::run(args);
    }
    let shared = args.shared.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let done = runtime.map_err(Failure::from).and_then(|runtime| {
        let done = runtime.block_on(perform(args));
        // What is still under way has been handed back, and nobody waits for it.
        runtime.shutdown_background();
        done
    });
    match done {
        Ok(code) => code.into(),
        Err(failure) => {
            let (code, text) = Trouble::read(&failure);
            if shared.json {
                let facts = json!({ "code": code.number(), "meaning": code, "text": text });
                Screen::new(true).say("error", &text, &facts);
            } else {
                show::complain(&format!("deployctl: {text}"));
            }
            code.into()
        }
    }
}

/// What cannot be read as a command line, in the way in which whoever wrote it wants to read.
fn misread(error: &clap::Error) -> ExitCode {
    let json = std::env::args_os().any(|word| word == "--json");
    if json && error.use_stderr() {
        let text = error.to_string();
        let text = text.trim_end().trim_start_matches("error: ");
        let facts = json!({ "code": Code::Usage.number(), "meaning": Code::Usage, "text": text });
        Screen::new(true).say("error", text, &facts);
        return Code::Usage.into();
    }
    let _ = error.print();
    if error.use_stderr() { Code::Usage.into() } else { Code::Succeeded.into() }
}

async fn perform(args: Args) -> Result<Code, Failure> {
    let shared = &args.shared;
    match &args.command {
        Command::Plan(args) => plan::run(args, shared).await,
        Command::Run(args) => drive::run(args, shared).await,
        Command::Status(args) => status::run(args, shared).await,
        Command::Operate(command) => operate::run(command, shared).await,
        Command::Workflow(args) => workflow::run(args, shared).await,
        Command::Agent(args) => agent::run(args, shared).await,
        Command::Checklist(args) => checklist::run(args, shared).await,
        Command::Dossier(args) => dossier::run(args, shared).await,
        Command::Audit(args) => audit::run(args, shared).await,
        Command::Search(args) => search::run(args, shared).await,
        Command::Place(args) => demo::run(args, shared).await,
        Command::Completions(args) => Ok(completions::run(args)),
        Command::Judge(_) => Ok(Code::Succeeded),
    }
}

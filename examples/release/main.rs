//! The main job: a good release goes out, a broken one comes back, and nobody's request fails because of it.
//!
//! ```text
//!  engine (this process)                place (lives on when the engine is killed)
//!  pipeline ─ Engine ─ SQLite journal   PlaceTarget's other end: proxy ─► service processes
//!     └── looks, changes, scrapes ────►                               ▲
//!     └── reads the tally ────────────►                    users ─────┘
//! ```
//!
//! Start reading at `pipeline.rs`: that is what a host writes. Everything else is the world around it and the way it is shown.

mod args;
mod crash;
mod desk;
mod engine;
#[cfg(test)]
mod every_record;
mod facts;
mod follow;
mod judged;
mod place;
mod pipeline;
mod said;
mod self_test;
mod server;
mod service;
mod session;
mod show;
mod summary;
mod tally;
mod users;
mod view;

use std::process::ExitCode;

use clap::Parser as _;

use self::args::{Args, Role};

/// An error of any kind, with its causes.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match args.role {
        Role::Engine | Role::Place => {
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
        }
        Role::Service | Role::SelfTest => tokio::runtime::Builder::new_current_thread().enable_all().build(),
    };
    let done = runtime.map_err(Failure::from).and_then(|runtime| {
        runtime.block_on(async {
            match args.role {
                Role::Engine => engine::run(&args).await,
                Role::Place => place::run(&args).await.map(|()| ExitCode::SUCCESS),
                Role::Service => service::run().await.map(|()| ExitCode::SUCCESS),
                Role::SelfTest => self_test::run(&args.revision).await,
            }
        })
    });
    done.unwrap_or_else(|failure| {
        show::complain(&deploy_core::report::chain(failure.as_ref()));
        ExitCode::FAILURE
    })
}

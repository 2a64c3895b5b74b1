//! Stories of agents that change something.

#![expect(clippy::print_stdout, reason = "a test that is left out says so")]

#[path = "../shared/postgres.rs"]
mod cluster;
mod config_change;
mod migration;
mod postgres;
mod smoke_suite;
mod task;

//! Stories of agents that change something.

#[path = "../shared/postgres.rs"]
mod cluster;
mod config_change;
mod migration;
mod postgres;
mod smoke_suite;
mod task;

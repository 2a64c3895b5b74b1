//! Stories of agents that change something.

mod config_change;
mod migration;
mod postgres;
mod smoke_suite;
mod task;

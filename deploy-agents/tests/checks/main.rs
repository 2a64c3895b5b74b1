//! Gates, checks and the dossier: what evidence may open, and what it may not.

#![expect(clippy::print_stdout, reason = "how much was tried is shown with --nocapture")]

mod approvals;
mod cases;
mod catalogue;
mod checklists;
#[path = "../shared/postgres.rs"]
mod cluster;
mod damaged;
mod deliveries;
mod database;
mod dossier;
mod exports;
mod flips;
mod formats;
mod impacts;
mod incidents;
mod intrusion;
mod matrix;
mod notices;
mod performed;
mod preflight;
mod quality;
mod reminders;
mod reviews;
mod run_figures;
mod sample;
mod steps;
mod virtual_time;
mod watches;
mod windows;
mod world;

//! Gates, checks and the dossier: what evidence may open, and what it may not.

#![expect(clippy::print_stdout, reason = "how much was tried is shown with --nocapture")]

mod approvals;
mod cases;
mod catalogue;
mod checklists;
mod damaged;
mod dossier;
mod exports;
mod flips;
mod formats;
mod incidents;
mod matrix;
mod notices;
mod performed;
mod preflight;
mod quality;
mod reminders;
mod reviews;
mod sample;
mod steps;
mod watches;
mod windows;
mod world;

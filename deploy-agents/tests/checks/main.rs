//! Gates, checks and the dossier: what evidence may open, and what it may not.

#![expect(clippy::print_stdout, reason = "how much was tried is shown with --nocapture")]

mod approvals;
mod cases;
mod catalogue;
mod checklists;
mod dossier;
mod exports;
mod flips;
mod matrix;
mod notices;
mod preflight;
mod sample;
mod steps;
mod windows;
mod world;

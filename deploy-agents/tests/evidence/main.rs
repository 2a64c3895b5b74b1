//! The readers of reports: what they read, what they refuse, and that they end.

#![expect(clippy::print_stdout, reason = "what was left out and how much was tried is said aloud")]

mod bills;
#[path = "../shared/postgres.rs"]
mod cluster;
mod coverage;
mod findings;
mod fuzz;
mod git;
mod hostile;
mod incidents;
mod infrastructure;
mod load;
mod models;
mod operations;
mod pointers;
mod policies;
mod producers;
mod provenance;
mod samples;
mod tests;
mod vulnerabilities;

use deploy_agents::evidence::{Doubt, DoubtKind};

/// The doubts of one kind.
fn doubted(doubts: &[Doubt], kind: DoubtKind) -> usize {
    doubts.iter().filter(|doubt| doubt.kind == kind).count()
}

//! The crew and the two workflows: what the roles read and say, and what whole releases come to.

#![expect(clippy::print_stdout, reason = "how much was tried is shown with --nocapture")]

mod asked;
mod conformance;
mod deliverables;
mod emergency;
mod evolution;
mod excused;
mod gates;
mod joins;
mod kinds;
mod improvements;
mod incidents;
mod issues;
mod lies;
mod options;
mod parts;
mod plans;
#[path = "../checks/sample.rs"]
#[expect(dead_code, reason = "the other program judges single checks as well")]
mod sample;
mod whole;
#[path = "../checks/world.rs"]
mod world;

//! The crew and the two workflows: what the roles read and say, and what whole releases come to.

mod conformance;
mod parts;
mod plans;
#[path = "../checks/sample.rs"]
mod sample;
mod whole;
#[path = "../checks/world.rs"]
mod world;

//! Building blocks, plan, machine, engine and journal of a release system that a host embeds.

pub mod agent;
pub mod deliverable;
pub mod digest;
pub mod effect;
pub mod evidence;
pub mod gate;
pub mod journal;
pub mod machine;
pub mod monitor;
pub mod name;
pub mod operator;
pub mod plan;
pub mod real;
pub mod release;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod strategy;
pub mod target;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;

//! Agents, gates, monitors and targets that touch the world.

pub mod http;
pub mod process;
pub mod secret;
pub mod targets;
pub mod wait;

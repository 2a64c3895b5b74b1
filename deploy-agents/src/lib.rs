//! Agents, gates, monitors and targets that touch the world.

pub mod agents;
pub mod gates;
pub mod http;
pub mod monitors;
pub mod process;
pub mod secret;
pub mod targets;
pub mod wait;

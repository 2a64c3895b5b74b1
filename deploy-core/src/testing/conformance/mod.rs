//! One suite per trait: run it on your own implementation, and it tells which clause of the contract it breaks.

pub mod agent;
pub mod journal;
pub mod monitor;
pub mod target;
mod wait;

pub use self::wait::Patience;

//! One suite per trait. Run it on your own implementation; it panics with what was expected and what was there.

pub mod agent;
pub mod monitor;
pub mod target;
mod wait;

pub use self::wait::Patience;

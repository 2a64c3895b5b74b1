//! The engine: runs machines against the world.
//!
//! It makes no choices: a plan fixes every step, the machine says what should be under way, and the driver looks up the
//! building block that a command names. Nothing is started or shown before the record that led to it is durable.

mod builder;
mod clock;
mod driven;
mod duties;
mod engine;
mod error;
mod handle;
mod lease;
mod load;
mod options;
mod perform;
mod roll_back;
mod turn;

pub use self::builder::EngineBuilder;
pub use self::clock::RuntimeClock;
pub use self::engine::{Driven, Engine};
pub use self::error::{OperatorError, RunError, StartError, StatusError};
pub use self::handle::{RunEnd, RunHandle};
pub use self::options::EngineOptions;
pub use self::roll_back::RollBackError;

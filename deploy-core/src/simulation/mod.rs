//! The virtual-time driver and the simulated world.
//!
//! A [`Simulation`] drives the machine of any [`Plan`](crate::plan::Plan), unchanged, in virtual time against a
//! [`World`] that it makes up: one thread, one seed, no clock of the system, so that a day takes milliseconds and the same
//! seed gives the same bytes. Faults are injected at every effect and at every append, the driver can be made to stop after
//! any record, and the world counts every effect by its key and its fence.

mod attendant;
mod driver;
mod faults;
mod finished;
mod random;
mod setup;
mod world;

pub use self::faults::Faults;
pub use self::finished::{Finished, SimulationError};
pub use self::random::Random;
pub use self::setup::Simulation;
pub use self::world::{Answers, EffectCount, World};

//! For tests, yours too: a clock moved by hand, fakes that do what they are told, small plans and the explorer of their every
//! state, and one conformance suite per trait.

mod attentive;
pub mod conformance;
pub mod explore;
mod manual_clock;
pub mod plans;
pub mod scripted;

pub use self::attentive::{Attentive, VirtualClock, attentive};
pub use self::manual_clock::ManualClock;

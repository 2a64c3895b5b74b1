//! For tests, yours too: a clock moved by hand, fakes that do what they are told, and one conformance suite per trait.

pub mod conformance;
mod manual_clock;
pub mod scripted;

pub use self::manual_clock::ManualClock;

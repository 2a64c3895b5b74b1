//! For tests, yours too: a clock moved by hand, and one conformance suite per trait.

pub mod conformance;
mod manual_clock;

pub use self::manual_clock::ManualClock;

//! For a host's own tests: fakes that do what they are told, and one conformance suite per trait.

pub mod conformance;
pub mod scripted;

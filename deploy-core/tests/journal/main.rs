//! The journal's promises, by story.

mod chain;
mod conformance;
mod differential;
mod faults;
mod sample;
mod sharing;

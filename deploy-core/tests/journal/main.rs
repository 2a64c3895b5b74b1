//! The journal's promises, by story.

mod chain;
mod conformance;
mod differential;
mod disk;
mod faults;
mod power;
mod sample;
mod sharing;

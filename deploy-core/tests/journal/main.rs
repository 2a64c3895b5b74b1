//! The journal's promises, by story.

mod chain;
mod conformance;
mod differential;
mod disk;
mod docs;
mod faults;
mod power;
mod sample;
mod sharing;

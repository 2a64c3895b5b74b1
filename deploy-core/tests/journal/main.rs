//! The journal's promises, by story.

mod conformance;
mod differential;
mod sample;

//! The journal's promises, by story.

mod conformance;

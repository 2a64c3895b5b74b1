//! Fakes, small plans and the explorer, for a host's own tests.

pub mod explore;
pub mod plans;

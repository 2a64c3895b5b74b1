//! strategies

pub mod analysis;

//! Feature flags: who gets what, exactly as the SDKs in the field decide it, and a rollout that raises a percentage.
//!
//! Two things hold for every way of bucketing here, and are tested: a raised percentage only adds users, and another seed
//! shuffles all of them.

mod build;
pub mod flagd;
pub mod growthbook;
pub mod hash;
mod rollout;
pub mod unleash;

pub use self::build::{FlagRolloutBuilder, FlagStep, Prerequisite};
pub use self::rollout::FlagRollout;

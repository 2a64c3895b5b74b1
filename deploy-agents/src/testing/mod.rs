//! Stand-ins for servers, in this process and without sockets, for testing targets and pipelines against them.
//!
//! They answer in the shapes of the real servers, and hold what they were told. What they cannot show is that a real server of some
//! version answers so; each says where its shapes come from.

#[cfg(feature = "unleash")]
mod unleash;

#[cfg(feature = "unleash")]
pub use self::unleash::UnleashStandIn;

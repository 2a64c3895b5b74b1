//! Places where revisions run and traffic goes.

pub(crate) mod admin;
mod balancer;
pub mod envoy;
pub mod flags;
pub mod haproxy;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
pub mod place;
pub mod processes;
pub mod proxy;

pub use self::admin::AdminAccess;
pub use self::balancer::{Balancer, BalancerError, Draining, Upstreams};

//! Places where revisions run and traffic goes.

mod admin;
mod balancer;
pub mod envoy;
pub mod flags;
pub mod haproxy;
pub mod place;
pub mod processes;
pub mod proxy;

pub use self::admin::AdminAccess;
pub use self::balancer::{Balancer, BalancerError, Draining, Upstreams};

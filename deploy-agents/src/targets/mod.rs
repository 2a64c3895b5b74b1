//! Places where revisions run and traffic goes.

pub(crate) mod admin;
pub mod haproxy;
pub mod place;
pub mod processes;
pub mod proxy;

pub use self::admin::AdminAccess;

//! Places where revisions run and traffic goes.

pub mod processes;
pub mod proxy;

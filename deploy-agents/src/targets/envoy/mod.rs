//! Envoy, driven by its admin interface and by files that it watches.

mod admin;
mod balance;
mod config;
mod process;
mod slots;

pub use self::admin::{EnvoyAdmin, EnvoyAdminError, EnvoyHost};
pub use self::balance::Envoy;
pub use self::config::EnvoyConfig;

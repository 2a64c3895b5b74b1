//! Feature flags: percentages that a rollout raises while instances and traffic stay as they are.

mod document;
mod file;
mod percent;
#[cfg(feature = "unleash")]
mod unleash;

pub use self::file::{FlagFile, FlagFileFlag};
#[cfg(feature = "unleash")]
pub use self::unleash::{UnleashFlag, UnleashTarget};

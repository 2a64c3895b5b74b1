//! Stories about the core.

#[cfg(feature = "testing")]
mod explore;

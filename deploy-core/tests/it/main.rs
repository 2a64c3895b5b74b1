//! Stories about the core, one module each.

#[cfg(feature = "testing")]
mod crash;
#[cfg(feature = "testing")]
mod explore;
#[cfg(feature = "testing")]
mod transitions;

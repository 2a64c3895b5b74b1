//! Stories with real processes and real traffic.

mod fleet;
mod load;
mod place;
mod proxy;
mod service;

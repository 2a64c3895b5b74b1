//! Stories with real processes and real traffic.

mod fleet;
mod load;
mod proxy;
mod service;

//! Stories with real processes and real traffic.

mod fleet;
mod gate;
mod load;
mod measuring;
mod place;
mod program;
mod proxy;
mod service;

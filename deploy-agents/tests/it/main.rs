//! Stories with real processes and real traffic.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    reason = "this program is also the child processes of its own stories"
)]

mod background;
mod components;
mod conformance;
mod envoy;
mod flags;
mod fleet;
mod gate;
mod haproxy;
mod load;
mod measuring;
mod place;
mod program;
mod proxy;
mod service;

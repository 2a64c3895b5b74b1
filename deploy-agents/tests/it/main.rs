//! Stories with real processes and real traffic.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    reason = "this program is also the child processes of its own stories"
)]

mod agents;
mod alerting;
mod background;
mod balancers;
mod components;
mod conformance;
mod envoy;
mod figures;
mod flags;
mod families;
mod fleet;
mod fronted;
mod gate;
mod haproxy;
mod kubernetes;
mod load;
mod measuring;
mod native;
mod peers;
mod place;
mod program;
mod prometheus;
mod prometheus_policy;
mod prometheus_server;
mod proxy;
mod service;
mod victoria;
mod watching;

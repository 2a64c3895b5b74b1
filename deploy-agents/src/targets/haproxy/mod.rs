//! HAProxy, driven over its runtime socket.
//!
//! [`Haproxy`] stands in front of a [`ProcessFleet`](super::processes::ProcessFleet), with a configuration of its own or
//! attached to the host's. [`RuntimeSocket`] is the client underneath, for monitors and for hosts that want to ask themselves.

mod attach;
mod backend;
mod balance;
mod config;
mod naming;
mod order;
mod process;
mod server;
mod share;
mod socket;
mod statistics;

pub use self::attach::AttachedHaproxy;
pub use self::balance::Haproxy;
pub use self::config::HaproxyConfig;
pub use self::order::{Order, Readiness, ServerCheck};
pub use self::server::{Server, ServerName, ServerNameError};
pub(super) use self::share::gather;
pub use self::socket::{RuntimeSocket, SocketError, Worker};
pub use self::statistics::ServerStatistics;

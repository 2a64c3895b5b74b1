//! HAProxy, driven over its runtime socket.

mod order;
mod server;
mod socket;
mod statistics;

pub use self::order::{Order, Readiness, ServerCheck};
pub use self::server::{Server, ServerName, ServerNameError};
pub use self::socket::{RuntimeSocket, SocketError, Worker};
pub use self::statistics::ServerStatistics;

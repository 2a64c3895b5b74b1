//! What can be changed at run time.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use deploy_core::time::millis;

use super::server::ServerName;

/// How HAProxy finds out whether a server is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ServerCheck {
    /// How often. Default 500 ms.
    pub every: Duration,
    /// How many failures in a row take it out. Default 2.
    pub fall: u32,
    /// How many successes in a row bring it back. Default 1.
    pub rise: u32,
}

impl Default for ServerCheck {
    fn default() -> Self {
        Self { every: Duration::from_millis(500), fall: 2, rise: 1 }
    }
}

impl ServerCheck {
    /// The default check, this often.
    #[must_use]
    pub fn every(every: Duration) -> Self {
        Self { every, ..Self::default() }
    }
}

impl fmt::Display for ServerCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "check inter {} fall {} rise {}", millis(self.every), self.fall, self.rise)
    }
}

/// Whether a server takes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Readiness {
    /// It takes requests.
    Ready,
    /// It takes no new requests; those under way end, and it is still checked.
    Drain,
    /// It takes no requests and is not checked.
    Maintenance,
}

impl Readiness {
    fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maintenance => "maint",
        }
    }
}

/// One change at run time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Order {
    /// An absolute weight. Never a percentage: that would be one of the weight in the configuration, and a percentage of 0
    /// silently stays 0.
    Weight {
        /// Which.
        server: ServerName,
        /// 0 to 256.
        weight: u32,
    },
    /// Whether it takes requests.
    Be {
        /// Which.
        server: ServerName,
        /// What it is to be.
        readiness: Readiness,
    },
    /// A new server, in maintenance until it is made [`Ready`](Readiness::Ready); its checks wait for
    /// [`EnableHealth`](Self::EnableHealth).
    Add {
        /// Which.
        server: ServerName,
        /// Where it listens.
        address: SocketAddr,
        /// Its first weight, 0 to 256.
        weight: u32,
        /// How it is checked.
        check: ServerCheck,
    },
    /// Begins to check a server that was added.
    EnableHealth {
        /// Which.
        server: ServerName,
    },
    /// Forgets a server, which must be in maintenance and without connections.
    Delete {
        /// Which.
        server: ServerName,
    },
}

impl Order {
    /// Whether this answer says that it was carried out.
    pub(super) fn succeeded(&self, answer: &str) -> bool {
        match self {
            Self::Weight { .. } | Self::Be { .. } | Self::EnableHealth { .. } => answer.trim().is_empty(),
            Self::Add { .. } => answer.trim() == "New server registered.",
            Self::Delete { .. } => answer.trim() == "Server deleted.",
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weight { server, weight } => write!(f, "set server {server} weight {weight}"),
            Self::Be { server, readiness } => write!(f, "set server {server} state {}", readiness.word()),
            Self::Add { server, address, weight, check } => {
                write!(f, "add server {server} {address} weight {weight} {check}")
            }
            Self::EnableHealth { server } => write!(f, "enable health {server}"),
            Self::Delete { server } => write!(f, "del server {server}"),
        }
    }
}

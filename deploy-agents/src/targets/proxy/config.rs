//! How a proxy behaves.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::time::{Clock, SystemClock};

/// How a proxy behaves. The defaults suit instances on the same machine.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProxyConfig {
    /// How long connecting to an instance may take. Default 1 s: on one machine a connection is made or refused at once.
    pub connect_within: Duration,
    /// How long an instance may take until its answer begins; then the client gets 504. Default 30 s.
    pub answer_within: Duration,
    /// How long an instance that refused a connection is passed over. Default 1 s: long enough to spare the requests of a
    /// busy second, short enough that an instance that came back is used again.
    pub skip_refused: Duration,
    /// How long a client's connection may stay idle. Default 75 s, as nginx has it.
    pub idle_client: Duration,
    /// How many clients may be connected at once; further ones wait in the listener's queue. Default 4096.
    pub most_connections: usize,
    /// Whether a request whose own revision has nobody left to answer goes to another revision that serves. Default yes:
    /// users come first. It is counted as a failed attempt of the revision it was meant for.
    pub fail_over: bool,
    /// Whether answers say in [`REVISION_HEADER`](super::REVISION_HEADER) which revision gave them. Default no: outsiders
    /// need not know.
    pub reveal_revision: bool,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self {
            connect_within: Duration::from_secs(1),
            answer_within: Duration::from_secs(30),
            skip_refused: Duration::from_secs(1),
            idle_client: Duration::from_secs(75),
            most_connections: 4096,
            fail_over: true,
            reveal_revision: false,
            clock: Arc::new(SystemClock::new()),
        }
    }
}

impl ProxyConfig {
    /// The same, telling in each answer which revision gave it.
    #[must_use]
    pub fn reveal_revision(mut self) -> Self {
        self.reveal_revision = true;
        self
    }

    /// The same, without sending a request to another revision than it was meant for.
    #[must_use]
    pub fn without_fail_over(mut self) -> Self {
        self.fail_over = false;
        self
    }

    /// The same, with another time for an answer to begin.
    #[must_use]
    pub fn answer_within(mut self, bound: Duration) -> Self {
        self.answer_within = bound;
        self
    }
}

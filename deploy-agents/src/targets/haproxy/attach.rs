//! The host's own HAProxy.

use std::path::PathBuf;

use super::order::ServerCheck;

/// An HAProxy that the host runs with a configuration of its own. It needs
///
/// - `stats socket PATH level admin expose-fd listeners` in the section `global`;
/// - a backend with `balance roundrobin`: `static-rr` and `source` do not take weights at run time;
/// - `retries 3`, `option redispatch 1` and `retry-on conn-failure empty-response response-timeout`, or a killed instance costs requests
///   until its health check fails;
/// - `timeout check`, longer than the time between two checks, or an instance that is busy is taken for dead.
///
/// Only servers that were added here are changed; the host's own in the same backend stay as they are, and are not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachedHaproxy {
    pub(super) socket: PathBuf,
    pub(super) backend: String,
    pub(super) preview: Option<String>,
    pub(super) check: ServerCheck,
    pub(super) include: Option<PathBuf>,
    pub(super) header: Vec<String>,
}

impl AttachedHaproxy {
    /// The HAProxy at this socket, whose users come to this backend.
    #[must_use]
    pub fn new(socket: impl Into<PathBuf>, backend: impl Into<String>) -> Self {
        let (socket, backend) = (socket.into(), backend.into());
        Self { socket, backend, preview: None, check: ServerCheck::default(), include: None, header: Vec::new() }
    }

    /// The same, with a backend behind a second address, for previews.
    #[must_use]
    pub fn preview(mut self, backend: impl Into<String>) -> Self {
        self.preview = Some(backend.into());
        self
    }

    /// The same, with other health checks of servers.
    #[must_use]
    pub fn check(mut self, check: ServerCheck) -> Self {
        self.check = check;
        self
    }

    /// The same, writing the backends with the servers in force to this file at each change, each backend begun with these lines.
    /// Start HAProxy with `-f HOST.cfg -f FILE` and leave the backends out of the other file: then a reload, by whomever, begins
    /// with what was in force. Without it a reload leaves the backends without these servers until the next look, 1 s at most.
    #[must_use]
    pub fn include(mut self, file: impl Into<PathBuf>, lines: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.include = Some(file.into());
        self.header = lines.into_iter().map(Into::into).collect();
        self
    }
}

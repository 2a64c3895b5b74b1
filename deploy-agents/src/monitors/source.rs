//! What counts, other than a page of metrics.

use std::sync::Arc;

use deploy_core::name::RevisionName;

use super::log_lines::LogLines;
use crate::targets::haproxy::RuntimeSocket;

/// Where series come from, beside `/metrics` pages. Whatever it is, the same [`Query`](super::Query)s read it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Source {
    /// HAProxy's runtime socket; its series are those of [`haproxy`](super::haproxy).
    Haproxy(RuntimeSocket),
    /// Lines of log files; its series is [`LogLines::SERIES`].
    Log(Arc<LogLines>),
}

impl From<RuntimeSocket> for Source {
    fn from(socket: RuntimeSocket) -> Self {
        Self::Haproxy(socket)
    }
}

impl From<LogLines> for Source {
    fn from(lines: LogLines) -> Self {
        Self::Log(Arc::new(lines))
    }
}

impl Source {
    /// Where it is for a revision.
    pub(super) fn origin(&self, revision: &RevisionName) -> Origin {
        match self {
            Self::Haproxy(socket) => Origin::Haproxy(socket.clone()),
            Self::Log(lines) => Origin::Log(Arc::clone(lines), lines.path(revision)),
        }
    }
}

/// One place whose samples are taken together.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    /// A page of metrics, by its URL.
    Page(String),
    /// A socket.
    Haproxy(RuntimeSocket),
    /// A log file, by its path.
    Log(Arc<LogLines>, String),
}

impl Origin {
    /// By what its samples are remembered.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Page(url) => url.clone(),
            Self::Haproxy(socket) => format!("haproxy {}", socket.path().display()),
            Self::Log(_, path) => format!("log {path}"),
        }
    }
}

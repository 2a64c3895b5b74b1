//! Asking over HTTP: the port that blocks ask through, and a plain client behind it.

mod draft;
mod endpoint;
mod plain;

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use deploy_core::time::Spell;

pub(crate) use self::draft::Draft;
pub(crate) use self::endpoint::{Endpoint, shown};
pub use self::plain::PlainHttp;

/// Sends one request and reads the whole answer, within limits.
///
/// # Contract for implementors
///
/// Redirects are answers, not instructions: they are not followed. The body is read up to
/// [`HttpLimits::max_body`], never further. An error never contains the request's headers or body.
#[async_trait]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an HTTP client",
    note = "use `deploy_agents::http::PlainHttp`, or implement `deploy_agents::http::HttpClient` (`send`) for your own client"
)]
pub trait HttpClient: Debug + Send + Sync + 'static {
    /// Sends `request` and reads the answer.
    ///
    /// # Errors
    ///
    /// [`HttpError`], told apart by whether the request can have reached anybody.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection; the request may have been received.
    async fn send(&self, request: http::Request<Bytes>, limits: HttpLimits)
    -> Result<http::Response<Bytes>, HttpError>;
}

/// After how long the server asks to be asked again. A date, which `Retry-After` may hold too, says nothing to who has no clock of the
/// server's.
pub(crate) fn retry_after(answer: &http::Response<Bytes>) -> Option<Duration> {
    let value = answer.headers().get(http::header::RETRY_AFTER)?;
    value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// How long an answer may take and how large it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// For connecting, sending and reading together. Default 5 s: a probe that takes longer is an answer of its own.
    pub timeout: Duration,
    /// The largest body, in bytes. Default 1 MiB.
    pub max_body: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(5), max_body: 1024 * 1024 }
    }
}

/// A request without an answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The request cannot be sent by this client: mend the URL, or hand the block another client.
    #[error("the request to {to} cannot be sent: {reason}")]
    Unsupported {
        /// Host and port.
        to: String,
        /// Why.
        reason: String,
    },
    /// Nobody was reached, so nothing was done: it may be tried again.
    #[error("nobody answers at {to}")]
    NotSent {
        /// Host and port.
        to: String,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No whole answer came in time; the request may have been received.
    #[error("no whole answer from {to} within {}", Spell(*bound))]
    TimedOut {
        /// Host and port.
        to: String,
        /// How long it was waited for.
        bound: Duration,
    },
    /// The answer is larger than was allowed.
    #[error("the answer from {to} is larger than {limit} bytes")]
    TooLarge {
        /// Host and port.
        to: String,
        /// The limit.
        limit: usize,
    },
    /// The connection broke; the request may have been received.
    #[error("the answer from {to} broke off")]
    Broken {
        /// Host and port.
        to: String,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl HttpError {
    /// Whether the request certainly reached nobody.
    #[must_use]
    pub fn is_not_sent(&self) -> bool {
        matches!(self, Self::NotSent { .. } | Self::Unsupported { .. })
    }
}

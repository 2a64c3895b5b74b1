//! The interface of an Alertmanager (API v2).

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde::Deserialize;

use super::message::active;
use super::{ActiveAlert, Alert, Matcher, MessageError, Silence, SilenceId};
use crate::http::{Endpoint, HttpClient, HttpLimits};
use crate::secret::Secret;

/// Posts alerts and silences, and asks what fires.
///
/// Posting an alert again is the same alert; posting a silence again is another silence.
///
/// Rows: M36, M235.
#[derive(Debug, Clone)]
pub struct Alertmanager {
    endpoint: Endpoint,
}

/// A call without a usable answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AlertmanagerError {
    /// Nobody was reached, so nothing was done: it may be tried again.
    #[error("nobody answers at {at}")]
    NotSent {
        /// The server.
        at: String,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No whole answer came; it may have been done.
    #[error("no whole answer came from {at}")]
    Unanswered {
        /// The server.
        at: String,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server said no.
    #[error("{at} answered {status}: {said}")]
    Refused {
        /// The server.
        at: String,
        /// The status.
        status: u16,
        /// In its own words.
        said: String,
    },
    /// The answer is not one of this interface.
    #[error("what {at} answered cannot be read")]
    Unreadable {
        /// The server.
        at: String,
        /// The cause.
        source: MessageError,
    },
}

impl AlertmanagerError {
    /// Whether the call certainly reached nobody.
    #[must_use]
    pub fn is_not_sent(&self) -> bool {
        matches!(self, Self::NotSent { .. })
    }
}

#[derive(Deserialize)]
struct Created {
    #[serde(rename = "silenceID")]
    id: SilenceId,
}

impl Alertmanager {
    /// The server at this base URL (what comes before `/api/v2`). 5 s and 4 MiB for an answer.
    #[must_use]
    pub fn new(base: impl Into<String>) -> Self {
        Self { endpoint: Endpoint::new(base, HttpLimits { max_body: 4 << 20, ..HttpLimits::default() }) }
    }

    /// The same, showing this bearer token.
    #[must_use]
    pub fn token(mut self, token: Secret) -> Self {
        self.endpoint.token(token);
        self
    }

    /// The same over another client, for example one that speaks TLS.
    #[must_use]
    pub fn over(mut self, http: Arc<dyn HttpClient>) -> Self {
        self.endpoint.over(http);
        self
    }

    /// Posts alerts: they fire from now on, or are resolved, as they say.
    ///
    /// # Errors
    ///
    /// [`AlertmanagerError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave them posted; posting them again changes nothing.
    pub async fn post(&self, alerts: &[Alert]) -> Result<(), AlertmanagerError> {
        let body: Vec<_> = alerts.iter().map(Alert::json).collect();
        self.send(Method::POST, "/api/v2/alerts", &body).await.map(drop)
    }

    /// The alerts that all of these match, silenced ones among them.
    ///
    /// # Errors
    ///
    /// [`AlertmanagerError`].
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn alerts(&self, matchers: &[Matcher]) -> Result<Vec<ActiveAlert>, AlertmanagerError> {
        let filters: Vec<String> = matchers.iter().map(ToString::to_string).collect();
        let values: Vec<(&str, &str)> = filters.iter().map(|filter| ("filter", filter.as_str())).collect();
        let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(values).finish();
        let body = self.call(Method::GET, &format!("/api/v2/alerts?{encoded}"), Bytes::new()).await?;
        active(&body).map_err(|source| AlertmanagerError::Unreadable { at: self.endpoint.name(), source })
    }

    /// Makes a silence.
    ///
    /// # Errors
    ///
    /// [`AlertmanagerError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave it made; it ends by itself.
    pub async fn silence(&self, silence: &Silence) -> Result<SilenceId, AlertmanagerError> {
        let body = self.send(Method::POST, "/api/v2/silences", silence).await?;
        let created: Created = serde_json::from_slice(&body).map_err(|source| AlertmanagerError::Unreadable {
            at: self.endpoint.name(),
            source: MessageError::Shape(source),
        })?;
        Ok(created.id)
    }

    /// Ends a silence.
    ///
    /// # Errors
    ///
    /// [`AlertmanagerError`]; [`AlertmanagerError::Refused`] where there is no such silence.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave it ended.
    pub async fn expire(&self, silence: &SilenceId) -> Result<(), AlertmanagerError> {
        let id: String = form_urlencoded::byte_serialize(silence.0.as_bytes()).collect();
        self.call(Method::DELETE, &format!("/api/v2/silence/{id}"), Bytes::new()).await.map(drop)
    }

    async fn send(&self, method: Method, path: &str, body: &impl serde::Serialize) -> Result<Bytes, AlertmanagerError> {
        let body = serde_json::to_vec(body).map_err(|source| AlertmanagerError::Unreadable {
            at: self.endpoint.name(),
            source: MessageError::Shape(source),
        })?;
        self.call(method, path, body.into()).await
    }

    async fn call(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, AlertmanagerError> {
        let at = self.endpoint.name();
        let answer = self.endpoint.send(method, path, Some("application/json"), body).await.map_err(|error| {
            let not_sent = error.is_not_sent();
            let source = Box::new(error);
            if not_sent {
                AlertmanagerError::NotSent { at: at.clone(), source }
            } else {
                AlertmanagerError::Unanswered { at: at.clone(), source }
            }
        })?;
        if answer.status().is_success() {
            return Ok(answer.into_body());
        }
        let said = String::from_utf8_lossy(answer.body()).chars().take(200).collect();
        Err(AlertmanagerError::Refused { at, status: answer.status().as_u16(), said })
    }
}

//! A server with an interface of its own: where it is, what it is shown, and how long it may take.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;

use super::{Draft, HttpClient, HttpError, HttpLimits, PlainHttp};
use crate::secret::Secret;

/// A server's base URL, the bearer token that it is shown, and the limits of one answer.
#[derive(Clone)]
pub(crate) struct Endpoint {
    base: String,
    token: Option<Secret>,
    pub(crate) limits: HttpLimits,
    http: Arc<dyn HttpClient>,
}

impl Endpoint {
    pub(crate) fn new(base: impl Into<String>, limits: HttpLimits) -> Self {
        let mut base = base.into();
        base.truncate(base.trim_end_matches('/').len());
        Self { base, token: None, limits, http: Arc::new(PlainHttp::new()) }
    }

    pub(crate) fn token(&mut self, token: Secret) {
        self.token = Some(token);
    }

    pub(crate) fn over(&mut self, http: Arc<dyn HttpClient>) {
        self.http = http;
    }

    /// The base without what may be secret in it.
    pub(crate) fn name(&self) -> String {
        shown(&self.base)
    }

    /// Asks with these names and values: with GET, or as a form where that would be too long.
    pub(crate) async fn ask(&self, path: &str, values: &[(&str, &str)]) -> Result<http::Response<Bytes>, HttpError> {
        self.sent(Draft::asking(&format!("{}{path}", self.base), values)).await
    }

    /// Sends a body with its type.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        kind: Option<&str>,
        body: Bytes,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let draft = Draft::new(method, &format!("{}{path}", self.base)).body(body);
        self.sent(if let Some(kind) = kind { draft.kind(kind) } else { draft }).await
    }

    async fn sent(&self, draft: Draft) -> Result<http::Response<Bytes>, HttpError> {
        let draft = draft.accepts("application/json").bearer(self.token.as_ref());
        draft.send(self.http.as_ref(), self.limits).await
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("base", &self.name()).field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// The host and port of a URL.
pub(super) fn host(url: &str) -> String {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_owned()
}

/// A URL without what may be secret in it: user and password, and the values of its query.
pub(crate) fn shown(url: &str) -> String {
    let (before, query) = url.split_once('?').map_or((url, ""), |(before, _)| (before, "?…"));
    let (scheme, rest) = before.split_once("://").unwrap_or(("", before));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if scheme.is_empty() { format!("{host}{path}{query}") } else { format!("{scheme}://{host}{path}{query}") }
}

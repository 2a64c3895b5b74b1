//! A server with an interface of its own: where it is, what it is shown, and how long it may take.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;

use super::{Draft, HttpClient, HttpError, HttpLimits, PlainHttp};
use crate::secret::Secret;

/// A longer query goes as a form: proxies cut long addresses off, often at 8 KiB.
const LONGEST_QUERY: usize = 2_000;

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
        let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(values).finish();
        if encoded.is_empty() {
            self.send(Method::GET, path, None, Bytes::new()).await
        } else if encoded.len() <= LONGEST_QUERY {
            self.send(Method::GET, &format!("{path}?{encoded}"), None, Bytes::new()).await
        } else {
            self.send(Method::POST, path, Some("application/x-www-form-urlencoded"), encoded.into()).await
        }
    }

    /// Sends a body with its type.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        kind: Option<&str>,
        body: Bytes,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let mut draft = Draft::new(method, &format!("{}{path}", self.base)).accepts("application/json");
        if let Some(kind) = kind {
            draft = draft.kind(kind);
        }
        draft.bearer(self.token.as_ref()).body(body).send(self.http.as_ref(), self.limits).await
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("base", &self.name()).field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// A URL without what may be secret in it: user and password, and the values of its query.
pub(crate) fn shown(url: &str) -> String {
    let (before, query) = url.split_once('?').map_or((url, ""), |(before, _)| (before, "?…"));
    let (scheme, rest) = before.split_once("://").unwrap_or(("", before));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if scheme.is_empty() { format!("{host}{path}{query}") } else { format!("{scheme}://{host}{path}{query}") }
}

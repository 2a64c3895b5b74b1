//! A stand-in for a receiver of webhooks.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::http::{HttpClient, HttpError, HttpLimits};
use crate::secret::Secret;

/// A receiver that compares idempotency keys, as an HTTP client that asks it without a socket.
///
/// A POST is taken once for each `Idempotency-Key`, and answered `{"id": "m-1"}`; the same key again gets the same answer. A GET is asked
/// for an acknowledgement. Statuses and broken connections can be queued: each is used up by one request.
#[derive(Default)]
pub struct WebhookStandIn {
    token: Option<Secret>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    taken: Vec<(String, Value)>,
    faults: Vec<Fault>,
    answers: u64,
    acknowledged: BTreeMap<String, String>,
}

enum Fault {
    Status(StatusCode, String),
    NotThere,
    /// The request is taken, and then the connection breaks.
    Breaks,
}

impl WebhookStandIn {
    /// A receiver that wants no token.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, refusing requests without this bearer token; the refusal quotes what was shown, as careless servers do.
    #[must_use]
    pub fn wanting(mut self, token: Secret) -> Self {
        self.token = Some(token);
        self
    }

    /// The next request that has no fault yet is answered with this status and body.
    pub fn answer_next(&self, status: StatusCode, body: impl Into<String>) {
        self.held().faults.push(Fault::Status(status, body.into()));
    }

    /// The next request that has no fault yet reaches nobody.
    pub fn refuse_next_connection(&self) {
        self.held().faults.push(Fault::NotThere);
    }

    /// The next request that has no fault yet is taken, and its answer is lost.
    pub fn lose_next_answer(&self) {
        self.held().faults.push(Fault::Breaks);
    }

    /// Whoever asks for this delivery hears that it was acknowledged then, in RFC 3339.
    pub fn acknowledge(&self, id: impl Into<String>, at: impl Into<String>) {
        self.held().acknowledged.insert(id.into(), at.into());
    }

    /// The bodies that were taken, in order, one for each key.
    #[must_use]
    pub fn taken(&self) -> Vec<Value> {
        self.held().taken.iter().map(|(_, body)| body.clone()).collect()
    }

    /// How many notices were taken under this key.
    #[must_use]
    pub fn taken_under(&self, key: &str) -> usize {
        self.held().taken.iter().filter(|(known, _)| known == key).count()
    }

    /// How many requests came, repeats and faults included.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.held().answers
    }

    fn held(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, request: &Request<Bytes>) -> Result<(StatusCode, Value), HttpError> {
        let to = request.uri().host().unwrap_or_default().to_owned();
        let mut inner = self.held();
        inner.answers += 1;
        let fault = if inner.faults.is_empty() { None } else { Some(inner.faults.remove(0)) };
        match &fault {
            Some(Fault::Status(status, body)) => {
                let body = serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.clone()));
                return Ok((*status, body));
            }
            Some(Fault::NotThere) => {
                let source = std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into();
                return Err(HttpError::NotSent { to, source });
            }
            Some(Fault::Breaks) | None => {}
        }
        let shown =
            request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if let Some(token) = &self.token
            && !shown.strip_prefix("Bearer ").is_some_and(|shown| token.is(shown))
        {
            return Ok((StatusCode::UNAUTHORIZED, json!(format!("{shown} is not known at {}", request.uri()))));
        }
        if request.method() == Method::GET {
            let query = request.uri().query().unwrap_or_default();
            let id =
                form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "id").map(|(_, id)| id.into_owned());
            let at = id.and_then(|id| inner.acknowledged.get(&id).cloned());
            return Ok(match at {
                Some(at) => (StatusCode::OK, json!({ "acknowledged_at": at })),
                None => (StatusCode::NOT_FOUND, Value::Null),
            });
        }
        let key =
            request.headers().get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
        let Ok(body) = serde_json::from_slice::<Value>(request.body()) else {
            return Ok((StatusCode::BAD_REQUEST, json!("the body is not JSON")));
        };
        let known = inner.taken.iter().position(|(known, _)| *known == key && !key.is_empty());
        let at = known.unwrap_or_else(|| {
            inner.taken.push((key, body));
            inner.taken.len() - 1
        });
        if fault.is_some() {
            let source = std::io::Error::from(std::io::ErrorKind::ConnectionReset).into();
            return Err(HttpError::Broken { to, source });
        }
        Ok((StatusCode::OK, json!({ "id": format!("m-{}", at + 1) })))
    }
}

impl fmt::Debug for WebhookStandIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookStandIn").field("taken", &self.held().taken.len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpClient for WebhookStandIn {
    async fn send(&self, request: Request<Bytes>, _limits: HttpLimits) -> Result<Response<Bytes>, HttpError> {
        let (status, body) = self.take(&request)?;
        let mut answer = Response::new(Bytes::from(body.to_string()));
        *answer.status_mut() = status;
        Ok(answer)
    }
}

//! A small JSON interface on an address of its own.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::secret::Secret;
use crate::wait::told;

/// The largest request, in bytes: a full statement of many revisions stays far below.
const LARGEST: usize = 256 * 1024;
/// How many connections at once: one engine, a scraper and a few people.
const MOST_CONNECTIONS: usize = 64;
/// How long a request's head may take.
const HEAD_WITHIN: Duration = Duration::from_secs(30);

/// Who may call an admin interface, and from where.
#[derive(Debug, Clone)]
pub struct AdminAccess {
    token: Option<Secret>,
    beyond_loopback: bool,
}

impl AdminAccess {
    /// Whoever shows this bearer token, from this machine.
    #[must_use]
    pub fn token(token: Secret) -> Self {
        Self { token: Some(token), beyond_loopback: false }
    }

    /// Every process of this machine. Whoever can reach loopback can then move all traffic.
    #[must_use]
    pub fn anyone_on_this_machine() -> Self {
        Self { token: None, beyond_loopback: false }
    }

    /// The same, from other machines too. The interface has no TLS: put it into a network that you trust, with a token.
    #[must_use]
    pub fn beyond_loopback(mut self) -> Self {
        self.beyond_loopback = true;
        self
    }

    fn admits<B>(&self, request: &Request<B>) -> bool {
        let Some(token) = &self.token else { return true };
        let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        shown.and_then(|value| value.strip_prefix("Bearer ")).is_some_and(|shown| token.is(shown))
    }
}

/// One call: what is asked of which path, with which body.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Bytes,
}

impl Call {
    /// Method and path together, for one `match`.
    pub(crate) fn route(&self) -> (&str, &str) {
        (self.method.as_str(), &self.path)
    }
}

pub(crate) type Answer = Response<Full<Bytes>>;

/// Listens, and answers calls that `access` admits until it is told to stop.
pub(crate) async fn listen<F, A>(
    address: SocketAddr,
    access: AdminAccess,
    mut stopped: watch::Receiver<bool>,
    answer: F,
) -> std::io::Result<SocketAddr>
where
    F: Fn(Call) -> A + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    if !address.ip().is_loopback() && !access.beyond_loopback {
        let why = format!("{address} is not a loopback address, and the access does not allow others");
        return Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, why));
    }
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let (access, answer, room) = (Arc::new(access), Arc::new(answer), Arc::new(Semaphore::new(MOST_CONNECTIONS)));
    tokio::spawn(async move {
        loop {
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = told(&mut stopped) => return,
            };
            let Ok((stream, _)) = accepted else {
                crate::wait::pause(Duration::from_millis(10)).await;
                continue;
            };
            let (access, answer, mut stopped) = (Arc::clone(&access), Arc::clone(&answer), stopped.clone());
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let (access, answer) = (Arc::clone(&access), Arc::clone(&answer));
                    async move { Ok::<_, Infallible>(admit(request, &access, &*answer).await) }
                });
                let mut builder = http1::Builder::new();
                builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
                let connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
                tokio::select! {
                    _ = connection => {}
                    () = told(&mut stopped) => {}
                }
                drop(place);
            });
        }
    });
    Ok(address)
}

async fn admit<A: Future<Output = Answer>>(
    request: Request<Incoming>,
    access: &AdminAccess,
    answer: &(impl Fn(Call) -> A + Sync),
) -> Answer {
    if !access.admits(&request) {
        return problem(StatusCode::UNAUTHORIZED, "show the bearer token");
    }
    let (parts, body) = request.into_parts();
    match Limited::new(body, LARGEST).collect().await {
        Ok(body) => {
            answer(Call { method: parts.method, path: parts.uri.path().to_owned(), body: body.to_bytes() }).await
        }
        Err(_) => problem(StatusCode::PAYLOAD_TOO_LARGE, format!("a call has at most {LARGEST} bytes")),
    }
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(bytes) => answer(status, "application/json", bytes),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// A text answer in the format of Prometheus.
pub(crate) fn metrics(text: String) -> Answer {
    answer(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text)
}

/// An error, as JSON with one field.
pub(crate) fn problem(status: StatusCode, error: impl Into<String>) -> Answer {
    json(status, &serde_json::json!({ "error": error.into() }))
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    answer
}

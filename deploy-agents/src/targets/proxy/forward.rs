//! One request on its way through: choose, send, try again where that is safe, answer.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use deploy_core::name::RevisionName;
use deploy_core::time::millis;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use super::body::{AnswerBody, Streamed, Untouched, full};
use super::statistics::Statistics;
use super::upstream::Busy;
use super::{Door, Inner, Table};

/// Which revision answered; on every answer if [`ProxyConfig::reveal_revision`](super::ProxyConfig::reveal_revision) is set.
pub const REVISION_HEADER: &str = "x-deploy-revision";
/// Marks copies, so that a service can keep their effects apart.
pub const MIRROR_HEADER: &str = "x-deploy-mirror";

/// How often one request is sent at most: once, and at three more instances.
const MOST_ATTEMPTS: usize = 4;
/// Answers to safe requests up to this size are read whole before they are passed on, so that one that breaks off can be
/// asked for again elsewhere. Longer ones are streamed.
const WHOLE_ANSWER: u64 = 64 * 1024;

/// Counts a request as answered when it is dropped, at the end of its answer.
#[derive(Debug)]
pub(crate) struct Ending {
    busy: Option<Busy>,
    statistics: Arc<Statistics>,
    /// What was answered; nothing as long as nothing was, or if another instance answers.
    status: Option<StatusCode>,
    started: Duration,
    inner: Arc<Inner>,
}

impl Ending {
    fn new(busy: Busy, statistics: Arc<Statistics>, started: Duration, inner: Arc<Inner>) -> Self {
        statistics.in_flight.fetch_add(1, Relaxed);
        Self { busy: Some(busy), statistics, status: None, started, inner }
    }

    pub(crate) fn broke_off(&self) {
        self.statistics.broken_answers.fetch_add(1, Relaxed);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        drop(self.busy.take());
        if let Some(status) = self.status {
            self.statistics.answered(status, self.inner.config.clock.monotonic().saturating_sub(self.started));
        }
        self.statistics.in_flight.fetch_sub(1, Relaxed);
    }
}

/// Why an attempt gave no answer.
enum Failed {
    /// Nobody was reached: nothing of the request was received.
    NotSent,
    /// The connection broke before a whole answer had come; the request may have been received.
    Broken,
    /// No answer began in time.
    TooSlow,
}

impl Inner {
    /// Forwards one request.
    pub(crate) async fn forward(
        self: Arc<Self>,
        request: Request<Incoming>,
        client: SocketAddr,
        door: Door,
    ) -> Response<AnswerBody> {
        let started = self.config.clock.monotonic();
        let (mut parts, body) = request.into_parts();
        prepare(&mut parts.headers, client);
        let body = Untouched::new(body);
        let Some(meant) = self.choose(&parts.headers, door) else {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "no revision serves traffic here");
        };
        // A safe request without a body may be sent again even if the first instance received it (RFC 9110, 9.2.1, 9.2.2).
        let safe = body.is_empty() && parts.method.is_safe() && parts.method != Method::CONNECT;
        if safe && door == Door::Users {
            self.mirror(&parts);
        }
        let mut tried = Vec::new();
        let mut failure: Option<(StatusCode, Ending)> = None;
        loop {
            let next = if tried.len() < MOST_ATTEMPTS { self.begin(&meant, door, &tried) } else { None };
            let Some((revision, busy, statistics)) = next else {
                return Self::give_up(failure);
            };
            // The attempt before this one counts as no answer: another instance gives it.
            drop(failure.take());
            tried.push(busy.0.address);
            let upstream = Arc::clone(&busy.0);
            let ending = Ending::new(busy, Arc::clone(&statistics), started, Arc::clone(&self));
            match self.attempt(&parts, &body, upstream.address, safe, ending).await {
                Ok(mut answer) => {
                    if revision != meant {
                        self.statistics(&meant).failed_over.fetch_add(1, Relaxed);
                    }
                    if self.config.reveal_revision
                        && let Ok(value) = HeaderValue::from_str(revision.as_str())
                    {
                        answer.headers_mut().insert(REVISION_HEADER, value);
                    }
                    return answer;
                }
                Err((failed, ending)) => {
                    statistics.failed_attempts.fetch_add(1, Relaxed);
                    let (status, again) = match failed {
                        Failed::NotSent => (StatusCode::BAD_GATEWAY, body.is_whole()),
                        Failed::Broken => (StatusCode::BAD_GATEWAY, safe),
                        Failed::TooSlow => (StatusCode::GATEWAY_TIMEOUT, false),
                    };
                    if status == StatusCode::BAD_GATEWAY {
                        upstream.skip_until(millis(self.config.clock.monotonic() + self.config.skip_refused));
                    }
                    failure = Some((status, ending));
                    if !again {
                        return Self::give_up(failure);
                    }
                }
            }
        }
    }

    /// Answers in the place of an instance.
    fn give_up(failure: Option<(StatusCode, Ending)>) -> Response<AnswerBody> {
        match failure {
            Some((status, mut ending)) => {
                ending.status = Some(status);
                plain(status, "the instance gave no answer")
            }
            None => plain(StatusCode::SERVICE_UNAVAILABLE, "no instance of the revision is there to answer"),
        }
    }

    /// Sends the request once.
    async fn attempt(
        self: &Arc<Self>,
        parts: &http::request::Parts,
        body: &Untouched,
        to: SocketAddr,
        safe: bool,
        mut ending: Ending,
    ) -> Result<Response<AnswerBody>, (Failed, Ending)> {
        let mut request = Request::new(body.lend());
        *request.method_mut() = parts.method.clone();
        *request.headers_mut() = parts.headers.clone();
        *request.uri_mut() = address(to, &parts.uri);
        let sent = tokio::time::timeout(self.config.answer_within, self.client.request(request)).await;
        let answer = match sent {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) if error.is_connect() => return Err((Failed::NotSent, ending)),
            Ok(Err(_)) => return Err((Failed::Broken, ending)),
            Err(_) => return Err((Failed::TooSlow, ending)),
        };
        let (mut head, incoming) = answer.into_parts();
        strip_hop_by_hop(&mut head.headers);
        ending.status = Some(head.status);
        let short = incoming.size_hint().exact().is_some_and(|length| length <= WHOLE_ANSWER);
        if safe && short {
            match tokio::time::timeout(self.config.answer_within, incoming.collect()).await {
                Ok(Ok(whole)) => Ok(Response::from_parts(head, full(whole.to_bytes()))),
                broken => {
                    ending.status = None;
                    Err((if broken.is_ok() { Failed::Broken } else { Failed::TooSlow }, ending))
                }
            }
        } else {
            Ok(Response::from_parts(head, Streamed { body: incoming, ending }.boxed_unsync()))
        }
    }

    /// Begins a request at an instance of the revision that it is meant for or, where none is left and the configuration
    /// says so, of another revision that serves.
    fn begin(
        &self,
        meant: &RevisionName,
        door: Door,
        tried: &[SocketAddr],
    ) -> Option<(RevisionName, Busy, Arc<Statistics>)> {
        loop {
            let table = self.table();
            let begun = self.begin_in(&table, meant, door, tried);
            // An instance that was found in a table that has just been replaced takes no requests any more: look again.
            if begun.is_some() || Arc::ptr_eq(&table, &self.table()) {
                return begun;
            }
        }
    }

    fn begin_in(
        &self,
        table: &Table,
        meant: &RevisionName,
        door: Door,
        tried: &[SocketAddr],
    ) -> Option<(RevisionName, Busy, Arc<Statistics>)> {
        let now = millis(self.config.clock.monotonic());
        let at = |revision: &RevisionName| {
            let pool = table.pools.get(revision)?;
            pool.begin(tried, now).map(|busy| (revision.clone(), busy, Arc::clone(&pool.statistics)))
        };
        let elsewhere = || {
            let mut others: Vec<_> = table.routing.weights.iter().filter(|(r, w)| **w > 0 && *r != meant).collect();
            others.sort_by_key(|(_, weight)| std::cmp::Reverse(**weight));
            others.into_iter().find_map(|(revision, _)| at(revision))
        };
        // A revision that was chosen a moment ago and serves no longer is no reason to refuse the request either.
        // Whoever asks for the preview wants that revision and no other.
        let may_go_elsewhere =
            door == Door::Users && (self.config.fail_over || !table.routing.serving().contains(meant));
        at(meant).or_else(|| may_go_elsewhere.then(elsewhere).flatten())
    }

    /// Sends a copy, if this request's turn has come and there is room; its answer is thrown away.
    fn mirror(self: &Arc<Self>, parts: &http::request::Parts) {
        let table = self.table();
        let Some(to) = table.next_mirrored() else { return };
        let Ok(room) = Arc::clone(&self.copies).try_acquire_owned() else { return };
        let Some(pool) = table.pools.get(&to) else { return };
        let Some(busy) = pool.begin(&[], millis(self.config.clock.monotonic())) else { return };
        pool.statistics.mirrored.fetch_add(1, Relaxed);
        let mut request = Request::new(super::body::RequestBody::Empty(http_body_util::Empty::new()));
        *request.method_mut() = parts.method.clone();
        *request.headers_mut() = parts.headers.clone();
        request.headers_mut().insert(MIRROR_HEADER, HeaderValue::from_static("1"));
        *request.uri_mut() = address(busy.0.address, &parts.uri);
        let (client, bound) = (self.client.clone(), self.config.answer_within);
        tokio::spawn(async move {
            let copy = async {
                if let Ok(answer) = client.request(request).await {
                    let mut body = answer.into_body();
                    while let Some(Ok(_)) = body.frame().await {}
                }
            };
            let _ = tokio::time::timeout(bound, copy).await;
            drop((busy, room));
        });
    }
}

impl Table {
    /// Where a copy of this request goes, if its turn has come: exactly `percent` of every hundred.
    fn next_mirrored(&self) -> Option<RevisionName> {
        let mirror = self.routing.mirror.as_ref()?;
        let mut owed = self.owed_copies.lock().unwrap_or_else(PoisonError::into_inner);
        *owed += mirror.percent;
        (*owed >= 100).then(|| {
            *owed -= 100;
            mirror.to.clone()
        })
    }
}

/// Takes out what concerns one connection alone (RFC 9110, 7.6.1).
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    let always = [header::CONNECTION, header::PROXY_AUTHENTICATE, header::PROXY_AUTHORIZATION, header::TE];
    for name in always.into_iter().chain([header::TRAILER, header::TRANSFER_ENCODING, header::UPGRADE]) {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
}

fn prepare(headers: &mut HeaderMap, client: SocketAddr) {
    strip_hop_by_hop(headers);
    let client = client.ip().to_string();
    let before = headers.get("x-forwarded-for").and_then(|v| v.to_str().ok());
    let chain = before.map_or_else(|| client.clone(), |before| format!("{before}, {client}"));
    if let Ok(value) = HeaderValue::from_str(&chain) {
        headers.insert("x-forwarded-for", value);
    }
    headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
}

fn address(to: SocketAddr, uri: &Uri) -> Uri {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Uri::builder().scheme("http").authority(to.to_string()).path_and_query(path).build().unwrap_or_default()
}

fn plain(status: StatusCode, text: &'static str) -> Response<AnswerBody> {
    let mut answer = Response::new(full(text));
    *answer.status_mut() = status;
    answer
}

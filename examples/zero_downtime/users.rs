//! The users: as many as there are ask as fast as they are answered, each over a connection that is kept open.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::service::{REVISION_HEADER, USER_HEADER, VARIANT_HEADER};

/// How long a user waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many different reasons of failures are kept.
const MOST_REASONS: usize = 8;
/// How many different names users have.
const NAMES: u64 = 1000;

/// What users met.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// How many requests got the whole answer of the service.
    pub(crate) answered: u64,
    /// How many did not.
    pub(crate) failed: u64,
    /// How often a connection was found closed before a request was sent on it. Nobody lost anything by that.
    pub(crate) reconnects: u64,
    /// Who answered.
    pub(crate) by_revision: BTreeMap<String, u64>,
    /// How many were answered with the flag on.
    pub(crate) with_flag: u64,
    /// Why requests failed.
    pub(crate) reasons: BTreeMap<String, u64>,
}

impl Tally {
    fn count(&mut self, answered: Result<Answered, String>) {
        match answered {
            Ok(Answered { revision, with_flag }) => {
                self.answered += 1;
                self.with_flag += u64::from(with_flag);
                *self.by_revision.entry(revision).or_default() += 1;
            }
            Err(why) => {
                self.failed += 1;
                if self.reasons.len() < MOST_REASONS || self.reasons.contains_key(&why) {
                    *self.reasons.entry(why).or_default() += 1;
                }
            }
        }
    }

    /// Whether this revision has answered anybody.
    pub(crate) fn has_met(&self, revision: &str) -> bool {
        self.by_revision.contains_key(revision)
    }
}

/// What one user was answered.
#[derive(Debug)]
struct Answered {
    revision: String,
    with_flag: bool,
}

/// Users who keep asking until they are told to stop.
#[derive(Debug)]
pub(crate) struct Users {
    tally: Arc<Mutex<Tally>>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Users {
    /// Lets so many in; they share the addresses out among them.
    pub(crate) fn start(users: usize, addresses: &[SocketAddr]) -> Self {
        let (tally, (stop, stopped)) = (Arc::<Mutex<Tally>>::default(), watch::channel(false));
        let tasks = (0..users.max(addresses.len())).zip(addresses.iter().copied().cycle()).map(|(_, address)| {
            let (tally, stopped) = (Arc::clone(&tally), stopped.clone());
            tokio::spawn(User { address, connection: None, asked: 0 }.ask_on(tally, stopped))
        });
        let tasks = tasks.collect();
        Self { tally, stop, tasks }
    }

    /// How they fared so far.
    pub(crate) fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets those who have asked have their answers, and nobody ask again.
    pub(crate) async fn stop(mut self) -> Tally {
        self.stop.send_replace(true);
        for task in self.tasks.drain(..) {
            // A task that panicked has counted what it could.
            let _ = task.await;
        }
        self.tally()
    }
}

struct User {
    address: SocketAddr,
    connection: Option<SendRequest<Full<Bytes>>>,
    asked: u64,
}

impl User {
    async fn ask_on(mut self, tally: Arc<Mutex<Tally>>, stopped: watch::Receiver<bool>) {
        while !*stopped.borrow() {
            let reconnects = u64::from(self.is_cut_off().await);
            let answered = match tokio::time::timeout(PATIENCE, self.ask()).await {
                Ok(answered) => answered,
                Err(_) => Err(format!("no answer within {PATIENCE:?}")),
            };
            if answered.is_err() {
                self.connection = None;
            }
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.reconnects += reconnects;
            tally.count(answered);
        }
    }

    /// Whether a connection that was kept open has been closed by the other side.
    async fn is_cut_off(&mut self) -> bool {
        let Some(connection) = &mut self.connection else { return false };
        let closed = connection.ready().await.is_err();
        if closed {
            self.connection = None;
        }
        closed
    }

    /// One request: three of four read, the fourth writes. A write is never sent twice by anybody, so that nothing hides a
    /// request that was lost.
    async fn ask(&mut self) -> Result<Answered, String> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => self.connection.insert(connect(self.address).await?),
        };
        self.asked += 1;
        let order = self.asked.is_multiple_of(4);
        let request = if order { Request::post("/orders") } else { Request::get("/") };
        let body = if order { Bytes::from_static(b"two of these") } else { Bytes::new() };
        let user = (self.asked % NAMES).to_string();
        let request = request
            .header("host", "shop")
            .header(USER_HEADER, user)
            .body(Full::new(body))
            .map_err(|e| e.to_string())?;
        let answer = connection.send_request(request).await.map_err(|e| format!("no answer: {e}"))?;
        read(answer).await
    }
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>, String> {
    let stream = TcpStream::connect(address).await.map_err(|e| format!("no connection: {e}"))?;
    // A failure here costs a few milliseconds of latency and nothing else.
    let _ = stream.set_nodelay(true);
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|e| format!("no connection: {e}"))?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Reads an answer to its end; gives the revision that gave it.
async fn read(answer: Response<Incoming>) -> Result<Answered, String> {
    let (head, body) = answer.into_parts();
    let body = body.collect().await.map_err(|e| format!("the answer broke off: {e}"))?.to_bytes();
    let revision = head.headers.get(REVISION_HEADER).and_then(|value| value.to_str().ok());
    match revision {
        Some(revision) if head.status.is_success() && body.starts_with(revision.as_bytes()) => {
            let with_flag = head.headers.get(VARIANT_HEADER).is_some_and(|variant| variant == "on");
            Ok(Answered { revision: revision.to_owned(), with_flag })
        }
        _ => Err(format!("{}: {}", head.status, String::from_utf8_lossy(&body[..body.len().min(80)]).trim())),
    }
}

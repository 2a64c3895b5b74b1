//! The users: they come in through the proxy, all the time, each under a name of its own.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::service::VERSION_HEADER;
use crate::tally::{Answered, Counts, Tally};

/// How many users there are.
const USERS: u32 = 500;
/// How many of them are at the counter at once.
const AT_ONCE: u64 = 32;
/// How often each place at the counter is taken: 160 requests a second in all.
const EVERY: Duration = Duration::from_millis(200);
/// How long a user waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Users who keep coming until they are told to stop.
pub(crate) struct Users {
    tally: Arc<Mutex<Tally>>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

type Http = Client<HttpConnector, Full<Bytes>>;

impl Users {
    /// Lets them in at `address`.
    pub(crate) fn start(address: SocketAddr) -> Self {
        let (tally, (stop, stopped)) = (Arc::<Mutex<Tally>>::default(), watch::channel(false));
        let http: Http = Client::builder(TokioExecutor::new()).build_http();
        let tasks = (0..AT_ONCE).map(|seat| {
            let (tally, http, mut stopped) = (Arc::clone(&tally), http.clone(), stopped.clone());
            tokio::spawn(async move {
                let mut turns = tokio::time::interval(EVERY);
                turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
                for turn in 0.. {
                    tokio::select! {
                        _ = turns.tick() => {}
                        _ = stopped.wait_for(|stop| *stop) => return,
                    }
                    // A request that was begun is seen to its end: one that was dropped would be one that nobody counted.
                    let number = turn * AT_ONCE + seat;
                    let user = user(number);
                    let answered = ask(&http, address, number, user).await;
                    tally.lock().unwrap_or_else(PoisonError::into_inner).count(user, answered);
                }
            })
        });
        let tasks = tasks.collect();
        Self { tally, stop, tasks }
    }

    /// How they fared so far.
    pub(crate) fn counts(&self) -> Counts {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).counts(USERS)
    }

    /// Lets nobody in any more, and waits for those who are in.
    pub(crate) async fn stop(&mut self) {
        self.stop.send_replace(true);
        for task in self.tasks.drain(..) {
            // A task that panicked has counted what it could.
            let _ = task.await;
        }
    }
}

/// Which user makes a request. Scattered, so that the proxy's even split does not always send the same ones to one side.
fn user(number: u64) -> u32 {
    // The mixing step of SplitMix64.
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    u32::try_from((z ^ (z >> 31)) % u64::from(USERS)).unwrap_or(0)
}

/// Makes one request: two of three read, the third writes. A write is never sent twice by anybody, so that nothing hides a
/// request that was lost.
async fn ask(http: &Http, address: SocketAddr, number: u64, user: u32) -> Answered {
    let url = format!("http://{address}/orders");
    let request = if number.is_multiple_of(3) { Request::post(url) } else { Request::get(url) };
    let body = if number.is_multiple_of(3) { Bytes::from_static(b"two of these") } else { Bytes::new() };
    let Ok(request) = request.header("x-user", user.to_string()).body(Full::new(body)) else {
        return Answered::Lost { why: "the request could not be made".to_owned() };
    };
    let answering = async {
        let answer =
            http.request(request).await.map_err(|e| format!("no answer: {}", deploy_core::report::chain(&e)))?;
        let (head, body) = answer.into_parts();
        body.collect().await.map_err(|e| format!("the answer broke off: {}", deploy_core::report::chain(&e)))?;
        Ok::<_, String>(head)
    };
    let head = match tokio::time::timeout(PATIENCE, answering).await {
        Ok(Ok(head)) => head,
        Ok(Err(why)) => return Answered::Lost { why },
        Err(_) => return Answered::Lost { why: format!("no answer within {PATIENCE:?}") },
    };
    let version = head.headers.get(VERSION_HEADER).and_then(|v| v.to_str().ok()).map(str::to_owned);
    match version {
        Some(version) if head.status == StatusCode::OK => Answered::Well { version },
        Some(version) if head.status.is_server_error() => Answered::Refused { version },
        Some(version) => Answered::Lost { why: format!("{version} answered {}, which it never does", head.status) },
        None => Answered::Lost { why: format!("{} without the service's mark", head.status) },
    }
}

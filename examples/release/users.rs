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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::Full;
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::{Http, USERS, ask, user};
    use crate::tally::{Answered, Tally};

    /// What becomes of a request that is answered with exactly these bytes.
    async fn answered_with(bytes: &'static str) -> Answered {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            // Whatever has arrived of the request is enough to answer.
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
            stream.write_all(bytes.as_bytes()).await.unwrap();
        });
        let http: Http = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        ask(&http, address, 1, 1).await
    }

    #[tokio::test]
    async fn only_an_answer_of_the_service_counts_as_one() {
        let well = answered_with("HTTP/1.1 200 OK\r\nx-orders-version: v2\r\ncontent-length: 2\r\n\r\nok").await;
        assert_eq!(well, Answered::Well { version: "v2".to_owned() });
        let refused = answered_with("HTTP/1.1 500 Oh\r\nx-orders-version: v3\r\ncontent-length: 0\r\n\r\n").await;
        assert_eq!(refused, Answered::Refused { version: "v3".to_owned() });
        for lost in [
            // The proxy's own page.
            "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n",
            // Even with a good status, somebody else answered.
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            // Broken off.
            "HTTP/1.1 200 OK\r\nx-orders-version: v2\r\ncontent-length: 9\r\n\r\nok",
            "",
        ] {
            let answered = answered_with(lost).await;
            assert!(matches!(answered, Answered::Lost { .. }), "{lost:?} gave {answered:?}");
        }
    }

    #[test]
    fn users_come_in_scattered_order_and_all_of_them_come() {
        let every_twentieth: std::collections::BTreeSet<u32> = (0..2_000).map(|n| user(n * 20)).collect();
        assert!(
            every_twentieth.len() > 450,
            "an even split does not meet the same few of {USERS}: {every_twentieth:?}"
        );
    }

    #[test]
    fn a_tally_counts_users_once_and_losses_for_nobody() {
        let mut tally = Tally::default();
        for _ in 0..3 {
            tally.count(7, Answered::Refused { version: "v3".to_owned() });
        }
        tally.count(8, Answered::Well { version: "v3".to_owned() });
        tally.count(9, Answered::Lost { why: "no answer".to_owned() });
        let counts = tally.counts(USERS);
        let v3 = &counts.versions["v3"];
        assert_eq!(
            (counts.requests, counts.lost, v3.requests, v3.refused, v3.users, v3.users_refused),
            (5, 1, 4, 3, 2, 1)
        );
    }
}

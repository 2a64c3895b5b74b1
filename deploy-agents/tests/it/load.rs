//! Users: keep-alive clients that count what they were answered.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use deploy_agents::wait::until;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::sync::watch;

/// The bound of every wait in these stories: far longer than anything takes, so that a slow machine fails nothing.
pub(crate) const BOUND: Duration = Duration::from_secs(120);
pub(crate) const EVERY: Duration = Duration::from_millis(5);

/// Waits for a condition, with a bound.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool + Send) {
    let met = until(BOUND, EVERY, || std::future::ready(condition().then_some(()))).await;
    assert!(met.is_ok(), "never came true: {what}");
}

/// Users who ask as fast as they are answered.
pub(crate) struct Load {
    answered: Arc<AtomicU64>,
    failures: Arc<Mutex<Vec<String>>>,
    by_revision: Arc<Mutex<BTreeMap<String, u64>>>,
    stop: watch::Sender<bool>,
    users: Vec<tokio::task::JoinHandle<()>>,
}

pub(crate) struct Tally {
    pub(crate) answered: u64,
    pub(crate) failures: Vec<String>,
    pub(crate) by_revision: BTreeMap<String, u64>,
}

impl Load {
    pub(crate) fn start(users: usize, at: SocketAddr) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut load = Self {
            answered: Arc::default(),
            failures: Arc::default(),
            by_revision: Arc::default(),
            stop,
            users: Vec::new(),
        };
        for _ in 0..users {
            let (answered, failures, by_revision, stopped) = (
                Arc::clone(&load.answered),
                Arc::clone(&load.failures),
                Arc::clone(&load.by_revision),
                stopped.clone(),
            );
            load.users.push(tokio::spawn(async move {
                let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
                while !*stopped.borrow() {
                    match ask(&client, at).await {
                        Ok(revision) => *by_revision.lock().expect("nobody panics").entry(revision).or_default() += 1,
                        Err(failure) => failures.lock().expect("nobody panics").push(failure),
                    }
                    answered.fetch_add(1, SeqCst);
                }
            }));
        }
        load
    }

    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(SeqCst)
    }

    /// Waits until so many more requests were answered.
    pub(crate) async fn more(&self, requests: u64) {
        let due = self.answered() + requests;
        eventually("users are answered", || self.answered() >= due).await;
    }

    pub(crate) async fn stop(self) -> Tally {
        self.stop.send_replace(true);
        for user in self.users {
            user.await.expect("users do not panic");
        }
        let failures = self.failures.lock().expect("nobody panics").clone();
        let by_revision = self.by_revision.lock().expect("nobody panics").clone();
        Tally { answered: self.answered.load(SeqCst), failures, by_revision }
    }
}

pub(crate) type Http = Client<hyper_util::client::legacy::connect::HttpConnector, Empty<Bytes>>;

async fn ask(client: &Http, at: SocketAddr) -> Result<String, String> {
    let url = format!("http://{at}/").parse().expect("a URL");
    let answer = client.get(url).await.map_err(|e| format!("no answer: {e:?}"))?;
    let status = answer.status();
    let body = answer.into_body().collect().await.map_err(|e| format!("broke off: {e:?}"))?.to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    if status == 200 { Ok(text) } else { Err(format!("{status}: {text}")) }
}

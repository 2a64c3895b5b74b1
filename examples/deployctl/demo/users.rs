//! The users of the service: they place orders all the time, so that there is something to measure.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use deploy_agents::http::{HttpClient as _, HttpLimits, PlainHttp};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

/// How often one comes: 50 orders a second.
const EVERY: Duration = Duration::from_millis(20);

/// Lets them in, until the task is stopped.
pub(super) fn come_and_go(address: SocketAddr) -> JoinHandle<()> {
    tokio::spawn(async move {
        let http = PlainHttp::new();
        let mut turns = tokio::time::interval(EVERY);
        turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            turns.tick().await;
            let Ok(order) = http::Request::post(format!("http://{address}/orders")).body(Bytes::from_static(b"one"))
            else {
                return;
            };
            let http = http.clone();
            tokio::spawn(async move {
                // What they meet is counted by the proxy.
                let _ = http.send(order, HttpLimits::default()).await;
            });
        }
    })
}

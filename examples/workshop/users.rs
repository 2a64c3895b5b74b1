//! People who use the service, and what they met, as a summary in the form that k6 writes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use deploy_agents::http::{HttpClient as _, HttpLimits, PlainHttp};
use deploy_core::time::{Clock as _, SystemClock};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// What one user met: how long each request took, in seconds, and which failed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Met {
    took: Vec<f64>,
    pub(crate) failed: u64,
    pub(crate) orders: u64,
    pub(crate) reasons: Vec<String>,
    seconds: f64,
}

/// Users at work.
#[derive(Debug)]
pub(crate) struct Users {
    stop: Arc<AtomicBool>,
    at_work: JoinSet<Met>,
    clock: SystemClock,
}

/// Lets a span pass.
#[expect(clippy::disallowed_methods, reason = "users live on the wall clock")]
pub(crate) async fn pause(span: Duration) {
    tokio::time::sleep(span).await;
}

impl Users {
    /// So many users, each of whom pauses between two requests, until they are stopped or each has made `most` of them.
    pub(crate) fn start(place: SocketAddr, users: usize, between: Duration, most: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut at_work = JoinSet::new();
        for _ in 0..users {
            let stop = Arc::clone(&stop);
            at_work.spawn(async move {
                let (http, clock, mut met) = (PlainHttp::new(), SystemClock::new(), Met::default());
                let mut made = 0;
                while !stop.load(Ordering::Acquire) && made < most {
                    made += 1;
                    let places = made % 4 == 0;
                    let request = if places {
                        http::Request::post(format!("http://{place}/orders")).body(Bytes::from("tea;12;250"))
                    } else {
                        http::Request::get(format!("http://{place}/orders")).body(Bytes::new())
                    };
                    let Ok(request) = request else { break };
                    let began = clock.monotonic();
                    match http.send(request, HttpLimits::default()).await {
                        Ok(answer) if answer.status().is_success() => met.orders += u64::from(places),
                        Ok(answer) => met.fail(format!("status {}", answer.status())),
                        Err(error) => met.fail(deploy_core::report::chain(&error)),
                    }
                    met.took.push(clock.monotonic().saturating_sub(began).as_secs_f64());
                    if !between.is_zero() {
                        pause(between).await;
                    }
                }
                met
            });
        }
        Self { stop, at_work, clock: SystemClock::new() }
    }

    /// Waits until all of them have made their requests.
    pub(crate) async fn done(self) -> Met {
        let seconds = self.clock;
        let mut all = Met::default();
        for met in self.at_work.join_all().await {
            all.took.extend(met.took);
            all.failed += met.failed;
            all.orders += met.orders;
            all.reasons.extend(met.reasons);
        }
        all.seconds = seconds.monotonic().as_secs_f64();
        all.took.sort_by(f64::total_cmp);
        all
    }

    /// Tells them to stop, and waits for the requests under way.
    pub(crate) async fn stop(self) -> Met {
        self.stop.store(true, Ordering::Release);
        self.done().await
    }
}

impl Met {
    fn fail(&mut self, reason: String) {
        self.failed += 1;
        if self.reasons.len() < 5 {
            self.reasons.push(reason);
        }
    }

    pub(crate) fn requests(&self) -> u64 {
        self.took.len() as u64
    }

    /// The latency that so many of a thousand requests did not exceed, in milliseconds.
    pub(crate) fn per_mille(&self, per_mille: usize) -> f64 {
        let last = self.took.len().saturating_sub(1);
        self.took.get(last * per_mille / 1000).copied().unwrap_or_default() * 1000.0
    }

    /// The share of requests that failed.
    #[expect(clippy::cast_precision_loss, reason = "counts of requests stay far below 2^52")]
    pub(crate) fn failed_share(&self) -> f64 {
        self.failed as f64 / (self.requests().max(1)) as f64
    }

    /// The summary, in the form that k6 writes.
    #[expect(clippy::cast_precision_loss, reason = "counts of requests stay far below 2^52")]
    pub(crate) fn k6(&self) -> Value {
        let count = self.requests();
        let mean = self.took.iter().sum::<f64>() * 1000.0 / (count.max(1)) as f64;
        json!({
            "state": { "testRunDurationMs": self.seconds * 1000.0 },
            "metrics": {
                "http_reqs": { "values": { "count": count, "rate": count as f64 / self.seconds.max(0.001) } },
                "http_req_failed": { "values": { "rate": self.failed_share(), "passes": self.failed, "fails": count - self.failed } },
                "http_req_duration": { "values": {
                    "avg": mean, "min": self.per_mille(0), "med": self.per_mille(500), "max": self.per_mille(1000),
                    "p(90)": self.per_mille(900), "p(95)": self.per_mille(950), "p(99)": self.per_mille(990),
                } },
            },
        })
    }
}

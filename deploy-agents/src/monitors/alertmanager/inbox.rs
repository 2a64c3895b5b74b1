//! Receives what Alertmanager sends.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use deploy_core::time::{Clock, SystemClock, Timestamp};
use http::StatusCode;
use tokio::sync::watch;

use super::{MessageError, SentAlert, WebhookMessage};
use crate::targets::AdminAccess;
use crate::targets::admin::{json, listen, problem};

/// How many messages are kept; the oldest are forgotten first.
const MOST: usize = 1_000;

/// A message and when it came.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// When it came.
    pub at: Timestamp,
    /// What it says.
    pub message: WebhookMessage,
}

/// A webhook for Alertmanager: keeps the last thousand messages as data. What follows from them is the host's to say.
///
/// Dropping it stops it.
#[derive(Debug)]
pub struct AlertInbox {
    address: SocketAddr,
    delivered: Arc<Mutex<VecDeque<Delivered>>>,
    _stop: watch::Sender<bool>,
}

impl AlertInbox {
    /// Listens at `address`; `POST /alerts` takes a message.
    ///
    /// # Errors
    ///
    /// The address could not be listened at, or is not a loopback address and `access` does not allow others.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the listener.
    pub async fn bind(address: SocketAddr, access: AdminAccess) -> std::io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let delivered: Arc<Mutex<VecDeque<Delivered>>> = Arc::default();
        let (kept, clock) = (Arc::clone(&delivered), SystemClock::new());
        let address = listen(address, access, stopped, move |call| {
            let answer = match call.route() {
                ("POST", "/alerts") => match keep(&kept, &call.body, clock.wall()) {
                    Ok(()) => json(StatusCode::OK, &serde_json::json!({ "taken": true })),
                    // Alertmanager gives up on a 4xx and tries again on a 5xx: what cannot be read now cannot be read later.
                    Err(error) => problem(StatusCode::BAD_REQUEST, deploy_core::report::chain(&error)),
                },
                _ => problem(StatusCode::NOT_FOUND, "POST messages to /alerts"),
            };
            std::future::ready(answer)
        });
        Ok(Self { address: address.await?, delivered, _stop: stop })
    }

    /// The URL that Alertmanager is to be given.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/alerts", self.address)
    }

    /// What came, oldest first.
    #[must_use]
    pub fn delivered(&self) -> Vec<Delivered> {
        self.delivered.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// When a firing alert with this label came first, and the alert.
    #[must_use]
    pub fn first_with(&self, label: &str, value: &str) -> Option<(Timestamp, SentAlert)> {
        self.first_delivery(label, value).map(|(at, alert, _)| (at, alert))
    }

    /// The same, with the receiver that it was routed to.
    pub(super) fn first_delivery(&self, label: &str, value: &str) -> Option<(Timestamp, SentAlert, String)> {
        let has = |alert: &&SentAlert| alert.firing && alert.labels.get(label).is_some_and(|there| there == value);
        let delivered = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        delivered
            .iter()
            .find_map(|d| Some((d.at, d.message.alerts.iter().find(has)?.clone(), d.message.receiver.clone())))
    }
}

fn keep(kept: &Mutex<VecDeque<Delivered>>, body: &[u8], at: Timestamp) -> Result<(), MessageError> {
    let message = WebhookMessage::parse(body)?;
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() == MOST {
        kept.pop_front();
    }
    kept.push_back(Delivered { at, message });
    Ok(())
}

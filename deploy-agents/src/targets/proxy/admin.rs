//! The proxy's own admin interface, for hosts that run it without a fleet.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use deploy_core::effect::Fence;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{Proxy, Routing};
use crate::targets::admin::{AdminAccess, Answer, Call, json, listen, metrics, problem};

/// Serves a proxy's state, counters and control over HTTP. Dropping it stops the interface, not the proxy.
///
/// | call | body | answer |
/// |---|---|---|
/// | `GET /v1/routing` | | the [`Routing`] in force |
/// | `PUT /v1/routing` | [`PutRouting`] | `{"changed": …}`; 409 for an older fence, 422 for an unsound statement |
/// | `GET /metrics` | | counters in the text format of Prometheus |
#[derive(Debug)]
pub struct ProxyAdmin {
    address: SocketAddr,
    _stop: watch::Sender<bool>,
}

/// A statement for the proxy, with the fence of whoever makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutRouting {
    /// Orders who may change the routing: one older than the newest that was seen is refused.
    pub fence: Fence,
    /// The full statement.
    pub routing: Routing,
}

impl ProxyAdmin {
    /// Serves `proxy` at `address`.
    ///
    /// # Errors
    ///
    /// The address could not be listened at, or is not a loopback address and `access` does not allow others.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the listener.
    pub async fn bind(address: SocketAddr, access: AdminAccess, proxy: Arc<Proxy>) -> std::io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let newest: Arc<Mutex<Option<Fence>>> = Arc::default();
        let address = listen(address, access, stopped, move |call| {
            let (proxy, newest) = (Arc::clone(&proxy), Arc::clone(&newest));
            async move { answer(&call, &proxy, &newest) }
        });
        Ok(Self { address: address.await?, _stop: stop })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn answer(call: &Call, proxy: &Proxy, newest: &Mutex<Option<Fence>>) -> Answer {
    match call.route() {
        ("GET", "/v1/routing") => json(StatusCode::OK, &proxy.routing()),
        ("GET", "/metrics") => metrics(proxy.metrics()),
        ("PUT", "/v1/routing") => match serde_json::from_slice::<PutRouting>(&call.body) {
            Ok(put) => take(put, proxy, newest),
            Err(error) => problem(StatusCode::BAD_REQUEST, error.to_string()),
        },
        _ => problem(StatusCode::NOT_FOUND, format!("nothing at {} {}", call.method, call.path)),
    }
}

fn take(put: PutRouting, proxy: &Proxy, newest: &Mutex<Option<Fence>>) -> Answer {
    // Held until the statement is in force, so that an older one cannot come in between.
    let mut newest = newest.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(seen) = newest.filter(|seen| put.fence < *seen) {
        let why = format!("fence {} is older than {seen}, which was seen before", put.fence);
        return json(StatusCode::CONFLICT, &serde_json::json!({ "error": why, "seen": seen }));
    }
    *newest = Some(put.fence);
    match proxy.route(put.routing) {
        Ok(changed) => json(StatusCode::OK, &serde_json::json!({ "changed": changed })),
        Err(error) => problem(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
    }
}

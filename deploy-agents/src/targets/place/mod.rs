//! A place in a process of its own: a fleet and its proxy, driven over a small API.
//!
//! ```text
//!  engine's process                     place's process
//!  PlaceTarget ── HTTP/JSON, token ──►  Place ── ProcessFleet ── child processes
//!                                         └───── Proxy ◄── users
//! ```
//!
//! The engine may be killed and started again at any time: the place lives on and keeps doing what it was told last.

mod client;
mod wire;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use deploy_core::target::{EffectContext, Target, TargetError};
use http::StatusCode;
use tokio::sync::watch;

pub use self::client::PlaceTarget;
pub use self::wire::{Problem, PutDesired};
use crate::targets::admin::{AdminAccess, Answer, Call, json, listen, metrics, problem};
use crate::targets::balancer::Balancer;
use crate::targets::processes::{FleetConfig, ProcessFleet};
use crate::targets::proxy::{Proxy, ProxyConfig};

/// A fleet and its balancer, served to engines in other processes.
///
/// | call | body | answer |
/// |---|---|---|
/// | `GET /v1/state` | | the [`TargetState`](deploy_core::target::TargetState) |
/// | `PUT /v1/desired` | [`PutDesired`] | `{"changed": …}`, or a [`Problem`]: 409 older fence, 412 changed meanwhile, 422 refused |
/// | `GET /v1/capabilities` | | the [`Capabilities`](deploy_core::target::Capabilities) |
/// | `GET /v1/instances` | | every [`Instance`](crate::targets::processes::Instance) |
/// | `GET /v1/effects` | | every [`EffectSeen`](crate::targets::processes::EffectSeen): which key came how often |
/// | `GET /metrics` | | the balancer's counters, in the text format of Prometheus; 404 where it has a page of its own |
#[derive(Debug)]
pub struct Place<B = Proxy> {
    fleet: Arc<ProcessFleet<B>>,
    admin: SocketAddr,
    stop: watch::Sender<bool>,
}

/// Where a place listens, and who may drive it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PlaceConfig {
    /// What runs there.
    pub fleet: FleetConfig,
    /// How its proxy behaves.
    pub proxy: ProxyConfig,
    /// Where users come in. Default a free loopback port.
    pub traffic: SocketAddr,
    /// Where engines come in. Default a free loopback port.
    pub admin: SocketAddr,
    /// Who may drive it.
    pub access: AdminAccess,
}

impl PlaceConfig {
    /// A place on free loopback ports.
    #[must_use]
    pub fn new(fleet: FleetConfig, access: AdminAccess) -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { fleet, proxy: ProxyConfig::default(), traffic: any, admin: any, access }
    }

    /// The same, with users coming in here.
    #[must_use]
    pub fn traffic(mut self, address: SocketAddr) -> Self {
        self.traffic = address;
        self
    }

    /// The same, with engines coming in here.
    #[must_use]
    pub fn admin(mut self, address: SocketAddr) -> Self {
        self.admin = address;
        self
    }

    /// The same with another proxy.
    #[must_use]
    pub fn proxy(mut self, proxy: ProxyConfig) -> Self {
        self.proxy = proxy;
        self
    }
}

impl Place {
    /// Starts the place, with nothing running.
    ///
    /// # Errors
    ///
    /// An address could not be listened at, or the admin address is not loopback and the access does not allow others.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops what was started.
    pub async fn start(config: PlaceConfig) -> std::io::Result<Self> {
        let proxy = Proxy::bind(config.traffic, config.proxy).await?;
        Self::serve(ProcessFleet::start(config.fleet, proxy), config.admin, config.access).await
    }

    /// Where users come in.
    #[must_use]
    pub fn traffic_address(&self) -> SocketAddr {
        self.fleet.proxy().address()
    }
}

impl<B: Balancer> Place<B> {
    /// Serves a fleet that was started behind a balancer of the host's choice.
    ///
    /// # Errors
    ///
    /// The address could not be listened at, or it is not loopback and the access does not allow others.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the fleet.
    pub async fn serve(fleet: ProcessFleet<B>, admin: SocketAddr, access: AdminAccess) -> std::io::Result<Self> {
        let fleet = Arc::new(fleet);
        let (stop, stopped) = watch::channel(false);
        let served = Arc::clone(&fleet);
        let answer = move |call| {
            let fleet = Arc::clone(&served);
            async move { answer(&call, &fleet).await }
        };
        let admin = listen(admin, access, stopped, answer).await?;
        Ok(Self { fleet, admin, stop })
    }

    /// Where engines come in.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// The fleet, for the process that holds the place.
    #[must_use]
    pub fn fleet(&self) -> &ProcessFleet<B> {
        &self.fleet
    }

    /// Stops the admin interface, the balancer and every instance.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the place closing; call it again to wait for the end.
    pub async fn close(&self) {
        self.stop.send_replace(true);
        self.fleet.close().await;
    }
}

async fn answer<B: Balancer>(call: &Call, fleet: &ProcessFleet<B>) -> Answer {
    match call.route() {
        ("GET", "/v1/state") => match fleet.observe().await {
            Ok(state) => json(StatusCode::OK, &state),
            Err(error) => refusal(&error),
        },
        ("PUT", "/v1/desired") => match serde_json::from_slice::<PutDesired>(&call.body) {
            Ok(put) => take(put, fleet).await,
            Err(error) => json(StatusCode::BAD_REQUEST, &Problem::definitive(error.to_string())),
        },
        ("GET", "/v1/capabilities") => json(StatusCode::OK, &fleet.capabilities()),
        ("GET", "/v1/instances") => json(StatusCode::OK, &fleet.instances()),
        ("GET", "/v1/effects") => json(StatusCode::OK, &fleet.effects()),
        ("GET", "/metrics") => match fleet.balancer().metrics() {
            Some(text) => metrics(text),
            None => problem(StatusCode::NOT_FOUND, "the balancer of this place has a page of its own"),
        },
        _ => problem(StatusCode::NOT_FOUND, format!("nothing at {} {}", call.method, call.path)),
    }
}

async fn take<B: Balancer>(put: PutDesired, fleet: &ProcessFleet<B>) -> Answer {
    let cx = EffectContext::new(put.key, put.fence, Arc::new(put.release), std::time::Duration::from_secs(30));
    match fleet.apply(&put.desired, &cx).await {
        Ok(applied) => json(StatusCode::OK, &wire::Taken { changed: applied.changed }),
        Err(error) => refusal(&error),
    }
}

fn refusal(error: &TargetError) -> Answer {
    let status = match error.certainty {
        _ if error.is_stale_fence() => StatusCode::CONFLICT,
        deploy_core::agent::Certainty::Definitive => StatusCode::UNPROCESSABLE_ENTITY,
        deploy_core::agent::Certainty::Transient => StatusCode::PRECONDITION_FAILED,
        deploy_core::agent::Certainty::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
    };
    json(status, &Problem::of(error))
}

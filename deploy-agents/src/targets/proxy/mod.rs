//! A weighted reverse proxy in this process.
//!
//! It splits requests between revisions exactly ([`Split`]), lets requests under way finish when weights change or an
//! instance leaves, and counts by revision. It speaks HTTP/1.1 without TLS, streams bodies in both directions, and keeps its
//! clients' connections. It does not pass on upgrades (WebSocket).

mod admin;
mod balance;
mod body;
mod config;
mod forward;
mod routing;
mod split;
mod statistics;
mod upstream;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use deploy_core::name::RevisionName;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::wait::told;

pub use self::admin::{ProxyAdmin, PutRouting};
use self::body::RequestBody;
pub use self::config::ProxyConfig;
pub use self::forward::{MIRROR_HEADER, REVISION_HEADER};
pub use self::routing::{Routing, RoutingError};
pub use self::split::Split;
use self::statistics::Statistics;
pub use self::statistics::{LATENCY_BOUNDS, RevisionCounts};
use self::upstream::{Pool, Upstream};

/// How many revisions are counted at once. Those without traffic are forgotten first, so that counters stay bounded however
/// many releases a proxy sees.
const MOST_REVISIONS: usize = 64;
/// How many copies may be under way at once; when there is no room a copy is left out, never a request held up.
const MOST_COPIES: usize = 64;

/// A weighted reverse proxy. Dropping it, or [`shutdown`](Self::shutdown), closes the listener.
pub struct Proxy {
    inner: Arc<Inner>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    /// Each closed when the last connection of its listener has ended.
    connections: Vec<watch::Receiver<()>>,
    preview: Option<SocketAddr>,
}

pub(crate) struct Inner {
    config: ProxyConfig,
    table: RwLock<Arc<Table>>,
    /// Held while a new table is made, so that two changes never overwrite each other.
    changing: Mutex<()>,
    statistics: Mutex<BTreeMap<RevisionName, Arc<Statistics>>>,
    client: Client<HttpConnector, RequestBody>,
    copies: Arc<Semaphore>,
}

/// One statement in force, ready for use. Replaced as a whole.
pub(crate) struct Table {
    routing: Routing,
    pools: BTreeMap<RevisionName, Pool>,
    split: Arc<Mutex<Split>>,
    owed_copies: Mutex<u32>,
}

/// An instance that gets no new requests.
#[derive(Debug)]
pub struct Retired(Option<Arc<Upstream>>);

impl Retired {
    /// Waits until none of its requests is under way, at most for `bound`; tells how many are left.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the instance retired and its requests running.
    pub async fn drained(&self, bound: Duration) -> usize {
        match &self.0 {
            Some(upstream) => upstream.drained(bound).await,
            None => 0,
        }
    }
}

impl Proxy {
    /// Listens and begins to answer; with 503 until something is [routed](Self::route).
    ///
    /// # Errors
    ///
    /// The address could not be listened at.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the listener.
    pub async fn bind(address: SocketAddr, config: ProxyConfig) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(config.connect_within));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        let table = RwLock::new(Arc::new(Table::empty()));
        let inner = Arc::new(Inner {
            config,
            table,
            changing: Mutex::new(()),
            statistics: Mutex::default(),
            client,
            copies: Arc::new(Semaphore::new(MOST_COPIES)),
        });
        let (stop, stopped) = watch::channel(false);
        let (open, connections) = watch::channel(());
        tokio::spawn(accept(listener, Arc::clone(&inner), Door::Users, stopped, open));
        Ok(Self { inner, address, stop, connections: vec![connections], preview: None })
    }

    /// The same, with a second address, at which the revision answers that [`Routing::preview`] names, whatever the weights
    /// say. What is answered there is counted like everything else.
    ///
    /// # Errors
    ///
    /// The address could not be listened at.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the proxy.
    pub async fn with_preview(mut self, address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        self.preview = Some(listener.local_addr()?);
        let (open, connections) = watch::channel(());
        self.connections.push(connections);
        tokio::spawn(accept(listener, Arc::clone(&self.inner), Door::Preview, self.stop.subscribe(), open));
        Ok(self)
    }

    /// The second address, if there is one.
    #[must_use]
    pub fn preview_address(&self) -> Option<SocketAddr> {
        self.preview
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The statement in force.
    #[must_use]
    pub fn routing(&self) -> Routing {
        self.inner.table().routing.clone()
    }

    /// Puts a new statement in force, from the next request on; requests under way finish where they are. Tells whether
    /// anything changed.
    ///
    /// # Errors
    ///
    /// [`RoutingError`] if the statement is not sound; nothing was changed then.
    pub fn route(&self, routing: Routing) -> Result<bool, RoutingError> {
        self.inner.change(|now| {
            routing.check(now)?;
            Ok(routing)
        })
    }

    /// Changes the addresses of one revision and leaves the rest as it is.
    ///
    /// A revision that serves may lose its last address this way: its instances died, and hiding that helps nobody.
    pub fn set_upstreams(&self, revision: &RevisionName, addresses: BTreeSet<SocketAddr>) {
        let _ = self.inner.change(|now| {
            let mut next = now.clone();
            if addresses.is_empty() {
                next.upstreams.remove(revision);
            } else {
                next.upstreams.insert(revision.clone(), addresses);
            }
            Ok::<_, RoutingError>(next)
        });
    }

    /// Takes one instance out: it gets no new request from here on.
    #[must_use = "wait until it is drained before you stop it"]
    pub fn retire(&self, revision: &RevisionName, address: SocketAddr) -> Retired {
        let upstream = self.inner.table().pools.get(revision).and_then(|pool| pool.find(address));
        let _ = self.inner.change(|now| {
            let mut next = now.clone();
            if let Some(addresses) = next.upstreams.get_mut(revision) {
                addresses.remove(&address);
            }
            next.upstreams.retain(|_, addresses| !addresses.is_empty());
            Ok::<_, RoutingError>(next)
        });
        Retired(upstream)
    }

    /// The counters by revision.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<RevisionName, RevisionCounts> {
        let statistics = self.inner.statistics.lock().unwrap_or_else(PoisonError::into_inner);
        statistics.iter().map(|(revision, counters)| (revision.clone(), counters.counts())).collect()
    }

    /// The counters in the text format of Prometheus.
    #[must_use]
    pub fn metrics(&self) -> String {
        let weights = self.routing().weights;
        let statistics = self.inner.statistics.lock().unwrap_or_else(PoisonError::into_inner);
        statistics::exposition(&statistics, &weights)
    }

    /// Closes the listener, lets requests under way finish for at most `bound`, and tells whether all did.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the listener closed; requests under way go on.
    pub async fn shutdown(&self, bound: Duration) -> bool {
        self.stop.send_replace(true);
        let mut connections = self.connections.clone();
        let all = async {
            for listener in &mut connections {
                while listener.changed().await.is_ok() {}
            }
        };
        tokio::time::timeout(bound, all).await.is_ok()
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("address", &self.address)
            .field("routing", &self.routing())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Inner {
    pub(crate) fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The counters of a revision, from its first request on.
    pub(crate) fn statistics(&self, revision: &RevisionName) -> Arc<Statistics> {
        let mut all = self.statistics.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(revision.clone()).or_default())
    }

    /// Where a request is meant to go: the first route that it matches, otherwise whose turn it is.
    pub(crate) fn choose(&self, headers: &http::HeaderMap, door: Door) -> Option<RevisionName> {
        let table = self.table();
        if door == Door::Preview {
            return table.routing.preview.clone();
        }
        let routed = table.routing.routes.iter().find(|route| routing::carries(headers, &route.matches));
        routed.map(|route| route.to.clone()).or_else(|| {
            let mut split = table.split.lock().unwrap_or_else(PoisonError::into_inner);
            split.next().cloned()
        })
    }

    fn change(&self, next: impl FnOnce(&Routing) -> Result<Routing, RoutingError>) -> Result<bool, RoutingError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.table();
        let routing = next(&now.routing)?;
        if routing == now.routing {
            return Ok(false);
        }
        let table = self.next_table(&now, routing);
        let table = Arc::new(table);
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&table);
        // Those that are no longer named take no new request, even one that still holds the old table. Only after the new
        // table stands, so that there is always one in which somebody takes requests.
        for (revision, pool) in &now.pools {
            for upstream in &pool.upstreams {
                if table.pools.get(revision).and_then(|pool| pool.find(upstream.address)).is_none() {
                    upstream.retire();
                }
            }
        }
        self.forget(&now.routing);
        Ok(true)
    }

    /// Instances, turns and credits that both statements have in common are kept.
    fn next_table(&self, now: &Table, routing: Routing) -> Table {
        let pools = routing.upstreams.iter().map(|(revision, addresses)| {
            let before = now.pools.get(revision);
            let known = |address: &SocketAddr| before.and_then(|pool| pool.find(*address));
            let upstreams = addresses.iter().map(|a| known(a).unwrap_or_else(|| Arc::new(Upstream::new(*a)))).collect();
            let turn = AtomicUsize::new(before.map_or(0, |pool| pool.turn.load(std::sync::atomic::Ordering::SeqCst)));
            (revision.clone(), Pool { upstreams, statistics: self.statistics(revision), turn })
        });
        let pools = pools.collect();
        let split = if routing.weights == now.routing.weights {
            Arc::clone(&now.split)
        } else {
            Arc::new(Mutex::new(Split::new(routing.weights.iter().map(|(revision, weight)| (revision, *weight)))))
        };
        let owed_copies = Mutex::new(*now.owed_copies.lock().unwrap_or_else(PoisonError::into_inner));
        Table { routing, pools, split, owed_copies }
    }

    fn forget(&self, before: &Routing) {
        let table = self.table();
        let mut all = self.statistics.lock().unwrap_or_else(PoisonError::into_inner);
        while all.len() > MOST_REVISIONS {
            let idle = |revision: &&RevisionName| {
                !table.pools.contains_key(*revision) && !before.upstreams.contains_key(*revision)
            };
            let Some(revision) = all.keys().find(idle).cloned() else { return };
            all.remove(&revision);
        }
    }
}

impl Table {
    fn empty() -> Self {
        let split = Arc::new(Mutex::new(Split::default()));
        Self { routing: Routing::default(), pools: BTreeMap::new(), split, owed_copies: Mutex::new(0) }
    }
}

/// Which way a request comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Where users come in.
    Users,
    /// The second address.
    Preview,
}

/// Accepts connections until it is told to stop; `open` is dropped with the last of them.
async fn accept(
    listener: TcpListener,
    inner: Arc<Inner>,
    door: Door,
    mut stopped: watch::Receiver<bool>,
    open: watch::Sender<()>,
) {
    let (open, room) = (Arc::new(open), Arc::new(Semaphore::new(inner.config.most_connections)));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = told(&mut stopped) => return,
        };
        match accepted {
            Ok((stream, client)) => {
                let (inner, stopped, open) = (Arc::clone(&inner), stopped.clone(), Arc::clone(&open));
                tokio::spawn(async move {
                    serve(stream, client, inner, door, stopped).await;
                    drop((place, open));
                });
            }
            Err(error) => {
                // Out of file descriptors, as a rule: the next connection will come when one has gone.
                tracing::warn!(%error, "a connection could not be accepted");
                crate::wait::pause(Duration::from_millis(10)).await;
            }
        }
    }
}

async fn serve(
    stream: TcpStream,
    client: SocketAddr,
    inner: Arc<Inner>,
    door: Door,
    mut stopped: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let idle = inner.config.idle_client;
    let answer = service_fn(move |request| {
        let inner = Arc::clone(&inner);
        async move { Ok::<_, std::convert::Infallible>(inner.forward(request, client, door).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(idle);
    let connection = builder.serve_connection(TokioIo::new(stream), answer);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => trace(ended),
        () = told(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            trace(connection.await);
        }
    }
}

fn trace(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a client's connection ended early");
    }
}

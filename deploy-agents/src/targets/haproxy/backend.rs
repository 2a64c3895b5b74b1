//! Brings the servers of one backend to what is wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use deploy_core::name::RevisionName;

use super::naming::{revision_of, server_of};
use super::order::{Order, Readiness, ServerCheck};
use super::server::{Server, ServerName};
use super::share::{gather, spread};
use super::socket::{RuntimeSocket, SocketError};
use crate::targets::balancer::{BalancerError, Upstreams};
use crate::wait::until;

/// How often a new server is looked at until its first health check has passed.
const LOOK: Duration = Duration::from_millis(10);

/// One backend, over the runtime socket. Servers that are not named after an instance are somebody else's: they are neither
/// changed nor counted.
#[derive(Debug, Clone)]
pub(super) struct Backend {
    pub(super) socket: RuntimeSocket,
    pub(super) name: String,
    pub(super) check: ServerCheck,
    /// How long a new server may take to pass its first check.
    pub(super) patience: Duration,
}

/// Who is to serve, and with which weight.
pub(super) type Wanted = BTreeMap<ServerName, (SocketAddr, u32)>;

/// What a backend does now, by revision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Seen {
    /// The servers that are meant to take requests.
    pub(super) upstreams: Upstreams,
    /// The sums of their weights.
    pub(super) sums: BTreeMap<RevisionName, u64>,
}

impl Seen {
    fn of(servers: &[Server]) -> Self {
        let mut seen = Self::default();
        for server in servers.iter().filter(|server| server.readiness == Readiness::Ready) {
            let Some((revision, address)) = revision_of(server) else { continue };
            *seen.sums.entry(revision.clone()).or_default() += u64::from(server.weight);
            seen.upstreams.entry(revision).or_default().insert(address);
        }
        seen
    }

    /// Who gets how much, in parts of `whole`.
    pub(super) fn shares(&self, whole: u32) -> BTreeMap<RevisionName, u32> {
        gather(&self.sums, whole)
    }
}

impl Backend {
    /// What it does now.
    pub(super) async fn see(&self) -> Result<Seen, SocketError> {
        Ok(Seen::of(&self.socket.servers(&self.name).await?))
    }

    /// The servers that carry these shares over these addresses.
    pub(super) fn wanted(
        &self,
        upstreams: &Upstreams,
        shares: &BTreeMap<RevisionName, u32>,
    ) -> Result<Wanted, BalancerError> {
        let counts = upstreams.iter().map(|(revision, addresses)| (revision.clone(), addresses.len())).collect();
        let weights = spread(shares, &counts);
        let mut wanted = Wanted::new();
        for (revision, addresses) in upstreams {
            let weights = weights.get(revision).map_or(&[][..], Vec::as_slice);
            for (address, weight) in addresses.iter().zip(weights) {
                let name = server_of(&self.name, revision, *address)
                    .map_err(|error| BalancerError::new("an instance cannot be named").because(error))?;
                wanted.insert(name, (*address, *weight));
            }
        }
        Ok(wanted)
    }

    /// Brings the servers to what is wanted, and reads them back. Tells whether anything had to be changed.
    ///
    /// New servers come first, without weight, and wait for their first health check; then weights rise, then others fall, so that
    /// there is no moment in which nobody has weight; then those that are no longer wanted drain.
    pub(super) async fn bring(&self, wanted: &Wanted) -> Result<bool, BalancerError> {
        let there = self.add_missing(wanted).await?;
        let orders = orders(&there, wanted);
        if orders.is_empty() {
            return Ok(there.changed);
        }
        self.carry_out(&orders).await?;
        let now = self.servers().await?;
        for (name, (_, weight)) in wanted {
            let is = now.iter().find(|server| server.name == *name);
            if !is.is_some_and(|server| server.readiness == Readiness::Ready && server.weight == *weight) {
                let is = is.map_or_else(|| "gone".to_owned(), |s| format!("{:?} with {}", s.readiness, s.weight));
                let message = format!("{name} was told to be ready with weight {weight}, and read back it is {is}");
                return Err(BalancerError::new(message));
            }
        }
        let serves = |server: &&Server| server.readiness == Readiness::Ready && revision_of(server).is_some();
        if let Some(server) = now.iter().filter(serves).find(|server| !wanted.contains_key(&server.name)) {
            return Err(BalancerError::new(format!("{} was told to drain, and read back it is ready", server.name)));
        }
        Ok(true)
    }

    /// Forgets servers that are no longer wanted, once they have no request under way.
    pub(super) async fn forget(&self, wanted: &Wanted) -> Result<(), BalancerError> {
        let servers = self.servers().await?;
        let left: BTreeSet<&ServerName> = servers
            .iter()
            .filter(|server| server.readiness != Readiness::Ready && revision_of(server).is_some())
            .map(|server| &server.name)
            .filter(|name| !wanted.contains_key(*name))
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        let statistics = self.socket.statistics().await.map_err(|error| self.failed(error))?;
        for line in statistics.iter().filter(|line| line.proxy == self.name && line.under_way + line.queued == 0) {
            let Some(server) = left.iter().find(|name| name.server() == line.name) else { continue };
            let server = ServerName::clone(server);
            let orders =
                [Order::Be { server: server.clone(), readiness: Readiness::Maintenance }, Order::Delete { server }];
            match self.socket.carry_out(&orders).await {
                // A connection is still open, as a rule: the next round tries again.
                Err(error) if !error.is_refused() => return Err(self.failed(error)),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// How many requests an instance has under way; none if it is not there.
    pub(super) async fn under_way(&self, revision: &RevisionName, address: SocketAddr) -> Result<usize, SocketError> {
        let Ok(name) = server_of(&self.name, revision, address) else { return Ok(0) };
        let statistics = self.socket.statistics().await?;
        let line = statistics.iter().find(|line| line.proxy == self.name && line.name == name.server());
        Ok(line.map_or(0, |line| usize::try_from(line.under_way + line.queued).unwrap_or(usize::MAX)))
    }

    async fn add_missing(&self, wanted: &Wanted) -> Result<There, BalancerError> {
        let servers = self.servers().await?;
        let (mut orders, mut fresh) = (Vec::new(), Vec::new());
        for (name, (address, _)) in wanted {
            let server = || name.clone();
            let before = orders.len();
            let ready = Order::Be { server: server(), readiness: Readiness::Ready };
            match servers.iter().find(|there| there.name == *name) {
                None => orders.extend([
                    Order::Add { server: server(), address: *address, weight: 0, check: self.check },
                    Order::EnableHealth { server: server() },
                    ready,
                ]),
                Some(there) if there.readiness != Readiness::Ready => {
                    orders.extend([Order::Weight { server: server(), weight: 0 }, ready]);
                }
                Some(_) => {}
            }
            fresh.extend((orders.len() > before).then_some(name));
        }
        if orders.is_empty() {
            return Ok(There { servers, changed: false });
        }
        self.carry_out(&orders).await?;
        // No request goes to a server before HAProxy itself has seen it answer.
        let passed = || async {
            let servers = match self.servers().await {
                Ok(servers) => servers,
                Err(error) => return Some(Err(error)),
            };
            let passed = |name: &&ServerName| {
                servers.iter().any(|server| server.name == **name && server.check_passed == Some(true))
            };
            fresh.iter().all(passed).then_some(Ok(servers))
        };
        match until(self.patience, LOOK, passed).await {
            Ok(servers) => Ok(There { servers: servers?, changed: true }),
            Err(error) => {
                let message = format!("a server of {} did not pass its first health check", self.name);
                Err(BalancerError::new(message).because(error))
            }
        }
    }

    async fn servers(&self) -> Result<Vec<Server>, BalancerError> {
        self.socket.servers(&self.name).await.map_err(|error| self.failed(error))
    }

    async fn carry_out(&self, orders: &[Order]) -> Result<(), BalancerError> {
        self.socket.carry_out(orders).await.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: SocketError) -> BalancerError {
        BalancerError::new(format!("haproxy's backend {} could not be read or changed", self.name)).because(error)
    }
}

/// The servers with every wanted one among them, and whether some had to be added.
struct There {
    servers: Vec<Server>,
    changed: bool,
}

/// The changes of weight, those that rise first, and then the drains.
fn orders(there: &There, wanted: &Wanted) -> Vec<Order> {
    let (mut rise, mut fall, mut drain) = (Vec::new(), Vec::new(), Vec::new());
    for server in &there.servers {
        let name = server.name.clone();
        match wanted.get(&name) {
            Some((_, weight)) if *weight > server.weight => rise.push(Order::Weight { server: name, weight: *weight }),
            Some((_, weight)) if *weight < server.weight => fall.push(Order::Weight { server: name, weight: *weight }),
            None if server.readiness == Readiness::Ready && revision_of(server).is_some() => {
                drain.push(Order::Be { server: name, readiness: Readiness::Drain });
            }
            Some(_) | None => {}
        }
    }
    rise.into_iter().chain(fall).chain(drain).collect()
}

//! HAProxy in front of a fleet.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::name::RevisionName;
use deploy_core::target::{Capabilities, DesiredState};
use tokio::process::Child;
use tokio::sync::Mutex;

use super::attach::AttachedHaproxy;
use super::backend::{Backend, Wanted};
use super::config::{HaproxyConfig, PREVIEW, USERS, server_lines};
use super::order::ServerCheck;
use super::process::{config_path, socket_path, start, stop, write_config};
use super::share::HEAVIEST;
use super::socket::{RuntimeSocket, SocketError, Worker};
use crate::targets::balancer::{Balancer, BalancerError, Draining, Upstreams};
use crate::targets::proxy::Routing;
use crate::wait::until;

/// How long a new server may take to pass its first check, beyond two intervals.
const FIRST_CHECK: Duration = Duration::from_secs(5);
/// How long a worker that does not answer is given to end, before that is an error.
const ENDING: Duration = Duration::from_secs(1);
/// How often a server that drains is looked at.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// HAProxy as the balancer of a [`ProcessFleet`](crate::targets::processes::ProcessFleet): one server for each instance, driven over
/// the runtime socket.
///
/// - Every weight is absolute. A revision's share is met exactly: it is spread over the revision's servers with weights that
///   differ by at most one. Weights are in parts of at most 256.
/// - Weights rise before others fall, and a new server gets none until HAProxy's own health check has passed.
/// - An instance that leaves drains first, and is forgotten when it has no request under way.
/// - Every write is read back. What [`routing`](Balancer::routing) tells comes from HAProxy alone.
/// - A reload loses everything that was set at run time, so the file from which HAProxy is started is rewritten at each change,
///   and a worker that was not seen before gets the statement in force again at the next look (1 s at most).
/// - A request is sent again to another server only where that is harmless: when it was never sent, or for GET and HEAD.
///
/// It cannot route by header or mirror; a strategy that asks for that is refused at planning.
///
/// The dead-man lease of a fleet behind it lives in the process that holds the fleet, not in HAProxy: should that process die
/// too, HAProxy goes on with the weights that it was given last.
///
/// ```no_run
/// # async fn example(launch: deploy_agents::targets::processes::Launch) -> Result<(), Box<dyn std::error::Error>> {
/// use deploy_agents::targets::haproxy::{Haproxy, HaproxyConfig};
/// use deploy_agents::targets::processes::{FleetConfig, ProcessFleet};
///
/// let balancer = Haproxy::start(HaproxyConfig::new("/run/shop", ([0, 0, 0, 0], 8080).into())).await?;
/// let fleet = ProcessFleet::start(FleetConfig::new("eu-west".try_into()?, launch), balancer);
/// # Ok(())
/// # }
/// ```
pub struct Haproxy {
    socket: RuntimeSocket,
    users: Backend,
    preview: Option<Backend>,
    kind: Kind,
    state: Mutex<State>,
}

/// Whose HAProxy it is.
enum Kind {
    Own(Box<HaproxyConfig>),
    /// The host's; perhaps with a file that its configuration takes the servers from.
    Attached {
        include: Option<PathBuf>,
        header: Vec<String>,
    },
}

#[derive(Default)]
struct State {
    child: Option<Child>,
    /// The worker that the statement was last given to.
    worker: Option<Worker>,
    /// What is in force, as far as this process has said so.
    statement: Routing,
    closing: bool,
}

impl Haproxy {
    /// Writes a configuration and starts HAProxy with it. One that was left behind in the same folder is taken over without a gap.
    ///
    /// # Errors
    ///
    /// [`BalancerError`]: the folder cannot be written, its path is too long for a socket, HAProxy is not there, or it does not
    /// start; then with its own words.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future kills what was started.
    pub async fn start(config: HaproxyConfig) -> Result<Self, BalancerError> {
        if let Some(problem) = config.problem() {
            return Err(BalancerError::new(problem));
        }
        std::fs::create_dir_all(&config.dir).map_err(|error| {
            BalancerError::new(format!("{} could not be made", config.dir.display())).because(error)
        })?;
        let socket = open(socket_path(&config.dir))?;
        let users = backend(&socket, USERS, config.check);
        let preview = config.preview.map(|_| backend(&socket, PREVIEW, config.check));
        write_config(&config_path(&config.dir), &config.render(&Wanted::new(), &Wanted::new()))?;
        let (child, worker) = start(&config.program, &config.dir, &socket).await?;
        let state = State { child: Some(child), worker: Some(worker), ..State::default() };
        Ok(Self { socket, users, preview, kind: Kind::Own(Box::new(config)), state: Mutex::new(state) })
    }

    /// Drives an HAProxy that the host runs with a configuration of its own.
    ///
    /// # Errors
    ///
    /// [`BalancerError`]: the socket does not answer, may not change anything, or has no such backend.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn attach(attached: AttachedHaproxy) -> Result<Self, BalancerError> {
        let AttachedHaproxy { socket, backend: name, preview, check, include, header } = attached;
        let socket = open(socket)?;
        let users = backend(&socket, &name, check);
        let preview = preview.map(|name| backend(&socket, &name, check));
        let worker = socket.worker().await.map_err(|error| unreachable(&socket, error))?;
        for backend in [Some(&users), preview.as_ref()].into_iter().flatten() {
            backend.see().await.map_err(|error| {
                BalancerError::new(format!("the backend {} could not be read", backend.name)).because(error)
            })?;
        }
        let state = State { worker: Some(worker), ..State::default() };
        Ok(Self { socket, users, preview, kind: Kind::Attached { include, header }, state: Mutex::new(state) })
    }

    /// Its runtime socket, for whoever wants to read more.
    #[must_use]
    pub fn socket(&self) -> &RuntimeSocket {
        &self.socket
    }

    /// The backend that users meet.
    #[must_use]
    pub fn backend(&self) -> &str {
        &self.users.name
    }

    /// Where users come in; unknown where the host runs it.
    #[must_use]
    pub fn traffic_address(&self) -> Option<SocketAddr> {
        match &self.kind {
            Kind::Own(config) => Some(config.traffic),
            Kind::Attached { .. } => None,
        }
    }

    /// The second address, if there is one.
    #[must_use]
    pub fn preview_address(&self) -> Option<SocketAddr> {
        match &self.kind {
            Kind::Own(config) => config.preview,
            Kind::Attached { .. } => None,
        }
    }

    /// Starts a new worker in the place of the old one, without a gap. There is no need to: weights change without it. It is for
    /// a new version of the program, and for seeing that nothing is lost.
    ///
    /// # Errors
    ///
    /// [`BalancerError`]: the host runs it, or the new worker does not start; then the old one goes on.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the old worker or the new one; the next look finds out which.
    pub async fn reload(&self) -> Result<(), BalancerError> {
        let mut state = self.state.lock().await;
        let Kind::Own(config) = &self.kind else {
            return Err(BalancerError::new("the host runs this haproxy, and reloads it itself"));
        };
        let (child, worker) = start(&config.program, &config.dir, &self.socket).await?;
        if let Some(old) = state.child.replace(child) {
            tokio::spawn(stop(old, config.stop_within + Duration::from_secs(1)));
        }
        self.reassert(&mut state, worker).await
    }

    /// Finds out who answers; starts it again if it has ended, and says everything again to one that was not seen before.
    async fn look(&self, state: &mut State) -> Result<(), BalancerError> {
        if state.closing {
            return Err(BalancerError::new("it is closing"));
        }
        let answer = self.socket.worker().await;
        if let (Kind::Own(config), Some(child)) = (&self.kind, &mut state.child) {
            let ended = match &answer {
                Ok(_) => child.try_wait().is_ok_and(|ended| ended.is_some()),
                // It may be about to end: its socket goes before the process does.
                Err(_) => tokio::time::timeout(ENDING, child.wait()).await.is_ok(),
            };
            if ended {
                tracing::warn!(dir = %config.dir.display(), "haproxy ended by itself and is started again");
                let (child, worker) = start(&config.program, &config.dir, &self.socket).await?;
                state.child = Some(child);
                return self.reassert(state, worker).await;
            }
        }
        let worker = answer.map_err(|error| unreachable(&self.socket, error))?;
        if state.worker != Some(worker) { self.reassert(state, worker).await } else { Ok(()) }
    }

    /// Says everything again to a worker that was not seen before.
    async fn reassert(&self, state: &mut State, worker: Worker) -> Result<(), BalancerError> {
        let statement = state.statement.clone();
        self.bring(&statement).await?;
        state.worker = Some(worker);
        Ok(())
    }

    async fn read(&self, state: &State) -> Result<Routing, BalancerError> {
        let failed = |error| BalancerError::new("what is in force could not be read").because(error);
        let seen = self.users.see().await.map_err(failed)?;
        let max_weight = if state.statement.max_weight == 0 { 100 } else { state.statement.max_weight };
        let shown = match &self.preview {
            Some(backend) => backend.see().await.map_err(failed)?,
            None => super::backend::Seen::default(),
        };
        let mut shown = shown.upstreams.into_keys();
        // Two revisions at the second address are none: whoever looks there meets now one and now the other.
        let preview = shown.next().filter(|_| shown.next().is_none());
        Ok(Routing {
            weights: seen.shares(max_weight),
            upstreams: seen.upstreams,
            max_weight,
            preview,
            ..Routing::default()
        })
    }

    /// Brings both backends to a statement; tells whether anything had to be changed.
    async fn bring(&self, statement: &Routing) -> Result<bool, BalancerError> {
        let users = self.users.wanted(&statement.upstreams, &statement.weights)?;
        let shown = statement.preview.iter().filter_map(|revision| {
            let addresses = statement.upstreams.get(revision)?;
            Some((revision.clone(), addresses.clone()))
        });
        let shown: Upstreams = shown.collect();
        let all = shown.keys().map(|revision| (revision.clone(), 1)).collect();
        let mut changed = false;
        let preview = match &self.preview {
            Some(backend) => {
                let wanted = backend.wanted(&shown, &all)?;
                changed |= backend.bring(&wanted).await?;
                wanted
            }
            None => Wanted::new(),
        };
        changed |= self.users.bring(&users).await?;
        self.keep(&users, &preview)?;
        self.users.forget(&users).await?;
        if let Some(backend) = &self.preview {
            backend.forget(&preview).await?;
        }
        Ok(changed)
    }

    /// Writes down what is in force, for the next worker.
    fn keep(&self, users: &Wanted, preview: &Wanted) -> Result<(), BalancerError> {
        let (path, text) = match &self.kind {
            Kind::Own(config) => (config_path(&config.dir), config.render(users, preview)),
            Kind::Attached { include: None, .. } => return Ok(()),
            Kind::Attached { include: Some(path), header } => {
                let mut text = String::from("# Written by the fleet behind it, at each change.\n");
                for (backend, servers) in [(Some(&self.users), users), (self.preview.as_ref(), preview)] {
                    let Some(backend) = backend else { continue };
                    text.push_str(&format!("backend {}\n", backend.name));
                    for line in header {
                        text.push_str(&format!("    {line}\n"));
                    }
                    text.push_str(&server_lines(servers, backend.check));
                }
                (path.clone(), text)
            }
        };
        if std::fs::read_to_string(&path).is_ok_and(|now| now == text) {
            return Ok(());
        }
        write_config(&path, &text)
    }
}

fn open(path: PathBuf) -> Result<RuntimeSocket, BalancerError> {
    RuntimeSocket::new(path).map_err(|error| BalancerError::new("the runtime socket cannot be used").because(error))
}

fn backend(socket: &RuntimeSocket, name: &str, check: ServerCheck) -> Backend {
    let patience = check.every * 2 + FIRST_CHECK;
    Backend { socket: socket.clone(), name: name.to_owned(), check, patience }
}

fn unreachable(socket: &RuntimeSocket, error: SocketError) -> BalancerError {
    BalancerError::new(format!("haproxy does not answer at {}", socket.path().display())).because(error)
}

impl fmt::Debug for Haproxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Haproxy").field("socket", &self.socket.path()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Balancer for Haproxy {
    fn capabilities(&self) -> Capabilities {
        Capabilities { weights: true, preview: self.preview.is_some(), ..Capabilities::default() }
    }

    fn check(&self, desired: &DesiredState) -> Result<(), String> {
        let whole = desired.max_weight;
        if whole > HEAVIEST {
            Err(format!("weights in parts of {whole}; haproxy has at most {HEAVIEST}"))
        } else {
            Ok(())
        }
    }

    async fn routing(&self) -> Result<Routing, BalancerError> {
        let mut state = self.state.lock().await;
        self.look(&mut state).await?;
        self.read(&state).await
    }

    async fn use_upstreams(&self, upstreams: &Upstreams) -> Result<(), BalancerError> {
        let mut state = self.state.lock().await;
        // First of all: what is said again to a new worker must not name an instance that has gone.
        state.statement.upstreams = upstreams.clone();
        self.look(&mut state).await?;
        let now = self.read(&state).await?;
        // Shares stay as they are, whoever set them; only who carries them changes. Whoever serves keeps what it has until there is
        // something better: HAProxy's own checks know whether an instance that the fleet calls unwell still answers.
        let mut upstreams = upstreams.clone();
        for revision in now.weights.keys() {
            let is_left = now.upstreams.get(revision).filter(|_| !upstreams.contains_key(revision));
            upstreams.extend(is_left.map(|addresses| (revision.clone(), addresses.clone())));
        }
        let next = Routing { upstreams, preview: state.statement.preview.clone(), ..now.clone() };
        if next == now {
            // Nothing to change; those that drained meanwhile can be forgotten.
            let users = self.users.wanted(&next.upstreams, &next.weights)?;
            self.users.forget(&users).await?;
        } else {
            self.bring(&next).await?;
        }
        state.statement = next;
        Ok(())
    }

    async fn route(&self, wanted: &Routing) -> Result<bool, BalancerError> {
        let mut state = self.state.lock().await;
        self.look(&mut state).await?;
        let now = self.read(&state).await?;
        wanted.check(&now).map_err(|error| BalancerError::new("a statement was refused").because(error))?;
        let changed = self.bring(wanted).await?;
        state.statement = wanted.clone();
        Ok(changed)
    }

    async fn retire(
        &self,
        revision: &RevisionName,
        address: SocketAddr,
        bound: Duration,
    ) -> Result<Draining, BalancerError> {
        let mut state = self.state.lock().await;
        self.look(&mut state).await?;
        let mut next = self.read(&state).await?;
        next.preview = state.statement.preview.clone();
        if let Some(addresses) = next.upstreams.get_mut(revision) {
            addresses.remove(&address);
        }
        next.upstreams.retain(|_, addresses| !addresses.is_empty());
        self.bring(&next).await?;
        state.statement = next;
        let (backend, revision) = (self.users.clone(), revision.clone());
        Ok(Box::pin(async move {
            let left = || async { backend.under_way(&revision, address).await.ok() };
            let idle = until(bound, DRAIN_LOOK, || async { left().await.filter(|n| *n == 0) });
            match idle.await {
                Ok(none) => none,
                Err(_) => left().await.unwrap_or(0),
            }
        }))
    }

    async fn close(&self, bound: Duration) {
        let mut state = self.state.lock().await;
        state.closing = true;
        match state.child.take() {
            Some(child) => stop(child, bound).await,
            None => {
                // The host's own: its other servers stay, and ours go.
                let nobody = Wanted::new();
                for backend in [Some(&self.users), self.preview.as_ref()].into_iter().flatten() {
                    if let Err(error) = backend.bring(&nobody).await {
                        tracing::warn!(backend = %backend.name, %error, "servers were left behind");
                    }
                }
            }
        }
    }
}

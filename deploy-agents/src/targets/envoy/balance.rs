//! Envoy in front of a fleet.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::name::RevisionName;
use deploy_core::target::{Capabilities, DesiredState};
use tokio::process::Child;
use tokio::sync::Mutex;

use super::admin::{EnvoyAdmin, EnvoyAdminError};
use super::config::{EnvoyConfig, hosts, put};
use super::process::{start, stop};
use super::slots::{Seen, Slot, USERS};
use crate::targets::balancer::{Balancer, BalancerError, Draining, Upstreams};
use crate::targets::proxy::Routing;
use crate::wait::until;

/// How long Envoy may take to read a file and to find a new host well.
const TAKES: Duration = Duration::from_secs(15);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(20);
/// The largest whole: weights are 32-bit numbers whose sum must be one too.
const WHOLE: u32 = 1_000_000;

/// Envoy as the balancer of a [`ProcessFleet`](crate::targets::processes::ProcessFleet).
///
/// Its configuration has a number of clusters from the start, the slots. A revision moves into a free slot when its first instance is
/// ready and leaves it when its last one has gone.
///
/// - *Who serves* is a file for each slot, replaced as a whole, which Envoy watches. It does not acknowledge a file, so the hosts are
///   read back from its admin interface until it has taken them and found them well.
/// - *Who gets how much* is a runtime key for each slot, all of them set in one call, and read back.
/// - An instance that leaves is marked as draining, and taken out of the file when it has no request under way.
/// - Runtime keys are lost when Envoy is started again. The bootstrap file is rewritten at each change, so that it begins with what was in
///   force, and the keys are said again at the next look (1 s at most).
///
/// It has no second address for previews, and it cannot route by header or mirror; a strategy that asks for that is refused at
/// planning. Envoy chooses hosts at random by weight, so that a share is met on average, not in every hundred requests.
pub struct Envoy {
    config: EnvoyConfig,
    admin: EnvoyAdmin,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    child: Option<Child>,
    statement: Routing,
    /// Counts the files that were written.
    version: u64,
    /// What the bootstrap file says.
    kept: BTreeMap<String, u32>,
    closing: bool,
}

impl Envoy {
    /// Writes a configuration and starts Envoy with it.
    ///
    /// # Errors
    ///
    /// [`BalancerError`]: the folder cannot be written, Envoy is not there, or it does not start; then with its own words.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future kills what was started.
    pub async fn start(config: EnvoyConfig) -> Result<Self, BalancerError> {
        let admin = EnvoyAdmin::new(config.admin);
        let unwritten = |error: std::io::Error| {
            BalancerError::new(format!("{} could not be written", config.dir.display())).because(error)
        };
        std::fs::create_dir_all(&config.dir).map_err(unwritten)?;
        for slot in Slot::all(config.slots) {
            put(&slot.file(&config.dir), &hosts(&slot, &BTreeMap::new(), 0)).map_err(unwritten)?;
        }
        let kept = Seen::of(config.slots, BTreeMap::new(), &BTreeMap::new()).keys(&BTreeMap::new(), &BTreeMap::new());
        put(&config.bootstrap_path(), &config.bootstrap(&kept)).map_err(unwritten)?;
        let child = start(&config, &admin).await?;
        let state = State { child: Some(child), kept, ..State::default() };
        Ok(Self { config, admin, state: Mutex::new(state) })
    }

    /// Its admin interface, for whoever wants to read more.
    #[must_use]
    pub fn admin(&self) -> &EnvoyAdmin {
        &self.admin
    }

    /// Where users come in.
    #[must_use]
    pub fn traffic_address(&self) -> SocketAddr {
        self.config.traffic
    }

    /// Starts it again if it has ended, and says everything again if it has forgotten it.
    async fn look(&self, state: &mut State) -> Result<Seen, BalancerError> {
        if state.closing {
            return Err(BalancerError::new("it is closing"));
        }
        let mut seen = self.see().await;
        if let Some(child) = &mut state.child {
            let ended = match &seen {
                Ok(_) => child.try_wait().is_ok_and(|ended| ended.is_some()),
                // It may be about to end: its listener goes before the process does.
                Err(_) => tokio::time::timeout(Duration::from_secs(1), child.wait()).await.is_ok(),
            };
            if ended {
                tracing::warn!(dir = %self.config.dir.display(), "envoy ended by itself and is started again");
                state.child = Some(start(&self.config, &self.admin).await?);
                seen = self.see().await;
            }
        }
        let (now, set_here) = seen?;
        if set_here || state.statement.weights.is_empty() {
            return Ok(now);
        }
        let statement = state.statement.clone();
        self.bring(state, &statement).await?;
        Ok(self.see().await?.0)
    }

    /// What it does now, and whether its keys were set at run time.
    async fn see(&self) -> Result<(Seen, bool), BalancerError> {
        let failed = |error: EnvoyAdminError| BalancerError::new("envoy could not be read").because(error);
        let keys = self.admin.runtime(USERS).await.map_err(failed)?;
        let hosts = self.admin.hosts().await.map_err(failed)?;
        let set_here = keys.values().any(|(_, set_here)| *set_here);
        Ok((Seen::of(self.config.slots, hosts, &keys), set_here))
    }

    fn routing_of(state: &State, seen: &Seen) -> Routing {
        let max_weight = if state.statement.max_weight == 0 { 100 } else { state.statement.max_weight };
        Routing { upstreams: seen.upstreams(), weights: seen.shares(max_weight), max_weight, ..Routing::default() }
    }

    /// Brings it to a statement; tells whether anything had to be changed.
    async fn bring(&self, state: &mut State, statement: &Routing) -> Result<bool, BalancerError> {
        let (seen, _) = self.see().await?;
        let places = seen.places(statement.upstreams.keys()).map_err(BalancerError::new)?;
        let files = seen.files(&statement.upstreams, &places);
        let changed = self.put_hosts(state, &files, &statement.upstreams).await?;
        let keys = seen.keys(&statement.weights, &places);
        let now = self.admin.runtime(USERS).await.map_err(unread)?;
        if keys.iter().all(|(key, wanted)| now.get(key).is_some_and(|(is, set_here)| is == wanted && *set_here)) {
            return Ok(changed);
        }
        self.admin
            .set_runtime(&keys)
            .await
            .map_err(|error| BalancerError::new("envoy did not take the weights").because(error))?;
        let now = self.admin.runtime(USERS).await.map_err(unread)?;
        if let Some((key, wanted)) = keys.iter().find(|(key, wanted)| now.get(*key).is_none_or(|(is, _)| is != *wanted))
        {
            let is = now.get(key).map_or_else(|| "nothing".to_owned(), |(is, _)| is.to_string());
            return Err(BalancerError::new(format!("{key} was set to {wanted}, and read back it is {is}")));
        }
        if state.kept != keys {
            write(&self.config.bootstrap_path(), &self.config.bootstrap(&keys))?;
            state.kept = keys;
        }
        Ok(true)
    }

    /// Replaces files of hosts, and waits until Envoy has taken them.
    async fn put_hosts(
        &self,
        state: &mut State,
        files: &BTreeMap<Slot, BTreeMap<SocketAddr, (String, bool)>>,
        upstreams: &Upstreams,
    ) -> Result<bool, BalancerError> {
        if files.is_empty() {
            return Ok(false);
        }
        let (before, _) = self.see().await?;
        let fresh: Vec<SocketAddr> = (files.values().flatten())
            .filter(|(address, (_, drains))| !drains && before.host(**address).is_none_or(|host| host.is_draining))
            .map(|(address, _)| *address)
            .collect();
        for (slot, there) in files {
            state.version += 1;
            write(&slot.file(&self.config.dir), &hosts(slot, there, state.version))?;
        }
        let taken = || async {
            let (seen, _) = self.see().await.ok()?;
            // No request goes to a host before Envoy itself has seen it answer.
            let well = fresh.iter().all(|address| seen.host(*address).is_some_and(|host| host.is_well));
            (seen.upstreams() == *upstreams && well).then_some(())
        };
        match until(TAKES, LOOK, taken).await {
            Ok(()) => Ok(true),
            Err(error) => {
                Err(BalancerError::new("envoy has not taken its hosts, or has not found them well").because(error))
            }
        }
    }
}

fn write(path: &std::path::Path, document: &serde_json::Value) -> Result<(), BalancerError> {
    put(path, document)
        .map_err(|error| BalancerError::new(format!("{} could not be written", path.display())).because(error))
}

fn unread(error: EnvoyAdminError) -> BalancerError {
    BalancerError::new("envoy's runtime could not be read").because(error)
}

impl fmt::Debug for Envoy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envoy").field("config", &self.config).finish_non_exhaustive()
    }
}

#[async_trait]
impl Balancer for Envoy {
    fn capabilities(&self) -> Capabilities {
        Capabilities { weights: true, ..Capabilities::default() }
    }

    fn check(&self, desired: &DesiredState) -> Result<(), String> {
        let whole = desired.max_weight;
        if whole > WHOLE { Err(format!("weights in parts of {whole}; at most {WHOLE} are taken")) } else { Ok(()) }
    }

    async fn routing(&self) -> Result<Routing, BalancerError> {
        let mut state = self.state.lock().await;
        let seen = self.look(&mut state).await?;
        Ok(Self::routing_of(&state, &seen))
    }

    async fn use_upstreams(&self, upstreams: &Upstreams) -> Result<(), BalancerError> {
        let mut state = self.state.lock().await;
        // First of all: what is said again after a restart must not name an instance that has gone.
        state.statement.upstreams = upstreams.clone();
        let seen = self.look(&mut state).await?;
        let now = Self::routing_of(&state, &seen);
        // Whoever serves keeps what it has until there is something better: Envoy's own checks know who still answers.
        let mut upstreams = upstreams.clone();
        for revision in now.weights.keys() {
            let is_left = now.upstreams.get(revision).filter(|_| !upstreams.contains_key(revision));
            upstreams.extend(is_left.map(|addresses| (revision.clone(), addresses.clone())));
        }
        let places = seen.places(upstreams.keys()).map_err(BalancerError::new)?;
        self.put_hosts(&mut state, &seen.files(&upstreams, &places), &upstreams).await?;
        state.statement = Routing { upstreams, ..now };
        Ok(())
    }

    async fn route(&self, wanted: &Routing) -> Result<bool, BalancerError> {
        let mut state = self.state.lock().await;
        let seen = self.look(&mut state).await?;
        let now = Self::routing_of(&state, &seen);
        wanted.check(&now).map_err(|error| BalancerError::new("a statement was refused").because(error))?;
        let changed = self.bring(&mut state, wanted).await?;
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
        let seen = self.look(&mut state).await?;
        let mut next = Self::routing_of(&state, &seen);
        if let Some(addresses) = next.upstreams.get_mut(revision) {
            addresses.remove(&address);
        }
        next.upstreams.retain(|_, addresses| !addresses.is_empty());
        let places = seen.places(next.upstreams.keys()).map_err(BalancerError::new)?;
        self.put_hosts(&mut state, &seen.files(&next.upstreams, &places), &next.upstreams).await?;
        state.statement.upstreams = next.upstreams;
        let admin = self.admin.clone();
        Ok(Box::pin(async move {
            let left = || async {
                let hosts = admin.hosts().await.ok()?;
                let host = hosts.into_values().flatten().find(|host| host.address == address);
                Some(host.map_or(0, |host| usize::try_from(host.under_way).unwrap_or(usize::MAX)))
            };
            match until(bound, LOOK, || async { left().await.filter(|n| *n == 0) }).await {
                Ok(none) => none,
                Err(_) => left().await.unwrap_or(0),
            }
        }))
    }

    async fn close(&self, bound: Duration) {
        let mut state = self.state.lock().await;
        state.closing = true;
        if let Some(child) = state.child.take() {
            stop(child, bound).await;
        }
    }
}

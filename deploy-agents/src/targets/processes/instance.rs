//! One instance: started, watched, started again, stopped.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use deploy_core::name::RevisionName;
use deploy_core::time::{Clock, Spell};
use serde::{Deserialize, Serialize};
use tokio::process::Child;
use tokio::sync::watch;

use super::config::LaunchSlot;
use super::fleet::Fleet;
use super::pinned::is_program;
use crate::http::{HttpClient, HttpLimits};
use crate::process::{Group, LogFile};
use crate::wait::{pause, told};

/// Where an instance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InstancePhase {
    /// Started, not healthy yet.
    Starting,
    /// Healthy: it serves.
    Ready,
    /// It runs and does not answer its health check.
    Unready,
    /// It ended by itself and waits to be started again.
    Restarting,
    /// It ended too often and is not started again until the place is told anew what is wanted.
    GivenUp,
    /// It gets no new requests; those under way end.
    Draining,
    /// It was told to end.
    Stopping,
}

/// One instance, as the fleet sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Instance {
    /// Which instance of the fleet it is; kept over its restarts.
    pub id: u64,
    /// What it runs.
    pub revision: RevisionName,
    /// Where it stands.
    pub phase: InstancePhase,
    /// Where it listens, once it was started.
    pub address: Option<SocketAddr>,
    /// Its process, which leads its process group, while it runs.
    pub pid: Option<u32>,
    /// How often it was started again since it was last well for a while.
    pub restarts: u32,
    /// Why it was last started again or given up, in a few words.
    pub trouble: Option<String>,
    /// Whether it has had its chance to become ready.
    pub settled: bool,
}

impl Instance {
    pub(super) fn new(id: u64, revision: RevisionName) -> Self {
        let phase = InstancePhase::Starting;
        Self { id, revision, phase, address: None, pid: None, restarts: 0, trouble: None, settled: false }
    }

    /// Whether it is on its way out.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        matches!(self.phase, InstancePhase::Draining | InstancePhase::Stopping)
    }
}

/// How one life of an instance ended.
enum Ended {
    Stopped,
    /// It ended by itself, or had to be ended, after having been ready for so long.
    Failed {
        why: String,
        ready_for: Duration,
    },
}

/// Keeps one instance alive until it is told to stop.
pub(super) async fn supervise(fleet: Arc<Fleet>, id: u64, revision: RevisionName, mut stop: watch::Receiver<bool>) {
    let policy = fleet.config.restart;
    let mut restarts = 0;
    loop {
        match live(&fleet, id, &revision, &mut stop).await {
            Ended::Stopped => break,
            Ended::Failed { why, ready_for } => {
                tracing::warn!(target = %fleet.config.name, %revision, instance = id, why, "an instance ended");
                restarts = if ready_for >= policy.forget_after { 1 } else { restarts + 1 };
                let given_up = restarts > policy.most;
                fleet.update(id, |instance| {
                    instance.settled = true;
                    instance.pid = None;
                    instance.address = None;
                    instance.restarts = restarts;
                    instance.trouble = Some(why);
                    if !instance.is_leaving() {
                        instance.phase = if given_up { InstancePhase::GivenUp } else { InstancePhase::Restarting };
                    }
                });
                let wait =
                    async { if given_up { std::future::pending().await } else { pause(policy.wait(restarts)).await } };
                tokio::select! {
                    () = wait => {}
                    () = told(&mut stop) => break,
                }
            }
        }
    }
    fleet.remove(id);
}

/// One life of an instance.
async fn live(fleet: &Arc<Fleet>, id: u64, revision: &RevisionName, stop: &mut watch::Receiver<bool>) -> Ended {
    let failed = |why: String| Ended::Failed { why, ready_for: Duration::ZERO };
    let port = match free_port() {
        Ok(port) => port,
        Err(error) => return failed(format!("no free port: {error}")),
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let slot = LaunchSlot { revision: revision.clone(), port, instance: id };
    let line = fleet
        .config
        .launch
        .line(&slot)
        .env_default("PORT", port.to_string())
        .env_default("REVISION", revision.as_str());
    if let Some(wanted) = fleet.config.programs.get(revision)
        && let Err(why) = is_program(&line, wanted).await
    {
        return failed(why);
    }
    let mut child = match line.command().spawn() {
        Ok(child) => child,
        Err(error) => return failed(format!("{} could not be started: {error}", line.name())),
    };
    let Some(mut group) = Group::led_by(&child) else { return failed("it ended at once".to_owned()) };
    keep_output(fleet, &slot, &mut child, line.secrets());
    fleet.update(id, |instance| {
        instance.pid = child.id();
        instance.address = Some(address);
        if !instance.is_leaving() {
            instance.phase = InstancePhase::Starting;
        }
    });
    let mut ready_since = None;
    tokio::select! {
        () = told(stop) => {
            group.end(&mut child, fleet.config.grace).await;
            Ended::Stopped
        }
        status = child.wait() => {
            // Whatever it left behind in its group goes too, or the next one would find the port or a lock taken.
            group.kill(&mut child).await;
            let why = status.map_or_else(|error| error.to_string(), |status| format!("it ended by itself: {status}"));
            Ended::Failed { why, ready_for: ready_for(fleet, ready_since) }
        }
        why = watch_health(fleet, id, address, &mut ready_since) => {
            fleet.update(id, |instance| instance.phase = if instance.is_leaving() { instance.phase } else { InstancePhase::Unready });
            group.end(&mut child, fleet.config.grace).await;
            failed(why)
        }
    }
}

fn ready_for(fleet: &Fleet, since: Option<Duration>) -> Duration {
    since.map_or(Duration::ZERO, |since| fleet.clock.monotonic().saturating_sub(since))
}

/// Asks for the instance's health for as long as it lives, and answers only if it must be started again.
async fn watch_health(fleet: &Fleet, id: u64, address: SocketAddr, ready_since: &mut Option<Duration>) -> String {
    let check = &fleet.config.health;
    let started = fleet.clock.monotonic();
    let (mut good, mut bad) = (0_u32, 0_u32);
    loop {
        if is_healthy(fleet, address).await {
            (good, bad) = (good.saturating_add(1), 0);
            if good >= check.successes {
                ready_since.get_or_insert_with(|| fleet.clock.monotonic());
                fleet.update(id, |instance| {
                    instance.settled = true;
                    if !instance.is_leaving() {
                        instance.phase = InstancePhase::Ready;
                    }
                });
            }
        } else {
            (good, bad) = (0, bad.saturating_add(1));
            if ready_since.is_some() && bad >= check.failures {
                fleet.update(id, |instance| {
                    if !instance.is_leaving() {
                        instance.phase = InstancePhase::Unready;
                    }
                });
            }
            if ready_since.is_some() && bad >= check.restart_after {
                return format!("{bad} health checks failed in a row");
            }
        }
        if ready_since.is_none() && fleet.clock.monotonic().saturating_sub(started) > check.start_within {
            return format!("it was not healthy within {}", Spell(check.start_within));
        }
        pause(if ready_since.is_some() { check.every_ready } else { check.every_starting }).await;
    }
}

async fn is_healthy(fleet: &Fleet, address: SocketAddr) -> bool {
    let check = &fleet.config.health;
    let Ok(request) = http::Request::get(format!("http://{address}{}", check.path)).body(Bytes::new()) else {
        return false;
    };
    let limits = HttpLimits { timeout: check.timeout, ..HttpLimits::default() };
    fleet.http.send(request, limits).await.is_ok_and(|answer| (200..400).contains(&answer.status().as_u16()))
}

/// Writes what the child says to its log file, or throws it away; either way its pipes never fill up.
fn keep_output(fleet: &Fleet, slot: &LaunchSlot, child: &mut Child, secrets: Vec<crate::secret::Secret>) {
    let path = fleet.config.logs.as_ref().map(|dir| dir.join(format!("{}-{}.log", slot.revision, slot.instance)));
    let log = path.and_then(|path| match LogFile::create(path.clone(), fleet.config.log_limit, secrets) {
        Ok(log) => Some(Arc::new(log)),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "a log file could not be opened");
            None
        }
    });
    if let Some(stdout) = child.stdout.take() {
        tokio::spawn(keep(stdout, log.clone()));
    }
    if let Some(stderr) = child.stderr.take() {
        tokio::spawn(keep(stderr, log));
    }
}

async fn keep(mut stream: impl tokio::io::AsyncRead + Unpin, log: Option<Arc<LogFile>>) {
    match log {
        Some(log) => log.pump(stream).await,
        None => drop(tokio::io::copy(&mut stream, &mut tokio::io::sink()).await),
    }
}

/// A loopback port that nobody listens at. Somebody may take it before the instance does; then the instance ends and is
/// started again at another one.
fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

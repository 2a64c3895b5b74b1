//! A place: instances as real processes, and what shares the requests out between them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use deploy_agents::process::CommandLine;
use deploy_agents::targets::Balancer;
use deploy_agents::targets::haproxy::{Haproxy, HaproxyConfig, ServerCheck};
use deploy_agents::targets::processes::{FleetConfig, Launch, ProcessFleet};
use deploy_agents::targets::proxy::{Proxy, ProxyConfig};
use deploy_agents::wait::until;
use deploy_core::name::TargetName;
use deploy_core::target::{DesiredState, Target};

use crate::Failure;
use crate::args::Front;
use crate::flag::FILE;

/// How long anything may take: far longer than it does, so that a busy machine fails nothing.
const BOUND: Duration = Duration::from_secs(120);
/// How often HAProxy is tried with other ports, when somebody has taken one between its choice and its use.
const TRIES: usize = 5;

/// A place that serves.
#[derive(Debug)]
pub(crate) struct Place {
    running: Running,
    pub(crate) users_come_to: SocketAddr,
    dir: Option<PathBuf>,
}

#[derive(Debug)]
enum Running {
    Haproxy(Arc<ProcessFleet<Haproxy>>),
    Proxy(Arc<ProcessFleet<Proxy>>),
}

impl Place {
    /// Starts a place with so many instances of a revision, and waits until they serve. They read their flags from a file, if there
    /// is one.
    pub(crate) async fn start(
        front: Front,
        name: TargetName,
        begin: &DesiredState,
        flags: Option<&Path>,
    ) -> Result<Self, Failure> {
        let line = CommandLine::new(std::env::current_exe()?).args(["--serve"]);
        let line = match flags {
            Some(file) => line.env(FILE, file),
            None => line,
        };
        let launch = Launch::template(line);
        let config = FleetConfig::new(name, launch);
        let place = match front {
            Front::Haproxy => {
                let dir = std::env::temp_dir().join(format!("zero-downtime-{}-{}", std::process::id(), config.name));
                let haproxy = haproxy(&dir).await?;
                let users_come_to = haproxy.traffic_address().ok_or("haproxy has no address")?;
                let fleet = began(ProcessFleet::start(config, haproxy), begin).await?;
                Self { running: Running::Haproxy(fleet), users_come_to, dir: Some(dir) }
            }
            Front::Proxy => {
                let any = SocketAddr::from(([127, 0, 0, 1], 0));
                let proxy = Proxy::bind(any, ProxyConfig::default()).await?.with_preview(any).await?;
                let users_come_to = proxy.address();
                let fleet = began(ProcessFleet::start(config, proxy), begin).await?;
                Self { running: Running::Proxy(fleet), users_come_to, dir: None }
            }
        };
        Ok(place)
    }

    /// The place as a target.
    pub(crate) fn target(&self) -> Arc<dyn Target> {
        match &self.running {
            Running::Haproxy(fleet) => Arc::clone(fleet) as Arc<dyn Target>,
            Running::Proxy(fleet) => Arc::clone(fleet) as Arc<dyn Target>,
        }
    }

    /// Ends everything that was started.
    pub(crate) async fn close(self) {
        match self.running {
            Running::Haproxy(fleet) => fleet.close().await,
            Running::Proxy(fleet) => fleet.close().await,
        }
        if let Some(dir) = self.dir {
            // What is left in a folder for temporary files hurts nobody.
            let _ = std::fs::remove_dir_all(dir);
        }
    }
}

/// Where HAProxy is, if it is there.
pub(crate) fn find_haproxy() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps it where a user's path does not lead.
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")]);
    folders.map(|folder| folder.join("haproxy")).find(|file| file.is_file())
}

async fn haproxy(dir: &Path) -> Result<Haproxy, Failure> {
    let program = find_haproxy().ok_or("haproxy is not there")?;
    let mut refused = None;
    for _ in 0..TRIES {
        let check = ServerCheck::every(Duration::from_millis(200));
        let mut config = HaproxyConfig::new(dir, free()?).preview(free()?).check("/healthz", check);
        config.program.clone_from(&program);
        match Haproxy::start(config).await {
            Ok(haproxy) => return Ok(haproxy),
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.map_or_else(|| "haproxy was never started".into(), Into::into))
}

/// A loopback port that nobody listens at now.
fn free() -> Result<SocketAddr, std::io::Error> {
    std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// Gives a fleet what it begins with, and waits until that serves.
async fn began<B: Balancer>(fleet: ProcessFleet<B>, begin: &DesiredState) -> Result<Arc<ProcessFleet<B>>, Failure> {
    fleet.begin_with(begin)?;
    let serves = || async {
        let seen = fleet.observe().await.ok()?;
        seen.satisfies(begin).then_some(())
    };
    until(BOUND, Duration::from_millis(20), serves).await?;
    Ok(Arc::new(fleet))
}

//! What a fleet runs, and how patiently.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::digest::Digest;
use deploy_core::name::{RevisionName, TargetName};

use crate::process::CommandLine;

/// How an instance of a revision is started.
#[derive(Clone)]
pub struct Launch {
    make: Arc<dyn Fn(&LaunchSlot) -> CommandLine + Send + Sync>,
}

/// The particulars of one start of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaunchSlot {
    /// What it runs.
    pub revision: RevisionName,
    /// The loopback port that it is to listen at. Another one at each start.
    pub port: u16,
    /// Which instance of the fleet it is; kept over its restarts.
    pub instance: u64,
}

impl Launch {
    /// The same command line for all revisions; `{port}`, `{revision}` and `{instance}` in arguments and variables are
    /// replaced.
    ///
    /// Every instance also gets the variables `PORT` and `REVISION`, unless the command line sets them.
    #[must_use]
    pub fn template(line: CommandLine) -> Self {
        Self::by(move |slot| {
            line.clone().map(|text| {
                text.replace("{port}", &slot.port.to_string())
                    .replace("{revision}", slot.revision.as_str())
                    .replace("{instance}", &slot.instance.to_string())
            })
        })
    }

    /// A command line made for each start.
    pub fn by(make: impl Fn(&LaunchSlot) -> CommandLine + Send + Sync + 'static) -> Self {
        Self { make: Arc::new(make) }
    }

    pub(super) fn line(&self, slot: &LaunchSlot) -> CommandLine {
        (self.make)(slot)
    }
}

impl fmt::Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Launch")
    }
}

/// When an instance counts as healthy. It is asked with GET; a status of 200 to 399 is a success.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthCheck {
    /// What is asked for. Default `/healthz`.
    pub path: String,
    /// How many successes in a row make a starting instance ready. Default 2: one may be luck.
    pub successes: u32,
    /// How many failures in a row make a ready instance unready. Default 3.
    pub failures: u32,
    /// How many failures in a row make it be restarted. Default 10.
    pub restart_after: u32,
    /// How often a starting instance is asked. Default 50 ms.
    pub every_starting: Duration,
    /// How often a ready instance is asked. Default 1 s.
    pub every_ready: Duration,
    /// How long an answer may take. Default 2 s.
    pub timeout: Duration,
    /// How long an instance may take to become ready; then it is restarted. Default 60 s.
    pub start_within: Duration,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            path: "/healthz".to_owned(),
            successes: 2,
            failures: 3,
            restart_after: 10,
            every_starting: Duration::from_millis(50),
            every_ready: Duration::from_secs(1),
            timeout: Duration::from_secs(2),
            start_within: Duration::from_secs(60),
        }
    }
}

impl HealthCheck {
    /// The default check of another path.
    #[must_use]
    pub fn path(path: impl Into<String>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }
}

/// How often an instance that ends by itself is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestartPolicy {
    /// How many restarts in a row. Default 5; then it is given up until the place is told again what is wanted.
    pub most: u32,
    /// The first wait; doubled each time. Default 200 ms.
    pub first_wait: Duration,
    /// The longest wait. Default 10 s.
    pub longest_wait: Duration,
    /// How long it must have been ready for earlier restarts to be forgotten. Default 60 s.
    pub forget_after: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            most: 5,
            first_wait: Duration::from_millis(200),
            longest_wait: Duration::from_secs(10),
            forget_after: Duration::from_secs(60),
        }
    }
}

impl RestartPolicy {
    /// At most `most` restarts in a row, the first after `first_wait`.
    #[must_use]
    pub fn new(most: u32, first_wait: Duration) -> Self {
        Self { most, first_wait, ..Self::default() }
    }

    /// How long to wait before restart number `n`, from 1.
    pub(super) fn wait(&self, n: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(n.saturating_sub(1));
        self.first_wait.saturating_mul(doubled).min(self.longest_wait)
    }
}

/// Returns traffic to a stable revision when nobody has called for a while and traffic is split.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadMan {
    /// How long nobody may call. Choose several times the engine's observation interval.
    pub after: Duration,
    /// Where traffic returns to. Absent: to the last revision that had all of it.
    pub stable: Option<RevisionName>,
}

impl DeadMan {
    /// A lease of this length, to the last revision that had all of the traffic.
    #[must_use]
    pub fn after(after: Duration) -> Self {
        Self { after, stable: None }
    }

    /// The same, to a declared revision.
    #[must_use]
    pub fn to(mut self, stable: RevisionName) -> Self {
        self.stable = Some(stable);
        self
    }
}

/// What a fleet runs, and how patiently.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FleetConfig {
    /// How plans and records name the place.
    pub name: TargetName,
    /// How instances are started.
    pub launch: Launch,
    /// When they are healthy.
    pub health: HealthCheck,
    /// How often they are started again.
    pub restart: RestartPolicy,
    /// How long the requests of an instance that leaves may take to end. Default 30 s.
    pub drain_within: Duration,
    /// How long an instance has between SIGTERM and SIGKILL. Default 10 s.
    pub grace: Duration,
    /// Where the output of instances is kept, one file each; absent: it is thrown away.
    pub logs: Option<PathBuf>,
    /// The size at which a log file is begun anew, in bytes; one older file is kept. Default 1 MiB.
    pub log_limit: u64,
    /// How many instances may be wanted in all. Default 64: a mistyped number shall not take a machine down.
    pub most_instances: u32,
    /// The lease on split traffic, if there is one.
    pub dead_man: Option<DeadMan>,
    /// The programs that revisions must be, by the digest of their bytes. Default none: a revision is whatever it is started with.
    pub programs: BTreeMap<RevisionName, Digest>,
}

impl FleetConfig {
    /// A fleet with the defaults above.
    #[must_use]
    pub fn new(name: TargetName, launch: Launch) -> Self {
        Self {
            name,
            launch,
            health: HealthCheck::default(),
            restart: RestartPolicy::default(),
            drain_within: Duration::from_secs(30),
            grace: Duration::from_secs(10),
            logs: None,
            log_limit: 1024 * 1024,
            most_instances: 64,
            dead_man: None,
            programs: BTreeMap::new(),
        }
    }

    /// The same with another health check.
    #[must_use]
    pub fn health(mut self, health: HealthCheck) -> Self {
        self.health = health;
        self
    }

    /// The same with other restarts.
    #[must_use]
    pub fn restart(mut self, restart: RestartPolicy) -> Self {
        self.restart = restart;
        self
    }

    /// The same with other times to drain and to stop.
    #[must_use]
    pub fn stopping(mut self, drain_within: Duration, grace: Duration) -> Self {
        self.drain_within = drain_within;
        self.grace = grace;
        self
    }

    /// The same, keeping output in this directory.
    #[must_use]
    pub fn logs(mut self, dir: impl Into<PathBuf>) -> Self {
        self.logs = Some(dir.into());
        self
    }

    /// The same, where this revision is started only from a program of these bytes, which must be named by its path: what was
    /// tried out in one place is what runs in another, and what was built anew is refused. The bytes are read before each start.
    ///
    /// Rows: M30.
    #[must_use]
    pub fn program(mut self, revision: RevisionName, digest: Digest) -> Self {
        self.programs.insert(revision, digest);
        self
    }

    /// The same with a dead-man lease.
    #[must_use]
    pub fn dead_man(mut self, lease: DeadMan) -> Self {
        self.dead_man = Some(lease);
        self
    }
}

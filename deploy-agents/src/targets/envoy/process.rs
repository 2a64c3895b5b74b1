//! The Envoy process of a fleet's own.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use super::admin::EnvoyAdmin;
use super::config::EnvoyConfig;
use crate::targets::balancer::BalancerError;
use crate::wait::until;

/// How long it may take until it is ready.
const START_WITHIN: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);
/// How many lines of what it says before it ends are told.
const MOST_LINES: usize = 8;

/// Starts Envoy and waits until it takes traffic.
pub(super) async fn start(config: &EnvoyConfig, admin: &EnvoyAdmin) -> Result<Child, BalancerError> {
    let mut command = Command::new(&config.program);
    command.arg("-c").arg(config.bootstrap_path()).args(["--concurrency", &config.concurrency.to_string()]);
    // Without hot restarts; several of them may run on one machine.
    command.args(["-l", "warn", "--disable-hot-restart"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| {
        let program = config.program.display();
        BalancerError::new(format!("{program} could not be started; is Envoy installed?")).because(error)
    })?;
    let (tell, mut told) = mpsc::channel(MOST_LINES);
    if let Some(stderr) = child.stderr.take() {
        // The pipe must not fill up, whether or not anybody listens.
        tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(said)) = lines.next_line().await {
                tracing::info!(said, "envoy");
                // Only what it says at the start is waited for; later nobody takes it.
                let _full = tell.try_send(said);
            }
        });
    }
    let ready = until(START_WITHIN, LOOK, || async { admin.ready().await.ok() });
    tokio::select! {
        ready = ready => match ready {
            Ok(()) => Ok(child),
            Err(error) => Err(BalancerError::new("envoy was never ready").because(error)),
        },
        _ = child.wait() => {
            let mut said = Vec::new();
            while let Some(line) = told.recv().await {
                said.push(line);
            }
            Err(BalancerError::new(format!("envoy ended at once: {}", said.join("; "))))
        }
    }
}

/// Asks it to end, and kills it after `bound`.
pub(super) async fn stop(mut child: Child, bound: Duration) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        // It may have ended by itself.
        let _gone = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    if tokio::time::timeout(bound, child.wait()).await.is_err() {
        let _gone = child.kill().await;
    }
}

//! The HAProxy process of a fleet's own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use super::socket::{RuntimeSocket, Worker};
use crate::targets::balancer::BalancerError;
use crate::wait::until;

/// How long a worker may take until it answers at its socket.
const START_WITHIN: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(10);
/// How much of what it says is kept, in bytes.
const MOST_SAID: u64 = 16 * 1024;

/// Where its runtime socket is.
pub(super) fn socket_path(dir: &Path) -> PathBuf {
    dir.join("haproxy.sock")
}

/// Where its configuration is.
pub(super) fn config_path(dir: &Path) -> PathBuf {
    dir.join("haproxy.cfg")
}

/// Writes the configuration so that whoever reads it sees either the old one or the new one.
pub(super) fn write_config(path: &Path, text: &str) -> Result<(), BalancerError> {
    let beside = path.with_extension("new");
    let written = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| BalancerError::new(format!("{} could not be written", path.display())).because(error))
}

/// Starts a worker. If one is there already it is taken over: its listeners move without a gap, and it ends when its requests
/// have.
pub(super) async fn start(
    program: &Path,
    dir: &Path,
    socket: &RuntimeSocket,
) -> Result<(Child, Worker), BalancerError> {
    let before = socket.worker().await.ok();
    let mut command = Command::new(program);
    command.arg("-db").arg("-f").arg(config_path(dir));
    if let Some(before) = before {
        command.arg("-x").arg(socket.path()).arg("-sf").arg(before.pid.to_string());
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let child = command.spawn();
    let mut child = child.map_err(|error| {
        BalancerError::new(format!("{} could not be started; is HAProxy installed?", program.display())).because(error)
    })?;
    let pid = child.id();
    let mut stderr = child.stderr.take();
    let answers = async {
        let answering = until(START_WITHIN, LOOK, || async {
            let worker = socket.worker().await.ok()?;
            (Some(worker.pid) == pid).then_some(worker)
        });
        tokio::select! {
            worker = answering => worker.map_err(|error| {
                BalancerError::new(format!("nobody answers at {}", socket.path().display())).because(error)
            }),
            _ = child.wait() => {
                let mut said = Vec::new();
                if let Some(stderr) = &mut stderr {
                    // What it said before it ended is all there is to tell.
                    let _ = stderr.take(MOST_SAID).read_to_end(&mut said).await;
                }
                let said = String::from_utf8_lossy(&said);
                let alerts: Vec<&str> = said.lines().filter(|line| line.contains("[ALERT]")).collect();
                Err(BalancerError::new(format!("haproxy ended at once: {}", alerts.join("; "))))
            }
        }
    };
    let worker = answers.await?;
    if let Some(stderr) = stderr {
        // Servers that go down or come up, above all. The pipe must not fill up, whether or not anybody listens.
        tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(said)) = lines.next_line().await {
                tracing::info!(said, "haproxy");
            }
        });
    }
    Ok((child, worker))
}

/// Lets a worker finish its requests and end by itself, for at most `bound`; then it is killed.
pub(super) async fn stop(mut child: Child, bound: Duration) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        // It may have ended by itself.
        let _gone = kill(Pid::from_raw(pid), Signal::SIGUSR1);
    }
    if tokio::time::timeout(bound, child.wait()).await.is_err() {
        let _gone = child.kill().await;
    }
}

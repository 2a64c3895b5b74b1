//! Process groups: a child and everything that it started.

use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Child;

use crate::wait::until;

/// How long the kernel may take to clear away a group after SIGKILL.
const CLEARING: Duration = Duration::from_secs(5);
/// How often a group is looked at while it ends.
const EVERY: Duration = Duration::from_millis(10);

/// The process group that a child leads. Dropping it kills whatever is left of the group.
#[derive(Debug)]
pub(crate) struct Group {
    leader: Pid,
    ended: bool,
}

impl Group {
    /// The group of a child that was spawned with `process_group(0)`; nothing if it has been waited for already.
    pub(crate) fn led_by(child: &Child) -> Option<Self> {
        let leader = Pid::from_raw(i32::try_from(child.id()?).ok()?);
        Some(Self { leader, ended: false })
    }

    /// Sends a signal to every member. A group that is gone is no error: there is nothing left to signal.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Err(error) = killpg(self.leader, signal)
            && error != Errno::ESRCH
        {
            tracing::warn!(group = self.leader.as_raw(), %signal, %error, "a process group could not be signalled");
        }
    }

    /// Whether a member is still at work. A zombie that nobody has reaped yet is not.
    pub(crate) fn is_alive(&self) -> bool {
        killpg(self.leader, None) != Err(Errno::ESRCH) && has_live_member(self.leader).unwrap_or(true)
    }

    /// Asks the group to end (SIGTERM), gives it `grace`, then kills it (SIGKILL), and reaps the leader. Nothing of the
    /// group is left afterwards.
    pub(crate) async fn end(mut self, child: &mut Child, grace: Duration) -> Option<std::process::ExitStatus> {
        self.signal(Signal::SIGTERM);
        // The leader is reaped while we wait; a zombie would count as a member otherwise.
        let orderly = async {
            let status = child.wait().await.ok();
            let _ = until(grace, EVERY, || async { (!self.is_alive()).then_some(()) }).await;
            status
        };
        let orderly = tokio::time::timeout(grace, orderly).await.ok().flatten();
        self.kill(child).await.or(orderly)
    }

    /// Kills what is left of the group and reaps the leader.
    pub(crate) async fn kill(&mut self, child: &mut Child) -> Option<std::process::ExitStatus> {
        if self.is_alive() {
            self.signal(Signal::SIGKILL);
        }
        let status = tokio::time::timeout(CLEARING, child.wait()).await.ok().and_then(Result::ok);
        let gone = until(CLEARING, EVERY, || async { (!self.is_alive()).then_some(()) }).await;
        if gone.is_err() {
            tracing::error!(group = self.leader.as_raw(), "a process group outlived SIGKILL");
        }
        self.ended = gone.is_ok();
        status
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.ended {
            self.signal(Signal::SIGKILL);
        }
    }
}

/// Whether a process of the group is neither dead nor a zombie; nothing where there is no `/proc` to read.
fn has_live_member(group: Pid) -> Option<bool> {
    let entries = std::fs::read_dir("/proc").ok()?;
    let mut seen_any = false;
    for entry in entries.flatten() {
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        seen_any = true;
        // `pid (name) state ppid pgrp …`; the name may contain anything, so read after its last parenthesis.
        let Some((_, rest)) = stat.rsplit_once(')') else { continue };
        let mut fields = rest.split_whitespace();
        let (state, pgrp) = (fields.next(), fields.nth(1));
        let in_group = pgrp.and_then(|p| p.parse().ok()) == Some(group.as_raw());
        if in_group && !matches!(state, Some("Z" | "X")) {
            return Some(true);
        }
    }
    seen_any.then_some(false)
}

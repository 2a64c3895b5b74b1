//! A short program, run to its end within a bound.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use deploy_core::agent::Cancellation;
use tokio::io::AsyncWriteExt as _;

use super::{Capture, Captured, CommandLine, Group};
use crate::wait::pause;

/// How long a program has between SIGTERM and SIGKILL: long enough to say goodbye to a server.
const GRACE: Duration = Duration::from_secs(2);
/// How long output may still trickle in after the last process of the group is gone.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself, or by somebody else's signal.
    With(ExitStatus),
    /// It did not end in time, and was ended.
    TimedOut,
    /// It was no longer wanted, and was ended.
    Cancelled,
}

/// A program that was run: how it ended, and what it wrote, without its secrets.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) ended: Ended,
    pub(crate) stdout: Captured,
    pub(crate) stderr: Captured,
}

impl Ran {
    /// The last line that it wrote: to stderr, or else to stdout.
    pub(crate) fn last_line(&self) -> String {
        Some(self.stderr.last_line()).filter(|line| !line.is_empty()).unwrap_or_else(|| self.stdout.last_line())
    }
}

/// Runs a program to its end, gives it `input` to read, and keeps `kept` bytes of each of its streams. Nothing of its process
/// group is left afterwards, nor when this is dropped.
pub(crate) async fn run(
    line: &CommandLine,
    input: &[u8],
    kept: usize,
    within: Duration,
    cancellation: &Cancellation,
) -> Result<Ran, std::io::Error> {
    let mut command = line.command();
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn()?;
    let mut group =
        Group::led_by(&child).ok_or_else(|| std::io::Error::other("it ended before it could be watched"))?;
    let secrets = line.secrets();
    let longest = secrets.iter().map(|secret| secret.expose().len()).max().unwrap_or(0);
    let (stdout, stderr) = (Capture::new(kept, longest), Capture::new(kept, longest));
    let (mut stdin, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let streams = async {
        let write = async {
            if let Some(mut stream) = stdin.take() {
                // A program that does not read to the end has said what it has to say by its exit code.
                let _closed = stream.write_all(input).await;
            }
        };
        let read_out = async {
            if let Some(stream) = out {
                stdout.read(stream).await;
            }
        };
        let read_err = async {
            if let Some(stream) = err {
                stderr.read(stream).await;
            }
        };
        tokio::join!(write, read_out, read_err);
    };
    tokio::pin!(streams);
    let mut flowing = true;
    let bound = pause(within);
    tokio::pin!(bound);
    let stopped = loop {
        tokio::select! {
            () = &mut streams, if flowing => flowing = false,
            ended = child.wait() => break Ended::With(ended?),
            () = &mut bound => break Ended::TimedOut,
            () = cancellation.cancelled() => break Ended::Cancelled,
        }
    };
    match stopped {
        Ended::With(_) => drop(group.kill(&mut child).await),
        Ended::TimedOut | Ended::Cancelled => drop(group.end(&mut child, GRACE).await),
    }
    if flowing {
        let _late = tokio::time::timeout(LAST_WORDS, streams).await;
    }
    Ok(Ran { ended: stopped, stdout: stdout.collected(&secrets), stderr: stderr.collected(&secrets) })
}

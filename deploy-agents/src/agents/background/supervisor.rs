//! The process that stays with a background program. It uses no runtime and no thread but those that read output.

use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, setsid};

use super::marker::{Exit, Marker, Process, start_of};
use crate::process::Capture;
use crate::secret::Secret;

/// Which directory to supervise.
pub(super) const DIRECTORY: &str = "DEPLOY_SUPERVISE";
/// Which variables are secret, by name.
pub(super) const SECRETS: &str = "DEPLOY_SUPERVISE_SECRETS";
/// How much of each of stdout and stderr is kept, as [`Program`](crate::agents::Program) does.
const KEPT: usize = 64 * 1024;
/// How long output may still trickle in after the program has ended.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Supervises a background program if this process was started for that, and says how this process should end. Otherwise it
/// does nothing. Call it first in `main`, before any other thread is started and before arguments are read.
///
/// It moves this process into a session of its own, so that it outlives whoever started it.
#[must_use = "if there is an exit code, return it from main at once"]
pub fn supervise_if_asked() -> Option<ExitCode> {
    let dir = PathBuf::from(std::env::var_os(DIRECTORY)?);
    // It fails if this process leads a session already, which is as good.
    let _ = setsid();
    Some(match supervise(&Marker::at(dir)) {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody reads our output; whoever asks finds the directory without an exit, and the lock free.
        Err(_) => ExitCode::FAILURE,
    })
}

fn supervise(marker: &Marker) -> io::Result<()> {
    // Held until the end of this function, which is the end of this process.
    let Some(_held) = marker.lock()? else { return Ok(()) };
    let words = marker.command()?;
    if !marker.begin()? {
        return Ok(());
    }
    let names = std::env::var(SECRETS).unwrap_or_default();
    let secrets: Vec<Secret> = names.split(',').filter_map(|name| std::env::var(name).ok()).map(Secret::new).collect();
    let Some((program, args)) = words.split_first() else {
        return marker.put_exit(&Exit::NotStarted("the command is empty".to_owned()), b"");
    };
    let mut command = Command::new(program);
    command.args(args).env_remove(DIRECTORY).env_remove(SECRETS).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return marker.put_exit(&Exit::NotStarted(error.to_string()), b""),
    };
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    // Without it nobody can cancel the program; it runs all the same.
    let noted = marker.put_process(Process { pid, start: start_of(pid) });
    let (stdout, stderr, ended) = read(&mut child, &secrets);
    let status = child.wait()?;
    // What it left in its group goes with it.
    let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    // Each reader drops its end when its stream is closed; a process that left the group may hold one open for ever.
    let _ = ended.recv_timeout(LAST_WORDS);
    let output = [
        b"== stdout ==\n".as_slice(),
        &stdout.collected(&secrets).to_bytes(),
        b"\n== stderr ==\n",
        &stderr.collected(&secrets).to_bytes(),
    ];
    marker.put_exit(&exit(status), &output.concat())?;
    noted
}

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::NotStarted(status.to_string()),
    }
}

/// Reads both streams; the receiver disconnects when both have ended.
fn read(child: &mut Child, secrets: &[Secret]) -> (Capture, Capture, mpsc::Receiver<()>) {
    let longest = secrets.iter().map(|secret| secret.expose().len()).max().unwrap_or(0);
    let (stdout, stderr) = (Capture::new(KEPT, longest), Capture::new(KEPT, longest));
    let (open, ended) = mpsc::channel();
    if let Some(stream) = child.stdout.take() {
        keep(stream, stdout.clone(), open.clone());
    }
    if let Some(stream) = child.stderr.take() {
        keep(stream, stderr.clone(), open);
    }
    (stdout, stderr, ended)
}

fn keep(mut stream: impl Read + Send + 'static, capture: Capture, open: mpsc::Sender<()>) {
    std::thread::spawn(move || {
        let mut chunk = vec![0; 8 * 1024];
        while let Ok(n @ 1..) = stream.read(&mut chunk) {
            capture.push(&chunk[..n]);
        }
        drop(open);
    });
}

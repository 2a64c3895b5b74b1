//! The process that stays with a background program. It uses no runtime and no thread but those that read output.

use std::fs::File;
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
/// How often the lock is asked for, and how many times: for about as long as whoever started this waits for it.
const LOOK: Duration = Duration::from_millis(10);
const MOST_LOOKS: u32 = 3_000;

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
    let mut looks = 0;
    let again = || {
        looks += 1;
        if looks <= MOST_LOOKS {
            wait();
        }
        looks <= MOST_LOOKS
    };
    // Held until the end of this function, which is the end of this process.
    let Some(_held) = take(marker, again)? else { return Ok(()) };
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

/// Takes the lock, unless another supervisor is at work or `again` gives up. Whoever looks into the directory may hold it for a
/// moment, and a process that is just being started elsewhere in the host for a little longer: that is no reason to leave.
fn take(marker: &Marker, mut again: impl FnMut() -> bool) -> io::Result<Option<File>> {
    loop {
        if let Some(held) = marker.lock()? {
            return Ok(Some(held));
        }
        if marker.has_begun() || !again() {
            return Ok(None);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a process without a runtime waits for a lock that others hold for a moment"
)]
fn wait() {
    std::thread::sleep(LOOK);
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

#[cfg(test)]
mod tests {
    use deploy_core::effect::EffectKey;
    use deploy_core::name::RunId;
    use deploy_core::plan::StepPath;

    use super::{Marker, take};
    use crate::process::CommandLine;

    #[test]
    fn whoever_looks_in_for_a_moment_does_not_send_the_supervisor_away() {
        let dir = tempfile::tempdir().expect("a directory");
        let (run, step) = (RunId::new("run-1").expect("a name"), StepPath::new("a/b").expect("a path"));
        let key = EffectKey { run, step, undo: false, iteration: 0, attempt: 1 };
        let marker = Marker::of(dir.path(), &key);
        marker.prepare(&CommandLine::new("program"), &key).expect("written");
        let mut looking = marker.lock().expect("a lock");
        let taken = take(&marker, || looking.take().is_some()).expect("readable");
        assert!(taken.is_some(), "it waited until nobody held the lock");
        // Another one is on its way, and this one has not begun yet.
        assert!(take(&marker, || false).expect("readable").is_none(), "it gives up when it is told to");
        assert!(marker.begin().expect("written"));
        assert!(take(&marker, || panic!("another is at work")).expect("readable").is_none());
    }
}

//! The directory of one effect key: what engines and the supervisor tell each other.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use deploy_core::digest::Digest;
use deploy_core::effect::EffectKey;
use deploy_core::evidence::EvidenceSubject;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::process::CommandLine;
use crate::whole_file;

/// One directory. Its files:
///
/// | file | written by | meaning |
/// |---|---|---|
/// | `command` | engine | program and arguments, each ended by a zero byte |
/// | `lock` | | held by the supervisor for as long as it lives |
/// | `withdrawn` | engine, under the lock | no supervisor may begin |
/// | `begun` | supervisor, under the lock | from here on the program may have been started |
/// | `process` | supervisor | which process it is |
/// | `output`, `exit` | supervisor | what it wrote, and how it ended; `exit` comes last |
#[derive(Debug, Clone)]
pub(super) struct Marker(PathBuf);

/// A process that cannot be confused with a later one of the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    pub(super) pid: i32,
    /// When it started, in clock ticks since the machine did; 0 where the system does not say.
    pub(super) start: u64,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Exit {
    Code(i32),
    Signal(i32),
    NotStarted(String),
}

/// What a directory says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    NotBegun,
    Running(Option<Process>),
    Exited {
        code: i32,
        output: Vec<u8>,
    },
    Killed(i32),
    NotStarted(String),
    /// The supervisor is gone and left nothing.
    Lost,
}

impl Marker {
    pub(super) fn of(state: &Path, key: &EffectKey) -> Self {
        // A digest, because a key holds slashes; the key itself stands in the file `key`.
        let name = Digest::of(key.to_string().as_bytes()).to_string();
        Self(state.join(name.trim_start_matches("sha256:")))
    }

    pub(super) fn at(dir: PathBuf) -> Self {
        Self(dir)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.0
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn has_begun(&self) -> bool {
        self.file("begun").exists()
    }

    /// Makes the directory ready for a supervisor. May be done any number of times.
    pub(super) fn prepare(&self, line: &CommandLine, key: &EffectKey) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        let mut command = Vec::new();
        for word in line.words() {
            command.extend_from_slice(word.as_bytes());
            command.push(0);
        }
        whole_file::put(&self.file("key"), key.to_string().as_bytes())?;
        whole_file::put(&self.file("command"), &command)?;
        // A supervisor that was withdrawn before is wanted again. Without the lock one is at work already.
        if let Some(_held) = self.lock()? {
            match fs::remove_file(self.file("withdrawn")) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Program and arguments.
    pub(super) fn command(&self) -> io::Result<Vec<OsString>> {
        let bytes = fs::read(self.file("command"))?;
        let words = bytes.strip_suffix(&[0]).unwrap_or(&bytes).split(|byte| *byte == 0);
        Ok(words.map(|word| OsString::from_vec(word.to_vec())).collect())
    }

    /// Takes the lock, if nobody holds it. It is released when the file is dropped, and when the process dies.
    pub(super) fn lock(&self) -> io::Result<Option<File>> {
        let file = File::options().create(true).append(true).open(self.file("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Marks that the program may have been started from here on; tells whether this was the first and only time, and nobody
    /// has withdrawn it. The caller holds the lock.
    pub(super) fn begin(&self) -> io::Result<bool> {
        if self.file("withdrawn").exists() {
            return Ok(false);
        }
        match File::create_new(self.file("begun")) {
            Ok(file) => {
                file.sync_all()?;
                File::open(&self.0)?.sync_all()?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Keeps every supervisor from beginning; tells whether that is certain now.
    pub(super) fn withdraw(&self) -> bool {
        if !self.0.exists() {
            return true;
        }
        let Ok(Some(_held)) = self.lock() else { return false };
        !self.has_begun() && whole_file::put(&self.file("withdrawn"), b"").is_ok()
    }

    pub(super) fn put_process(&self, process: Process) -> io::Result<()> {
        whole_file::put(&self.file("process"), &serde_json::to_vec(&process)?)
    }

    pub(super) fn put_exit(&self, exit: &Exit, output: &[u8]) -> io::Result<()> {
        whole_file::put(&self.file("output"), output)?;
        whole_file::put(&self.file("exit"), &serde_json::to_vec(exit)?)
    }

    /// What later evidence of this effect speaks of. Best effort: without it the evidence says less.
    pub(super) fn keep_subject(&self, subject: &EvidenceSubject) {
        if let Ok(bytes) = serde_json::to_vec(subject)
            && fs::create_dir_all(&self.0).is_ok()
            && let Err(error) = whole_file::put(&self.file("subject"), &bytes)
        {
            tracing::warn!(%error, "the subject of a background program could not be kept");
        }
    }

    pub(super) fn subject(&self) -> EvidenceSubject {
        self.read("subject").unwrap_or_default()
    }

    fn read<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&fs::read(self.file(name)).ok()?).ok()
    }

    pub(super) fn standing(&self) -> Standing {
        if let Some(exited) = self.exited() {
            return exited;
        }
        if !self.has_begun() {
            return Standing::NotBegun;
        }
        match self.lock() {
            Ok(None) => Standing::Running(self.read("process")),
            // The supervisor writes how it ended before it lets go of the lock; it may just have done both.
            Ok(Some(_)) => self.exited().unwrap_or(Standing::Lost),
            Err(_) => Standing::Lost,
        }
    }

    fn exited(&self) -> Option<Standing> {
        Some(match self.read("exit")? {
            Exit::Code(code) => Standing::Exited { code, output: fs::read(self.file("output")).unwrap_or_default() },
            Exit::Signal(signal) => Standing::Killed(signal),
            Exit::NotStarted(why) => Standing::NotStarted(why),
        })
    }

    /// Signals the program's process group, if it is still that program.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(process) = self.read::<Process>("process")
            && start_of(process.pid) == process.start
        {
            let _ = killpg(Pid::from_raw(process.pid), signal);
        }
    }
}

/// When a process started, in clock ticks since the machine did; 0 if the system does not say.
pub(super) fn start_of(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Field 22; the second, the name, may contain anything, so count from its last parenthesis.
    stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(19)?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use deploy_core::effect::EffectKey;
    use deploy_core::name::RunId;
    use deploy_core::plan::StepPath;

    use super::{Exit, Marker, Standing};
    use crate::process::CommandLine;

    #[test]
    fn a_directory_is_begun_once_and_not_at_all_once_it_is_withdrawn() {
        let dir = tempfile::tempdir().expect("a directory");
        let (run, step) = (RunId::new("run-1").expect("a name"), StepPath::new("a/b").expect("a path"));
        let key = EffectKey { run, step, undo: false, iteration: 0, attempt: 1 };
        let marker = Marker::of(dir.path(), &key);
        let line = CommandLine::new("program").args(["a b", "", "c"]);
        assert!(marker.withdraw(), "nothing is there");
        marker.prepare(&line, &key).expect("written");
        assert_eq!(marker.command().expect("read"), ["program", "a b", "", "c"]);
        {
            let _supervisor = marker.lock().expect("a lock").expect("free");
            assert!(!marker.withdraw(), "a supervisor is at work");
        }
        assert!(marker.withdraw());
        assert!(!marker.begin().expect("read"), "it was withdrawn");
        marker.prepare(&line, &key).expect("written");
        assert!(marker.begin().expect("written"));
        assert!(!marker.begin().expect("read"), "it has begun already");
        assert!(!marker.withdraw(), "too late");
        assert_eq!(marker.standing(), Standing::Lost, "begun, and nobody holds the lock");
        let held = marker.lock().expect("a lock");
        assert_eq!(marker.standing(), Standing::Running(None));
        marker.put_exit(&Exit::Code(3), b"text").expect("written");
        drop(held);
        assert_eq!(marker.standing(), Standing::Exited { code: 3, output: b"text".to_vec() });
    }
}

//! `deployctl`, as a person or a script would call it: the real program, several processes at a time.

mod audit;
mod fresh;
mod history;
mod incident;
mod interrupted;
mod nonsense;
mod other_pipelines;
mod page;
mod parked;
mod planned;
mod promoted;
mod steered;
mod taken_back;
mod whole_workflow;

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use deploy_agents::wait::until;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::program::program;

/// Far longer than anything takes, so that a busy machine fails nothing.
const BOUND: Duration = Duration::from_secs(180);
const EVERY: Duration = Duration::from_millis(50);
/// The commands that say something to a run, and wait for its answer.
const SAY: [&str; 11] =
    ["abort", "acknowledge", "approve", "pause", "promote", "reject", "resume", "retry", "rollback", "settle", "waive"];

/// A journal of its own. What `deployctl` started beside it is ended when this is dropped.
struct Desk {
    folder: tempfile::TempDir,
}

/// What a command said.
#[derive(Debug)]
struct Said {
    code: i32,
    lines: Vec<Value>,
    text: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
        let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Self { code: output.status.code().expect("it was not killed"), lines, text }
    }

    /// The only line of a kind.
    #[track_caller]
    fn one(&self, kind: &str) -> &Value {
        match self.all(kind).as_slice() {
            [only] => only,
            others => panic!("{} lines of kind {kind}: {}", others.len(), self.text),
        }
    }

    fn all(&self, kind: &str) -> Vec<&Value> {
        self.lines.iter().filter(|line| line["kind"] == kind).collect()
    }

    /// The words of an error, which has this code.
    #[track_caller]
    fn error(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "{}", self.text);
        let error = self.one("error");
        assert_eq!(error["code"], code);
        error["text"].as_str().expect("text")
    }
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn journal(&self) -> PathBuf {
        self.path("journal.sqlite")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program("deployctl"));
        command.arg("--journal").arg(self.journal()).args(args).env("DEPLOYCTL_AS", "ada").stderr(Stdio::piped());
        if args.first().is_some_and(|word| SAY.contains(word)) {
            // Whoever drives the run answers within a moment, unless the machine is busy with something else.
            command.args(["--wait", "180s"]);
        }
        command
    }

    /// Runs a command to its end, with JSON.
    fn say(&self, args: &[&str]) -> Said {
        let output = self.command(args).arg("--json").output().expect("it starts");
        Said::of(&output)
    }

    /// Runs a command to its end, with text.
    fn text(&self, args: &[&str]) -> Said {
        Said::of(&self.command(args).output().expect("it starts"))
    }

    fn start(&self, args: &[&str]) -> Process {
        let mut child = self.command(args).arg("--json").stdout(Stdio::piped()).spawn().expect("it starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        // A command that never ends must not keep the tests for ever.
        let (ended, over) = mpsc::channel::<()>();
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("an id"));
        std::thread::spawn(move || {
            if over.recv_timeout(BOUND) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _ = kill(pid, Signal::SIGKILL);
            }
        });
        Process { child, stdout, seen: String::new(), _ended: ended }
    }

    /// A release of the default pipeline, quick enough for a test.
    fn release(&self, args: &[&str]) -> Process {
        let mut all = vec!["run", "--pace", "0.25"];
        all.extend(args);
        self.start(&all)
    }

    /// Waits until the only run under way is held.
    fn held(&self) {
        wait_for("the run is held", || {
            let status = self.say(&["status", "--exit-code"]);
            status.code == 4 && status.one("status")["driven_by"].is_string()
        });
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // A test that has failed must not leave a place behind either.
        let _ = self.command(&["place", "stop"]).output();
    }
}

/// A command that is under way.
struct Process {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
    seen: String,
    /// Tells who watches over it that nobody has to any more.
    _ended: mpsc::Sender<()>,
}

impl Process {
    /// The next line; nothing at the end.
    fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        let read = self.stdout.read_line(&mut line).expect("a line");
        self.seen.push_str(&line);
        (read > 0).then(|| serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
    }

    /// Reads until a line is as wanted.
    #[track_caller]
    fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            match self.line() {
                Some(line) if wanted(&line) => return line,
                Some(_) => {}
                None => panic!("it ended before: {}", self.seen),
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).expect("an id")), signal).expect("it is there");
    }

    /// Reads to its end.
    fn end(mut self) -> Said {
        while self.line().is_some() {}
        let status = self.child.wait().expect("it ended");
        let lines = self.seen.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Said { code: status.code().expect("it was not killed"), lines, text: std::mem::take(&mut self.seen) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Does nothing to one that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn wait_for(what: &str, mut condition: impl FnMut() -> bool + Send) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let met = runtime.block_on(until(BOUND, EVERY, || std::future::ready(condition().then_some(()))));
    assert!(met.is_ok(), "never came true: {what}");
}

fn is_record(line: &Value, event: &str) -> bool {
    line["kind"] == "record" && line["event"] == event
}

fn text_of<'a>(line: &'a Value, field: &str) -> &'a str {
    line[field].as_str().unwrap_or_else(|| panic!("{field} is no text in {line}"))
}

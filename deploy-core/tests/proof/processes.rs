//! Hosts as processes of their own: this test program, started again with a part to play.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use deploy_core::driver::EngineOptions;
use deploy_core::journal::Journal;
use deploy_core::name::{OwnerName, RunId};
use deploy_core::time::{Clock, SystemClock};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use crate::ledger::Ledger;
use crate::world::{Ending, World, pass, run_id, sqlite};

/// Tells a child what to do: the folder of the run, how its last step goes, and whether it goes on after it lost the run.
const PART: &str = "DEPLOY_CORE_PROOF_PART";
/// A host is given up after this long without a sign of life.
const LEASE: Duration = Duration::from_millis(500);
/// No test waits longer for anything: far longer than anything takes, so that a busy machine fails nothing.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn options() -> EngineOptions {
    EngineOptions::default()
        .lease(LEASE)
        .lease_margin(Duration::from_millis(120))
        .inbox_every(Duration::from_millis(5))
        .lock_every(Duration::from_millis(20))
        .snapshot_every(16)
}

/// The world of a folder, as every process sees it.
pub(crate) fn world(folder: &Path, unit: Duration) -> World {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let journal = Arc::new(sqlite(&folder.join("journal.db"), Arc::clone(&clock)));
    World::new(Ledger::open(&folder.join("ledger.db")), journal, clock, unit)
}

pub(crate) fn the_run() -> RunId {
    run_id("the-run")
}

/// A host that is killed if the test forgets it.
pub(crate) struct Host {
    child: Child,
    out: Option<BufReader<ChildStdout>>,
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Whether anybody could write to this file now.
fn is_free(file: &Path) -> bool {
    let sql = rusqlite::Connection::open(file).expect("a file");
    sql.busy_timeout(Duration::from_millis(1)).expect("a span");
    sql.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok()
}

impl Host {
    /// Starts a host. A persistent one takes the run up again and again until it has ended.
    pub(crate) fn start(folder: &Path, ending: Ending, persistent: bool, unit: Duration) -> Self {
        let part = format!("{ending:?}\n{persistent}\n{}\n{}", unit.as_micros(), folder.display());
        let mut child = Command::new(std::env::current_exe().expect("this test program"))
            .args(["--exact", "processes::part_of_a_host", "--ignored", "--nocapture"])
            .env(PART, part)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("a child");
        let out = child.stdout.take().map(BufReader::new);
        Self { child, out }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        nix::sys::signal::kill(id, signal).expect("it is there");
    }

    /// Stops it, and returns when it stands still without holding a file of this folder. A process that is stopped while it holds one
    /// keeps every other from writing there, for which SQLite has no remedy: that is another story than losing a lease. False if it had
    /// ended by itself.
    #[must_use]
    pub(crate) fn stop(&mut self, folder: &Path) -> bool {
        if self.has_ended() {
            return false;
        }
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        let from = tokio::time::Instant::now();
        loop {
            self.signal(Signal::SIGSTOP);
            let stands = waitpid(id, Some(WaitPidFlag::WUNTRACED)).expect("it is a child");
            if let WaitStatus::Exited(..) = stands {
                return false;
            }
            assert_eq!(stands, WaitStatus::Stopped(id, Signal::SIGSTOP));
            if ["journal.db", "ledger.db"].iter().all(|file| is_free(&folder.join(file))) {
                return true;
            }
            assert!(from.elapsed() < PATIENCE, "it never lets go of its files");
            self.signal(Signal::SIGCONT);
        }
    }

    /// Kills it, as the kernel does: it has no say in it.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a child to kill");
        self.child.wait().expect("its end");
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    /// Waits for its end, and says how it stood with the run.
    pub(crate) async fn last_words(mut self) -> String {
        let bound = tokio::time::Instant::now() + PATIENCE;
        while !self.has_ended() {
            assert!(tokio::time::Instant::now() < bound, "a host does not come to its end");
            pass(Duration::from_millis(2)).await;
        }
        let lines = self.out.take().expect("its words").lines().map_while(Result::ok);
        lines.filter_map(|line| Some(line.split_once("last words: ")?.1.to_owned())).last().unwrap_or_default()
    }
}

/// Waits until the run has so many records or has ended, or the host has. Says how many there are.
pub(crate) async fn until_records(journal: &dyn Journal, host: &mut Host, at_least: u64) -> u64 {
    let bound = tokio::time::Instant::now() + PATIENCE;
    loop {
        let entry = journal.entry(&the_run()).await.expect("readable").expect("there");
        if entry.records >= at_least || entry.outcome.is_some() || host.has_ended() {
            return entry.records;
        }
        if tokio::time::Instant::now() >= bound {
            let records = crate::judge::records(journal, &the_run()).await;
            let last = &records[records.len().saturating_sub(12)..];
            panic!("no record {at_least} within {PATIENCE:?}: {entry:?}: {last:#?}");
        }
        pass(Duration::from_millis(1)).await;
    }
}

/// Waits until whoever has the run now has written six records after these, or all that it can before a person answers.
pub(crate) async fn until_driven_on(journal: &dyn Journal, had: u64) {
    let bound = tokio::time::Instant::now() + PATIENCE;
    loop {
        let entry = journal.entry(&the_run()).await.expect("readable").expect("there");
        let asks = entry.waits.as_ref().is_some_and(|waits| waits.starts_with("asks people"));
        if entry.records >= had + 6 || (entry.records > had && asks) {
            return;
        }
        assert!(tokio::time::Instant::now() < bound, "nobody goes on after record {had}: {entry:?}");
        pass(Duration::from_millis(1)).await;
    }
}

/// Waits until the run belongs to somebody who is not this one, and says to whom.
pub(crate) async fn until_owned_by_another(journal: &dyn Journal, than: &OwnerName) -> OwnerName {
    let bound = tokio::time::Instant::now() + PATIENCE;
    loop {
        let entry = journal.entry(&the_run()).await.expect("readable").expect("there");
        match &entry.owner {
            Some(owner) if owner != than => return owner.clone(),
            _ => {}
        }
        assert!(tokio::time::Instant::now() < bound, "nobody but {than} has it: {entry:?}");
        pass(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
#[ignore = "a host's part in the tests with processes"]
async fn part_of_a_host() {
    let Ok(part) = std::env::var(PART) else { return };
    let mut part = part.splitn(4, '\n');
    let ending = if part.next() == Some("Good") { Ending::Good } else { Ending::Broken };
    let persistent = part.next() == Some("true");
    let unit = Duration::from_micros(part.next().and_then(|text| text.parse().ok()).expect("a number"));
    let folder = PathBuf::from(part.next().expect("a folder"));
    let world = world(&folder, unit);
    let engine = world.engine_on(Arc::clone(&world.journal), &world.reference(ending), options());
    loop {
        for handle in engine.resume_all().await.expect("readable") {
            let words = match handle.wait().await {
                Ok(end) => format!("it ended: {}", end.outcome),
                Err(error) => format!("it stopped here: {error:?}"),
            };
            println!("\nlast words: {words}");
            if !persistent {
                return;
            }
        }
        let entry = world.journal.entry(&the_run()).await.expect("readable").expect("there");
        if entry.outcome.is_some() {
            return;
        }
        pass(Duration::from_millis(10)).await;
    }
}

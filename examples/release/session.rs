//! What outlives the engine: a folder with the journal, and the address of a place that is alive.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use deploy_agents::wait::until;
use deploy_core::name::{NameError, RunId};
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::desk::Desk;
use crate::tally::Counts;

/// How long a place may take to serve version 1. A cold start of a large debug build on a busy machine takes a few seconds.
const START_WITHIN: Duration = Duration::from_secs(90);
/// How long a place that is there may take to answer before it counts as gone. One that is not there is found out at once.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const EVERY: Duration = Duration::from_millis(50);

/// How an engine finds its place. Lies in a file that only its owner can read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PlaceFile {
    /// Names this place among all that there ever were, and with it its runs.
    pub(crate) session: String,
    /// The process.
    pub(crate) pid: u32,
    /// Where engines say what they want.
    pub(crate) admin: SocketAddr,
    /// Where the tally is read, and where the end is asked for.
    pub(crate) desk: SocketAddr,
    /// Where users come in.
    pub(crate) traffic: SocketAddr,
    /// Opens `admin` and `desk`.
    pub(crate) token: String,
    /// What soaks and intervals are multiplied by.
    pub(crate) pace: f64,
}

/// A place that is alive, and the folder that belongs to it.
#[derive(Debug)]
pub(crate) struct Session {
    folder: PathBuf,
    pub(crate) place: PlaceFile,
    /// Whether another engine had started it.
    pub(crate) adopted: bool,
}

/// Where state lies unless said otherwise: beside this program, so that whoever may run it may write there.
pub(crate) fn state_folder(asked: Option<&Path>) -> Result<PathBuf, Failure> {
    let folder = match asked {
        Some(folder) => folder.to_owned(),
        None => std::env::current_exe()?.with_extension("state"),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    Ok(folder.canonicalize()?)
}

/// Makes this process the only engine of a state folder, for as long as the file is held. The system lets go of it however the
/// process ends.
pub(crate) fn only_engine(state: &Path) -> Result<File, Failure> {
    let path = state.join("engine.lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(format!(
            "another engine is at work in {}; wait for it, or give --state another folder",
            state.display()
        )
        .into()),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

impl Session {
    /// The place that is alive in this folder, if one is.
    pub(crate) async fn adopt(state: &Path) -> Result<Option<Self>, Failure> {
        let folder = current(state);
        let Ok(text) = std::fs::read(file(&folder)) else { return Ok(None) };
        let place: PlaceFile = serde_json::from_slice(&text)?;
        let session = Self { folder, place, adopted: true };
        let alive = session.counts().await.is_ok();
        Ok(alive.then_some(session))
    }

    /// How the users fare, as soon as the place says so: one that is busy is asked again.
    pub(crate) async fn counts(&self) -> Result<Counts, Failure> {
        let desk = Desk::of(&self.place);
        let answers = until(ANSWER_WITHIN, EVERY, || async {
            match desk.counts().await {
                Err(error) if !error.nobody_there => None,
                counts_or_nobody => Some(counts_or_nobody),
            }
        });
        Ok(answers.await??)
    }

    /// Starts a place in a process of its own. What an earlier one left in the folder is kept beside it, until the next start.
    pub(crate) async fn start(state: &Path, pace: f64) -> Result<Self, Failure> {
        let folder = current(state);
        if folder.exists() {
            let previous = state.join("previous");
            if previous.exists() {
                std::fs::remove_dir_all(&previous)?;
            }
            std::fs::rename(&folder, &previous)?;
        }
        DirBuilder::new().mode(0o700).create(&folder)?;
        let log = private(&folder.join("place.log"))?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--role", "place", "--pace", &pace.to_string(), "--state"])
            .arg(state)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let found = until(START_WITHIN, EVERY, || {
            let there = std::fs::read(file(&folder)).ok().map(Ok);
            let found = there.or_else(|| child.try_wait().ok().flatten().map(Err));
            async move { found }
        });
        let log = folder.join("place.log");
        match found.await {
            Ok(Ok(text)) => Ok(Self { place: serde_json::from_slice(&text)?, folder, adopted: false }),
            Ok(Err(status)) => {
                Err(format!("the place ended with {status}; its last words are in {}", log.display()).into())
            }
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(format!("the place does not serve: {error}; see {}", log.display()).into())
            }
        }
    }

    /// The journal of this session.
    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.join("journal.sqlite")
    }

    /// The run that releases a version in this session: always the same, so that it is never started twice.
    pub(crate) fn run(&self, version: &str) -> Result<RunId, NameError> {
        RunId::new(format!("{version}-{}", self.place.session))
    }
}

/// The folder of the session under way.
pub(crate) fn current(state: &Path) -> PathBuf {
    state.join("session")
}

fn file(folder: &Path) -> PathBuf {
    folder.join("place.json")
}

/// Tells engines where the place is: all of it or nothing, and only to this user.
pub(crate) fn announce(folder: &Path, place: &PlaceFile) -> Result<(), Failure> {
    let draft = folder.join("place.json.draft");
    private(&draft)?.write_all(&serde_json::to_vec_pretty(place)?)?;
    std::fs::rename(draft, file(folder))?;
    Ok(())
}

/// A file that only this user can read.
fn private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)
}

/// A token that nobody guesses.
pub(crate) fn new_token() -> std::io::Result<String> {
    let mut bytes = [0_u8; 24];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

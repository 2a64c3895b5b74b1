//! How a host finds the place again that an earlier one has started.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use deploy_agents::secret::Secret;
use deploy_agents::targets::place::PlaceTarget;
use deploy_agents::wait::until;
use deploy_core::name::TargetName;
use deploy_core::target::Target as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::code::Code;
use crate::journal::JournalFile;
use crate::trouble::Trouble;

/// How long a place may take to serve. A cold start of a large debug build on a busy machine takes a while.
const START_WITHIN: Duration = Duration::from_secs(90);
/// How long a place may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(30);
const EVERY: Duration = Duration::from_millis(50);

/// A place that is alive. Lies in a file beside the journal that only its owner can read: the token opens the place.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    /// The process.
    pub(crate) pid: i32,
    /// Where engines say what they want.
    pub(crate) admin: SocketAddr,
    /// Where users come in.
    pub(crate) traffic: SocketAddr,
    /// Opens `admin`.
    pub(super) token: String,
}

impl Session {
    /// A place that is not there: for looking at a plan without starting anything.
    pub(crate) fn absent() -> Self {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        Self { pid: 0, admin: nowhere, traffic: nowhere, token: String::new() }
    }

    /// The place as a target.
    pub(crate) fn target(&self) -> Result<PlaceTarget, Failure> {
        Ok(PlaceTarget::new(TargetName::new("place")?, self.admin).token(Secret::new(&self.token)))
    }

    /// The place beside this journal, if it is alive. That it is asked keeps it alive.
    pub(crate) async fn adopt(file: &JournalFile) -> Result<Option<Self>, Failure> {
        let Some(path) = file.path().parent().map(|folder| folder.join("place.json")) else { return Ok(None) };
        let Ok(text) = std::fs::read(&path) else { return Ok(None) };
        let found: Self = serde_json::from_slice(&text)
            .map_err(|error| Trouble::because(&format!("{} cannot be read; delete it", path.display()), &error))?;
        if found.target()?.observe().await.is_err() {
            return Ok(None);
        }
        Self::called(file)?;
        Ok(Some(found))
    }

    /// The place beside this journal; it is started if it is not there.
    pub(crate) async fn adopt_or_start(file: &JournalFile) -> Result<Self, Failure> {
        match Self::adopt(file).await? {
            Some(found) => Ok(found),
            None => Self::start(file).await,
        }
    }

    async fn start(file: &JournalFile) -> Result<Self, Failure> {
        let (folder, path) = (file.folder()?, place_file(file)?);
        if path.exists() {
            std::fs::remove_file(&path)?;
        }
        let log_path = folder.join("place.log");
        let log = private(&log_path)?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--journal")
            .arg(folder.join(file.path().file_name().unwrap_or_default()))
            .args(["place", "serve"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let found = until(START_WITHIN, EVERY, || {
            let there = std::fs::read(&path).ok().map(Ok);
            let found = there.or_else(|| child.try_wait().ok().flatten().map(Err));
            async move { found }
        });
        match found.await {
            Ok(Ok(text)) => Ok(serde_json::from_slice(&text)?),
            Ok(Err(status)) => {
                let text = format!("the place ended with {status}; its last words are in {}", log_path.display());
                Err(Trouble::ends(Code::Unavailable, text))
            }
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(Trouble::because(&format!("the place does not serve, see {}", log_path.display()), &error))
            }
        }
    }

    /// Ends the place beside this journal. Whether there was one.
    pub(crate) async fn stop(file: &JournalFile) -> Result<bool, Failure> {
        let Some(found) = Self::adopt(file).await? else { return Ok(false) };
        kill(Pid::from_raw(found.pid), Signal::SIGTERM)?;
        let path = place_file(file)?;
        let gone = until(GONE_WITHIN, EVERY, || async { (!path.exists()).then_some(()) });
        gone.await.map_err(|error| Trouble::because("the place does not end", &error))?;
        Ok(true)
    }

    /// Tells hosts where the place is: all of it or nothing, and only to this user.
    pub(super) fn announce(&self, file: &JournalFile) -> Result<(), Failure> {
        let path = place_file(file)?;
        let draft = path.with_extension("draft");
        private(&draft)?.write_all(&serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(draft, path)?;
        Ok(())
    }

    /// Leaves a mark that somebody still wants the place.
    pub(crate) fn called(file: &JournalFile) -> Result<(), Failure> {
        let path = place_file(file)?;
        // It may have ended meanwhile, which whoever drives it finds out.
        if let Ok(there) = OpenOptions::new().append(true).open(path) {
            there.set_modified(SystemTime::UNIX_EPOCH + since_1970())?;
        }
        Ok(())
    }
}

/// The file that says where the place beside this journal is.
pub(super) fn place_file(file: &JournalFile) -> Result<PathBuf, Failure> {
    Ok(file.folder()?.join("place.json"))
}

/// What the clock on the wall shows.
fn since_1970() -> Duration {
    use deploy_core::time::{Clock as _, SystemClock, Timestamp};
    SystemClock::new().wall().since(Timestamp(0))
}

/// A token that nobody guesses.
pub(crate) fn new_token() -> std::io::Result<String> {
    let mut bytes = [0_u8; 24];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A file that only this user can read.
fn private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)
}

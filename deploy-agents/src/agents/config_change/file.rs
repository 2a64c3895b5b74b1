//! A configuration in a file, with its versions in a folder beside it.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use async_trait::async_trait;
use deploy_core::digest::Digest;

use super::store::{ConfigError, ConfigStore, ConfigVersion};
use crate::whole_file;

/// A configuration in a file. The folder `<file>.versions` beside it holds every version by its digest, and `changes.jsonl`,
/// a line for each change. The file is replaced by renaming, so that a reader sees the old or the new one.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    path: PathBuf,
}

impl ConfigFile {
    /// The configuration at this path. The file may be absent; its folder must be there.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn versions(&self) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".versions");
        self.path.with_file_name(name)
    }

    fn failed(&self, what: &'static str) -> impl Fn(io::Error) -> ConfigError {
        let name = self.path.display().to_string();
        move |error| ConfigError::Store { name: name.clone(), what, source: error.into() }
    }

    /// Runs `work` where blocking is allowed.
    async fn blocking<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Self) -> Result<T, ConfigError> + Send + 'static,
    ) -> Result<T, ConfigError> {
        let this = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&this)).await;
        done.unwrap_or_else(|panicked| Err(self.failed(what)(io::Error::other(panicked))))
    }

    fn read(&self) -> io::Result<Option<Vec<u8>>> {
        match std::fs::read(&self.path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read_changes(&self) -> io::Result<Vec<ConfigVersion>> {
        let text = match std::fs::read_to_string(self.versions().join("changes.jsonl")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        // A line without its end was being written when the machine stopped; the change behind it was never begun.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).map_err(io::Error::other)).collect()
    }

    fn keep(&self, bytes: &[u8]) -> io::Result<()> {
        let kept = self.versions().join(Digest::of(bytes).to_string());
        if kept.is_file() { Ok(()) } else { whole_file::put(&kept, bytes) }
    }

    fn note(&self, change: &ConfigVersion) -> io::Result<()> {
        let known = self.read_changes()?;
        let same = |c: &ConfigVersion| (&c.change, c.before, c.after) == (&change.change, change.before, change.after);
        if known.last().is_some_and(same) {
            return Ok(());
        }
        let mut text = String::new();
        for line in known.iter().chain([change]) {
            text.push_str(&serde_json::to_string(line)?);
            text.push('\n');
        }
        whole_file::put(&self.versions().join("changes.jsonl"), text.as_bytes())
    }

    fn replace_now(&self, change: &ConfigVersion, wanted: Option<&[u8]>) -> Result<(), ConfigError> {
        let failed = self.failed("replacing");
        std::fs::create_dir_all(self.versions()).map_err(&failed)?;
        // One change at a time, across processes.
        let lock = File::create(self.versions().join("lock")).map_err(&failed)?;
        lock.lock().map_err(&failed)?;
        let there = self.read().map_err(&failed)?;
        let found = there.as_deref().map(Digest::of);
        if found != change.before {
            let name = self.path.display().to_string();
            return Err(ConfigError::Changed { name, found, expected: change.before });
        }
        for bytes in there.as_deref().into_iter().chain(wanted) {
            self.keep(bytes).map_err(&failed)?;
        }
        self.note(change).map_err(&failed)?;
        match wanted {
            Some(bytes) => whole_file::put(&self.path, bytes).map_err(&failed),
            None if there.is_some() => std::fs::remove_file(&self.path).map_err(&failed),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl ConfigStore for ConfigFile {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    async fn current(&self) -> Result<Option<Vec<u8>>, ConfigError> {
        self.blocking("reading", |this| this.read().map_err(this.failed("reading"))).await
    }

    async fn changes(&self) -> Result<Vec<ConfigVersion>, ConfigError> {
        let what = "reading the changes";
        self.blocking(what, move |this| this.read_changes().map_err(this.failed(what))).await
    }

    async fn version(&self, digest: Digest) -> Result<Vec<u8>, ConfigError> {
        let what = "reading a version";
        self.blocking(what, move |this| {
            let none = || ConfigError::NoVersion { name: this.name(), digest };
            let bytes =
                std::fs::read(this.versions().join(digest.to_string())).map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => none(),
                    _ => this.failed(what)(error),
                })?;
            // A version that was altered is not that version.
            if Digest::of(&bytes) == digest { Ok(bytes) } else { Err(none()) }
        })
        .await
    }

    async fn replace(&self, change: &ConfigVersion, wanted: Option<&[u8]>) -> Result<(), ConfigError> {
        let (change, wanted) = (change.clone(), wanted.map(<[u8]>::to_vec));
        self.blocking("replacing", move |this| this.replace_now(&change, wanted.as_deref())).await
    }
}

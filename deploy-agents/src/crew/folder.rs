//! A folder of reports, with a manifest that says what they are.

use std::path::{Component, Path, PathBuf};

use async_trait::async_trait;
use deploy_core::evidence::{Collected, EvidenceSubject, Producer};
use deploy_core::release::Release;
use deploy_core::time::Timestamp;
use serde::Deserialize;

use super::source::{EvidenceSource, SourceError, Wanted};

/// The longest report that is taken, in bytes: as much as the readers take.
const LONGEST: u64 = 64 * 1024 * 1024;

/// A folder of reports with a `manifest.json` beside them, read anew at every question.
///
/// The manifest says for each file of which kind it is, who made it, when, and what it is about:
///
/// ```json
/// {
///   "subject": { "commit": "0123…", "artifact": "sha256:97e9…", "environment": "production" },
///   "files": [
///     { "file": "junit.xml", "kind": "junit", "producer": "ci.example.org", "observed_at": "2026-11-23T07:45:00Z" },
///     { "file": "smoke.xml", "kind": "smoke-junit", "producer": "ci.example.org", "observed_at": "2026-11-23T07:45:00Z",
///       "run": "4711", "finished": true, "subject": { "environment": "staging" } }
///   ]
/// }
/// ```
///
/// In place of `subject` a whole `release` may stand there. A file without any subject is refused by every check. A file that is
/// named and not there is missing evidence, not an error; a file outside of the folder is never read.
///
/// ```
/// use deploy_agents::crew::EvidenceFolder;
///
/// let reports = EvidenceFolder::new("target/reports").manifest("release.json");
/// ```
#[derive(Debug, Clone)]
pub struct EvidenceFolder {
    folder: PathBuf,
    manifest: PathBuf,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    subject: EvidenceSubject,
    #[serde(default)]
    release: Option<Release>,
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    file: PathBuf,
    kind: String,
    producer: String,
    #[serde(default)]
    run: Option<String>,
    #[serde(default = "finished")]
    finished: bool,
    observed_at: String,
    #[serde(default)]
    subject: Option<EvidenceSubject>,
}

fn finished() -> bool {
    true
}

impl EvidenceFolder {
    /// This folder, with its `manifest.json`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), manifest: PathBuf::from("manifest.json") }
    }

    /// The same with a manifest of another name.
    #[must_use]
    pub fn manifest(mut self, name: impl Into<PathBuf>) -> Self {
        self.manifest = name.into();
        self
    }

    async fn piece(&self, file: &File, about: &EvidenceSubject) -> Result<Option<Collected>, SourceError> {
        let shown = file.file.display();
        if file.file.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(SourceError::definitive(format!("{shown} is outside of the folder")));
        }
        let observed_at = Timestamp::parse(&file.observed_at)
            .map_err(|e| SourceError::definitive(format!("{shown}: observed_at is no time")).because(e))?;
        let Some(bytes) = read(&self.folder.join(&file.file)).await? else { return Ok(None) };
        let subject = file.subject.clone().unwrap_or_else(|| about.clone());
        let mut piece = Collected::new(&file.kind, &file.producer, subject, observed_at, bytes);
        piece.evidence.producer =
            Producer { name: file.producer.clone(), run: file.run.clone(), finished: file.finished };
        Ok(Some(piece.summary(shown.to_string())))
    }
}

/// The bytes of a file; nothing where there is none.
async fn read(path: &Path) -> Result<Option<Vec<u8>>, SourceError> {
    let shown = path.display();
    let failed = |e: std::io::Error| SourceError::transient(format!("{shown} could not be read")).because(e);
    match tokio::fs::metadata(path).await {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
        Ok(found) if found.len() > LONGEST => {
            let text = format!("{shown} has {} bytes; at most {LONGEST} are read", found.len());
            return Err(SourceError::definitive(text));
        }
        Ok(_) => {}
    }
    tokio::fs::read(path).await.map(Some).map_err(failed)
}

#[async_trait]
impl EvidenceSource for EvidenceFolder {
    async fn collect(&self, wanted: &Wanted<'_>) -> Result<Vec<Collected>, SourceError> {
        let path = self.folder.join(&self.manifest);
        let Some(bytes) = read(&path).await? else {
            return Err(SourceError::definitive(format!("there is no {}", path.display())));
        };
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|e| SourceError::definitive(format!("{} is no manifest", path.display())).because(e))?;
        let about = manifest.release.as_ref().map_or_else(|| manifest.subject.clone(), subject_of);
        let mut pieces = Vec::new();
        for file in manifest.files.iter().filter(|file| wanted.asks_for(&file.kind)) {
            pieces.extend(self.piece(file, &about).await?);
        }
        Ok(pieces)
    }
}

/// What evidence about a whole release is about: its commit, its first artifact, its environment.
pub(crate) fn subject_of(release: &Release) -> EvidenceSubject {
    EvidenceSubject {
        commit: release.change.commit.clone(),
        artifact: release.artifacts.first().map(|artifact| artifact.digest),
        environment: Some(release.environment.clone()),
    }
}

//! A folder of events about incidents.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use deploy_core::evidence::{Collected, EvidenceSubject};
use deploy_core::name::EnvironmentName;

use super::source::{EvidenceSource, SourceError, Wanted};
use crate::checks::incident::answering_service;
use crate::checks::kind;
use crate::evidence::facts::IncidentFacts;
use crate::evidence::{ReadError, Source, cdevents};
use crate::whole_file;

/// The longest event that is taken, in bytes: what a broker takes in one message, and far more than an event needs.
const LONGEST: usize = 1024 * 1024;

/// Events about incidents, each in a file of its own, in a folder that outlives whoever received them.
///
/// As a source it hands over the events about the incident that a run answers to. An event says by itself who made it, when, and where
/// the incident happens; it is bound to that.
///
/// ```
/// use deploy_agents::crew::EventFolder;
///
/// let received = EventFolder::new("/var/lib/release-host/incidents");
/// ```
#[derive(Debug, Clone)]
pub struct EventFolder {
    folder: PathBuf,
}

/// An event that was not kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeepError {
    /// It is no event about an incident: look at whoever sent it. Nothing was written.
    #[error("it is no event about an incident that is read here")]
    Unreadable(#[from] ReadError),
    /// It is longer than any event need be. Nothing was written.
    #[error("it has {0} bytes; at most {LONGEST} are taken")]
    TooLong(usize),
    /// The folder could not be written to: mend it, and hand the event over again.
    #[error("{path} could not be written")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl EventFolder {
    /// This folder, which is made with the first event.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Keeps an event: when it returns, the event is on disk, whole. The same event again is the same file.
    ///
    /// # Errors
    ///
    /// [`KeepError`].
    ///
    /// # Cancel safety
    ///
    /// May be called again; a file stands there whole or not at all.
    pub async fn keep(&self, event: &[u8]) -> Result<IncidentFacts, KeepError> {
        if event.len() > LONGEST {
            return Err(KeepError::TooLong(event.len()));
        }
        let facts = cdevents::read(&Source::new("event", event))?;
        let name = format!("{}.json", deploy_core::digest::Digest::of(event).to_string().replace(':', "-"));
        let (folder, path) = (self.folder.clone(), self.folder.join(name));
        let (event, there) = (event.to_vec(), path.clone());
        let written = tokio::task::spawn_blocking(move || write(&folder, &there, &event)).await;
        let failed = |source| KeepError::Write { path: path.clone(), source };
        written.map_err(|error| failed(std::io::Error::other(error)))?.map_err(failed)?;
        Ok(facts)
    }
}

/// Writes an event; one that is there is there whole.
fn write(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    if path.exists() { Ok(()) } else { whole_file::put(path, bytes) }
}

#[async_trait]
impl EvidenceSource for EventFolder {
    async fn collect(&self, wanted: &Wanted<'_>) -> Result<Vec<Collected>, SourceError> {
        if !wanted.asks_for(kind::CD_EVENTS) {
            return Ok(Vec::new());
        }
        let failed = |e: std::io::Error| {
            SourceError::transient(format!("the events in {} could not be read", self.folder.display())).because(e)
        };
        let mut files = match tokio::fs::read_dir(&self.folder).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            found => found.map_err(failed)?,
        };
        let mut pieces = Vec::new();
        while let Some(file) = files.next_entry().await.map_err(failed)? {
            let path = file.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            // Nothing longer was ever kept.
            if file.metadata().await.map_err(failed)?.len() > LONGEST as u64 {
                continue;
            }
            let bytes = tokio::fs::read(&path).await.map_err(failed)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            pieces.extend(piece(&name, bytes, wanted));
        }
        Ok(pieces)
    }
}

/// The event as evidence, if it is about the incident that the run answers to.
fn piece(name: &str, bytes: Vec<u8>, wanted: &Wanted<'_>) -> Option<Collected> {
    let facts = cdevents::read(&Source::new(name, &bytes)).ok()?;
    let service = facts.service.as_ref()?;
    let answers = answering_service(&service.value, &facts.incident.value).ok()?;
    let environment = EnvironmentName::new(&facts.environment.value).ok()?;
    // The same name in another environment is another incident.
    if answers != wanted.release.service || environment != wanted.release.environment {
        return None;
    }
    let subject = EvidenceSubject { environment: Some(environment), ..EvidenceSubject::default() };
    Some(Collected::new(kind::CD_EVENTS, facts.source, subject, facts.at.value, bytes).summary(name))
}

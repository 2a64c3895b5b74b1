//! A CI system: what it has run, what came of it, and having it run something.
//!
//! ```text
//!  step ── perform ──► CiWorkflow ── find by key, dispatch ──► CiPort ── HTTP ──► GitHub Actions
//!       ◄─ evidence ──            ◄── run, artifacts ─────────
//! ```
//!
//! [`CiPort`] is the port that blocks ask through; [`GithubActions`] speaks the REST interface of GitHub (github.com, GitHub
//! Enterprise Server, and what imitates it); [`CiWorkflow`] is the agent.
//!
//! GitHub packs what a run uploads as ZIP. With the feature `zip`, the agent unpacks it, within bounds, into the files that evidence is
//! read from; without it, an artifact is evidence as the system keeps it.

#[cfg(feature = "zip")]
mod archive;
mod github;
mod workflow;

use std::collections::BTreeMap;
use std::fmt::{self, Debug};

use async_trait::async_trait;
use bytes::Bytes;
use deploy_core::digest::Digest;
use serde::{Deserialize, Serialize};

#[cfg(feature = "zip")]
pub use self::archive::{ArchiveError, ArchiveLimits};
pub use self::github::GithubActions;
pub use self::workflow::CiWorkflow;
use crate::http::HttpError;

/// A CI system.
///
/// # Contract for implementors
///
/// - A run is found again by its mark for as long as the system keeps runs, by any process.
/// - [`dispatch`](Self::dispatch) may answer before the run can be found.
/// - An error tells apart what certainly did nothing from what may have done it ([`CiError::did_nothing`]).
#[async_trait]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a CI system",
    note = "use `deploy_agents::agents::GithubActions`, or implement `deploy_agents::agents::CiPort` for your own system"
)]
pub trait CiPort: Debug + Send + Sync + 'static {
    /// Has the system run a workflow, under a mark by which the run is found again.
    ///
    /// # Errors
    ///
    /// [`CiError`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, it is not known whether the run was ordered: [find](Self::find) it.
    async fn dispatch(&self, order: &CiOrder) -> Result<(), CiError>;

    /// The newest run of a workflow that bears this mark; nothing if there is none, or none yet.
    ///
    /// # Errors
    ///
    /// [`CiError`] if the system could not be asked.
    ///
    /// # Cancel safety
    ///
    /// It only reads.
    async fn find(&self, workflow: &str, mark: &str) -> Result<Option<CiRun>, CiError>;

    /// Where a run stands.
    ///
    /// # Errors
    ///
    /// [`CiError`] if the system could not be asked, or there is no such run.
    ///
    /// # Cancel safety
    ///
    /// It only reads.
    async fn status(&self, run: &CiRunId) -> Result<CiRun, CiError>;

    /// What a run left behind.
    ///
    /// # Errors
    ///
    /// [`CiError`] if the system could not be asked.
    ///
    /// # Cancel safety
    ///
    /// It only reads.
    async fn artifacts(&self, run: &CiRunId) -> Result<Vec<CiArtifact>, CiError>;

    /// The bytes of an artifact, as the system keeps them. Where the system states a digest, they have it.
    ///
    /// # Errors
    ///
    /// [`CiError`] if they could not be had, or are not those that the system states.
    ///
    /// # Cancel safety
    ///
    /// It only reads.
    async fn download(&self, artifact: &CiArtifact) -> Result<Bytes, CiError>;

    /// Stops a run, if it has not ended.
    ///
    /// # Errors
    ///
    /// [`CiError`] if the system could not be asked.
    ///
    /// # Cancel safety
    ///
    /// May be called again.
    async fn cancel(&self, run: &CiRunId) -> Result<(), CiError>;

    /// The system's name as evidence states it: its host, for example.
    fn name(&self) -> String;
}

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CiOrder {
    /// The workflow, as the system names it: a file name for GitHub.
    pub workflow: String,
    /// The branch or tag whose workflow is run.
    pub reference: String,
    /// Names the run for ever.
    pub mark: String,
    /// What the workflow is told beside its mark.
    pub inputs: BTreeMap<String, String>,
}

/// Names one run of a CI system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CiRunId(pub String);

impl fmt::Display for CiRunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// One run of a CI system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiRun {
    /// Which.
    pub id: CiRunId,
    /// What it is called there.
    pub title: String,
    /// Where it stands.
    pub state: CiState,
    /// The commit that it ran on.
    pub commit: Option<String>,
    /// Which attempt of it this is, from 1.
    pub attempt: u32,
    /// Where a person reads more.
    pub url: Option<String>,
}

/// Where a run of a CI system stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CiState {
    /// It has not begun.
    Queued,
    /// It is under way.
    Running,
    /// Every job that had to succeed did.
    Succeeded,
    /// It ended otherwise, in the system's own word: `failure`, `timed_out`, `skipped`.
    Failed(String),
    /// Somebody stopped it.
    Cancelled,
}

/// Something that a run left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiArtifact {
    /// Its name.
    pub name: String,
    /// How the system names it.
    pub id: String,
    /// How large it is, in bytes.
    pub size: u64,
    /// The digest that the system states.
    pub digest: Option<Digest>,
    /// Whether its bytes are gone.
    pub expired: bool,
}

/// A question or order that a CI system did not answer as it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CiError {
    /// The request cannot be made of these words: mend the base, the repository or the workflow.
    #[error("{0} cannot be asked for")]
    Malformed(String),
    /// No whole answer came.
    #[error("{system} was not heard")]
    Http {
        /// The system.
        system: String,
        /// What was heard.
        #[source]
        source: HttpError,
    },
    /// It refused: check the token's rights, the repository and the workflow.
    #[error("{system} refused {what} with status {status}: {said}")]
    Refused {
        /// The system.
        system: String,
        /// What was asked.
        what: String,
        /// The status of its answer.
        status: u16,
        /// How its answer begins.
        said: String,
    },
    /// It has had too many questions: ask later.
    #[error("{system} answers no more questions for now (status {status})")]
    Limited {
        /// The system.
        system: String,
        /// The status of its answer.
        status: u16,
    },
    /// The answer is not of the shape that this build knows.
    #[error("the answer of {system} to {what} cannot be read")]
    Unreadable {
        /// The system.
        system: String,
        /// What was asked.
        what: String,
        /// The reader's words.
        #[source]
        source: serde_json::Error,
    },
    /// The bytes are not those that the system states: they were changed on the way, or replaced.
    #[error("artifact {name} has digest {found}, and {system} states {stated}")]
    Changed {
        /// The system.
        system: String,
        /// The artifact.
        name: String,
        /// What the bytes give.
        found: Digest,
        /// What was stated.
        stated: Digest,
    },
    /// An artifact is not unpacked, or not what it was said to be: the source says which of its files, and what to do.
    #[cfg(feature = "zip")]
    #[error("artifact {name} of {system} was not unpacked")]
    Packed {
        /// The system.
        system: String,
        /// The artifact.
        name: String,
        /// What is wrong with it.
        #[source]
        source: ArchiveError,
    },
    /// The bytes of an artifact are gone, or were never there.
    #[error("{system} has no artifact {name} of run {run} any more")]
    Gone {
        /// The system.
        system: String,
        /// The artifact.
        name: String,
        /// The run.
        run: String,
    },
}

impl CiError {
    /// Whether the request certainly had no effect.
    #[must_use]
    pub fn did_nothing(&self) -> bool {
        match self {
            Self::Malformed(_) | Self::Limited { .. } | Self::Gone { .. } => true,
            Self::Http { source, .. } => source.is_not_sent(),
            Self::Refused { status, .. } => (400..500).contains(status),
            Self::Unreadable { .. } | Self::Changed { .. } => false,
            #[cfg(feature = "zip")]
            Self::Packed { .. } => false,
        }
    }

    /// Whether the same request may go well later without anybody doing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Limited { .. } => true,
            Self::Http { source, .. } => !matches!(source, HttpError::Unsupported { .. } | HttpError::TooLarge { .. }),
            Self::Refused { status, .. } => *status >= 500,
            Self::Malformed(_) | Self::Unreadable { .. } | Self::Changed { .. } | Self::Gone { .. } => false,
            #[cfg(feature = "zip")]
            Self::Packed { .. } => false,
        }
    }
}

//! Where evidence comes from.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use deploy_core::evidence::Collected;
use deploy_core::plan::StepPath;
use deploy_core::release::Release;
use deploy_core::time::Timestamp;

use crate::checks::EvidenceSet;

/// Where the evidence of a release comes from: a folder of reports, a build server, bytes that earlier steps left.
///
/// # Contract for implementors
///
/// A source hands over what its producers said, bound to what *they* said it about: commit, artifact, environment. It never binds
/// evidence to the release that happens to ask, since nobody could tell foreign evidence any more. What is not there is left
/// out; the checks say what is missing. It may be asked any number of times, and has no effect.
#[async_trait]
pub trait EvidenceSource: Debug + Send + Sync + 'static {
    /// The pieces of the wanted kinds that there are.
    ///
    /// # Errors
    ///
    /// [`SourceError`] where nobody could look: another attempt may succeed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future must leave nothing behind.
    async fn collect(&self, wanted: &Wanted<'_>) -> Result<Vec<Collected>, SourceError>;
}

/// What an agent asks a source for.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Wanted<'a> {
    /// The release.
    pub release: &'a Release,
    /// The step that asks.
    pub step: &'a StepPath,
    /// The kinds of evidence, as in [`crate::checks::kind`].
    pub kinds: &'a [&'static str],
    /// Wall time.
    pub now: Timestamp,
}

impl<'a> Wanted<'a> {
    /// A question. Agents make these; tests of sources may too.
    #[must_use]
    pub fn new(release: &'a Release, step: &'a StepPath, kinds: &'a [&'static str], now: Timestamp) -> Self {
        Self { release, step, kinds, now }
    }

    /// Whether this kind is asked for.
    #[must_use]
    pub fn asks_for(&self, kind: &str) -> bool {
        self.kinds.contains(&kind)
    }
}

/// A source that could not look.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct SourceError {
    /// What went wrong: a lowercase fragment without a full stop, without secrets.
    pub message: String,
    /// Whether another attempt may succeed.
    pub transient: bool,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl SourceError {
    /// It may succeed later.
    #[must_use]
    pub fn transient(message: impl Into<String>) -> Self {
        Self { message: message.into(), transient: true, source: None }
    }

    /// Somebody must mend something first.
    #[must_use]
    pub fn definitive(message: impl Into<String>) -> Self {
        Self { message: message.into(), transient: false, source: None }
    }

    /// The same error with its cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// Evidence that is at hand already.
#[async_trait]
impl EvidenceSource for EvidenceSet {
    async fn collect(&self, wanted: &Wanted<'_>) -> Result<Vec<Collected>, SourceError> {
        let wanted = self.evidence().iter().filter(|piece| wanted.asks_for(&piece.kind));
        let whole = |piece: &deploy_core::evidence::Evidence| {
            Some(Collected { evidence: piece.clone(), bytes: self.bytes(&piece.digest)?.to_vec() })
        };
        Ok(wanted.filter_map(whole).collect())
    }
}

#[async_trait]
impl<T: EvidenceSource + ?Sized> EvidenceSource for Arc<T> {
    async fn collect(&self, wanted: &Wanted<'_>) -> Result<Vec<Collected>, SourceError> {
        (**self).collect(wanted).await
    }
}

/// Several sources, each asked for everything: reports of the build server beside those of the monitoring.
#[derive(Debug, Clone, Default)]
pub struct Sources(Vec<Arc<dyn EvidenceSource>>);

impl Sources {
    /// No source.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more.
    #[must_use]
    pub fn with(mut self, source: impl EvidenceSource) -> Self {
        self.0.push(Arc::new(source));
        self
    }
}

#[async_trait]
impl EvidenceSource for Sources {
    async fn collect(&self, wanted: &Wanted<'_>) -> Result<Vec<Collected>, SourceError> {
        let mut all = Vec::new();
        for source in &self.0 {
            all.extend(source.collect(wanted).await?);
        }
        Ok(all)
    }
}

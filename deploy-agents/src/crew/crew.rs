//! What the members of a crew share.

use std::collections::BTreeMap;
use std::sync::Arc;

use deploy_core::evidence::{Collected, Evidence};
use deploy_core::name::CheckName;

use super::folder::subject_of;
use super::source::{EvidenceSource, SourceError, Wanted};
use crate::checks::{Catalogue, Excused, Thresholds, kind};

/// What the members of a crew share: where their evidence comes from, the checks, and what does not apply.
///
/// ```
/// use deploy_agents::checks::{EvidenceSet, Thresholds};
/// use deploy_agents::crew::{Crew, RiskManager};
/// use deploy_core::agent::Agent as _;
///
/// let crew = Crew::new(EvidenceSet::new(), Thresholds::default());
/// let risks = RiskManager::new(&crew);
/// assert_eq!(risks.card().name.as_str(), "risk-manager-1");
/// ```
#[derive(Debug, Clone)]
pub struct Crew {
    source: Arc<dyn EvidenceSource>,
    catalogue: Arc<Catalogue>,
    thresholds: Arc<Thresholds>,
    excused: Arc<BTreeMap<CheckName, String>>,
}

impl Crew {
    /// A crew that reads from this source, with every check of this crate under these thresholds.
    #[must_use]
    pub fn new(source: impl EvidenceSource, thresholds: Thresholds) -> Self {
        let catalogue = Arc::new(Catalogue::standard(&thresholds));
        Self { source: Arc::new(source), catalogue, thresholds: Arc::new(thresholds), excused: Arc::default() }
    }

    /// The same crew with another catalogue: with checks of the host's own, or in place of ours.
    #[must_use]
    pub fn with_catalogue(mut self, catalogue: Catalogue) -> Self {
        let excused = std::mem::take(&mut self.excused);
        let names: Vec<(CheckName, String)> = excused.iter().map(|(n, r)| (n.clone(), r.clone())).collect();
        self.catalogue = Arc::new(catalogue);
        names.into_iter().fold(self, |crew, (name, reason)| crew.without_check(&name, reason))
    }

    /// The same crew, to which a check does not apply, for a stated reason. It is not forgotten: every report shows it as not
    /// applicable, with the reason, and the declaration itself is evidence of the run.
    ///
    /// A check that the catalogue does not have stays unknown.
    #[must_use]
    pub fn without_check(mut self, check: &CheckName, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        if let Some(there) = self.catalogue.check(check.as_str()) {
            let excused = there.clone().excused(reason.clone());
            self.catalogue = Arc::new((*self.catalogue).clone().with(excused));
        }
        let mut all = (*self.excused).clone();
        all.insert(check.clone(), reason);
        self.excused = Arc::new(all);
        self
    }

    /// The checks.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// What they are held against.
    #[must_use]
    pub fn thresholds(&self) -> &Thresholds {
        &self.thresholds
    }

    /// The checks that do not apply, and why.
    #[must_use]
    pub fn excused(&self) -> &BTreeMap<CheckName, String> {
        &self.excused
    }

    /// Where its evidence comes from.
    #[must_use]
    pub fn source(&self) -> &Arc<dyn EvidenceSource> {
        &self.source
    }

    /// What the source has, and beside it what the host declared not to apply.
    ///
    /// # Errors
    ///
    /// [`SourceError`] where the source cannot be read.
    ///
    /// # Cancel safety
    ///
    /// It only reads.
    pub async fn collect(&self, wanted: &Wanted<'_>) -> Result<Vec<Collected>, SourceError> {
        let mut pieces = self.source.collect(wanted).await?;
        pieces.retain(|piece| wanted.asks_for(&piece.evidence.kind) && piece.evidence.kind != kind::PROFILE);
        if wanted.asks_for(kind::PROFILE) && !self.excused.is_empty() {
            let declared = Excused { not_applicable: (*self.excused).clone() };
            let bytes = declared.to_bytes().map_err(|e| SourceError::definitive("the profile").because(e))?;
            let piece = Collected::new(kind::PROFILE, "profile", subject_of(wanted.release), wanted.now, bytes);
            pieces.push(piece.summary("profile.json"));
        }
        pieces.sort_by(|a, b| key(&a.evidence).cmp(&key(&b.evidence)));
        Ok(pieces)
    }
}

/// The order of evidence in reports: the same whatever order a source has.
fn key(evidence: &Evidence) -> (&str, &str, &deploy_core::digest::Digest) {
    (&evidence.kind, &evidence.summary, &evidence.digest)
}

//! Collects a dossier from a journal.

use std::collections::{BTreeMap, BTreeSet};

use deploy_core::digest::Digest;
use deploy_core::evidence::{Evidence, Refusal};
use deploy_core::journal::{Chain, Envelope, Journal, JournalError, Stored, VerifyError};
use deploy_core::machine::{Event, Record, RecordError};
use deploy_core::name::RunId;

use super::Dossier;
use crate::checks::Document as _;
use crate::workflows::Policy;

/// How many records are read at once.
const PAGE: usize = 1024;

/// A dossier that could not be collected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectError {
    /// The journal could not be read: try again.
    #[error("the journal could not be read")]
    Journal(#[from] JournalError),
    /// The records are not those that were written: restore the run from a backup.
    #[error("the records of the run were changed")]
    Chain(#[from] VerifyError),
    /// A record is of a kind that this build does not know: use the build that wrote it.
    #[error("a record cannot be read")]
    Record(#[from] RecordError),
    /// The run has no first record: it was never started.
    #[error("the run does not begin with a plan")]
    NoPlan,
}

impl Dossier {
    /// Collects the dossier of a run, as far as the run has come. The chain of its records is checked on the way.
    ///
    /// # Errors
    ///
    /// [`CollectError`].
    ///
    /// # Cancel safety
    ///
    /// It only reads.
    pub async fn collect(journal: &dyn Journal, run: &RunId) -> Result<Self, CollectError> {
        let mut chain = Chain::new();
        let mut records: Vec<Stored> = Vec::new();
        loop {
            let page = journal.read(run, records.len() as u64, PAGE).await?;
            if page.is_empty() {
                break;
            }
            for record in &page {
                chain.check(record).map_err(VerifyError::Chain)?;
            }
            records.extend(page);
        }
        let head = chain.finish().map_err(VerifyError::Chain)?.head;
        let stored: Vec<Vec<u8>> = records.into_iter().map(|record| record.bytes).collect();
        let mut dossier = Self::of_records(run.clone(), head, stored)?;
        for digest in dossier.named() {
            // What is gone is shown as gone; a store that cannot be read is an error.
            if let Some(bytes) = journal.blob(&digest).await? {
                dossier.evidence.insert(digest, bytes);
            }
        }
        Ok(dossier)
    }

    /// A dossier of stored records, without evidence.
    pub(super) fn of_records(
        run: RunId,
        head: deploy_core::journal::Head,
        stored: Vec<Vec<u8>>,
    ) -> Result<Self, CollectError> {
        let records = stored
            .iter()
            .map(|bytes| Ok(Record::open(&Envelope::parse(bytes)?)?))
            .collect::<Result<Vec<Record>, CollectError>>()?;
        let plan = records.iter().find_map(|record| match &record.event {
            Event::Started(started) if started.run == run => Some(std::sync::Arc::clone(&started.plan)),
            _ => None,
        });
        Ok(Self { run, head, plan: plan.ok_or(CollectError::NoPlan)?, records, stored, evidence: BTreeMap::new() })
    }

    /// What was asked of the release when it was judged, by the digest of the document that states it, in order of digests. Of a run
    /// whose policy was not changed on the way there is one; of one from before policies were stated, none. A policy of an earlier format
    /// is brought to the newest.
    ///
    /// # Errors
    ///
    /// Each has its own: its bytes are gone, were changed, or are of a newer format than this build knows.
    ///
    /// Rows: M131.
    #[must_use]
    pub fn policies(&self) -> BTreeMap<Digest, Result<Policy, Refusal>> {
        let stated = self.reported().filter(|piece| piece.kind == Policy::KIND).map(|piece| piece.digest);
        let read = |digest: Digest| {
            let file = format!("{}@{}", Policy::KIND, digest.short());
            match self.evidence.get(&digest) {
                None => Err(Refusal::Missing(format!("{file}: its bytes are not kept any more"))),
                Some(bytes) if Digest::of(bytes) != digest => {
                    Err(Refusal::Unparseable(format!("{file}: its bytes are not those that the run names")))
                }
                Some(bytes) => crate::checks::read(&file, bytes),
            }
        };
        stated.map(|digest| (digest, read(digest))).collect()
    }

    /// The evidence that reports of the run name.
    fn reported(&self) -> impl Iterator<Item = &Evidence> {
        let reports = self.records.iter().filter_map(|record| match &record.event {
            Event::Completed(completed) => Some(&completed.report),
            _ => None,
        });
        reports.flat_map(|report| &report.evidence)
    }

    /// The digests of all evidence that the records name.
    pub(super) fn named(&self) -> BTreeSet<Digest> {
        self.reported().map(|piece| piece.digest).collect()
    }
}

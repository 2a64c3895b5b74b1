//! What an agent has read, for those who make something of it.

use deploy_core::agent::Task;
use deploy_core::deliverable::DeliverableError;
use deploy_core::evidence::{CheckInput, Evidence, Refusal, Verdict};
use deploy_core::name::BlockName;
use deploy_core::release::Release;
use deploy_core::time::Timestamp;

use super::issued::{Body, Content, Issued, Piece, Said, Subject};
use crate::checks::{Catalogue, Reading, Thresholds, file_of};

/// What an agent has read and what the checks say of it: what a [`Content`] is made of.
///
/// The evidence in it was accepted: it is bound to this release, fresh, whole, and from a producer that had finished. What was
/// refused is named by [`refused`](Self::refused), and cannot be read here.
#[derive(Debug)]
#[non_exhaustive]
pub struct Material<'a> {
    pub(super) input: &'a CheckInput<'a>,
    pub(super) refused: &'a [(Evidence, Refusal)],
    pub(super) said: &'a [Said],
    pub(super) catalogue: &'a Catalogue,
    pub(super) thresholds: &'a Thresholds,
    pub(super) task: &'a Task,
    pub(super) by: &'a BlockName,
}

impl<'a> Material<'a> {
    /// Reads the accepted evidence.
    #[must_use]
    pub fn reading(&self) -> Reading<'a> {
        Reading::new(self.input)
    }

    /// The release.
    #[must_use]
    pub fn release(&self) -> &'a Release {
        self.input.release
    }

    /// Wall time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.input.now
    }

    /// What the checks are held against.
    #[must_use]
    pub fn thresholds(&self) -> &'a Thresholds {
        self.thresholds
    }

    /// All checks that there are.
    #[must_use]
    pub fn catalogue(&self) -> &'a Catalogue {
        self.catalogue
    }

    /// The evidence that was refused, and why.
    #[must_use]
    pub fn refused(&self) -> &'a [(Evidence, Refusal)] {
        self.refused
    }

    /// What the checks of the step said, by the rules of the engine.
    #[must_use]
    pub fn said(&self) -> &'a [Said] {
        self.said
    }

    /// What one check of the step said; nothing if the step does not ask it.
    #[must_use]
    pub fn verdict(&self, check: &str) -> Option<&'a Verdict> {
        self.said.iter().find(|said| said.check.as_str() == check).map(|said| &said.verdict)
    }

    /// A deliverable of an earlier step. The duty must [take](super::Duty::takes) it.
    ///
    /// # Errors
    ///
    /// [`DeliverableError`] if it was not handed over or has another shape.
    pub fn taken<C: Content>(&self) -> Result<Issued<C>, DeliverableError> {
        self.task.input()
    }

    /// The pieces that stand here, for a deliverable to name.
    fn pieces(&self) -> Vec<Piece> {
        let piece = |(evidence, _): &(&Evidence, &[u8])| Piece {
            kind: evidence.kind.clone(),
            digest: evidence.digest,
            file: file_of(evidence),
            observed_at: evidence.observed_at,
        };
        self.input.evidence.iter().map(piece).collect()
    }

    /// Issues what `make` makes of it. Where something was refused and nothing could be made, the refusal of the evidence says
    /// more than that it is missing.
    pub(super) fn issue<C>(&self, make: impl FnOnce(&Self) -> Result<C, Refusal>) -> Issued<C> {
        let body = match make(self) {
            Ok(content) => Body::Made(content),
            Err(missing @ Refusal::Missing(_)) => {
                let first = self.refused.first().map(|(_, refusal)| refusal.clone());
                Body::Refused(first.unwrap_or(missing))
            }
            Err(refusal) => Body::Refused(refusal),
        };
        Issued {
            subject: Subject::of(self.release()),
            by: self.by.clone(),
            at: self.now(),
            read: self.pieces(),
            said: self.said.to_vec(),
            body,
        }
    }
}

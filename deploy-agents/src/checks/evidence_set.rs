//! Evidence at hand, to be judged outside of a run: by a host, a checklist, or a person with a folder of reports.

use std::collections::BTreeMap;

use deploy_core::digest::Digest;
use deploy_core::evidence::{CheckInput, Claim, Collected, Evidence, Receipt, Verdict, Waiver, verify};
use deploy_core::name::BlockName;
use deploy_core::release::Release;
use deploy_core::time::Timestamp;

use super::assessment::Assessment;
use super::catalogue::CatalogueCheck;

/// Evidence at hand, with its bytes.
#[derive(Debug, Clone, Default)]
pub struct EvidenceSet {
    evidence: Vec<Evidence>,
    bytes: BTreeMap<Digest, Vec<u8>>,
}

/// What a check said of evidence at hand.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Judged {
    /// What the engine's verifier makes of it.
    pub receipt: Receipt,
    /// What the check found. Without figures where the evidence was refused before it was read.
    pub assessment: Assessment,
}

impl EvidenceSet {
    /// No evidence.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more piece.
    #[must_use]
    pub fn with(mut self, collected: Collected) -> Self {
        self.add(collected);
        self
    }

    /// Adds a piece.
    pub fn add(&mut self, collected: Collected) {
        self.bytes.insert(collected.evidence.digest, collected.bytes);
        self.evidence.push(collected.evidence);
    }

    /// The particulars of all pieces.
    #[must_use]
    pub fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }

    /// The bytes of a piece, by digest.
    #[must_use]
    pub fn bytes(&self, digest: &Digest) -> Option<&[u8]> {
        self.bytes.get(digest).map(Vec::as_slice)
    }

    /// What a check says of all pieces of the kinds that it reads, by the rules of the engine: whoever `claims` may not have
    /// made them, and they must be bound, fresh and whole.
    #[must_use]
    pub fn judge(
        &self,
        check: &CatalogueCheck,
        release: &Release,
        claims: &BlockName,
        waiver: Option<&Waiver>,
        now: Timestamp,
    ) -> Judged {
        let mine: Vec<&Evidence> =
            self.evidence.iter().filter(|piece| check.kinds().contains(&piece.kind.as_str())).collect();
        let evidence: Vec<Digest> = mine.iter().map(|piece| piece.digest).collect();
        let claim = [Claim { check: check.name().clone(), evidence, value: String::new() }];
        let wanted = check.verification();
        let run = check.check();
        let receipt = verify(&wanted, claims, release, &claim, &self.evidence, &self.bytes, Some(&run), waiver, now);
        let accepted: Option<Vec<(&Evidence, &[u8])>> =
            mine.iter().map(|piece| Some((*piece, self.bytes(&piece.digest)?))).collect();
        let assessment = match accepted.filter(|_| !receipt.read.is_empty()) {
            Some(accepted) => check.assess(&CheckInput::new(release, &accepted, now)),
            None => match &receipt.verdict {
                Verdict::Inconclusive { refusal } => Assessment::refused(refusal.clone()),
                verdict => Assessment { verdict: verdict.clone(), figures: Vec::new(), notes: Vec::new() },
            },
        };
        Judged { receipt, assessment }
    }
}

//! Reads the evidence that a check was given, each piece by the reader of its kind.

use deploy_core::evidence::{CheckInput, Evidence, Refusal};
use deploy_core::release::Release;
use deploy_core::time::Timestamp;

use super::document::{self, Document, Read, file_of};
use super::kind;
use crate::evidence::facts::{BomFacts, CoverageFacts, FindingFacts, TestFacts, VexFacts, VulnerabilityFacts};
use crate::evidence::{
    ReadError, Source, cargo_audit, cobertura, csaf, cyclonedx, grype, junit, lcov, llvm_cov, openvex, osv, sarif,
    spdx, trivy,
};

/// A reader of one kind of report.
type Reader<T> = fn(&Source<'_>) -> Result<T, ReadError>;

/// The evidence of one question, and the readers for it.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    input: &'a CheckInput<'a>,
}

impl<'a> Reading<'a> {
    /// Reads what a check was given.
    #[must_use]
    pub fn new(input: &'a CheckInput<'a>) -> Self {
        Self { input }
    }

    /// The release that is being checked.
    #[must_use]
    pub fn release(&self) -> &'a Release {
        self.input.release
    }

    /// Wall time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.input.now
    }

    /// The pieces of one kind, each with its bytes.
    pub fn pieces(&self, kind: &str) -> impl Iterator<Item = (&'a Evidence, &'a [u8])> {
        self.input.evidence.iter().copied().filter(move |(evidence, _)| evidence.kind == kind)
    }

    /// Reads every piece of these kinds; the first that cannot be read refuses them all.
    ///
    /// # Errors
    ///
    /// The refusal; [`Refusal::Missing`] where there is no piece of any of them.
    pub fn each<T>(&self, readers: &[(&str, Reader<T>)]) -> Result<Vec<(&'a Evidence, T)>, Refusal> {
        let found = self.each_if_any(readers)?;
        if found.is_empty() {
            let kinds: Vec<&str> = readers.iter().map(|(kind, _)| *kind).collect();
            return Err(Refusal::Missing(format!("there is no evidence of kind {}", kinds.join(" or "))));
        }
        Ok(found)
    }

    /// The same where there may be none.
    ///
    /// # Errors
    ///
    /// The refusal of the first piece that cannot be read.
    pub fn each_if_any<T>(&self, readers: &[(&str, Reader<T>)]) -> Result<Vec<(&'a Evidence, T)>, Refusal> {
        let mut found = Vec::new();
        for (kind, reader) in readers {
            for (evidence, bytes) in self.pieces(kind) {
                let file = file_of(evidence);
                found.push((evidence, reader(&Source::new(&file, bytes))?));
            }
        }
        Ok(found)
    }

    /// Test reports of one kind.
    ///
    /// # Errors
    ///
    /// The refusal.
    pub fn tests(&self, kind: &str) -> Result<Vec<TestFacts>, Refusal> {
        Ok(self.each(&[(kind, junit::read)])?.into_iter().map(|(_, facts)| facts).collect())
    }

    /// Coverage reports.
    ///
    /// # Errors
    ///
    /// The refusal.
    pub fn coverage(&self) -> Result<Vec<CoverageFacts>, Refusal> {
        let readers: [(&str, Reader<CoverageFacts>); 3] =
            [(kind::LCOV, lcov::read), (kind::COBERTURA, cobertura::read), (kind::LLVM_COV, llvm_cov::read)];
        Ok(self.each(&readers)?.into_iter().map(|(_, facts)| facts).collect())
    }

    /// Findings of static analysis.
    ///
    /// # Errors
    ///
    /// The refusal.
    pub fn findings(&self) -> Result<Vec<FindingFacts>, Refusal> {
        Ok(self.each(&[(kind::SARIF, sarif::read)])?.into_iter().map(|(_, facts)| facts).collect())
    }

    /// Scans for vulnerabilities, each with its particulars.
    ///
    /// # Errors
    ///
    /// The refusal.
    pub fn vulnerabilities(&self) -> Result<Vec<(&'a Evidence, VulnerabilityFacts)>, Refusal> {
        self.each(&[
            (kind::TRIVY, trivy::read),
            (kind::GRYPE, grype::read),
            (kind::OSV, osv::read),
            (kind::CARGO_AUDIT, cargo_audit::read),
        ])
    }

    /// Statements about vulnerabilities, of which there may be none.
    ///
    /// # Errors
    ///
    /// The refusal.
    pub fn statements(&self) -> Result<Vec<VexFacts>, Refusal> {
        let readers: [(&str, Reader<VexFacts>); 2] = [(kind::OPEN_VEX, openvex::read), (kind::CSAF, csaf::read)];
        Ok(self.each_if_any(&readers)?.into_iter().map(|(_, facts)| facts).collect())
    }

    /// Bills of materials.
    ///
    /// # Errors
    ///
    /// The refusal.
    pub fn bills(&self) -> Result<Vec<BomFacts>, Refusal> {
        let readers: [(&str, Reader<BomFacts>); 2] = [(kind::CYCLONE_DX, cyclonedx::read), (kind::SPDX, spdx::read)];
        Ok(self.each(&readers)?.into_iter().map(|(_, facts)| facts).collect())
    }

    /// Every document of one of our own formats.
    ///
    /// # Errors
    ///
    /// The refusal of the first that cannot be read.
    pub fn documents<D: Document>(&self) -> Result<Vec<Read<D>>, Refusal> {
        let read = |(evidence, bytes): (&'a Evidence, &'a [u8])| {
            let file = file_of(evidence);
            Ok(Read { document: document::read(&file, bytes)?, file, evidence: evidence.clone() })
        };
        self.pieces(D::KIND).map(read).collect()
    }

    /// The one document of one of our own formats.
    ///
    /// # Errors
    ///
    /// The refusal: also where there is none, or more than one, since nobody could tell which of them holds.
    pub fn document<D: Document>(&self) -> Result<Read<D>, Refusal> {
        let mut all = self.documents::<D>()?;
        match all.len() {
            0 => Err(Refusal::Missing(format!("there is no evidence of kind {}", D::KIND))),
            1 => Ok(all.remove(0)),
            n => Err(Refusal::Duplicate(format!("{n} pieces of kind {}, and one is meant", D::KIND))),
        }
    }
}

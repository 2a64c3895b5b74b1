//! Where finished reports are put: in a folder for people, and in memory for the checks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use deploy_core::digest::Digest;
use deploy_core::evidence::{Collected, EvidenceSubject};
use deploy_core::time::{Clock as _, SystemClock};
use serde_json::Value;

use crate::Failure;

/// The reports, and what cannot be reported on this machine.
#[derive(Debug)]
pub(crate) struct Shelf {
    folder: PathBuf,
    subject: EvidenceSubject,
    pieces: Vec<Collected>,
    producers: BTreeMap<String, String>,
    not_applicable: BTreeMap<String, String>,
    waived: BTreeMap<String, String>,
}

impl Shelf {
    pub(crate) fn new(folder: impl Into<PathBuf>, commit: Option<String>, artifact: Digest) -> Result<Self, Failure> {
        let folder = folder.into();
        std::fs::create_dir_all(&folder)?;
        let subject = EvidenceSubject { commit, artifact: Some(artifact), environment: None };
        let (pieces, producers) = (Vec::new(), BTreeMap::new());
        Ok(Self { folder, subject, pieces, producers, not_applicable: BTreeMap::new(), waived: BTreeMap::new() })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Puts a report there, which `producer` has just made.
    pub(crate) fn put(&mut self, kind: &str, producer: &str, file: &str, bytes: Vec<u8>) -> Result<(), Failure> {
        let piece = self.piece(kind, producer, file, bytes)?;
        self.pieces.push(piece);
        Ok(())
    }

    /// A report as evidence, which is not kept.
    pub(crate) fn piece(
        &mut self,
        kind: &str,
        producer: &str,
        file: &str,
        bytes: Vec<u8>,
    ) -> Result<Collected, Failure> {
        std::fs::write(self.folder.join(file), &bytes)?;
        self.producers.insert(file.to_owned(), producer.to_owned());
        let now = SystemClock::new().wall();
        Ok(Collected::new(kind, producer, self.subject.clone(), now, bytes).summary(file))
    }

    /// Puts a document of our own format there.
    pub(crate) fn put_document(&mut self, kind: &str, producer: &str, document: Value) -> Result<(), Failure> {
        let bytes = document_bytes(document)?;
        self.put(kind, producer, &format!("{kind}.json"), bytes)
    }

    /// These checks do not apply on this machine.
    pub(crate) fn without(&mut self, checks: &[&str], reason: impl Into<String>) {
        let reason = reason.into();
        for check in checks {
            self.not_applicable.insert((*check).to_owned(), reason.clone());
        }
    }

    /// Somebody must answer for these checks.
    pub(crate) fn waive(&mut self, check: &str, reason: impl Into<String>) {
        self.waived.insert(check.to_owned(), reason.into());
    }

    pub(crate) fn pieces(&self, kind: &str) -> impl Iterator<Item = &Collected> {
        self.pieces.iter().filter(move |piece| piece.evidence.kind == kind)
    }

    /// Who made which report.
    pub(crate) fn producers(&self) -> &BTreeMap<String, String> {
        &self.producers
    }

    pub(crate) fn not_applicable(&self) -> &BTreeMap<String, String> {
        &self.not_applicable
    }

    pub(crate) fn waived(&self) -> &BTreeMap<String, String> {
        &self.waived
    }
}

/// A document of our own format, as it is written.
pub(crate) fn document_bytes(mut document: Value) -> Result<Vec<u8>, Failure> {
    document["format"] = 1.into();
    Ok(serde_json::to_vec_pretty(&document)?)
}

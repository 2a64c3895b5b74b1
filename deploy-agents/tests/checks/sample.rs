//! The sample folder: a whole set of good evidence, and ways to spoil it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use deploy_agents::checks::{Catalogue, EvidenceSet, Judged, Thresholds};
use deploy_core::evidence::{Collected, EvidenceSubject};
use deploy_core::name::BlockName;
use deploy_core::release::Release;
use deploy_core::time::Timestamp;
use serde::Deserialize;

use crate::world::{now, release};

#[derive(Deserialize)]
struct Manifest {
    now: String,
    release: Release,
    keys: BTreeMap<String, BTreeMap<String, String>>,
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    file: String,
    kind: String,
    producer: String,
    observed_at: String,
}

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/evidence/sample")
}

pub(crate) fn read(file: &str) -> Vec<u8> {
    std::fs::read(folder().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

fn manifest() -> Manifest {
    let manifest: Manifest = serde_json::from_slice(&read("manifest.json")).expect("a manifest");
    assert_eq!((&manifest.release, Timestamp::parse(&manifest.now)), (&release(), Ok(now())));
    manifest
}

/// Every piece of the folder, by file name.
pub(crate) fn pieces() -> Vec<Collected> {
    let manifest = manifest();
    let subject = EvidenceSubject {
        commit: manifest.release.change.commit.clone(),
        artifact: manifest.release.artifacts.first().map(|a| a.digest),
        environment: Some(manifest.release.environment.clone()),
    };
    let piece = |file: &File| {
        let observed = Timestamp::parse(&file.observed_at).expect("a time");
        Collected::new(&file.kind, &file.producer, subject.clone(), observed, read(&file.file)).summary(&file.file)
    };
    manifest.files.iter().map(piece).collect()
}

/// The thresholds under which the folder is good: the defaults, with the keys that signed it.
pub(crate) fn thresholds() -> Thresholds {
    let manifest = manifest();
    let keys = |of: &str| {
        let named = manifest.keys[of].iter();
        named.map(|(name, file)| (name.clone(), String::from_utf8(read(file)).expect("PEM"))).collect()
    };
    let mut thresholds = Thresholds::default();
    thresholds.build_keys = keys("build");
    thresholds.audit_keys = keys("audit");
    thresholds
}

pub(crate) fn catalogue() -> Catalogue {
    Catalogue::standard(&thresholds())
}

pub(crate) fn claimer() -> BlockName {
    BlockName::new("release-agent").expect("a name")
}

pub(crate) fn set(pieces: &[Collected]) -> EvidenceSet {
    pieces.iter().cloned().fold(EvidenceSet::new(), EvidenceSet::with)
}

pub(crate) fn judge(catalogue: &Catalogue, check: &str, pieces: &[Collected]) -> Judged {
    let check = catalogue.check(check).unwrap_or_else(|| panic!("no check {check}"));
    set(pieces).judge(check, &release(), &claimer(), None, now())
}

/// The folder with the bytes of one file changed, as its producer would have written them.
pub(crate) fn with(pieces: &[Collected], file: &str, change: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<Collected> {
    let mut pieces = pieces.to_vec();
    let piece = pieces.iter_mut().find(|p| p.evidence.summary == file).unwrap_or_else(|| panic!("no file {file}"));
    let bytes = change(&piece.bytes);
    let evidence = piece.evidence.clone();
    *piece = Collected::new(evidence.kind, evidence.producer.name, evidence.subject, evidence.observed_at, bytes)
        .summary(file);
    pieces
}

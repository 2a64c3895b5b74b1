//! What a release of a kind must be: each kind promises something, and here it is held to it.

use std::collections::BTreeSet;

use deploy_core::digest::Digest;
use deploy_core::evidence::Refusal;
use deploy_core::name::NameError;
use deploy_core::release::{Artifact, Release};
use serde::{Deserialize, Serialize};

use crate::checks::code::ChangeLog;
use crate::checks::{Assessment, Assessor, CatalogueCheck, Document, Figure, Read, ValidationLevel, kind};

/// What runs in the environment now: a document that the host writes from what it observes there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// The revision that serves.
    pub revision: String,
    /// The commit that it was built from.
    pub commit: String,
    /// Its artifacts, each with its digest.
    pub artifacts: Vec<Artifact>,
}

impl Document for Deployed {
    const KIND: &'static str = kind::DEPLOYED;
}

/// The most lines that a hotfix may change: what one person reviews in one sitting.
pub const HOTFIX_LINES: u64 = 400;

/// A feature rollout changes no binary: the artifacts that it names are those that run, by digest.
///
/// Rows: M134.
#[must_use]
pub fn same_digest(deployed: &Read<Deployed>, release: &Release) -> Assessment {
    let mut found = Assessor::new();
    let there: BTreeSet<Digest> = deployed.document.artifacts.iter().map(|a| a.digest).collect();
    let ours: BTreeSet<Digest> = release.artifacts.iter().map(|a| a.digest).collect();
    found.figure(Figure::count("artifacts that run", there.len() as u64).at(deployed.at("/artifacts")));
    found.require(!ours.is_empty(), || "the release names no artifact".to_owned());
    for artifact in release.artifacts.iter().filter(|a| !there.contains(&a.digest)) {
        let (name, digest) = (&artifact.name, artifact.digest.short());
        found.fail(format!("{name} is {digest}, which does not run: a feature rollout changes no binary"));
    }
    for gone in there.difference(&ours) {
        found.fail(format!("{} runs and is not released: a feature rollout changes no binary", gone.short()));
    }
    found.finish()
}

/// A hotfix is small, begins at what runs, and mends something that has a name.
///
/// Rows: M133.
#[must_use]
pub fn hotfix(deployed: &Read<Deployed>, log: &Read<ChangeLog>, release: &Release) -> Assessment {
    let mut found = Assessor::new();
    let history = &log.document.history;
    found.require(!release.change.links.is_empty(), || "it names no incident that it mends".to_owned());
    if release.change.commit.as_deref() != Some(history.to.as_str()) {
        found.refuse(Refusal::Foreign(format!("the history ends at {}, the release is another commit", history.to)));
    }
    let base = history.from.as_deref().unwrap_or("the beginning");
    found.figure(Figure::text("begins at", base).limit(&deployed.document.commit).at(log.at("/history/from")));
    found.require(base == deployed.document.commit, || {
        format!("it begins at {base}, and {} runs: a hotfix changes what runs", deployed.document.commit)
    });
    found.require(!history.shallow, || "history is cut off, so that nobody can tell what changed".to_owned());
    let mut lines = 0_u64;
    for file in &history.changed {
        match (file.added, file.removed) {
            (Some(added), Some(removed)) => lines = lines.saturating_add(added).saturating_add(removed),
            _ => found.remark(format!("{} is binary: its size cannot be told in lines", file.path)),
        }
    }
    let figure = Figure::count("lines changed", lines).limit(format!("at most {HOTFIX_LINES}"));
    found.figure(figure.at(log.at("/history/changed")));
    found.require(lines <= HOTFIX_LINES, || format!("{lines} lines are no hotfix; at most {HOTFIX_LINES} are"));
    found.finish()
}

/// The check of [`same_digest`].
pub(super) fn same_digest_check() -> Result<CatalogueCheck, NameError> {
    let check = CatalogueCheck::new("same-digest", "what is released is what runs, by digest", |reading, _| {
        match reading.document::<Deployed>() {
            Ok(deployed) => same_digest(&deployed, reading.release()),
            Err(refusal) => Assessment::refused(refusal),
        }
    })?;
    Ok(check.reads(&[kind::DEPLOYED]).rows(&[134]).level(ValidationLevel::Minimal))
}

/// The check of [`hotfix`].
pub(super) fn hotfix_check() -> Result<CatalogueCheck, NameError> {
    let passes = format!("it changes at most {HOTFIX_LINES} lines of what runs, and names what it mends");
    let check = CatalogueCheck::new("hotfix-small", passes, |reading, _| {
        match (reading.document::<Deployed>(), reading.document::<ChangeLog>()) {
            (Ok(deployed), Ok(log)) => hotfix(&deployed, &log, reading.release()),
            (Err(refusal), _) | (_, Err(refusal)) => Assessment::refused(refusal),
        }
    })?;
    Ok(check.reads(&[kind::DEPLOYED, ChangeLog::KIND]).rows(&[133]).level(ValidationLevel::Minimal))
}

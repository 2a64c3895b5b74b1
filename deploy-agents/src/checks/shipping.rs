//! Checks of what is shipped: artifacts, dependencies, audits, documents, notes.

use std::collections::BTreeSet;

use deploy_core::evidence::Refusal;
use deploy_core::release::Release;
use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::assessment::{Assessment, Assessor, Figure};
use super::document::{Document, Read};
use super::thresholds::Thresholds;
use crate::evidence::Pointer;
use crate::evidence::facts::{
    BomFacts, GitFacts, LicenceAnswer, PolicyFacts, PolicyOutcome, ProvenanceFacts, VulnerabilityFacts,
    VulnerabilityKind,
};

/// A statement counts if somebody signed it whose key was given to its reader.
fn signed(found: &mut Assessor, facts: &ProvenanceFacts) {
    found.doubts(&facts.doubts);
    match facts.signed_by.first() {
        Some(signature) => found.figure(Figure::text("signed by", &signature.key).at(signature.at.clone())),
        None => found.fail("nobody that is trusted signed it"),
    }
}

/// Every artifact of the release is a subject of an attestation.
fn about(found: &mut Assessor, facts: &[&ProvenanceFacts], release: &Release) {
    found.require(!release.artifacts.is_empty(), || "the release has no artifact".to_owned());
    for artifact in &release.artifacts {
        match facts.iter().find_map(|f| f.subject(&artifact.digest)) {
            Some(subject) => {
                found.figure(
                    Figure::text(format!("attested {}", artifact.name), artifact.digest.short()).at(subject.at.clone()),
                );
            }
            None => found.refuse(Refusal::Foreign(format!(
                "no attestation is about {}, {}",
                artifact.name,
                artifact.digest.short()
            ))),
        }
    }
}

/// Every artifact was built from this commit by a builder that is trusted, and signed for.
///
/// Rows: M147, M200.
#[must_use]
pub fn artifacts_attested(statements: &[ProvenanceFacts], release: &Release, t: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    let all: Vec<&ProvenanceFacts> = statements.iter().collect();
    about(&mut found, &all, release);
    for facts in statements {
        signed(&mut found, facts);
        let Some(build) = &facts.build else {
            found.fail(format!("{} says nothing of how it was built", facts.predicate_type));
            continue;
        };
        let trusted = t.trusted_builders.is_empty() || t.trusted_builders.contains(&build.builder.value);
        found.figure(
            Figure::text("built by", &build.builder.value).limit("a trusted builder").at(build.builder.at.clone()),
        );
        found.require(trusted, || format!("{} is no trusted builder", build.builder));
        match release.change.commit.as_deref() {
            Some(commit) if build.built_from(commit) => {
                found.figure(Figure::text("built from", commit).at(build.build_type.at.clone()));
            }
            Some(commit) => found.refuse(Refusal::Foreign(format!("it was not built from {commit}"))),
            None => found.refuse(Refusal::Foreign("the release names no commit".to_owned())),
        }
    }
    found.finish()
}

/// An audit of this artifact passed, covers what it must, holds still, and is signed.
///
/// Rows: M12, M179.
#[must_use]
pub fn security_audit(statements: &[ProvenanceFacts], release: &Release, now: Timestamp, t: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    let all: Vec<&ProvenanceFacts> = statements.iter().collect();
    about(&mut found, &all, release);
    for facts in statements {
        signed(&mut found, facts);
        match &facts.expires {
            None => found.fail("it does not say until when it holds"),
            Some(expires) => {
                found.figure(Figure::text("holds until", expires.value).at(expires.at.clone()));
                if expires.value < now {
                    found.refuse(Refusal::Stale(format!("it held until {expires}")));
                }
            }
        }
        match &facts.result {
            None => found.fail("it does not say what came of it"),
            Some(result) => {
                found.figure(Figure::text("result", &result.value).limit("passed").at(result.at.clone()));
                let good = ["pass", "passed"].iter().any(|word| result.value.eq_ignore_ascii_case(word));
                found.require(good, || format!("its result is {result}"));
            }
        }
        let scope = facts.scope.as_ref().map_or("", |scope| scope.value.as_str());
        for wanted in &t.audit_scope {
            found.require(scope.contains(wanted.as_str()), || format!("it does not cover {wanted}"));
        }
    }
    found.finish()
}

/// Dependencies are named with their digests, may be used, and none of them was withdrawn.
///
/// Rows: M148, M199.
#[must_use]
pub fn dependencies(bills: &[BomFacts], scans: &[&VulnerabilityFacts], t: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    for bill in bills {
        found.doubts(&bill.doubts);
        let at = bill.components.first().map(|component| component.at.clone());
        found.figure(Figure::count("components", bill.components.len() as u64).limit("at least 1").at(at));
        found.require(!bill.components.is_empty(), || "the bill names nothing".to_owned());
        let unhashed: Vec<_> = bill.components.iter().filter(|c| c.hashes.is_empty()).collect();
        let at = unhashed.first().map(|component| component.at.clone());
        found.figure(Figure::count("components without a digest", unhashed.len() as u64).limit("none").at(at));
        if let Some(first) = unhashed.first() {
            found.fail(format!(
                "{} components have no digest, the first of them {} ({})",
                unhashed.len(),
                first.name,
                first.at
            ));
        }
        if t.permitted_licences.is_empty() {
            continue;
        }
        let permitted: Vec<&str> = t.permitted_licences.iter().map(String::as_str).collect();
        let mut refused = 0;
        for component in &bill.components {
            match component.licence_answer(permitted.iter().copied()) {
                LicenceAnswer::Permitted => {}
                LicenceAnswer::Refused(why) | LicenceAnswer::Unknown(why) => {
                    refused += 1;
                    found.fail(format!("{} {}: {why} ({})", component.name, component.version, component.at));
                }
            }
        }
        found.figure(Figure::count("components whose licence is not permitted", refused).limit("none"));
    }
    for scan in scans {
        for v in &scan.found {
            match v.kind {
                VulnerabilityKind::Yanked => {
                    found.fail(format!("{} {} was withdrawn ({})", v.package, v.version, v.at))
                }
                VulnerabilityKind::Unmaintained | VulnerabilityKind::Unsound => {
                    found.remark(format!("{} {}: {:?} ({})", v.package, v.version, v.kind, v.at));
                }
                _ => {}
            }
        }
    }
    found.finish()
}

/// Every policy was evaluated and is kept; each report with the place that its numbers stand for. One without a value for its input is not kept.
///
/// Rows: M14, M150.
#[must_use]
pub fn compliance(results: &[(Pointer, PolicyFacts)], t: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    let mut kept = 0_u64;
    let mut rules = BTreeSet::new();
    for (_, facts) in results {
        found.doubts(&facts.doubts);
        kept += facts.successes;
        for result in &facts.results {
            rules.insert(result.rule.as_str());
            match result.outcome {
                PolicyOutcome::Kept => kept += 1,
                PolicyOutcome::Warning => {
                    kept += 1;
                    found.remark(format!("{}: {} ({})", result.rule, result.message, result.at));
                }
                PolicyOutcome::Excepted => {
                    found.remark(format!("{} is excepted: {} ({})", result.rule, result.message, result.at))
                }
                PolicyOutcome::Skipped => found.fail(format!("{} was left out ({})", result.rule, result.at)),
                _ => {}
            }
        }
        for broken in facts.not_kept().filter(|result| result.outcome != PolicyOutcome::Skipped) {
            found.fail(format!(
                "{} of {}: {:?}: {} ({})",
                broken.rule, broken.input, broken.outcome, broken.message, broken.at
            ));
        }
    }
    let first = results.iter().flat_map(|(_, facts)| &facts.results).next().map(|result| result.at.clone());
    let at = first.or_else(|| results.first().map(|(at, _)| at.clone()));
    found.figure(Figure::count("policies kept", kept).limit("all").at(at));
    found.require(kept > 0, || "no policy was evaluated".to_owned());
    for wanted in &t.required_policies {
        found.require(rules.contains(wanted.as_str()), || format!("{wanted} was not evaluated"));
    }
    found.finish()
}

/// What documents there are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DocsInventory {
    /// The documents.
    pub documents: Vec<InventoriedDocument>,
    /// How many public items the code has.
    pub public_items: u64,
    /// How many of them are documented.
    pub documented_items: u64,
    /// The version of the newest entry of the changelog.
    pub changelog_version: String,
}

/// One document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoriedDocument {
    /// Its path.
    pub path: String,
    /// Its sections, by heading in lower case.
    pub sections: Vec<String>,
    /// Places that are still to be written: `TODO`, `TBD`, `lorem ipsum`, each with its line.
    pub placeholders: Vec<String>,
    /// Links that lead nowhere.
    pub dead_links: Vec<String>,
}

impl Document for DocsInventory {
    const KIND: &'static str = "docs-inventory";
}

/// Every wanted section is there, nothing is still to be written, every link leads somewhere, public items are documented,
/// and the changelog knows this version.
///
/// Rows: M10, M24, M181, M210.
#[must_use]
pub fn docs(inventory: &Read<DocsInventory>, release: &Release, t: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    let file = &inventory.document;
    found.require(!file.documents.is_empty(), || "there is no document".to_owned());
    let sections: BTreeSet<&str> = file.documents.iter().flat_map(|d| &d.sections).map(String::as_str).collect();
    for wanted in &t.required_sections {
        found.require(sections.contains(wanted.as_str()), || format!("no document has a section {wanted}"));
    }
    let (mut placeholders, mut dead) = (0_u64, 0_u64);
    for (index, document) in file.documents.iter().enumerate() {
        let at = |field: &str| inventory.at(format!("/documents/{index}/{field}"));
        placeholders += document.placeholders.len() as u64;
        dead += document.dead_links.len() as u64;
        if let Some(first) = document.placeholders.first() {
            found.fail(format!("{} is still to be written: {first} ({})", document.path, at("placeholders")));
        }
        if let Some(first) = document.dead_links.first() {
            found.fail(format!("{} links to {first}, which is not there ({})", document.path, at("dead_links")));
        }
    }
    found.figure(Figure::count("placeholders", placeholders).limit("none").at(inventory.at("/documents")));
    found.figure(Figure::count("dead links", dead).limit("none").at(inventory.at("/documents")));
    if file.public_items > 0 {
        #[expect(clippy::cast_precision_loss, reason = "public items stay far below 2^52")]
        let share = file.documented_items as f64 * 100.0 / file.public_items as f64;
        let least = t.documented_at_least;
        found.figure(
            Figure::number("public items documented", share, "%")
                .limit(format!("at least {least} %"))
                .at(inventory.at("/documented_items")),
        );
        found.require(share >= least, || {
            format!("{share:.1} % of public items are documented; at least {least} % must be")
        });
    }
    let version = release.revision.as_str().trim_start_matches('v');
    found.figure(
        Figure::text("changelog", &file.changelog_version).limit(version).at(inventory.at("/changelog_version")),
    );
    found.require(file.changelog_version.trim_start_matches('v') == version, || {
        format!("the changelog's newest entry is of {}, the release is {version}", file.changelog_version)
    });
    found.finish()
}

/// The notes of a release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReleaseNotes {
    /// Which version they are about.
    pub version: String,
    /// The sections, each for an audience.
    pub sections: Vec<NotesSection>,
    /// Who must find a section for them.
    pub audiences: Vec<String>,
    /// The commits of the release, as git knows them.
    pub history: GitFacts,
}

/// One section of the notes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotesSection {
    /// For whom.
    pub audience: String,
    /// The text.
    pub text: String,
    /// The commits that it tells of, in full.
    pub commits: Vec<String>,
}

impl Document for ReleaseNotes {
    const KIND: &'static str = "release-notes";
}

/// Words that stand for something that is still to be written.
const PLACEHOLDERS: [&str; 5] = ["TODO", "TBD", "FIXME", "lorem ipsum", "<placeholder>"];

/// Every commit that users see is told of, each audience has a section, and nothing is still to be written.
///
/// Rows: M157.
#[must_use]
pub fn release_notes(notes: &Read<ReleaseNotes>, release: &Release) -> Assessment {
    let mut found = Assessor::new();
    let file = &notes.document;
    found.doubts(&file.history.doubts);
    if release.change.commit.as_deref() != Some(file.history.to.as_str()) {
        found.refuse(Refusal::Foreign(format!("the history ends at {}, which is not released", file.history.to)));
    }
    if file.history.shallow {
        found.refuse(Refusal::Unfinished("the history is cut off".to_owned()));
    }
    let version = release.revision.as_str().trim_start_matches('v');
    found.require(file.version.trim_start_matches('v') == version, || format!("the notes are about {}", file.version));
    let taken_back: BTreeSet<&String> = file.history.commits.iter().flat_map(|commit| &commit.reverts).collect();
    let told: BTreeSet<&String> = file.sections.iter().flat_map(|section| &section.commits).collect();
    let (mut visible, mut covered) = (0_u64, 0_u64);
    for commit in &file.history.commits {
        let seen = commit
            .conventional
            .as_ref()
            .is_some_and(|c| c.breaking || matches!(c.kind.as_str(), "feat" | "fix" | "perf"));
        if !seen || taken_back.contains(&commit.id) {
            continue;
        }
        visible += 1;
        if told.contains(&commit.id) {
            covered += 1;
        } else {
            let what = commit.conventional.as_ref().map_or("", |c| c.description.as_str());
            found.fail(format!("the notes do not tell of {}: {what}", commit.id.get(..8).unwrap_or(&commit.id)));
        }
    }
    let limit = format!("all {visible}");
    found.figure(Figure::count("visible commits told of", covered).limit(limit).at(notes.at("/sections")));
    found.require(!file.sections.is_empty(), || "the notes are empty".to_owned());
    for audience in &file.audiences {
        let there = file.sections.iter().any(|s| s.audience == *audience && !s.text.trim().is_empty());
        found.require(there, || format!("there is nothing for {audience}"));
    }
    for (index, section) in file.sections.iter().enumerate() {
        let text = section.text.to_ascii_lowercase();
        if let Some(word) = PLACEHOLDERS.iter().find(|word| text.contains(&word.to_ascii_lowercase())) {
            let at = notes.at(format!("/sections/{index}/text"));
            found.fail(format!("something is still to be written: {word} ({at})"));
        }
    }
    found.finish()
}

/// The defects that are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefectList {
    /// The defects.
    pub defects: Vec<Defect>,
    /// How many the tracker counts as open, for comparison.
    pub open: u64,
}

/// One defect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Defect {
    /// What the tracker calls it.
    pub id: String,
    /// How bad it is, in lower case.
    pub severity: String,
    /// Whether it is still there.
    pub open: bool,
}

impl Document for DefectList {
    const KIND: &'static str = "defects";
}

/// No more defects are open than allowed, severity by severity.
///
/// Rows: M154.
#[must_use]
pub fn defects(list: &Read<DefectList>, t: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    let file = &list.document;
    let open = file.defects.iter().filter(|defect| defect.open).count() as u64;
    if open != file.open {
        found.refuse(Refusal::Unparseable(format!("{open} defects are open, and the tracker counts {}", file.open)));
    }
    found.figure(Figure::count("defects open", open).at(list.at("/defects")));
    for (severity, most) in &t.open_defects_at_most {
        let of = |(_, d): &(usize, &Defect)| d.open && d.severity.eq_ignore_ascii_case(severity);
        let there: Vec<_> = file.defects.iter().enumerate().filter(of).collect();
        let at = there.first().map_or_else(|| list.at("/defects"), |(index, _)| list.at(format!("/defects/{index}")));
        let figure = Figure::count(format!("{severity} defects open"), there.len() as u64);
        found.figure(figure.limit(format!("at most {most}")).at(at.clone()));
        if there.len() as u64 > *most {
            found.fail(format!("{} {severity} defects are open; at most {most} may be ({at})", there.len()));
        }
    }
    found.finish()
}

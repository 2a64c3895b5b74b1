//! What was built, of what, and what scanners say of it.

use std::collections::BTreeMap;

use deploy_core::evidence::Refusal;
use deploy_core::release::Artifact;
use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::checks::code::CiRun;
use crate::checks::kind;
use crate::crew::issued::Content;
use crate::crew::material::Material;

/// The execution of the build pipeline that made the artifacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BuildRecord {
    /// The pipeline.
    pub pipeline: String,
    /// Which of its executions.
    pub run: String,
    /// The commit that it built.
    pub commit: String,
    /// How it ended, as it says.
    pub conclusion: String,
    /// The required jobs, each with how it ended; absent where it did not run.
    pub required: BTreeMap<String, Option<String>>,
    /// Steps that failed without failing their job.
    pub hidden_failures: Vec<String>,
}

impl Content for BuildRecord {
    const NAME: &'static str = "build-record";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let run = material.reading().document::<CiRun>()?.document;
        let conclusion =
            |name: &String| run.jobs.iter().find(|job| job.name == *name).map(|job| job.conclusion.clone());
        let hidden = run.jobs.iter().flat_map(|job| {
            let failed = job.steps.iter().filter(|step| step.continue_on_error && step.conclusion != "success");
            failed.map(|step| format!("{}/{}", job.name, step.name))
        });
        Ok(Self {
            required: run.required.iter().map(|name| (name.clone(), conclusion(name))).collect(),
            hidden_failures: hidden.collect(),
            pipeline: run.pipeline,
            run: run.run,
            commit: run.commit,
            conclusion: run.conclusion,
        })
    }
}

/// The artifacts of the release, with what signed statements say about their digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ArtifactSet {
    /// The artifacts that are released.
    pub artifacts: Vec<Artifact>,
    /// The builders that attested each of them, by artifact. An artifact without any was attested by nobody.
    pub attested_by: BTreeMap<String, Vec<String>>,
}

impl Content for ArtifactSet {
    const NAME: &'static str = "artifact-set";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let artifacts = material.release().artifacts.clone();
        if artifacts.is_empty() {
            return Err(Refusal::Missing("the release names no artifact".to_owned()));
        }
        let statements = material.reading().signed(kind::ATTESTATION, &material.thresholds().build_keys)?;
        let by = |artifact: &Artifact| {
            let about = statements.iter().filter(|s| !s.signed_by.is_empty() && s.subject(&artifact.digest).is_some());
            let builders = about.filter_map(|s| s.build.as_ref()).map(|build| build.builder.value.clone());
            (artifact.name.clone(), builders.collect())
        };
        Ok(Self { attested_by: artifacts.iter().map(by).collect(), artifacts })
    }
}

/// The version, and what it is a version of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VersionTag {
    /// The revision that is released.
    pub revision: String,
    /// It as a semantic version, where it is one, without a leading `v`.
    pub semantic: Option<String>,
    /// The commit that it names.
    pub commit: String,
}

impl Content for VersionTag {
    const NAME: &'static str = "version-tag";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let release = material.release();
        let revision = release.revision.to_string();
        let run = material.reading().document::<CiRun>()?;
        let semantic = semver::Version::parse(revision.trim_start_matches('v')).ok().map(|v| v.to_string());
        Ok(Self { revision, semantic, commit: run.document.commit })
    }
}

/// What scanners found in the artifacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ScanReport {
    /// The scans, one each.
    pub scans: Vec<Scan>,
}

/// One scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Scan {
    /// The scanner.
    pub scanner: String,
    /// Of when its database is, where it says.
    pub database: Option<Timestamp>,
    /// What it found, worst first: the identifier, the package, the severity.
    pub found: Vec<(String, String, String)>,
}

impl Content for ScanReport {
    const NAME: &'static str = "scan-report";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let scans = material.reading().vulnerabilities()?;
        let scan = |facts: &crate::evidence::facts::VulnerabilityFacts| {
            let mut found: Vec<_> = facts.found.iter().collect();
            found.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.id.cmp(&b.id)));
            let line = |v: &&crate::evidence::facts::Vulnerability| {
                (v.id.clone(), v.package.clone(), format!("{:?}", v.severity).to_lowercase())
            };
            Scan {
                scanner: facts.scanner.clone(),
                database: facts.database.as_ref().map(|at| at.value),
                found: found.iter().map(line).collect(),
            }
        };
        Ok(Self { scans: scans.iter().map(|(_, facts)| scan(facts)).collect() })
    }
}

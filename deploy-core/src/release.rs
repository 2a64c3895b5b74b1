//! What is shipped, and how urgent it is.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::name::{EnvironmentName, RevisionName, ServiceName};
use crate::time::Timestamp;

/// One thing to ship: a service at a version, with its artifacts and the change behind it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Release {
    /// The service that is released.
    pub service: ServiceName,
    /// Where it goes. One run at a time holds the lock of a service in an environment.
    pub environment: EnvironmentName,
    /// The revision as targets know it: a semantic version, a content digest, or both.
    pub revision: RevisionName,
    /// How urgent it is; selects the profile of phases and gates.
    pub kind: ReleaseKind,
    /// The built artifacts, each with its content digest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
    /// What changed, by whom.
    #[serde(default)]
    pub change: Change,
}

impl Release {
    /// A production release of `revision` of `service` to `environment`, with no artifacts named yet.
    #[must_use]
    pub fn new(service: ServiceName, environment: EnvironmentName, revision: RevisionName) -> Self {
        Self {
            service,
            environment,
            revision,
            kind: ReleaseKind::Production,
            artifacts: Vec::new(),
            change: Change::default(),
        }
    }

    /// The same release with another urgency.
    #[must_use]
    pub fn kind(mut self, kind: ReleaseKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same release with one more artifact.
    #[must_use]
    pub fn artifact(mut self, name: impl Into<String>, digest: Digest) -> Self {
        self.artifacts.push(Artifact { name: name.into(), digest });
        self
    }

    /// The same release with the change behind it.
    #[must_use]
    pub fn change(mut self, change: Change) -> Self {
        self.change = change;
        self
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} to {}", self.service, self.revision, self.environment)
    }
}

/// One built artifact.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Artifact {
    /// What it is called where it is kept, for example an OCI reference.
    pub name: String,
    /// The digest of its bytes.
    pub digest: Digest,
}

/// What changed since the last release.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Change {
    /// The commit that was built.
    pub commit: Option<String>,
    /// When that commit was made. Evidence about it from before that time is stale, however young it is; absent: nobody can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub committed_at: Option<Timestamp>,
    /// Who wrote it: none of them may approve it where self-approval is forbidden.
    pub authors: Vec<String>,
    /// Where to read more.
    pub links: Vec<String>,
}

/// How urgent a release is. Selects a profile of phases and gates; never skips a check in silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseKind {
    /// An ordinary release.
    Production,
    /// A small urgent repair.
    Hotfix,
    /// New behaviour behind a flag.
    FeatureRollout,
    /// A change of what the service stands on.
    Infrastructure,
    /// A change of settings alone.
    Configuration,
    /// A repair that cannot wait; checks may be waived by a named person, never skipped.
    EmergencyPatch,
}

impl ReleaseKind {
    /// Every kind, in order.
    pub const ALL: [Self; 6] = [
        Self::Production,
        Self::Hotfix,
        Self::FeatureRollout,
        Self::Infrastructure,
        Self::Configuration,
        Self::EmergencyPatch,
    ];
}

impl fmt::Display for ReleaseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Production => "production",
            Self::Hotfix => "hotfix",
            Self::FeatureRollout => "feature rollout",
            Self::Infrastructure => "infrastructure",
            Self::Configuration => "configuration",
            Self::EmergencyPatch => "emergency patch",
        })
    }
}

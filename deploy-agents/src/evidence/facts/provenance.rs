//! Facts of attestations: in-toto statements, SLSA provenance, DSSE envelopes.

use std::collections::BTreeMap;

use deploy_core::digest::Digest;
use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::evidence::{Doubt, Pointer, Sourced};

/// What an attestation says, and whose word it is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProvenanceFacts {
    /// The keys whose signatures are right. Empty: nobody that is trusted signed it, and it proves nothing.
    pub signed_by: Vec<VerifiedSignature>,
    /// How many signatures stand on it, the right ones included.
    pub signatures: u64,
    /// The kind of what is said, a URI, for example `https://slsa.dev/provenance/v1`.
    pub predicate_type: String,
    /// What it is said about.
    pub subjects: Vec<AttestedSubject>,
    /// How it was built, where the predicate is SLSA provenance.
    pub build: Option<BuildProvenance>,
    /// When the statement itself stops being true, where its predicate says (`expires`, `validUntil`).
    pub expires: Option<Sourced<Timestamp>>,
    /// What is covered, where the predicate says (`scope`), as text.
    pub scope: Option<Sourced<String>>,
    /// The verdict of the predicate, where it has one (`result`, `verdict`, `verificationResult`), as text.
    pub result: Option<Sourced<String>>,
    /// What keeps it from being taken at its word.
    pub doubts: Vec<Doubt>,
}

impl ProvenanceFacts {
    /// The subject with this digest, if it speaks of it.
    #[must_use]
    pub fn subject(&self, digest: &Digest) -> Option<&AttestedSubject> {
        let hex = digest.to_string();
        let hex = hex.trim_start_matches("sha256:");
        self.subjects.iter().find(|s| s.digests.get("sha256").is_some_and(|d| d.value.eq_ignore_ascii_case(hex)))
    }
}

/// A signature that is right.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VerifiedSignature {
    /// The name under which the key is trusted.
    pub key: String,
    /// The algorithm: `ed25519` or `ecdsa-p256-sha256`.
    pub algorithm: String,
    /// Where the signature stands.
    pub at: Pointer,
}

/// What an attestation is about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AttestedSubject {
    /// Its name.
    pub name: String,
    /// Its digests, by algorithm; values in hexadecimal as they stand.
    pub digests: BTreeMap<String, Sourced<String>>,
    /// Where it stands.
    pub at: Pointer,
}

/// How something was built.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BuildProvenance {
    /// Who built it, a URI.
    pub builder: Sourced<String>,
    /// How, a URI.
    pub build_type: Sourced<String>,
    /// What of: sources and dependencies.
    pub materials: Vec<Material>,
    /// Which execution of the builder.
    pub invocation: String,
    /// When it began.
    pub started: Option<Sourced<Timestamp>>,
    /// When it ended.
    pub finished: Option<Sourced<Timestamp>>,
}

impl BuildProvenance {
    /// Whether its builder is one of a list. An entry without `@` stands for each version of that builder:
    /// `https://example.com/builder` for `https://example.com/builder@v2`, and not for `https://example.com/builder-of-mallory`.
    #[must_use]
    pub fn built_by<'a>(&self, permitted: impl IntoIterator<Item = &'a str>) -> bool {
        let builder = self.builder.value.as_str();
        permitted.into_iter().any(|entry| {
            builder == entry
                || (!entry.is_empty() && builder.strip_prefix(entry).is_some_and(|rest| rest.starts_with('@')))
        })
    }

    /// Whether one of its materials is this commit, named in full.
    #[must_use]
    pub fn built_from(&self, commit: &str) -> bool {
        let same = |digest: &Sourced<String>| digest.value.eq_ignore_ascii_case(commit);
        let git = |material: &Material| {
            ["gitCommit", "sha1"].iter().any(|name| material.digests.get(*name).is_some_and(same))
        };
        commit.len() >= 40 && self.materials.iter().any(git)
    }
}

/// Something that a build was made of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Material {
    /// Where it came from.
    pub uri: String,
    /// Its digests, by algorithm.
    pub digests: BTreeMap<String, Sourced<String>>,
}

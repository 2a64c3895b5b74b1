//! Facts of versions and of references to images.

use std::fmt;

use deploy_core::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::evidence::{Doubt, Pointer, Sourced};

/// The version that a release is said to have, from every place that says it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VersionFacts {
    /// What is said where: the tag, the manifest, the changelog.
    pub said: Vec<SaidVersion>,
    /// What keeps them from being taken at their word.
    pub doubts: Vec<Doubt>,
}

/// A version that stands somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SaidVersion {
    /// What says so, for example `tag` or `Cargo.toml`.
    pub source: String,
    /// The version, without a leading `v`.
    pub version: Sourced<String>,
}

impl VersionFacts {
    /// The version, if all places say the same and there is one.
    #[must_use]
    pub fn agreed(&self) -> Option<&str> {
        let first = self.said.first()?.version.value.as_str();
        self.said.iter().all(|said| said.version.value == first).then_some(first)
    }
}

/// A reference to an image: `registry/repository:tag@digest`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub struct OciReference {
    /// The registry, for example `ghcr.io` or `localhost:5000`.
    pub registry: String,
    /// The repository in it, for example `shop/cart`.
    pub repository: String,
    /// The tag, which can be moved.
    pub tag: Option<String>,
    /// The digest, which cannot.
    pub digest: Option<Digest>,
}

impl OciReference {
    /// Whether it names its image by digest: by anything else, another image may be meant tomorrow.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        self.digest.is_some()
    }
}

impl fmt::Display for OciReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl From<OciReference> for String {
    fn from(reference: OciReference) -> Self {
        reference.to_string()
    }
}

/// What a registry holds under a name: an image, or a list of images for several platforms.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImageFacts {
    /// The digest of the document itself: what `@sha256:…` names.
    pub digest: Option<Digest>,
    /// Its media type.
    pub media_type: String,
    /// The images of a list, by platform. Empty for a single image.
    pub platforms: Vec<PlatformImage>,
    /// The digest of the image's configuration, for a single image.
    pub config: Option<Sourced<String>>,
    /// The digests of its layers, for a single image.
    pub layers: Vec<Sourced<String>>,
    /// What keeps it from being taken at its word.
    pub doubts: Vec<Doubt>,
}

/// An image of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlatformImage {
    /// The platform, `os/architecture` or `os/architecture/variant`; `unknown/unknown` for attestations.
    pub platform: String,
    /// The digest of its manifest.
    pub digest: Sourced<String>,
    /// Where it stands.
    pub at: Pointer,
}

impl ImageFacts {
    /// The digest of the image for a platform. Of a single image, its own.
    #[must_use]
    pub fn for_platform(&self, platform: &str) -> Option<Digest> {
        if self.platforms.is_empty() {
            return self.digest;
        }
        let mut matching = self.platforms.iter().filter(|image| image.platform == platform);
        let first = matching.next()?;
        // Two images for one platform: which of them runs is for the puller to choose.
        matching.next().is_none().then(|| first.digest.value.parse().ok()).flatten()
    }
}

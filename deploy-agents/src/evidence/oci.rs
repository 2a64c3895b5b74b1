//! References to images, and the manifests that a registry holds.

use std::str::FromStr;

use deploy_core::digest::Digest;

use super::facts::{ImageFacts, OciReference, PlatformImage};
use super::json::{Document, Node};
use super::{Doubt, DoubtKind, Limits, Place, Pointer, Problem, ReadError, Source, Sourced};
use crate::http::{Draft, HttpClient, HttpLimits};

/// A text that is no reference to an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an image reference: {reason}")]
#[non_exhaustive]
pub struct ReferenceError {
    /// How the text begins.
    pub text: String,
    /// What was wrong, and what may stand there.
    pub reason: String,
}

/// The longest repository with its registry, in bytes, by the grammar of the distribution project.
const LONGEST_NAME: usize = 255;

impl FromStr for OciReference {
    type Err = ReferenceError;

    /// Parses `[registry/]repository[:tag][@digest]`, filling in `docker.io` and `library/` as pullers do.
    ///
    /// ```
    /// use deploy_agents::evidence::facts::OciReference;
    ///
    /// let reference: OciReference = "ghcr.io/shop/cart:1.4".parse()?;
    /// assert_eq!((reference.registry.as_str(), reference.tag.as_deref()), ("ghcr.io", Some("1.4")));
    /// assert!(!reference.is_pinned());
    /// # Ok::<(), deploy_agents::evidence::oci::ReferenceError>(())
    /// ```
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let refused =
            |reason: &str| ReferenceError { text: text.chars().take(96).collect(), reason: reason.to_owned() };
        let (rest, digest) = match text.split_once('@') {
            None => (text, None),
            Some((rest, digest)) if digest.bytes().any(|b| b.is_ascii_uppercase()) => {
                return Err(refused(&format!("the digest after {rest} must be in lower case")));
            }
            Some((rest, digest)) => {
                let parsed = digest.parse().map_err(|_| refused("after @ stands sha256: and 64 hexadecimal digits"))?;
                (rest, Some(parsed))
            }
        };
        // A colon before the last slash belongs to the registry's port.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if let Some(tag) = tag {
            let first = tag.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
            let all = tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
            if !first || !all || tag.len() > 128 {
                return Err(refused("a tag is 1 to 128 letters, digits, _ . - and begins with none of the last two"));
            }
        }
        if name.is_empty() || name.len() > LONGEST_NAME {
            return Err(refused("registry and repository have 1 to 255 characters together"));
        }
        let (registry, repository) = match name.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest.to_owned()),
            Some(_) => ("docker.io", name.to_owned()),
            None => ("docker.io", format!("library/{name}")),
        };
        if !is_registry(registry) {
            return Err(refused("a registry is a host name or address, with a port after a colon if need be"));
        }
        if !repository.split('/').all(is_path_component) {
            return Err(refused(
                "each part of a repository is lower-case letters and digits, joined by . _ __ or dashes",
            ));
        }
        Ok(Self { registry: registry.to_owned(), repository, tag: tag.map(str::to_owned), digest })
    }
}

impl TryFrom<String> for OciReference {
    type Error = ReferenceError;
    fn try_from(text: String) -> Result<Self, ReferenceError> {
        text.parse()
    }
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port_right =
        port.is_none_or(|p| p.parse::<u16>().is_ok_and(|n| n > 0) && p.bytes().all(|b| b.is_ascii_digit()));
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let host_right = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(label),
    };
    port_right && host_right
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_path_component(text: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut ends = text.bytes().next().into_iter().chain(text.bytes().last());
    !text.is_empty()
        && ends.all(alphanumeric)
        && text
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(|joint| matches!(joint, "" | "." | "_" | "__") || joint.bytes().all(|b| b == b'-'))
}

/// Reads a manifest or an index of a registry, of OCI or of Docker's second schema.
///
/// # Errors
///
/// [`ReadError`], with the place: [`Problem::Hostile`] for a document that is both, which two pullers would read as two
/// different images.
pub fn read(source: &Source<'_>) -> Result<ImageFacts, ReadError> {
    let document = Document::parse(source, &["annotations"])?;
    let root = document.root();
    let schema = root.need("schemaVersion")?;
    if schema.whole()?.value != 2 {
        return Err(schema.error(Problem::Version, "schema version 2 is known"));
    }
    let (list, layers) = (root.get("manifests"), root.get("layers"));
    let media_type = root.text_or_empty("mediaType")?;
    if list.is_some() && (layers.is_some() || root.get("config").is_some()) {
        return Err(root.error(Problem::Hostile, "this is a list of images and an image at once"));
    }
    let says_list = media_type.ends_with("index.v1+json") || media_type.ends_with("manifest.list.v2+json");
    if !media_type.is_empty() && says_list != list.is_some() {
        return Err(root.error(Problem::Hostile, "what it is called and what it is differ"));
    }
    let mut facts = ImageFacts { digest: Some(Digest::of(source.bytes)), media_type, ..ImageFacts::default() };
    if let Some(list) = list {
        for node in list.items()? {
            let platform = node.get("platform");
            let of = |name: &str| platform.as_ref().map_or(Ok(String::new()), |p| p.short_of(name));
            let (os, architecture, variant) = (of("os")?, of("architecture")?, of("variant")?);
            let mut name = format!("{os}/{architecture}");
            if !variant.is_empty() {
                name = format!("{name}/{variant}");
            }
            facts.platforms.push(PlatformImage { platform: name, digest: digest(&node)?, at: node.at() });
        }
        if facts.platforms.is_empty() {
            facts.doubts.push(Doubt::new(DoubtKind::NothingMeasured, root.at(), "the list holds no image"));
        }
    } else {
        facts.config = Some(digest(&root.need("config")?)?);
        for layer in root.need("layers")?.items()? {
            facts.layers.push(digest(&layer)?);
        }
    }
    Ok(facts)
}

fn digest(node: &Node<'_>) -> Result<Sourced<String>, ReadError> {
    let digest = node.need("digest")?;
    let text = digest.sourced_text()?;
    match text.value.parse::<Digest>() {
        Ok(_) => Ok(text),
        Err(_) => Err(digest.error(Problem::Field, "sha256: and 64 hexadecimal digits must stand here")),
    }
}

/// What a registry answers with at most, in bytes: what the distribution project sets as the limit of a manifest.
const LONGEST_MANIFEST: usize = 4 * 1024 * 1024;

/// The media types of manifests and lists, of OCI and of Docker's second schema.
const MEDIA_TYPES: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// Asks a registry what a reference means now, and pins it: a tag may mean another image tomorrow.
///
/// `base` is the address of the registry with its scheme, for example `https://ghcr.io`; `http` brings whatever
/// authorisation the registry asks for. The digest is that of the bytes that came, whatever the registry calls them; where the
/// reference has a digest already, the bytes must be the ones that it names.
///
/// # Errors
///
/// [`ReadError`]: [`Problem::Producer`] if the registry does not answer with a manifest, [`Problem::Hostile`] if it answers
/// with other bytes than were asked for or than it says.
///
/// # Cancel safety
///
/// Nothing is changed anywhere.
pub async fn resolve(
    http: &dyn HttpClient,
    base: &str,
    reference: &OciReference,
) -> Result<(OciReference, ImageFacts), ReadError> {
    let name = match (&reference.digest, &reference.tag) {
        (Some(digest), _) => digest.to_string(),
        (None, Some(tag)) => tag.clone(),
        (None, None) => "latest".to_owned(),
    };
    let url = format!("{}/v2/{}/manifests/{name}", base.trim_end_matches('/'), reference.repository);
    let error = |problem, reason: String| ReadError::new(problem, Pointer::new(url.as_str(), Place::Whole), reason);
    let limits = HttpLimits { max_body: LONGEST_MANIFEST, ..HttpLimits::default() };
    let answer = Draft::get(&url).accepts(MEDIA_TYPES).send(http, limits).await;
    let answer = answer.map_err(|e| error(Problem::Producer, e.to_string()))?;
    if !answer.status().is_success() {
        return Err(error(Problem::Producer, format!("the registry answers {}", answer.status())));
    }
    let came = Digest::of(answer.body());
    let said = answer.headers().get("docker-content-digest").and_then(|value| value.to_str().ok());
    if said.is_some_and(|said| said != came.to_string()) {
        return Err(error(
            Problem::Hostile,
            format!("the registry calls it {}, and it is {came}", said.unwrap_or_default()),
        ));
    }
    if reference.digest.is_some_and(|wanted| wanted != came) {
        return Err(error(Problem::Hostile, format!("asked for {name}, the registry gave {came}")));
    }
    let facts = read(&Source::new(&url, answer.body()).limits(Limits::default().bytes(LONGEST_MANIFEST)))?;
    Ok((OciReference { digest: Some(came), ..reference.clone() }, facts))
}

//! References to images, and the manifests that a registry holds.

use std::str::FromStr;

use super::facts::OciReference;

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
    /// # Ok::<(), deploy_agents::evidence::ReferenceError>(())
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

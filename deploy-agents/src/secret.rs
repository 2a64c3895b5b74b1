//! Values that never appear in a record, log, error or page.

use std::fmt;
use std::sync::Arc;

use deploy_core::digest::Digest;

/// A value that is used but never shown: its `Debug` is `Secret(…)`, it has no `Display` and does not serialise.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes a value.
    #[must_use]
    pub fn new(value: impl AsRef<str>) -> Self {
        Self(Arc::from(value.as_ref()))
    }

    /// The value itself, for the one call that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `presented` is this value. Compares digests, so that the time it takes says nothing about the value.
    #[must_use]
    pub fn is(&self, presented: &str) -> bool {
        Digest::of(self.0.as_bytes()) == Digest::of(presented.as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What stands where a secret stood.
const MASK: &[u8] = b"[secret]";

/// Replaces every occurrence of each secret in `bytes`. Empty secrets hide nothing.
#[must_use]
pub(crate) fn redact(bytes: &[u8], secrets: &[Secret]) -> Vec<u8> {
    // Longest first, so that a secret that contains another is replaced as a whole.
    let mut needles: Vec<&[u8]> = secrets.iter().map(|s| s.expose().as_bytes()).filter(|s| !s.is_empty()).collect();
    needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
    let mut clean = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match needles.iter().find(|needle| bytes[at..].starts_with(needle)) {
            Some(needle) => {
                clean.extend_from_slice(MASK);
                at += needle.len();
            }
            None => {
                clean.push(bytes[at]);
                at += 1;
            }
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::{Secret, redact};

    #[test]
    fn a_secret_is_replaced_wherever_it_stands() {
        let secrets = [Secret::new("abc"), Secret::new("abcdef"), Secret::new("")];
        assert_eq!(redact(b"abcabcdefxab", &secrets), b"[secret][secret]xab");
        assert_eq!(format!("{:?}", secrets[0]), "Secret(…)");
        assert!(secrets[0].is("abc") && !secrets[0].is("abd"));
    }
}

//! Signed envelopes (DSSE), and the keys that are trusted.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ed25519_dalek::pkcs8::DecodePublicKey as _;
use p256::ecdsa::signature::Verifier as _;

use super::facts::VerifiedSignature;
use super::json::{Document, Node, clip};
use super::{Problem, ReadError, Source};

/// The most signatures of one envelope that are looked at.
const MOST_SIGNATURES: usize = 32;

/// A public key whose signatures count.
#[derive(Debug, Clone)]
pub struct TrustedKey {
    name: String,
    key: Key,
}

#[derive(Debug, Clone)]
enum Key {
    Ed25519(ed25519_dalek::VerifyingKey),
    P256(p256::ecdsa::VerifyingKey),
}

/// A text that is no public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is neither an Ed25519 nor a P-256 public key; write PEM that begins with -----BEGIN PUBLIC KEY-----")]
pub struct KeyError {
    name: String,
}

impl TrustedKey {
    /// Takes a public key in PEM (`SubjectPublicKeyInfo`), under a name for reports.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it is neither an Ed25519 nor a P-256 key.
    pub fn from_pem(name: impl Into<String>, pem: &str) -> Result<Self, KeyError> {
        let name = name.into();
        let pem = pem.trim();
        if let Ok(key) = ed25519_dalek::VerifyingKey::from_public_key_pem(pem) {
            return Ok(Self { name, key: Key::Ed25519(key) });
        }
        match p256::ecdsa::VerifyingKey::from_public_key_pem(pem) {
            Ok(key) => Ok(Self { name, key: Key::P256(key) }),
            Err(_) => Err(KeyError { name }),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The algorithm, if the signature is right.
    fn verify(&self, message: &[u8], signature: &[u8]) -> Option<&'static str> {
        match &self.key {
            Key::Ed25519(key) => {
                let signature = ed25519_dalek::Signature::from_slice(signature).ok()?;
                // Strict: a signature that other libraries may see otherwise is none.
                key.verify_strict(message, &signature).ok().map(|()| "ed25519")
            }
            Key::P256(key) => {
                let parsed = p256::ecdsa::Signature::from_der(signature)
                    .or_else(|_| p256::ecdsa::Signature::from_slice(signature))
                    .ok()?;
                key.verify(message, &parsed).ok().map(|()| "ecdsa-p256-sha256")
            }
        }
    }
}

/// An envelope that was opened: what is inside, and whose signatures on it are right.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opened {
    /// What kind of thing is inside, for example `application/vnd.in-toto+json`.
    pub payload_type: String,
    /// What is inside: the very bytes that were signed.
    pub payload: Vec<u8>,
    /// The signatures that are right, one for each key.
    pub signed_by: Vec<VerifiedSignature>,
    /// How many signatures stand on the envelope.
    pub signatures: u64,
}

/// Whether an input is an envelope.
pub(super) fn is_envelope(root: &Node<'_>) -> bool {
    root.get("dsseEnvelope").is_some() || (root.get("payloadType").is_some() && root.get("payload").is_some())
}

/// Opens an envelope and looks at its signatures, which are over the type and the payload together. An envelope in a bundle of
/// Sigstore (`dsseEnvelope`) is opened in the same way: by keys, not by the bundle's certificate or log entries.
///
/// # Errors
///
/// [`ReadError`], with the place: [`Problem::Signature`] if keys are given and no signature by any of them is right. Without
/// keys, nobody is trusted and `signed_by` is empty.
pub fn open(source: &Source<'_>, keys: &[TrustedKey]) -> Result<Opened, ReadError> {
    let document = Document::parse(source, &[])?;
    let whole = document.root();
    let root = whole.get("dsseEnvelope").unwrap_or(whole);
    let kind = root.need("payloadType")?.text()?;
    let payload_node = root.need("payload")?;
    let payload = decode(&payload_node)?;
    if payload.is_empty() {
        return Err(payload_node.error(Problem::Empty, "there is nothing in the envelope"));
    }
    let signatures = root.need("signatures")?.items()?;
    if signatures.len() > MOST_SIGNATURES {
        return Err(root.error(Problem::TooLarge, format!("more than {MOST_SIGNATURES} signatures are not looked at")));
    }
    let message = encode(kind, &payload);
    let mut signed_by: Vec<VerifiedSignature> = Vec::new();
    for node in &signatures {
        let place = node.need("sig")?;
        let signature = decode(&place)?;
        for key in keys {
            if signed_by.iter().any(|by| by.key == key.name) {
                continue;
            }
            if let Some(algorithm) = key.verify(&message, &signature) {
                signed_by.push(VerifiedSignature {
                    key: key.name.clone(),
                    algorithm: algorithm.to_owned(),
                    at: place.at(),
                });
            }
        }
    }
    if signed_by.is_empty() && !keys.is_empty() {
        let reason = match signatures.len() {
            0 => "nobody signed it".to_owned(),
            all => format!("none of {all} signatures is right and by a trusted key"),
        };
        return Err(root.error(Problem::Signature, reason));
    }
    Ok(Opened { payload_type: clip(kind, 200), payload, signed_by, signatures: signatures.len() as u64 })
}

/// The pre-authentication encoding of DSSE 1.0: what is signed. Lengths stand before the parts, so that no other type and
/// payload have the same encoding.
#[must_use]
pub fn encode(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut encoded = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    encoded.extend_from_slice(payload);
    encoded
}

/// Both alphabets are allowed (DSSE, "envelope"), with padding or without.
fn decode(node: &Node<'_>) -> Result<Vec<u8>, ReadError> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let text = node.text()?;
    let alphabet = if text.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    let decoded = GeneralPurpose::new(alphabet, config).decode(text.trim());
    decoded.map_err(|error| node.error(Problem::Encoding, format!("this is no base64: {error}")))
}

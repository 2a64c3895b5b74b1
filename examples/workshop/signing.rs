//! Provenance: a signed statement of what was built from which commit.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use deploy_core::time::{Clock as _, SystemClock};
use ed25519_dalek::pkcs8::EncodePublicKey as _;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::json;

use crate::Failure;
use crate::workshop::building::Built;

/// What envelopes of this kind hold.
const PAYLOAD: &str = "application/vnd.in-toto+json";

/// A statement in a signed envelope, and the public key to check it with, as PEM.
pub(crate) fn provenance(commit: &str, built: &Built) -> Result<(Vec<u8>, String), Failure> {
    // A key of this run alone: whoever trusts it trusts this process, which has just built the artifact.
    let mut seed = [0; 32];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut seed)?;
    let key = SigningKey::from_bytes(&seed);
    let digest = built.digest.to_string();
    let hex = digest.rsplit(':').next().unwrap_or(&digest);
    let now = SystemClock::new().wall().to_string();
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "orders", "digest": { "sha256": hex } }],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://example.org/cargo-build/v1", "externalParameters": { "locked": true },
                "resolvedDependencies": [{ "uri": "git+file:orders", "digest": { "gitCommit": commit } }],
            },
            "runDetails": {
                "builder": { "id": "https://example.org/workshop" },
                "metadata": { "invocationId": "1", "startedOn": now, "finishedOn": now },
            },
        },
    });
    let payload = serde_json::to_vec(&statement)?;
    let mut signed = format!("DSSEv1 {} {PAYLOAD} {} ", PAYLOAD.len(), payload.len()).into_bytes();
    signed.extend_from_slice(&payload);
    let signature = key.sign(&signed);
    let envelope = json!({
        "payloadType": PAYLOAD, "payload": BASE64_STANDARD.encode(&payload),
        "signatures": [{ "keyid": "workshop", "sig": BASE64_STANDARD.encode(signature.to_bytes()) }],
    });
    let pem = key.verifying_key().to_public_key_pem(LineEnding::LF)?;
    Ok((serde_json::to_vec_pretty(&envelope)?, pem))
}

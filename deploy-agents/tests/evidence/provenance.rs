//! Attestations: whose word it is, about what, built by whom.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use deploy_agents::evidence::dsse::{self, TrustedKey};
use deploy_agents::evidence::facts::ProvenanceFacts;
use deploy_agents::evidence::{DoubtKind, Original, Problem, ReadError, Source, openvex, provenance};
use deploy_core::digest::Digest;
use ed25519_dalek::Signer as _;
use ed25519_dalek::pkcs8::EncodePublicKey as _;

use crate::doubted;
use crate::samples::STATEMENT;

const IN_TOTO: &str = "application/vnd.in-toto+json";

fn ed25519() -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[7; 32])
}

fn p256() -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(&[9; 32]).expect("a key")
}

pub(crate) fn ed25519_pem() -> String {
    ed25519().verifying_key().to_public_key_pem(Default::default()).expect("PEM")
}

fn keys() -> Vec<TrustedKey> {
    let p256_pem = p256().verifying_key().to_public_key_pem(Default::default()).expect("PEM");
    vec![
        TrustedKey::from_pem("release", &ed25519_pem()).expect("a key"),
        TrustedKey::from_pem("audit", &p256_pem).expect("a key"),
    ]
}

fn envelope(payload_type: &str, payload: &str, signatures: &[Vec<u8>]) -> String {
    let signatures: Vec<String> =
        signatures.iter().map(|s| format!(r#"{{"keyid": "k", "sig": "{}"}}"#, BASE64_STANDARD.encode(s))).collect();
    let payload = BASE64_STANDARD.encode(payload);
    format!(r#"{{"payloadType": "{payload_type}", "payload": "{payload}", "signatures": [{}]}}"#, signatures.join(","))
}

fn by_ed25519(payload: &str) -> Vec<u8> {
    ed25519().sign(&dsse::encode(IN_TOTO, payload.as_bytes())).to_bytes().to_vec()
}

fn by_p256(payload: &str) -> p256::ecdsa::Signature {
    use p256::ecdsa::signature::Signer as _;
    p256().sign(&dsse::encode(IN_TOTO, payload.as_bytes()))
}

fn read(text: &str, keys: &[TrustedKey]) -> Result<ProvenanceFacts, ReadError> {
    provenance::read(&Source::new("provenance.json", text.as_bytes()), keys)
}

#[test]
fn what_is_signed_is_the_encoding_of_the_specification() {
    // The worked example of the DSSE protocol document.
    assert_eq!(
        dsse::encode("http://example.com/HelloWorld", b"hello world"),
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
}

/// Rows: M12, M147.
#[test]
fn both_algorithms_and_both_forms_of_a_signature_are_verified() {
    let der = by_p256(STATEMENT).to_der().as_bytes().to_vec();
    let fixed = by_p256(STATEMENT).to_bytes().to_vec();
    for (signature, key, algorithm) in [
        (by_ed25519(STATEMENT), "release", "ed25519"),
        (der, "audit", "ecdsa-p256-sha256"),
        (fixed, "audit", "ecdsa-p256-sha256"),
    ] {
        let facts = read(&envelope(IN_TOTO, STATEMENT, &[signature]), &keys()).expect("signed");
        let [by] = facts.signed_by.as_slice() else { panic!("{:?}", facts.signed_by) };
        assert_eq!((by.key.as_str(), by.algorithm.as_str()), (key, algorithm));
        assert_eq!(doubted(&facts.doubts, DoubtKind::Unsigned), 0);
    }
    let both = envelope(IN_TOTO, STATEMENT, &[by_ed25519(STATEMENT), by_p256(STATEMENT).to_der().as_bytes().to_vec()]);
    assert_eq!(read(&both, &keys()).expect("signed").signed_by.len(), 2);
    // One key that signs twice is one signer.
    let twice = envelope(IN_TOTO, STATEMENT, &[by_ed25519(STATEMENT), by_ed25519(STATEMENT)]);
    let facts = read(&twice, &keys()).expect("signed");
    assert_eq!((facts.signed_by.len(), facts.signatures), (1, 2));
}

/// Rows: M12.
#[test]
fn a_signature_is_over_type_and_payload_and_any_change_is_refused() {
    let signature = by_ed25519(STATEMENT);
    let good = envelope(IN_TOTO, STATEMENT, std::slice::from_ref(&signature));
    assert!(read(&good, &keys()).is_ok());
    let mut tried = 0;
    for at in (0..STATEMENT.len()).step_by(61) {
        let mut payload = STATEMENT.as_bytes().to_vec();
        payload[at] ^= 1;
        let Ok(payload) = String::from_utf8(payload) else { continue };
        let error = read(&envelope(IN_TOTO, &payload, std::slice::from_ref(&signature)), &keys()).expect_err("changed");
        assert_eq!(error.problem, Problem::Signature);
        tried += 1;
    }
    for at in (0..signature.len()).step_by(13) {
        let mut changed = signature.clone();
        changed[at] ^= 1;
        assert_eq!(
            read(&envelope(IN_TOTO, STATEMENT, &[changed]), &keys()).expect_err("changed").problem,
            Problem::Signature
        );
        tried += 1;
    }
    // The same bytes signed as something else.
    let bare = ed25519().sign(STATEMENT.as_bytes()).to_bytes().to_vec();
    let other = ed25519().sign(&dsse::encode("text/plain", STATEMENT.as_bytes())).to_bytes().to_vec();
    for wrong in [bare, other, Vec::new(), vec![0; 64]] {
        assert_eq!(
            read(&envelope(IN_TOTO, STATEMENT, &[wrong]), &keys()).expect_err("wrong").problem,
            Problem::Signature
        );
        tried += 1;
    }
    println!("{tried} changed envelopes were refused");
    assert_eq!(read(&envelope(IN_TOTO, STATEMENT, &[]), &keys()).expect_err("nobody").problem, Problem::Signature);
    assert_eq!(read(&good, &keys()[1..]).expect_err("another key").problem, Problem::Signature);
    let kind = envelope("text/plain", STATEMENT, &[other_type()]);
    assert_eq!(read(&kind, &keys()).expect_err("another type").problem, Problem::Version);
}

fn other_type() -> Vec<u8> {
    ed25519().sign(&dsse::encode("text/plain", STATEMENT.as_bytes())).to_bytes().to_vec()
}

/// Rows: M12.
#[test]
fn an_unsigned_statement_is_nobodys_word() {
    let facts = read(STATEMENT, &keys()).expect("readable");
    assert!(facts.signed_by.is_empty());
    assert_eq!(doubted(&facts.doubts, DoubtKind::Unsigned), 1);
    let facts = read(&envelope(IN_TOTO, STATEMENT, &[by_ed25519(STATEMENT)]), &[]).expect("readable");
    assert!(facts.signed_by.is_empty(), "without a key, nobody is trusted");
    assert_eq!(doubted(&facts.doubts, DoubtKind::Unsigned), 1);
}

/// Rows: M12, M147.
#[test]
fn it_is_about_a_digest_and_built_from_a_commit_by_a_permitted_builder() {
    let facts = read(STATEMENT, &[]).expect("readable");
    assert!(facts.subject(&Digest::of(b"abc")).is_some());
    assert!(facts.subject(&Digest::of(b"abd")).is_none());
    let build = facts.build.expect("SLSA");
    assert!(build.built_from("7fd1a60b01f91b314f59955a4e4d4e80d8edf11d"));
    assert!(!build.built_from("7fd1a60b01"), "a part of a name could be another commit");
    assert!(!build.built_from("8fd1a60b01f91b314f59955a4e4d4e80d8edf11d"));
    assert!(build.built_by(["https://example.com/builder@v2"]));
    assert!(build.built_by(["https://example.com/other", "https://example.com/builder"]));
    for wrong in ["https://example.com/build", "https://example.com/builder@v", "", "https://example.com/builder@v1"] {
        assert!(!build.built_by([wrong]), "{wrong:?}");
    }
}

#[test]
fn a_subject_without_a_digest_and_an_expiry_that_is_none_are_errors() {
    let no_digest = STATEMENT.replace(
        r#""digest": {"sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}"#,
        r#""digest": {}"#,
    );
    assert_eq!(read(&no_digest, &[]).expect_err("anything").problem, Problem::Field);
    let audit = r#"{"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": "00"}}], "predicateType": "https://example.com/audit/v1",
        "predicate": {"scope": "network", "result": "PASSED", "expires": "2027-01-01T00:00:00Z"}}"#;
    let facts = read(audit, &[]).expect("readable");
    assert_eq!(facts.scope.map(|s| s.value).as_deref(), Some("network"));
    assert_eq!(facts.result.map(|s| s.value).as_deref(), Some("PASSED"));
    assert_eq!(facts.expires.expect("it says").at.to_string(), "provenance.json#/predicate/expires");
    assert_eq!(read(&audit.replace("2027-01-01T00:00:00Z", "soon"), &[]).expect_err("no time").problem, Problem::Field);
}

#[test]
fn a_build_that_ends_before_it_begins_is_doubted() {
    let text = STATEMENT.replace("2026-11-22T01:05:00Z", "2026-11-22T00:05:00Z");
    assert_eq!(doubted(&read(&text, &[]).expect("readable").doubts, DoubtKind::Times), 1);
}

#[test]
fn what_stands_in_an_envelope_is_cited_from_its_payload() {
    let text = envelope(IN_TOTO, STATEMENT, &[by_ed25519(STATEMENT)]);
    let source = Source::new("provenance.json", text.as_bytes());
    let facts = provenance::read(&source, &keys()).expect("signed");
    let builder = facts.build.expect("SLSA").builder;
    assert_eq!(&*builder.at.file, "provenance.json!payload");
    let opened = dsse::open(&source, &keys()).expect("signed");
    let payload = Source::new(&builder.at.file, &opened.payload);
    assert_eq!(Original::open(&payload).text_at(&builder.at.place).expect("there"), builder.value);
}

#[test]
fn payloads_in_either_alphabet_are_opened_and_others_refused() {
    let payload = BASE64_URL_SAFE_NO_PAD.encode("{\"?\": \"~~>\"}");
    let text = format!(r#"{{"payloadType": "t", "payload": "{payload}", "signatures": []}}"#);
    let opened = dsse::open(&Source::new("e", text.as_bytes()), &[]).expect("open");
    assert_eq!(opened.payload, b"{\"?\": \"~~>\"}");
    let text = r#"{"payloadType": "t", "payload": "!!", "signatures": []}"#;
    assert_eq!(dsse::open(&Source::new("e", text.as_bytes()), &[]).expect_err("no base64").problem, Problem::Encoding);
    let text = r#"{"payloadType": "t", "payload": "", "signatures": []}"#;
    assert_eq!(dsse::open(&Source::new("e", text.as_bytes()), &[]).expect_err("empty").problem, Problem::Empty);
}

#[test]
fn an_envelope_in_a_bundle_is_opened_by_key() {
    let inner = envelope(IN_TOTO, STATEMENT, &[by_ed25519(STATEMENT)]);
    let bundle = format!(
        r#"{{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": {{"publicKey": {{"hint": "k"}}}}, "dsseEnvelope": {inner}}}"#
    );
    let facts = read(&bundle, &keys()).expect("signed");
    assert_eq!(facts.signed_by[0].at.to_string(), "provenance.json#/dsseEnvelope/signatures/0/sig");
    assert_eq!(read(&bundle, &keys()[1..]).expect_err("another key").problem, Problem::Signature);
}

/// Rows: M13.
#[test]
fn statements_about_vulnerabilities_may_be_signed() {
    let text = format!(
        r#"{{"_type": "https://in-toto.io/Statement/v1", "subject": [], "predicateType": "https://openvex.dev/ns/v0.2.0", "predicate": {}}}"#,
        crate::samples::OPENVEX
    );
    let signed = envelope(IN_TOTO, &text, &[by_ed25519(&text)]);
    let (facts, by) = openvex::read_signed(&Source::new("vex.json", signed.as_bytes()), &keys()).expect("signed");
    assert_eq!((facts.statements.len(), by.len()), (3, 1));
    assert_eq!(facts.statements[0].at.to_string(), "vex.json!payload#/predicate/statements/0");
    let forged = envelope(IN_TOTO, &text.replace("under", "over").replace("affected", "fixed"), &[by_ed25519(&text)]);
    let error = openvex::read_signed(&Source::new("vex.json", forged.as_bytes()), &keys()).expect_err("forged");
    assert_eq!(error.problem, Problem::Signature);
    let other = envelope(IN_TOTO, STATEMENT, &[by_ed25519(STATEMENT)]);
    let error = openvex::read_signed(&Source::new("vex.json", other.as_bytes()), &keys()).expect_err("no VEX");
    assert_eq!(error.problem, Problem::Version);
}

#[test]
fn what_is_no_key_is_refused_when_it_is_trusted() {
    for text in ["", "key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"] {
        assert!(TrustedKey::from_pem("k", text).is_err());
    }
}

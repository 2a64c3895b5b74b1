//! A folder of good evidence that is of now, whatever the day: the sample, with every time in it moved.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use deploy_core::digest::Digest;
use deploy_core::time::{Clock as _, SystemClock, Timestamp};
use ed25519_dalek::pkcs8::EncodePublicKey as _;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

/// When the sample is of.
const THEN: &str = "2026-11-23T08:00:00Z";
/// Whoever trusts this key trusts these tests.
const SEED: [u8; 32] = [7; 32];

/// Copies the sample, moved to now.
pub(super) fn evidence(to: &Path) {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("evidence/sample");
    let then = Timestamp::parse(THEN).expect("a time");
    let by = SystemClock::new().wall().0 - then.0;
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(sample).expect("the sample") {
        let entry = entry.expect("a file");
        let name = entry.file_name().to_str().expect("UTF-8").to_owned();
        let text = std::fs::read_to_string(entry.path()).expect("text");
        let moved = match name.as_str() {
            name if name.ends_with(".jsonl") => chain(&moved(&text, by)),
            "audit.json" | "provenance.json" => signed(&text, by),
            // What was applied names the bytes of the plan.
            "plan.json" | "plan-after.json" => text,
            // Whatever the day and the hour, the calendar is open.
            "schedule.json" => with_open_calendar(&moved(&text, by)),
            _ => moved(&text, by),
        };
        std::fs::write(to.join(name), moved).expect("written");
    }
}

/// The profile under which the folder is good: with the key that signed it.
pub(super) fn profile(without_checks: &Value) -> String {
    let pem = SigningKey::from_bytes(&SEED).verifying_key().to_public_key_pem(LineEnding::LF).expect("PEM");
    let thresholds = json!({ "build_keys": { "ci": pem }, "audit_keys": { "auditors": pem } });
    json!({ "thresholds": thresholds, "without_checks": without_checks }).to_string()
}

/// Every time in a text, moved: `2026-11-23T07:45:00…`, and milliseconds or seconds since 1970 of that year and the next.
fn moved(text: &str, by: i64) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let written = rest.get(..19).and_then(|text| Timestamp::parse(&format!("{text}Z")).ok());
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number = (digits == 13 || digits == 10).then(|| rest[..digits].parse::<i64>().ok()).flatten();
        let (said, length) = if let Some(at) = written {
            (Timestamp(at.0 + by).to_string()[..19].to_owned(), 19)
        } else if let Some(number) = number.filter(|_| rest.starts_with("179") || rest.starts_with("180")) {
            let by = if digits == 13 { by } else { by / 1000 };
            ((number + by).to_string(), digits)
        } else {
            (rest[..digits.max(first.len_utf8())].to_owned(), digits.max(first.len_utf8()))
        };
        out.push_str(&said);
        rest = &rest[length..];
    }
    out
}

fn with_open_calendar(text: &str) -> String {
    let mut schedule: Value = serde_json::from_str(text).expect("JSON");
    schedule["calendar"] = json!({ "windows": [], "freezes": [] });
    schedule.to_string()
}

/// An export whose records were moved, chained anew as an engine would have.
fn chain(text: &str) -> String {
    let mut hash = Digest::ZERO;
    let mut lines = Vec::new();
    for line in text.lines().skip(1) {
        let (_, record) = line.split_once("\"record\":").expect("a record");
        let record = record.strip_suffix('}').expect("the end of the line");
        hash = hash.then(record.as_bytes());
        lines.push(format!("{{\"hash\":\"{hash}\",\"record\":{record}}}"));
    }
    // An export is taken only as it is written, to the byte.
    let header = text.lines().next().expect("a header");
    let read: Value = serde_json::from_str(header).expect("JSON");
    let header = header.replace(read["head"]["hash"].as_str().expect("text"), &hash.to_string());
    format!("{header}\n{}\n", lines.join("\n"))
}

/// A signed statement that was moved, signed anew.
fn signed(text: &str, by: i64) -> String {
    let mut envelope: Value = serde_json::from_str(text).expect("JSON");
    let payload = BASE64_STANDARD.decode(envelope["payload"].as_str().expect("text")).expect("base64");
    let payload = moved(std::str::from_utf8(&payload).expect("UTF-8"), by);
    let kind = envelope["payloadType"].as_str().expect("text");
    let said = format!("DSSEv1 {} {kind} {} {payload}", kind.len(), payload.len());
    let signature = SigningKey::from_bytes(&SEED).sign(said.as_bytes());
    envelope["payload"] = BASE64_STANDARD.encode(&payload).into();
    envelope["signatures"] = json!([{ "keyid": "tests", "sig": BASE64_STANDARD.encode(signature.to_bytes()) }]);
    envelope.to_string()
}

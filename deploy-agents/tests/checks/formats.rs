//! The formats of which the sample folder holds none: one field flips the verdict, and only that one.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use deploy_agents::checks::{Catalogue, CatalogueCheck, Thresholds};
use deploy_agents::evidence::dsse;
use deploy_agents::monitors::families::MonitorKind;
use deploy_core::evidence::{Collected, EvidenceSubject, Verdict};
use deploy_core::time::Timestamp;
use ed25519_dalek::pkcs8::EncodePublicKey as _;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::json;

use crate::flips::Edit;
use crate::sample::{claimer, set, thresholds};
use crate::world::{COMMIT, artifact, at, now, release};

fn catalogue() -> Catalogue {
    let mut thresholds = thresholds();
    thresholds.permitted_licences = ["MIT".to_owned(), "Apache-2.0".to_owned()].into();
    thresholds.change_coverage_at_least = 0.0;
    thresholds.statement_producers = ["ci".to_owned()].into();
    Catalogue::optional(&thresholds).into_iter().fold(Catalogue::standard(&thresholds), Catalogue::with)
}

/// A piece as its tool would have written it, called by its file.
fn piece(kind: &str, file: &str, text: impl Into<String>) -> Collected {
    let release = release();
    let subject = EvidenceSubject {
        commit: Some(COMMIT.to_owned()),
        artifact: Some(artifact()),
        environment: Some(release.environment),
    };
    Collected::new(kind, "ci", subject, at("2026-11-23T07:00:00Z"), text.into().into_bytes()).summary(file)
}

const COBERTURA: &str = r#"<?xml version="1.0" ?>
<coverage line-rate="0.95" branch-rate="1" lines-covered="19" lines-valid="20" version="7.1" timestamp="1795413600">
  <packages><package name="." line-rate="0.95" branch-rate="1"><classes>
    <class name="cart" filename="src/cart.rs" line-rate="0.95" branch-rate="1"><methods/><lines>LINES</lines></class>
  </classes></package></packages>
</coverage>
"#;

fn cobertura() -> String {
    let lines: String =
        (1..=20).map(|n| format!(r#"<line number="{n}" hits="{}"/>"#, if n == 20 { 0 } else { n })).collect();
    COBERTURA.replace("LINES", &lines)
}

const LLVM_COV: &str = r#"{"type": "llvm.coverage.json.export", "version": "2.0.1", "data": [{
  "files": [{"filename": "src/cart.rs", "segments": [],
    "summary": {"lines": {"count": 1000, "covered": 901, "percent": 90.1}, "functions": {"count": 1, "covered": 1, "percent": 100},
      "regions": {"count": 5, "covered": 5, "notcovered": 0, "percent": 100}}}],
  "functions": [],
  "totals": {"lines": {"count": 1000, "covered": 901, "percent": 90.1}, "functions": {"count": 1, "covered": 1, "percent": 100},
      "regions": {"count": 5, "covered": 5, "notcovered": 0, "percent": 100}}}]}"#;

fn grype() -> String {
    json!({
        "matches": [{
            "vulnerability": {"id": "CVE-2026-0003", "severity": "Medium", "fix": {"versions": ["0.3.2"], "state": "fixed"}},
            "relatedVulnerabilities": [], "matchDetails": [],
            "artifact": {"name": "tiny", "version": "0.3.1", "type": "rust-crate", "purl": "pkg:cargo/tiny@0.3.1"}
        }],
        "source": {"type": "image", "target": {"userInput": "shop:v2", "manifestDigest": artifact().to_string(), "repoDigests": []}},
        "descriptor": {"name": "grype", "version": "0.90.0", "timestamp": "2026-11-23T06:00:00Z",
            "db": {"status": {"built": "2026-11-22T08:00:00Z"}}}
    })
    .to_string()
}

fn osv() -> String {
    json!({"results": [{"source": {"path": "Cargo.lock", "type": "lockfile"}, "packages": [{
        "package": {"name": "tiny", "version": "0.3.1", "ecosystem": "crates.io"},
        "vulnerabilities": [{"id": "RUSTSEC-2026-0001", "modified": "2026-10-01T00:00:00Z", "aliases": ["CVE-2026-0001"]}],
        "groups": [{"ids": ["RUSTSEC-2026-0001"], "max_severity": "5.0"}]
    }]}]})
    .to_string()
}

/// One critical finding that a statement of ours clears.
fn critical() -> String {
    grype().replace("\"Medium\"", "\"Critical\"")
}

fn csaf() -> String {
    json!({
        "document": {"category": "csaf_vex", "csaf_version": "2.0",
            "publisher": {"name": "shop team", "category": "vendor", "namespace": "https://example.com"}, "title": "x",
            "tracking": {"id": "S-1", "status": "final", "version": "1", "current_release_date": "2026-11-20T00:00:00Z",
                "initial_release_date": "2026-11-20T00:00:00Z"}},
        "product_tree": {"full_product_names": [{"product_id": "P1", "name": "tiny",
            "product_identification_helper": {"purl": "pkg:cargo/tiny@0.3.1"}}]},
        "vulnerabilities": [{"cve": "CVE-2026-0003", "product_status": {"known_not_affected": ["P1"]},
            "flags": [{"label": "vulnerable_code_not_present", "product_ids": ["P1"]}]}]
    })
    .to_string()
}

const OHA: &str = r#"{"summary": {"successRate": 1.0, "total": 6.0, "slowest": 0.05, "fastest": 0.0004, "average": 0.003, "requestsPerSec": 10000.5},
  "latencyPercentiles": {"p50": 0.002, "p90": 0.004, "p95": 0.006, "p99": 0.5, "p99.9": 0.6},
  "statusCodeDistribution": {"200": 59995, "503": 5}, "errorDistribution": {"aborted due to deadline": 19}}"#;

const WRK: &str = "Running 10s test @ http://127.0.0.1:8080/\n  2 threads and 10 connections\n  Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency   635.91us    0.89ms  12.92ms   93.69%\n    Req/Sec    56.20k     8.07k   62.00k    86.54%\n  Latency Distribution\n     50%  250.00us\n     99%    5.80ms\n  22464 requests in 10.00s, 17.76MB read\n  Non-2xx or 3xx responses: 10\nRequests/sec:   2246.53\nTransfer/sec:      1.77MB\n";

fn restic() -> String {
    json!([{"time": "2026-11-23T04:00:00Z", "tree": "aa", "paths": ["/srv/shop"], "hostname": "db1", "id": "4f8a2c", "short_id": "4f8a2c",
        "summary": {"backup_start": "2026-11-23T04:00:00Z", "backup_end": "2026-11-23T04:05:00Z", "total_bytes_processed": 1234}}])
    .to_string()
}

fn restore() -> Collected {
    let record = json!({"format": 1, "label": "4f8a2c", "at": at("2026-11-23T06:00:00Z").0, "compared": "rows and checksums",
        "matches": true, "last_freeze": at("2026-11-22T20:00:00Z").0});
    piece("restore-record", "restore.json", record.to_string())
}

fn opa() -> String {
    json!({"result": [{"expressions": [
        {"value": true, "text": "data.release.allow", "location": {"row": 1, "col": 1}},
        {"value": [], "text": "data.release.deny", "location": {"row": 2, "col": 1}}]}]})
    .to_string()
}

fn spdx() -> String {
    let hash = json!([{"algorithm": "SHA256", "checksumValue": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}]);
    json!({"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "shop", "documentNamespace": "https://example.com/shop/1",
        "creationInfo": {"created": "2026-11-23T02:00:00Z", "creators": ["Tool: bom-maker"]},
        "packages": [
            {"SPDXID": "SPDXRef-serde", "name": "serde", "versionInfo": "1.0.229", "licenseConcluded": "MIT OR Apache-2.0", "checksums": hash},
            {"SPDXID": "SPDXRef-tiny", "name": "tiny", "versionInfo": "0.3.1", "licenseConcluded": "MIT", "checksums": hash}],
        "relationships": [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-serde"}]})
    .to_string()
}

fn criterion(nanoseconds: f64) -> String {
    let times: Vec<f64> = (0..12).map(|n| (nanoseconds + f64::from(n % 4)) * 10.0).collect();
    json!({"sampling_mode": "Flat", "iters": vec![10.0; 12], "times": times}).to_string()
}

/// Thirteen kinds that measure, one that does not apply, one that is silent, one missing.
fn monitoring() -> String {
    let kinds: Vec<_> = MonitorKind::ALL
        .iter()
        .enumerate()
        .map(|(n, kind)| match n {
            0..=10 => json!({"kind": kind, "measures": [format!("m{n} of probe")]}),
            11 => json!({"kind": kind, "not_applicable": "the service keeps nothing"}),
            _ => json!({"kind": kind}),
        })
        .collect();
    json!({"format": 1, "kinds": kinds}).to_string()
}

/// A check, all that it reads, what spoils it and what does not; the file that is changed is the first.
type Row = (&'static str, Vec<Collected>, Vec<Edit>, Vec<Edit>);

#[expect(clippy::too_many_lines, reason = "a table")]
fn rows() -> Vec<Row> {
    use Edit::{Remove, Set, Text};
    vec![
        (
            "coverage",
            vec![piece("cobertura", "cobertura.xml", cobertura())],
            vec![Text(r#"<line number="2" hits="2"/>"#, r#"<line number="2" hits="0"/>"#), Text("</coverage>", "")],
            vec![Text(r#"<line number="2" hits="2"/>"#, r#"<line number="2" hits="9"/>"#)],
        ),
        (
            "coverage",
            vec![piece("llvm-cov", "coverage.json", LLVM_COV)],
            // 90.0 % fails, 90.1 % passes.
            vec![
                Text(r#""covered": 901, "percent": 90.1"#, r#""covered": 900, "percent": 90.0"#),
                Set("/version", json!("9.0.0")),
                Remove("/data"),
            ],
            vec![Text(r#""covered": 901, "percent": 90.1"#, r#""covered": 902, "percent": 90.2"#)],
        ),
        (
            "no-critical-vulnerability",
            vec![piece("grype", "grype.json", grype())],
            vec![
                Set("/matches/0/vulnerability/severity", json!("Critical")),
                Set("/matches/0/vulnerability/severity", json!("Odd")),
                Set("/descriptor/db/status/built", json!("2026-11-21T07:59:59Z")),
                Remove("/descriptor/db"),
                Set("/source/target/manifestDigest", json!(format!("sha256:{}", "0".repeat(64)))),
            ],
            vec![
                Set("/matches/0/vulnerability/severity", json!("Low")),
                Set("/descriptor/db/status/built", json!("2026-11-21T08:00:00Z")),
            ],
        ),
        (
            "no-critical-vulnerability",
            vec![piece("osv", "osv.json", osv())],
            vec![
                Set("/results/0/packages/0/groups/0/max_severity", json!("9.1")),
                Set("/results", json!([])),
                Remove("/results/0/packages/0/package"),
            ],
            vec![Set("/results/0/packages/0/groups/0/max_severity", json!("6.9"))],
        ),
        (
            "no-critical-vulnerability",
            vec![piece("csaf", "csaf.json", csaf()), piece("grype", "grype.json", critical())],
            vec![
                Set("/vulnerabilities/0/product_status", json!({"known_affected": ["P1"]})),
                Set("/vulnerabilities/0/cve", json!("CVE-2026-0009")),
                Set("/vulnerabilities/0/flags", json!([])),
                Set("/document/tracking/status", json!("draft")),
                Set(
                    "/product_tree/full_product_names/0/product_identification_helper/purl",
                    json!("pkg:cargo/other@1"),
                ),
            ],
            vec![Set("/vulnerabilities/0/product_status", json!({"fixed": ["P1"]}))],
        ),
        (
            "service-level",
            vec![piece("oha", "oha.json", OHA)],
            vec![
                Set("/latencyPercentiles/p99", json!(0.501)),
                Remove("/latencyPercentiles/p99"),
                Set("/statusCodeDistribution/503", json!(61)),
                Set("/statusCodeDistribution", json!({"200": 999})),
                Set("/errorDistribution", json!({"connection refused": 61})),
            ],
            vec![Set("/statusCodeDistribution/200", json!(58000)), Set("/latencyPercentiles/p90", json!(0.3))],
        ),
        (
            "service-level",
            vec![piece("wrk", "wrk.txt", WRK)],
            vec![
                Text("99%    5.80ms", "99%    501.00ms"),
                Text("     99%    5.80ms\n", ""),
                Text("responses: 10\n", "responses: 23\n"),
                Text("22464 requests", "999 requests"),
                Text("Requests/sec:   2246.53\nTransfer/sec:      1.77MB\n", ""),
            ],
            vec![Text("99%    5.80ms", "99%    500.00ms"), Text("responses: 10\n", "responses: 22\n")],
        ),
        (
            "backup",
            vec![piece("restic", "restic.json", restic()), restore()],
            vec![
                Set("/0/time", json!("2026-11-22T07:59:59Z")),
                Set("/0/time", json!("2026-11-22T19:59:59Z")),
                Set("/0/id", json!("another")),
                Text("[{", "[[{"),
            ],
            vec![Set("/0/hostname", json!("db2"))],
        ),
        (
            "compliance",
            vec![piece("opa", "opa.json", opa())],
            vec![
                Set("/result/0/expressions/0/value", json!(false)),
                Remove("/result/0/expressions/0/value"),
                Set("/result/0/expressions/1/value", json!(["runs as root"])),
                Set("/result", json!([])),
            ],
            vec![Set("/result/0/expressions/0/location/row", json!(9))],
        ),
        (
            "dependencies",
            vec![piece("spdx", "spdx.json", spdx())],
            vec![
                Set("/packages/1/licenseConcluded", json!("GPL-3.0-only")),
                Set("/packages/1/licenseConcluded", json!("NOASSERTION")),
                Remove("/packages/1/checksums"),
                Set("/packages", json!([])),
                Set("/spdxVersion", json!("SPDX-4.0")),
            ],
            vec![Set("/packages/1/licenseConcluded", json!("Apache-2.0"))],
        ),
        (
            "no-slower-function",
            vec![
                piece("criterion", "target/criterion/sum/new/sample.json", criterion(100.0)),
                piece("criterion-before", "target/criterion/sum/base/sample.json", criterion(100.5)),
            ],
            vec![
                Set("/times", json!((0..12).map(|n| 1_300.0 + f64::from(n % 4)).collect::<Vec<_>>())),
                Set("/times", json!([])),
                Set("/iters", json!([10.0])),
            ],
            vec![Set("/times", json!((0..12).map(|n| 900.0 + f64::from(n % 4)).collect::<Vec<_>>()))],
        ),
        (
            "monitoring-coverage",
            vec![piece("monitoring-coverage", "monitoring.json", monitoring())],
            vec![
                Set("/kinds/0/measures", json!([])),
                Set("/kinds/11/not_applicable", json!(" ")),
                Remove("/kinds/3"),
                Set("/kinds/1/kind", json!("response_times")),
                Set("/kinds/1/kind", json!("weather")),
                Set("/kinds", json!([])),
            ],
            vec![Set("/kinds/0/measures", json!(["another of probe"]))],
        ),
    ]
}

fn verdict(check: &CatalogueCheck, pieces: &[Collected]) -> Verdict {
    set(pieces).judge(check, &release(), &claimer(), None, now()).receipt.verdict
}

/// The first piece with its bytes changed, as its producer would have written them.
fn edited(pieces: &[Collected], edit: &Edit) -> Vec<Collected> {
    let mut pieces = pieces.to_vec();
    let e = pieces[0].evidence.clone();
    let bytes = edit.on(&pieces[0].bytes);
    pieces[0] = Collected::new(e.kind, e.producer.name, e.subject, e.observed_at, bytes).summary(e.summary);
    pieces
}

/// Rows: M8, M9, M13, M14, M19, M41, M124, M148, M172, M173, M174.
#[test]
fn one_field_of_every_other_format_flips_its_check() {
    let catalogue = catalogue();
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for (name, pieces, spoiling, harmless) in rows() {
        let check = catalogue.check(name).unwrap_or_else(|| panic!("no check {name}"));
        let what = format!("{name} on {}", pieces[0].evidence.kind);
        let good = verdict(check, &pieces);
        if !good.is_met() {
            wrong.push(format!("{what}: the good one: {good:?}"));
            continue;
        }
        for edit in &spoiling {
            let now = verdict(check, &edited(&pieces, edit));
            tried += 1;
            if now.is_met() {
                wrong.push(format!("{what}: still met after {edit:?}: {now:?}"));
            }
        }
        for edit in &harmless {
            let now = verdict(check, &edited(&pieces, edit));
            tried += 1;
            if now != good {
                wrong.push(format!("{what}: {edit:?} matters: {now:?}"));
            }
        }
        // Each piece is needed, or its check would be met without it.
        for without in 0..pieces.len() {
            let mut fewer = pieces.clone();
            fewer.remove(without);
            if verdict(check, &fewer).is_met() {
                wrong.push(format!("{what}: met without {}", pieces[without].evidence.kind));
            }
        }
        // Of long ago.
        let mut old = pieces.clone();
        old[0].evidence.observed_at = Timestamp(0);
        if verdict(check, &old).is_met() {
            wrong.push(format!("{what}: met by what is stale"));
        }
    }
    println!("{tried} changed fields of {} formats", rows().len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Statements of the team's in an envelope, signed with this key.
fn signed_vex(key: &SigningKey, status: &str) -> String {
    const TYPE: &str = "application/vnd.in-toto+json";
    let statement = json!({"_type": "https://in-toto.io/Statement/v1", "subject": [], "predicateType": "https://openvex.dev/ns/v0.2.0",
        "predicate": {"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.org/vex/1", "author": "shop team",
            "timestamp": "2026-11-20T00:00:00Z", "version": 1, "statements": [{"vulnerability": {"name": "CVE-2026-0003"},
                "products": [{"@id": "pkg:cargo/tiny@0.3.1"}], "status": status, "justification": "vulnerable_code_not_present"}]}})
    .to_string();
    let signature = key.sign(&dsse::encode(TYPE, statement.as_bytes())).to_bytes();
    json!({"payloadType": TYPE, "payload": BASE64_STANDARD.encode(statement),
        "signatures": [{"keyid": "k", "sig": BASE64_STANDARD.encode(signature)}]})
    .to_string()
}

/// What clears a critical finding is signed by somebody who is trusted, or was read where it stands under review; whatever else says the same
/// clears nothing.
///
/// Rows: M13, M148, M173.
#[test]
fn only_statements_of_somebody_who_is_trusted_clear_a_finding() {
    let (ours, theirs) = (SigningKey::from_bytes(&[7; 32]), SigningKey::from_bytes(&[8; 32]));
    let pem = ours.verifying_key().to_public_key_pem(Default::default()).expect("PEM");
    let judge = |change: &dyn Fn(&mut Thresholds), statements: Collected| {
        let mut thresholds = thresholds();
        change(&mut thresholds);
        let catalogue = Catalogue::standard(&thresholds);
        let check = catalogue.check("no-critical-vulnerability").expect("a check");
        let pieces = [statements, piece("grype", "grype.json", critical())];
        set(&pieces).judge(check, &release(), &claimer(), None, now())
    };
    let unsigned = || piece("csaf", "csaf.json", csaf());
    let signed = |key: &SigningKey, status: &str| piece("openvex-attestation", "vex.json", signed_vex(key, status));
    let trust = |thresholds: &mut Thresholds| {
        thresholds.statement_keys = [("team".to_owned(), pem.clone())].into();
    };
    let found = judge(&|_| {}, unsigned());
    assert!(matches!(found.receipt.verdict, Verdict::Fail { .. }), "{found:?}");
    let note = "csaf.json clears nothing: nobody who is trusted signed it";
    assert!(found.assessment.notes.iter().any(|said| said == note), "{found:?}");
    let found = judge(&|t| t.statement_producers = ["ci".to_owned()].into(), unsigned());
    assert!(found.receipt.verdict.is_met(), "{found:?}");
    let found = judge(&|t| t.statement_producers = ["somebody".to_owned()].into(), unsigned());
    assert!(!found.receipt.verdict.is_met(), "{found:?}");
    // Signed.
    let found = judge(&trust, signed(&ours, "not_affected"));
    assert!(found.receipt.verdict.is_met(), "{found:?}");
    let found = judge(&trust, signed(&ours, "affected"));
    assert!(matches!(found.receipt.verdict, Verdict::Fail { .. }), "{found:?}");
    let found = judge(&|_| {}, signed(&ours, "not_affected"));
    assert!(matches!(found.receipt.verdict, Verdict::Fail { .. }), "no key is trusted: {found:?}");
    let found = judge(&trust, signed(&theirs, "not_affected"));
    assert!(matches!(found.receipt.verdict, Verdict::Inconclusive { .. }), "somebody else signed: {found:?}");
    let forged = signed_vex(&ours, "not_affected").replace("\"payload\":\"e", "\"payload\":\"IC");
    let found = judge(&trust, piece("openvex-attestation", "vex.json", forged));
    assert!(matches!(found.receipt.verdict, Verdict::Inconclusive { .. }), "changed after it was signed: {found:?}");
}

//! Scans for vulnerabilities, and statements about them.

use deploy_agents::evidence::facts::{SeverityRating, VexFacts, VexStatus, VulnerabilityFacts, VulnerabilityKind};
use deploy_agents::evidence::osv::Affected;
use deploy_agents::evidence::{DoubtKind, ReadError, Source, blocking, cargo_audit, csaf, grype, openvex, osv, trivy};

use crate::doubted;
use crate::samples::{CARGO_AUDIT, CSAF, GRYPE, OPENVEX, OSV, OSV_SCANNER, TRIVY};

type Reader<F> = fn(&Source<'_>) -> Result<F, ReadError>;

fn read<F>(reader: Reader<F>, text: &str) -> F {
    reader(&Source::new("report.json", text.as_bytes())).expect("readable")
}

fn worst(facts: &VulnerabilityFacts) -> Option<SeverityRating> {
    facts.found.iter().map(|v| v.severity).max()
}

/// Rows: M13, M148, M173, M201.
#[test]
fn each_scanner_says_what_it_found_and_of_when_its_database_is() {
    let audit = read(cargo_audit::read, CARGO_AUDIT);
    assert_eq!(audit.scanned.as_ref().map(|n| n.value), Some(120));
    assert_eq!(
        audit.database.as_ref().map(|d| d.at.to_string()).as_deref(),
        Some("report.json#/database/last-updated")
    );
    let kinds: Vec<_> = audit.found.iter().map(|v| (v.kind, v.severity)).collect();
    assert_eq!(kinds[0], (VulnerabilityKind::Vulnerability, SeverityRating::Critical), "9.8 by its vector");
    assert_eq!(kinds[1], (VulnerabilityKind::Unmaintained, SeverityRating::Unknown));
    assert_eq!(kinds[2].0, VulnerabilityKind::Yanked);

    let trivy = read(trivy::read, TRIVY);
    assert_eq!(worst(&trivy), Some(SeverityRating::Critical));
    assert_eq!(trivy.found[0].fixed_in, ["3.0.2", "3.1.1"]);
    assert_eq!(trivy.found[0].score.as_ref().map(|s| s.value), Some(9.8), "of the source of the severity");
    assert_eq!(trivy.found.len(), 4, "the rule that was kept is no finding");
    assert_eq!(trivy.subject.digests.len(), 2);
    assert!(trivy.database.is_none(), "the report does not say");

    let grype = read(grype::read, GRYPE);
    assert_eq!(grype.found[0].severity, SeverityRating::High);
    assert!(grype.found[0].is_called("cve-2026-0003"));
    assert!(grype.database.is_some());

    let osv = read(osv::read, OSV_SCANNER);
    assert_eq!((osv.found.len(), osv.found[0].severity), (1, SeverityRating::High));
    assert_eq!(osv.found[0].fixed_in, ["0.3.2"]);
}

#[test]
fn trivy_says_the_age_of_its_database_elsewhere() {
    let version = br#"{"Version": "0.60.0", "VulnerabilityDB": {"Version": 2, "UpdatedAt": "2026-11-21T06:00:00Z", "NextUpdate": "2026-11-22T06:00:00Z"}}"#;
    let database = trivy::read_database(&Source::new("version.json", version)).expect("readable");
    assert_eq!(database.at.to_string(), "version.json#/VulnerabilityDB/UpdatedAt");
    assert!(trivy::read_database(&Source::new("version.json", br#"{"Version": "0.60.0"}"#)).is_err());
}

/// Rows: M13, M173.
#[test]
fn a_scan_of_nothing_blocks() {
    let nothing: [(Reader<VulnerabilityFacts>, String); 6] = [
        (cargo_audit::read, r#"{"database": {"advisory-count": 900}, "lockfile": {"dependency-count": 0}, "vulnerabilities": {"found": false, "count": 0, "list": []}}"#.to_owned()),
        (cargo_audit::read, r#"{"database": {"advisory-count": 0}, "lockfile": {"dependency-count": 9}, "vulnerabilities": {"found": false, "count": 0, "list": []}}"#.to_owned()),
        (trivy::read, r#"{"SchemaVersion": 2, "ArtifactName": "x"}"#.to_owned()),
        (trivy::read, r#"{"SchemaVersion": 2, "ArtifactName": "x", "Results": null}"#.to_owned()),
        (osv::read, r#"{"results": []}"#.to_owned()),
        (osv::read, "[]".to_owned()),
    ];
    for (reader, text) in nothing {
        let facts = read(reader, &text);
        assert_eq!(doubted(&facts.doubts, DoubtKind::NothingMeasured), 1, "{text}");
        assert!(blocking(&facts.doubts).is_some() && facts.found.is_empty());
    }
    // What was looked at and is clean stands there without vulnerabilities.
    let clean = read(
        trivy::read,
        r#"{"SchemaVersion": 2, "ArtifactName": "x", "Results": [{"Target": "x (debian)", "Class": "os-pkgs"}]}"#,
    );
    assert!(blocking(&clean.doubts).is_none());
    assert!(grype::read(&Source::new("g", br#"{"matches": null, "descriptor": {}}"#)).is_err());
}

#[test]
fn counts_that_lie_block() {
    for (from, to) in [("\"count\": 1", "\"count\": 0"), ("\"found\": true", "\"found\": false")] {
        let facts = read(cargo_audit::read, &CARGO_AUDIT.replace(from, to));
        assert_eq!(doubted(&facts.doubts, DoubtKind::CountsDiffer), 1, "{to}");
        assert_eq!(worst(&facts), Some(SeverityRating::Critical));
    }
}

/// Rows: M13.
#[test]
fn what_is_left_out_is_named() {
    let audit = read(cargo_audit::read, CARGO_AUDIT);
    assert_eq!(audit.left_out[0].vulnerability.id, "RUSTSEC-2020-0071");
    assert_eq!(doubted(&audit.doubts, DoubtKind::LeftOut), 1);
    let grype = read(grype::read, GRYPE);
    assert_eq!(
        (grype.left_out[0].vulnerability.id.as_str(), grype.left_out[0].reason.as_str()),
        ("CVE-2026-0004", "not reachable; CVE-2026-0004")
    );
    let osv = read(osv::read, OSV_SCANNER);
    assert_eq!(osv.left_out[0].vulnerability.id, "RUSTSEC-2025-0009", "withdrawn");
    let text = TRIVY.replacen("\"Vulnerabilities\": [", r#""ExperimentalModifiedFindings": [{"Type": "vulnerability", "Status": "ignored", "Statement": "accepted", "Finding": {"VulnerabilityID": "CVE-2026-0005"}}], "Vulnerabilities": ["#, 1);
    assert_eq!(read(trivy::read, &text).left_out[0].vulnerability.id, "CVE-2026-0005");
}

/// Rows: M13, M173.
#[test]
fn what_nobody_rated_is_never_harmless() {
    assert!(SeverityRating::Unknown.reaches(SeverityRating::Critical));
    assert!(!SeverityRating::High.reaches(SeverityRating::Critical));
    assert!(SeverityRating::Critical.reaches(SeverityRating::Critical));
    let trivy = read(trivy::read, TRIVY);
    assert_eq!(trivy.found[1].severity, SeverityRating::Unknown, "the report says none");
    let audit = read(cargo_audit::read, &CARGO_AUDIT.replace("CVSS:3.1/", "CVSS:4.0/"));
    assert_eq!(audit.found[0].severity, SeverityRating::Unknown, "a vector that cannot be scored here");
    for (score, rating) in [
        (0.0, SeverityRating::None),
        (3.9, SeverityRating::Low),
        (6.9, SeverityRating::Medium),
        (8.9, SeverityRating::High),
        (9.0, SeverityRating::Critical),
        (11.0, SeverityRating::Unknown),
        (f64::NAN, SeverityRating::Unknown),
    ] {
        assert_eq!(SeverityRating::of_score(score), rating, "{score}");
    }
}

#[test]
fn advisories_alone_are_no_scan() {
    let facts = read(osv::read, OSV);
    assert_eq!(doubted(&facts.doubts, DoubtKind::NoSubject), 1);
    assert_eq!((facts.found.len(), facts.found[0].severity), (2, SeverityRating::High));
    let withdrawn = OSV.replace("\"aliases\"", "\"withdrawn\": \"2026-10-02T00:00:00Z\", \"aliases\"");
    assert!(read(osv::read, &withdrawn).found.is_empty());
}

#[test]
fn versions_are_ordered_only_where_their_order_is_known() {
    let affects =
        |package, version| osv::affects(&Source::new("osv", OSV.as_bytes()), package, version).expect("readable");
    for (version, answer) in [
        ("0.1.0", Affected::Yes),
        ("0.3.1", Affected::Yes),
        ("0.3.2-rc.1", Affected::Yes),
        ("0.3.2", Affected::No),
        ("0.4.5", Affected::Yes),
        ("0.4.6", Affected::No),
        ("0.10.0", Affected::No),
        ("not a version", Affected::Unknown),
    ] {
        assert_eq!(affects("tiny", version), answer, "{version}");
    }
    assert_eq!(affects("tiny-deb", "1.0-1"), Affected::Yes, "it is listed");
    assert_eq!(affects("tiny-deb", "1.0-1ubuntu1"), Affected::Unknown, "Debian's order is another one");
    assert_eq!(affects("other", "0.1.0"), Affected::No);
}

/// Rows: M13.
#[test]
fn the_latest_statement_holds_and_needs_a_reason() {
    let facts: VexFacts = read(openvex::read, OPENVEX);
    let tiny = ["pkg:cargo/tiny@0.3.1"];
    let holds = facts.effective(&["GHSA-other", "CVE-2026-0001"], &tiny).expect("a statement");
    assert_eq!(holds.status, VexStatus::Affected, "the later of two");
    let reversed = OPENVEX.replace("2026-11-21T00:00:00Z", "2026-11-19T00:00:00Z");
    let facts = read(openvex::read, &reversed);
    let holds = facts.effective(&["CVE-2026-0001"], &tiny).expect("a statement");
    assert!(holds.clears() && holds.status == VexStatus::NotAffected);
    assert!(
        facts.effective(&["CVE-2026-0001"], &["pkg:cargo/tiny@0.3.2"]).is_none(),
        "another version is another product"
    );
    assert!(
        facts
            .effective(&["CVE-2026-0001"], &["sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"])
            .is_some()
    );
    assert!(facts.effective(&["CVE-2026-0002"], &["pkg:cargo/odd@7"]).is_some(), "without a version, all are meant");
    assert!(facts.effective(&["CVE-2026-0002"], &["pkg:cargo/oddity@7"]).is_none());
    let because = &facts.statements[2];
    assert!(because.status == VexStatus::NotAffected && !because.clears(), "because is none of the reasons");
    assert_eq!(doubted(&facts.doubts, DoubtKind::Unjustified), 1);
}

#[test]
fn csaf_says_it_by_products_groups_and_flags() {
    let facts: VexFacts = read(csaf::read, CSAF);
    let cleared = facts.effective(&["CVE-2026-0001"], &["pkg:cargo/shop@1.4.0"]).expect("a statement");
    assert!(cleared.clears());
    let without = facts.effective(&["CVE-2026-0001"], &["odd 0.1.0"]).expect("a statement");
    assert!(!without.clears(), "no flag speaks of it");
    assert_eq!(facts.effective(&["CVE-2026-0002"], &["P2"]).expect("a statement").status, VexStatus::Affected);
    assert_eq!(facts.effective(&["CVE-2026-0002"], &["P1"]).expect("a statement").status, VexStatus::Fixed);
    let draft = read(csaf::read, &CSAF.replace("\"status\": \"final\"", "\"status\": \"draft\""));
    assert!(blocking(&draft.doubts).is_some());
}

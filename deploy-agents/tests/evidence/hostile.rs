//! Input that is empty, cut short, badly encoded or made to hurt.

use deploy_agents::evidence::{Format, Limits, Place, Problem, ReadError, Source};

use crate::samples::ALL;

fn read(format: Format, bytes: &[u8]) -> Result<(), ReadError> {
    format.read(&Source::new("input", bytes)).map(|_| ())
}

fn is_xml(text: &str) -> bool {
    text.starts_with('<')
}

fn is_json(text: &str) -> bool {
    text.starts_with(['{', '['])
}

#[test]
fn an_empty_input_is_an_error_in_every_format() {
    for format in Format::ALL {
        for nothing in [&b""[..], b" \n\t ", b"\xEF\xBB\xBF", b"\xEF\xBB\xBF\r\n"] {
            let error = read(*format, nothing).expect_err("nothing is no report");
            assert_eq!((error.problem, &error.at.place), (Problem::Empty, &Place::Whole), "{format}");
        }
    }
}

#[test]
fn a_report_that_is_cut_anywhere_is_an_error() {
    let (mut cuts, mut said) = (0, 0);
    for (format, file, text) in ALL {
        let whole = text.trim_end().len();
        for end in (1..whole).filter(|end| text.is_char_boundary(*end)) {
            let cut = &text[..end];
            let result = read(*format, cut.as_bytes());
            if is_xml(text) || is_json(text) {
                let error = result.expect_err("a part is no report");
                said += usize::from(error.problem == Problem::Truncated);
                cuts += 1;
            } else if !cut.ends_with("end_of_record\n") && !cut.ends_with("end_of_record") && *format == Format::Lcov {
                // A tracefile may end after any record: where it says nothing of a file, nothing is claimed of it.
                let inside = cut.contains("SF:");
                assert!(result.is_err() || !inside, "{file} cut at {end} was read");
                cuts += usize::from(inside);
            } else if *format == Format::Wrk && !cut.contains("Requests/sec:   2") {
                assert!(result.is_err(), "{file} cut at {end} was read");
                cuts += 1;
            }
        }
    }
    println!("{cuts} cuts were refused, {said} of them as cut");
    assert!(cuts > 20_000 && said * 10 > cuts * 9, "{cuts}, {said}");
}

#[test]
fn another_encoding_is_an_error_with_the_place() {
    for (format, file, text) in ALL {
        let utf_16: Vec<u8> = [0xFF, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        assert_eq!(read(*format, &utf_16).expect_err("UTF-16").problem, Problem::Encoding, "{file}");
        let line = text.lines().next().expect("a line").len();
        for (byte, at) in [(0xFF_u8, line / 2), (0_u8, line)] {
            let mut bytes = text.as_bytes().to_vec();
            bytes.insert(at, byte);
            let error = read(*format, &bytes).expect_err("no text");
            assert_eq!(error.problem, Problem::Encoding, "{file}");
            let column = at as u64 + 1;
            assert_eq!(error.at.place, Place::Text { line: 1, column }, "{file}");
        }
        let with_mark = format!("\u{FEFF}{text}");
        assert!(read(*format, with_mark.as_bytes()).is_ok(), "{file}: a byte order mark is allowed");
    }
}

#[test]
fn a_declared_encoding_that_is_not_utf_8_is_an_error() {
    let text = crate::samples::JUNIT.replace("UTF-8", "ISO-8859-1");
    assert_eq!(read(Format::Junit, text.as_bytes()).expect_err("declared").problem, Problem::Encoding);
}

#[test]
fn what_is_nested_deeper_than_the_limit_is_an_error() {
    let deep = [
        format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)),
        "{\"a\":".repeat(100_000),
        format!("{{\"runs\":{}", "[".repeat(70)),
        format!("<testsuite>{}", "<testsuite>".repeat(100_000)),
        format!("<a>{}", "<b>".repeat(70)),
    ];
    for format in Format::ALL {
        for text in &deep {
            assert!(read(*format, text.as_bytes()).is_err(), "{format}");
        }
    }
    let error = read(Format::Junit, deep[3].as_bytes()).expect_err("deep");
    assert_eq!(error.problem, Problem::TooLarge);
    let error = read(Format::Sarif, deep[0].as_bytes()).expect_err("deep");
    assert_eq!((error.problem, error.at.place), (Problem::TooLarge, Place::Text { line: 1, column: 65 }));
}

#[test]
fn entities_are_never_expanded_and_never_opened() {
    let laughs = r#"<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><testsuite name="&b;"/>"#;
    let outside = r#"<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/passwd">]><testsuite name="x">&x;</testsuite>"#;
    let unknown = r#"<testsuite name="x"><testcase name="&nbsp;"/></testsuite>"#;
    let in_text = r#"<testsuite name="x"><testcase name="a"><failure>&xxe;</failure></testcase></testsuite>"#;
    for text in [laughs, outside, unknown, in_text] {
        for format in [Format::Junit, Format::Cobertura, Format::CycloneDx] {
            let error = read(format, text.as_bytes()).expect_err("an entity");
            let version = format != Format::Junit && error.problem == Problem::Version;
            assert!(error.problem == Problem::Hostile || version, "{format}: {error}");
        }
        assert_eq!(read(Format::Junit, text.as_bytes()).expect_err("an entity").problem, Problem::Hostile);
    }
    // A declaration that nobody uses is one too many.
    let unused = r#"<!DOCTYPE t [<!ENTITY % x SYSTEM "http://127.0.0.1:1/"> %x;]><testsuite name="x"><testcase name="a"/></testsuite>"#;
    assert_eq!(read(Format::Junit, unused.as_bytes()).expect_err("declared").problem, Problem::Hostile);
    // The name of a document type elsewhere is what Cobertura's own writers put there; nobody fetches it.
    assert!(read(Format::Cobertura, crate::samples::COBERTURA.as_bytes()).is_ok());
}

#[test]
fn a_name_that_stands_twice_is_an_error() {
    let mut tried = 0;
    // What k6 writes first is passed over, and may stand there as often as it likes.
    let objects = ALL.iter().filter(|(format, _, text)| text.starts_with('{') && *format != Format::K6);
    for (format, file, text) in objects {
        let first = text[1..].split('"').nth(1).expect("a name");
        let twice = format!("{{\"{first}\": 0, {}", &text[1..]);
        let error = read(*format, twice.as_bytes()).expect_err("twice");
        assert_eq!(error.problem, Problem::Hostile, "{file}");
        tried += 1;
    }
    assert!(tried > 20);
    let twice = r#"<testsuite tests="1" tests="2"><testcase name="a"/></testsuite>"#;
    assert_eq!(read(Format::Junit, twice.as_bytes()).expect_err("twice").problem, Problem::Hostile);
}

#[test]
fn what_is_passed_over_must_be_json_too() {
    for wrong in [r#""\u00""#, r#""\x""#, "{\"a\" 1}", "[1 2]", "1e999", "nul", "\"a\nb\"", "{1: 2}"] {
        let text = crate::samples::K6_EXPORT.replace("{\"name\": \"\"}", wrong);
        assert!(text.contains(wrong));
        let error = read(Format::K6, text.as_bytes()).expect_err(wrong);
        assert!(matches!(error.problem, Problem::Syntax | Problem::Truncated), "{wrong}: {error}");
    }
    let deep = crate::samples::K6_EXPORT.replace("{\"name\": \"\"}", &format!("{}1{}", "[".repeat(90), "]".repeat(90)));
    assert_eq!(read(Format::K6, deep.as_bytes()).expect_err("deep").problem, Problem::TooLarge);
}

#[test]
fn huge_numbers_are_errors_or_kept_as_they_are_and_never_wrap() {
    for (what, format, text) in [
        ("beyond a float", Format::K6, crate::samples::K6_EXPORT.replace("1200", "1e999")),
        ("beyond 64 bits", Format::K6, crate::samples::K6_EXPORT.replace("1200", "18446744073709551616")),
        ("below zero", Format::K6, crate::samples::K6_EXPORT.replace("1200", "-1")),
        ("a fraction", Format::K6, crate::samples::K6_EXPORT.replace("1200", "1.5")),
        ("a text", Format::K6, crate::samples::K6_EXPORT.replace("1200", "\"1200\"")),
        (
            "beyond 64 bits",
            Format::Junit,
            crate::samples::JUNIT.replace("tests=\"5\"", "tests=\"99999999999999999999\""),
        ),
        ("below zero", Format::Junit, crate::samples::JUNIT.replace("tests=\"5\"", "tests=\"-5\"")),
        ("infinite", Format::Junit, crate::samples::JUNIT.replace("time=\"0.25\"", "time=\"1e999\"")),
        ("no number", Format::Junit, crate::samples::JUNIT.replace("time=\"0.25\"", "time=\"NaN\"")),
        ("beyond 64 bits", Format::Lcov, crate::samples::LCOV.replace("DA:1,4", "DA:1,99999999999999999999")),
        ("below zero", Format::Lcov, crate::samples::LCOV.replace("DA:1,4", "DA:1,-1")),
        ("line 0", Format::Lcov, crate::samples::LCOV.replace("DA:1,4", "DA:0,4")),
        ("beyond 64 bits", Format::Wrk, crate::samples::WRK.replace("22464 requests", "99999999999999999999 requests")),
        ("more than all", Format::LlvmCov, crate::samples::LLVM_COV.replace("\"covered\": 3", "\"covered\": 5")),
        (
            "a time beyond time",
            Format::PgBackRest,
            crate::samples::PGBACKREST.replace("1763687000", "9223372036854775807"),
        ),
    ] {
        let error = read(format, text.as_bytes()).expect_err(what);
        assert!(matches!(error.problem, Problem::Field | Problem::Syntax), "{what}: {error}");
        assert_ne!(error.at.place, Place::Whole, "{what}");
    }
    // Hits that add up beyond 64 bits stay at the largest number.
    let most = u64::MAX.to_string();
    let text = format!("SF:a\nDA:1,{most}\nDA:1,{most}\nend_of_record\n");
    let facts = deploy_agents::evidence::lcov::read(&Source::new("l", text.as_bytes())).expect("readable");
    assert_eq!(facts.files[0].hits[&1], u64::MAX);
}

#[test]
fn more_than_the_limits_allow_is_an_error() {
    let few = Limits::default().bytes(100);
    let long = Source::new("j", crate::samples::JUNIT.as_bytes()).limits(few);
    assert_eq!(Format::Junit.read(&long).expect_err("long").problem, Problem::TooLarge);
    for (format, file, text) in ALL {
        let source = Source::new(file, text.as_bytes()).limits(Limits::default().things(3));
        let result = format.read(&source);
        // wrk's lines are not kept, so their number does not matter.
        let kept = *format != Format::Wrk;
        assert!(!kept || result.is_err_and(|error| error.problem == Problem::TooLarge), "{file}");
    }
}

/// Inputs in which a little is named once and meant many times: each must end as an error or in memory of its own size.
#[test]
fn what_is_named_once_does_not_multiply() {
    let long = "x".repeat(1_000_000);
    let many = 50_000;
    let attributes: String = (0..many).map(|n| format!(" a{n}=\"\"")).collect();
    let rules = format!(
        r#"{{"version": "2.1.0", "runs": [{{"tool": {{"driver": {{"name": "{long}", "rules": [{{"id": "{long}"}}]}}}}, "results": [{}]}}]}}"#,
        vec![r#"{"ruleIndex": 0}"#; many].join(",")
    );
    let suite = format!("<testsuite name=\"{long}\">{}</testsuite>", "<testcase/>".repeat(many));
    let crowded = format!("<testsuite{attributes}/>");
    let metrics = format!(
        r#"{{"metrics": {{"{long}": {{"thresholds": {{{}}}}}}}}}"#,
        (0..many).map(|n| format!("\"{n}\": false")).collect::<Vec<_>>().join(",")
    );
    let group = format!(
        r#"{{"document": {{"csaf_version": "2.0", "tracking": {{"status": "final", "current_release_date": "2026-11-20T00:00:00Z"}}}},
           "product_tree": {{"product_groups": [{{"group_id": "G", "product_ids": [{}]}}]}}, "vulnerabilities": [{{"flags": [{}]}}]}}"#,
        vec!["\"P\""; many].join(","),
        vec![r#"{"label": "component_not_present", "group_ids": ["G"]}"#; many / 10].join(",")
    );
    let advisory = format!(
        r#"{{"id": "A", "modified": "2026-10-01T00:00:00Z", "aliases": [{}], "affected": [{}]}}"#,
        vec!["\"B\""; many].join(","),
        vec!["{}"; many].join(",")
    );
    let targets = format!(
        r#"{{"SchemaVersion": 2, "ArtifactName": "x", "Results": [{{"Target": "{long}", "Secrets": [{}]}}]}}"#,
        vec![r#"{"RuleID": "r"}"#; many].join(",")
    );
    let expected = [
        (Format::Sarif, &rules, true),
        (Format::Junit, &suite, true),
        (Format::Junit, &crowded, false),
        (Format::K6, &metrics, false),
        (Format::Csaf, &group, false),
        (Format::Osv, &advisory, false),
        (Format::Trivy, &targets, true),
    ];
    for (format, text, readable) in expected {
        match format.read(&Source::new("input", text.as_bytes())) {
            Ok(facts) => {
                assert!(readable, "{format} was read");
                let size = serde_json::to_vec(&facts).expect("data").len();
                assert!(size < 40 * text.len(), "{format}: {size} of {}", text.len());
            }
            Err(error) => {
                assert!(!readable, "{format}: {error}");
                assert_eq!(error.problem, Problem::TooLarge, "{format}: {error}");
            }
        }
    }
}

#[test]
fn another_format_or_version_is_an_error() {
    let mut tried = 0;
    for (format, file, text) in ALL {
        for (other, _, wrong) in ALL.iter().filter(|(other, _, _)| other != format) {
            let bill = [Format::CycloneDx, Format::CycloneDxVex];
            if bill.contains(format) && bill.contains(other) {
                continue;
            }
            let result = format.read(&Source::new(file, wrong.as_bytes()));
            assert!(result.is_err(), "{other} was read as {format} ({} of text)", text.len());
            tried += 1;
        }
    }
    println!("{tried} reports were refused by readers of other formats");
    for (format, text, from, to) in [
        (Format::Terraform, crate::samples::TERRAFORM, "\"format_version\": \"1.2\"", "\"format_version\": \"2.0\""),
        (Format::Sarif, crate::samples::SARIF, "\"version\": \"2.1.0\"", "\"version\": \"3.0.0\""),
        (Format::CycloneDx, crate::samples::CYCLONEDX, "\"1.6\"", "\"2.0\""),
        (Format::CycloneDx, crate::samples::CYCLONEDX_XML, "bom/1.5", "bom/2.0"),
        (Format::Spdx, crate::samples::SPDX_2, "SPDX-2.3", "SPDX-4.0"),
        (Format::Spdx, crate::samples::SPDX_3, "rdf/3.0.1", "rdf/4.0.0"),
        (Format::Trivy, crate::samples::TRIVY, "\"SchemaVersion\": 2", "\"SchemaVersion\": 3"),
        (Format::OpenVex, crate::samples::OPENVEX, "/v0.2.0", "/v1.0.0"),
        (Format::Csaf, crate::samples::CSAF, "\"csaf_version\": \"2.0\"", "\"csaf_version\": \"3.0\""),
        (Format::Provenance, crate::samples::STATEMENT, "Statement/v1", "Statement/v2"),
        (Format::Oci, crate::samples::OCI_INDEX, "\"schemaVersion\": 2", "\"schemaVersion\": 1"),
        (Format::LlvmCov, crate::samples::LLVM_COV, "\"2.0.1\"", "\"9.0.0\""),
    ] {
        assert!(text.contains(from), "{format}");
        let error = read(format, text.replace(from, to).as_bytes()).expect_err("another version");
        assert_eq!(error.problem, Problem::Version, "{format}: {error}");
    }
}

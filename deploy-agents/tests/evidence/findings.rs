//! Static analysis: what a run says about itself, and what a finding's level is.

use deploy_agents::evidence::facts::{FindingFacts, FindingKind, FindingLevel};
use deploy_agents::evidence::{DoubtKind, Problem, Source, blocking, sarif};

use crate::doubted;
use crate::samples::SARIF;

fn read(text: &str) -> FindingFacts {
    sarif::read(&Source::new("lint.sarif", text.as_bytes())).expect("readable")
}

fn run(fields: &str) -> FindingFacts {
    read(&format!(r#"{{"version": "2.1.0", "runs": [{{"tool": {{"driver": {{"name": "lint"}}}}{fields}}}]}}"#))
}

/// Rows: M20.
#[test]
fn the_level_is_its_own_else_its_rules_else_warning() {
    let facts = read(SARIF);
    let levels: Vec<_> = facts.findings.iter().map(|f| (f.rule.as_str(), f.level)).collect();
    assert_eq!(
        levels,
        [
            ("L001", FindingLevel::Error),
            ("L002", FindingLevel::Warning),
            ("L002", FindingLevel::Note),
            ("L001", FindingLevel::Error)
        ]
    );
    assert_eq!(facts.findings[0].security_severity.as_ref().map(|s| s.value), Some(8.1));
    assert_eq!(facts.findings[0].locations[0].line.as_ref().map(|l| l.value), Some(12));
    assert_eq!(facts.open().count(), 3, "the accepted one does not count");
    assert_eq!(facts.runs[0].commit.as_ref().map(|c| c.value.len()), Some(40));
    assert!(facts.doubts.is_empty());
}

#[test]
fn a_run_may_set_another_level_for_a_rule() {
    let text = SARIF.replace(
        "\"exitCode\": 1",
        r#""ruleConfigurationOverrides": [{"descriptor": {"id": "L001"}, "configuration": {"level": "note"}}]"#,
    );
    assert_eq!(read(&text).findings[0].level, FindingLevel::Note);
}

#[test]
fn only_accepted_suppressions_take_a_finding_out() {
    for (status, open) in [("accepted", 0), ("underReview", 1), ("rejected", 1)] {
        let facts = run(&format!(
            r#", "results": [{{"ruleId": "a", "message": {{"text": "x"}}, "suppressions": [{{"kind": "inSource", "status": "{status}"}}]}}]"#
        ));
        assert_eq!(facts.open().count(), open, "{status}");
    }
    assert_eq!(
        run(r#", "results": [{"ruleId": "a", "message": {"text": "x"}, "suppressions": []}]"#).open().count(),
        1
    );
}

#[test]
fn what_is_no_failure_has_no_level_and_does_not_count() {
    let facts = run(
        r#", "results": [{"ruleId": "a", "kind": "pass", "message": {"text": "x"}}, {"ruleId": "a", "baselineState": "absent", "message": {"text": "x"}}]"#,
    );
    assert_eq!((facts.findings[0].kind, facts.findings[0].level), (FindingKind::Pass, FindingLevel::None));
    assert_eq!(facts.open().count(), 0);
}

/// Rows: M20.
#[test]
fn a_run_that_did_not_succeed_and_found_nothing_blocks() {
    for fields in [
        r#", "invocations": [{"executionSuccessful": false}], "results": []"#,
        r#", "invocations": [{"executionSuccessful": true}, {"executionSuccessful": false}], "results": []"#,
        r#", "invocations": [{"executionSuccessful": true, "toolExecutionNotifications": [{"level": "error", "message": {"text": "cannot parse a.rs"}}]}], "results": []"#,
        r#", "invocations": [{"executionSuccessful": true}]"#,
        r#", "results": null"#,
    ] {
        let facts = run(fields);
        assert_eq!(doubted(&facts.doubts, DoubtKind::Unfinished), 1, "{fields}");
        assert!(blocking(&facts.doubts).is_some());
    }
    let honest = run(r#", "invocations": [{"executionSuccessful": true}], "results": []"#);
    assert!(honest.doubts.is_empty() && honest.findings.is_empty());
}

#[test]
fn every_run_counts_and_no_run_blocks() {
    let two = SARIF.replacen("\"runs\": [{", r#""runs": [{"tool": {"driver": {"name": "other"}}, "invocations": [{"executionSuccessful": false}], "results": []}, {"#, 1);
    let facts = read(&two);
    assert_eq!((facts.runs.len(), facts.findings[0].run), (2, 1));
    assert_eq!(doubted(&facts.doubts, DoubtKind::Unfinished), 1);
    assert!(blocking(&read(r#"{"version": "2.1.0", "runs": []}"#).doubts).is_some());
}

#[test]
fn words_that_are_not_known_are_errors_with_the_place() {
    for (from, to, place) in [
        ("\"level\": \"note\"", "\"level\": \"harmless\"", "/runs/0/results/2/level"),
        (
            "\"executionSuccessful\": true",
            "\"executionSuccessful\": \"true\"",
            "/runs/0/invocations/0/executionSuccessful",
        ),
        (
            "\"security-severity\": \"8.1\"",
            "\"security-severity\": \"81\"",
            "/runs/0/tool/driver/rules/0/properties/security-severity",
        ),
    ] {
        let text = SARIF.replace(from, to);
        let error = sarif::read(&Source::new("s", text.as_bytes())).expect_err(to);
        assert_eq!((error.problem, error.at.to_string()), (Problem::Field, format!("s#{place}")));
    }
}

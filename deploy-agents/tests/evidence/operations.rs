//! Monitoring and backups.

use deploy_agents::evidence::facts::{BackupFacts, PrometheusFacts};
use deploy_agents::evidence::{DoubtKind, Problem, ReadError, Source, blocking, pgbackrest, prometheus, restic};
use deploy_core::time::Timestamp;

use crate::doubted;
use crate::samples::{PGBACKREST, PROMETHEUS, PROMETHEUS_TARGETS, RESTIC};

fn answer(text: &str) -> Result<PrometheusFacts, ReadError> {
    prometheus::read(&Source::new("answer.json", text.as_bytes()))
}

fn backups(reader: fn(&Source<'_>) -> Result<BackupFacts, ReadError>, text: &str) -> BackupFacts {
    reader(&Source::new("backups.json", text.as_bytes())).expect("readable")
}

/// Rows: M18.
#[test]
fn what_is_no_number_is_no_zero() {
    let facts = answer(PROMETHEUS).expect("readable");
    let samples: Vec<_> = facts
        .series
        .iter()
        .map(|s| (s.samples[0].text.as_str(), s.samples[0].value.as_ref().map(|v| v.value)))
        .collect();
    assert_eq!(samples, [("1", Some(1.0)), ("NaN", None)]);
    for text in ["+Inf", "-Inf"] {
        let facts = answer(&PROMETHEUS.replace("\"NaN\"", &format!("\"{text}\""))).expect("readable");
        assert!(facts.series[1].samples[0].value.is_none());
    }
    for text in ["", "one", "1e999", "0x10", "nan", "infinity"] {
        assert_eq!(
            answer(&PROMETHEUS.replace("\"NaN\"", &format!("\"{text}\""))).expect_err(text).problem,
            Problem::Field,
            "{text}"
        );
    }
}

/// Rows: M18.
#[test]
fn an_empty_answer_and_a_warning_block() {
    for text in [
        r#"{"status": "success", "data": {"resultType": "vector", "result": []}}"#,
        r#"{"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": []}]}}"#,
        r#"{"status": "success", "data": {"activeTargets": []}}"#,
        r#"{"status": "success", "data": {"groups": []}}"#,
    ] {
        assert_eq!(doubted(&answer(text).expect("readable").doubts, DoubtKind::NothingMeasured), 1, "{text}");
    }
    let partial = PROMETHEUS.replacen('{', r#"{"warnings": ["one store did not answer"], "#, 1);
    let facts = answer(&partial).expect("readable");
    assert_eq!((facts.warnings.len(), doubted(&facts.doubts, DoubtKind::Incomplete)), (1, 1));
    assert!(blocking(&facts.doubts).is_some());
    let error =
        answer(r#"{"status": "error", "errorType": "timeout", "error": "query timed out"}"#).expect_err("an error");
    assert_eq!((error.problem, error.reason.as_str()), (Problem::Producer, "timeout: query timed out"));
    assert!(
        answer(r#"{"status": "success", "data": {"alerts": []}}"#).expect("readable").doubts.is_empty(),
        "no alert is an answer"
    );
}

/// Rows: M18.
#[test]
fn a_target_that_was_never_scraped_has_no_time() {
    let facts = answer(PROMETHEUS_TARGETS).expect("readable");
    let health: Vec<_> =
        facts.targets.iter().map(|t| (t.instance.as_str(), t.health.value.as_str(), t.last_scrape.is_some())).collect();
    assert_eq!(health, [("a:1", "up", true), ("b:1", "down", false)]);
    let rules = answer(r#"{"status": "success", "data": {"groups": [{"name": "g", "rules": [{"type": "alerting", "name": "Down", "health": "ok", "state": "inactive", "lastEvaluation": "2026-11-22T02:59:00Z"}, {"type": "recording", "name": "r", "health": "err"}]}]}}"#).expect("readable");
    assert_eq!(
        (rules.rules[0].alerting, rules.rules[1].alerting, rules.rules[1].health.value.as_str()),
        (true, false, "err")
    );
    let scalar = answer(r#"{"status": "success", "data": {"resultType": "scalar", "result": [1763780000, "2"]}}"#)
        .expect("readable");
    assert_eq!(scalar.series[0].samples[0].value.as_ref().map(|v| v.value), Some(2.0));
}

/// Rows: M19, M198.
#[test]
fn the_newest_backup_without_errors_counts() {
    let facts = backups(pgbackrest::read, PGBACKREST);
    assert_eq!(facts.backups.len(), 2);
    let newest = facts.newest_good().expect("one");
    assert_eq!(newest.label, "20261121-010000F", "the newer one has errors in its pages");
    assert_eq!(newest.started.as_ref().map(|s| s.value), Some(Timestamp(1_763_687_000_000)));
    assert_eq!(facts.backups[1].needs, ["20261121-010000F"]);
    assert!(facts.restores.is_empty(), "that a backup is there does not say that it was ever restored");
    let restic = backups(restic::read, RESTIC);
    assert_eq!(restic.newest_good().map(|b| b.label.as_str()), Some("4f8a2c"));
    assert_eq!(restic.backups[0].label, "11aa22", "oldest first");
}

/// Rows: M19.
#[test]
fn a_stanza_that_is_not_well_and_no_backup_block() {
    let ill = backups(pgbackrest::read, &PGBACKREST.replace("\"code\": 0", "\"code\": 2"));
    assert_eq!(doubted(&ill.doubts, DoubtKind::Unfinished), 1);
    for (reader, text) in [
        (pgbackrest::read as fn(&Source<'_>) -> _, "[]"),
        (pgbackrest::read, r#"[{"name": "s", "status": {"code": 2, "message": "no valid backups"}, "backup": []}]"#),
        (restic::read, "[]"),
        (restic::read, "null"),
    ] {
        let facts = backups(reader, text);
        assert_eq!(doubted(&facts.doubts, DoubtKind::NothingMeasured), 1, "{text}");
        assert!(blocking(&facts.doubts).is_some() && facts.newest_good().is_none());
    }
    let reversed = backups(pgbackrest::read, &PGBACKREST.replace("1763687300", "1763686000"));
    assert_eq!(doubted(&reversed.doubts, DoubtKind::Times), 1);
}

/// Rows: M19.
#[test]
fn only_exit_code_0_is_sound() {
    for code in -1..=255 {
        assert_eq!(restic::check(code).sound, code == 0, "{code}");
    }
    assert_eq!(restic::check(10).meaning, "there is no repository");
    assert_eq!(restic::check(11).meaning, "the repository is locked");
    assert_eq!(restic::check(12).meaning, "the password is wrong");
}

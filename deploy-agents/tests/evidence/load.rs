//! Load and speed: what counts as failed, and which way round a threshold is.

use deploy_agents::evidence::facts::{LatencyKind, LoadFacts, TimeUnit};
use deploy_agents::evidence::k6::Dialect;
use deploy_agents::evidence::{DoubtKind, Problem, ReadError, Source, blocking, criterion, hyperfine, k6, oha, wrk};

use crate::doubted;
use crate::samples::{CRITERION_ESTIMATES, CRITERION_SAMPLE, HYPERFINE, K6_EXPORT, K6_SUMMARY, OHA, WRK};

fn read(reader: fn(&Source<'_>) -> Result<LoadFacts, ReadError>, text: &str) -> LoadFacts {
    reader(&Source::new("target/criterion/group/sum/new/report", text.as_bytes())).expect("readable")
}

fn near(a: Option<f64>, b: f64) -> bool {
    a.is_some_and(|a| (a - b).abs() < 1e-12)
}

/// Rows: M9.
#[test]
fn both_dialects_of_k6_say_the_same_though_they_write_the_opposite() {
    let (export, summary) = (read(k6::read, K6_EXPORT), read(k6::read, K6_SUMMARY));
    for facts in [&export, &summary] {
        let kept: Vec<_> =
            facts.thresholds.iter().map(|t| (t.metric.as_str(), t.expression.as_str(), t.kept)).collect();
        assert_eq!(
            kept,
            [
                ("http_req_duration", "max<200", false),
                ("http_req_duration", "p(95)<100", true),
                ("http_req_failed", "rate<0.05", true)
            ]
        );
        assert_eq!((facts.requests.as_ref().map(|n| n.value), facts.failed()), (Some(1200), Some(12)));
        assert!(near(facts.failed_share(), 0.01));
        assert!(near(facts.latency(LatencyKind::PerMille(950)), 0.080_75), "milliseconds");
        assert_eq!(facts.failed_checks.as_ref().map(|n| n.value), Some(10));
        assert!(facts.doubts.is_empty());
    }
    let crossed = read(k6::read, &K6_EXPORT.replace("\"p(95)<100\": false", "\"p(95)<100\": true"));
    assert!(!crossed.thresholds[1].kept);
    let crossed =
        read(k6::read, &K6_SUMMARY.replace("\"p(95)<100\": {\"ok\": true}", "\"p(95)<100\": {\"ok\": false}"));
    assert!(!crossed.thresholds[1].kept);
}

#[test]
fn a_summary_is_never_read_in_the_other_dialect() {
    let as_export = k6::read_as(&Source::new("k6", K6_SUMMARY.as_bytes()), Dialect::SummaryExport);
    let as_summary = k6::read_as(&Source::new("k6", K6_EXPORT.as_bytes()), Dialect::HandleSummary);
    assert_eq!(as_export.expect_err("the other").problem, Problem::Version);
    assert!(as_summary.is_err());
    let mixed = K6_SUMMARY.replace("{\"ok\": false}", "false");
    assert_eq!(k6::read(&Source::new("k6", mixed.as_bytes())).expect_err("mixed").problem, Problem::Version);
}

#[test]
fn an_aborted_run_is_told_by_its_exit_code_and_an_empty_one_by_its_requests() {
    assert!(k6::finished(0) && k6::finished(99));
    assert!([1, 97, 98, 100, 105, 107, 108, 130, -1].iter().all(|code| !k6::finished(*code)));
    for text in [K6_EXPORT.replace("\"count\": 1200", "\"count\": 0"), r#"{"metrics": {}}"#.to_owned()] {
        assert_eq!(doubted(&read(k6::read, &text).doubts, DoubtKind::NothingMeasured), 1);
    }
}

/// Rows: M9.
#[test]
fn fast_failures_are_failures() {
    let oha = read(oha::read, OHA);
    assert_eq!(oha.failed(), Some(1_005), "503 and refused; those cut off at the end are neither");
    assert!(near(oha.failed_share(), 1_005.0 / 60_005.0));
    assert_eq!(oha.cut_off.as_ref().map(|n| n.value), Some(19));
    assert!(near(oha.latency(LatencyKind::PerMille(999)), 0.03));
    let wrk = read(wrk::read, WRK);
    assert_eq!((wrk.failed(), wrk.requests.as_ref().map(|n| n.value)), (Some(105), Some(22_464)));
    assert!(near(wrk.failed_share(), 105.0 / 22_469.0), "socket errors stand in no other count");
    assert!(near(wrk.latency(LatencyKind::Mean), 635.91e-6) && near(wrk.latency(LatencyKind::PerMille(990)), 5.8e-3));
    assert_eq!(wrk.duration.as_ref().map(|d| (d.number.value, d.unit)), Some((10.0, TimeUnit::Seconds)));
    let clean = WRK
        .replace("  Non-2xx or 3xx responses: 100\n", "")
        .replace("  Socket errors: connect 0, read 4, write 0, timeout 1\n", "");
    assert_eq!(read(wrk::read, &clean).failed(), Some(0), "wrk leaves the lines out where there is nothing to say");
}

#[test]
fn no_answer_blocks() {
    let none = OHA.replace("{\"200\": 59000, \"503\": 1000}", "{}");
    assert!(blocking(&read(oha::read, &none).doubts).is_some());
    let none = WRK.replace("22464 requests", "0 requests");
    assert!(blocking(&read(wrk::read, &none).doubts).is_some());
    let impossible = WRK.replace("responses: 100", "responses: 99999");
    assert_eq!(doubted(&read(wrk::read, &impossible).doubts, DoubtKind::Contradiction), 1);
}

/// Rows: M9.
#[test]
fn a_command_that_fails_fast_is_not_fast() {
    let facts = read(hyperfine::read, HYPERFINE);
    assert_eq!(facts.benchmarks[0].samples, [0.001, 0.002, 0.003]);
    assert!(facts.doubts.is_empty());
    for codes in ["[0, 1, 0]", "[0, null, 0]"] {
        let facts = read(hyperfine::read, &HYPERFINE.replace("[0, 0, 0]", codes));
        assert_eq!(doubted(&facts.doubts, DoubtKind::Unfinished), 1, "{codes}");
        assert!(blocking(&facts.doubts).is_some());
    }
    let lie = read(hyperfine::read, &HYPERFINE.replace("\"mean\": 0.002", "\"mean\": 0.001"));
    assert_eq!(doubted(&lie.doubts, DoubtKind::CountsDiffer), 1);
    for text in [r#"{"results": []}"#, r#"{"results": [{"command": "x"}]}"#] {
        assert!(blocking(&read(hyperfine::read, text).doubts).is_some());
    }
}

/// Rows: M9.
#[test]
fn samples_of_criterion_are_times_of_one_iteration() {
    let facts = read(criterion::read, CRITERION_SAMPLE);
    assert_eq!(
        (facts.benchmarks[0].name.as_str(), facts.benchmarks[0].samples.as_slice()),
        ("group/sum", &[100.0, 105.0, 100.0][..])
    );
    let facts = read(criterion::read, CRITERION_ESTIMATES);
    assert_eq!(facts.benchmarks[0].summary.len(), 3);
    assert!(near(Some(facts.benchmarks[0].summary[0].value.seconds()), 102.5e-9));
    for text in [
        CRITERION_SAMPLE.replace("[1.0, 2.0, 4.0]", "[1.0, 2.0]"),
        CRITERION_SAMPLE.replace("[1.0, 2.0, 4.0]", "[1.0, 0.0, 4.0]"),
        "{}".to_owned(),
    ] {
        assert_eq!(criterion::read(&Source::new("s", text.as_bytes())).expect_err(&text).problem, Problem::Field);
    }
}

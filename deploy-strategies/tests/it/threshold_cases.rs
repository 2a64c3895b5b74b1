//! The threshold judge against the figures of Argo Rollouts.

use deploy_core::monitor::MeasurementOutcome;
use deploy_strategies::analysis::threshold::{
    Counters, Limit, Limits, MetricPhase, MetricResult, PeerOrder, Progress, assess, assess_run, outcome,
};
use serde_json::Value;

use crate::cases;

/// The limits of a row with the peer's own defaults where a limit is null.
fn limits(row: &Value) -> Limits {
    let or = |field: &str, default: i64| row[field].as_i64().unwrap_or(default);
    let above = |n: i64| u32::try_from(n).ok().map(Limit::more_than);
    let interval = !row["interval_seconds"].is_null();
    let successes = u32::try_from(or("consecutive_success_limit", 0)).unwrap();
    Limits {
        failure: above(or("failure_limit", 0)),
        inconclusive: above(or("inconclusive_limit", 0)),
        consecutive_error: above(or("consecutive_error_limit", 4)),
        consecutive_success: (successes > 0).then(|| Limit::at_least(successes)),
        count: cases::whole(&row["count"]).or_else(|| (!interval).then_some(1)),
        ..Limits::default()
    }
}

#[test]
fn the_phase_of_a_metric_is_that_of_the_peer_in_its_order() {
    cases::each("argo_metric_phase.json", None, |name, input, expected| {
        let row = &input["counters"];
        let n = |field: &str| cases::whole(&row[field]).unwrap();
        let counters = Counters {
            count: n("count"),
            successful: n("successful"),
            failed: n("failed"),
            inconclusive: n("inconclusive"),
            error: n("error"),
            consecutive_error: n("consecutive_error"),
            consecutive_success: n("consecutive_success"),
            ..Counters::default()
        };
        let progress = Progress {
            asked: input["measurements_taken"] != 0,
            in_flight: input["last_measurement_phase"] == "Running",
            ending: input["terminating"] == true,
        };
        let phase = assess(&limits(&input["limits"]), &counters, progress, PeerOrder::Argo);
        assert_eq!(format!("{phase:?}"), expected["phase"].as_str().unwrap(), "{name}");
    });
}

#[test]
fn the_phase_of_a_run_is_that_of_the_peer() {
    cases::each("argo_run_phase.json", None, |name, input, expected| {
        let metrics: Vec<MetricResult<'_>> = input["metrics"]
            .as_array()
            .unwrap()
            .iter()
            .map(|metric| MetricResult {
                name: metric["name"].as_str().unwrap(),
                phase: serde_json::from_value(metric["phase"].clone()).unwrap(),
                dry_run: metric["dry_run"] == true,
            })
            .collect();
        let run = assess_run(&metrics);
        assert_eq!(format!("{:?}", run.phase), expected["run_phase"].as_str().unwrap(), "{name}");
        if let Some(blamed) = expected.get("blamed_metric") {
            assert_eq!(run.blamed, blamed.as_str(), "{name}");
        }
        if let Some(summary) = expected.get("dry_run_summary") {
            let dry = |phase| metrics.iter().filter(|m| m.dry_run && phase == m.phase).count() as u64;
            assert_eq!(summary["successful"], dry(MetricPhase::Successful), "{name}");
            assert_eq!(summary["failed"], dry(MetricPhase::Failed), "{name}");
        }
    });
}

#[test]
fn the_outcome_of_a_measurement_is_that_of_the_peer() {
    // The table of expressions is in the peer's own language, which we do not have; our conditions compare one number: D8 of
    // `docs/differences.md`.
    cases::each("argo_measurement_phase.json", Some("conditions"), |name, input, expected| {
        let ask = |field: &str| match input[field].as_str().unwrap() {
            "true" => Some(Ok(true)),
            "false" => Some(Ok(false)),
            "error" => Some(Err(())),
            _ => None,
        };
        let outcome = outcome(ask("success_condition"), ask("failure_condition"));
        assert_eq!(format!("{outcome:?}"), expected["phase"].as_str().unwrap(), "{name}");
    });
}

/// D9 of `docs/differences.md`.
#[test]
fn our_own_order_differs_where_it_says_so() {
    let limits = Limits {
        failure: Some(Limit::more_than(0)),
        consecutive_error: Some(Limit::more_than(0)),
        inconclusive: Some(Limit::more_than(0)),
        ..Limits::default()
    };
    let mut all = Counters::default();
    for outcome in [MeasurementOutcome::Failed, MeasurementOutcome::Inconclusive, MeasurementOutcome::Error] {
        all.add(outcome);
    }
    let asked = Progress { asked: true, ..Progress::default() };
    assert_eq!(assess(&limits, &all, asked, PeerOrder::Ours), MetricPhase::Failed);
    assert_eq!(assess(&limits, &all, asked, PeerOrder::Argo), MetricPhase::Error);

    let ended = Progress { ending: true, ..Progress::default() };
    let nothing = Counters::default();
    assert_eq!(
        assess(&limits, &nothing, ended, PeerOrder::Ours),
        MetricPhase::Inconclusive,
        "nothing measured is not success"
    );
    assert_eq!(assess(&limits, &nothing, ended, PeerOrder::Argo), MetricPhase::Successful);
}

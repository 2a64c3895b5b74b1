//! The analysis of a threshold judge as a state machine: when what is due, and what becomes of the whole.

use std::time::Duration;

use deploy_core::monitor::{Arm, Comparison, MeasureRequest, Measured, Measurement, Reading, Window};
use deploy_core::name::{BlockName, MetricName, RevisionName};
use deploy_core::real::Real;
use deploy_core::strategy::ReasonCode;
use deploy_core::time::{RunTime, Timestamp};
use deploy_strategies::analysis::Standing;
use deploy_strategies::analysis::threshold::{
    Bound, Condition, ErrorPolicy, Limit, MetricLimits, MetricPhase, NoData, OnError, PeerOrder, Run, RunError,
    Threshold, ThresholdState,
};
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn limits(name: &str) -> MetricLimits {
    MetricLimits::new(
        MetricName::new(name).unwrap(),
        Condition::success(Bound::new(Comparison::AtMost, Real::from(1))),
        Limit::more_than(0),
        ErrorPolicy::consecutive(Limit::more_than(4), OnError::Inconclusive),
        NoData::Inconclusive,
    )
}

fn every(name: &str, interval: u64) -> MetricLimits {
    MetricLimits { interval: Some(seconds(interval)), ..limits(name) }
}

/// An answer: a number, nothing, or an error.
fn answer(at: u64, number: Result<Option<u32>, &str>) -> Measured {
    let window = Window::ending(Timestamp(0), seconds(60));
    let result = number.map_err(str::to_owned).map(|number| {
        let reading = number.map_or(Reading::NoData, |number| Reading::Value(Real::from(number)));
        let all = ["a", "b", "c"].map(|name| MetricName::new(name).unwrap());
        all.map(|metric| Measurement::new(metric, Arm::Candidate, window, reading.clone())).into()
    });
    let request = MeasureRequest {
        monitor: BlockName::new("m").unwrap(),
        metrics: Vec::new(),
        candidate: RevisionName::new("v2").unwrap(),
        baseline: None,
        lookback: seconds(60),
    };
    Measured { request, at: RunTime(at * 1_000), result }
}

/// Asks whatever is due at `at` seconds and answers it at once; says which metrics those were.
fn go(run: &mut Run, judge: &Threshold, at: u64, number: Result<Option<u32>, &str>) -> Vec<usize> {
    let due = run.due(RunTime(at * 1_000));
    for metric in &due {
        // An earlier answer of this round may have ended the others.
        if run.asked(*metric).is_ok() {
            run.answered(judge, *metric, &answer(at, number)).unwrap();
        }
    }
    due
}

fn wake(run: &Run) -> Option<u64> {
    run.wake_at().map(|at| at.0 / 1_000)
}

#[test]
fn each_metric_has_its_own_delay_and_rhythm() {
    let late = MetricLimits { initial_delay: seconds(90), ..every("b", 30) };
    let judge = Threshold::new(vec![every("a", 60), late]).unwrap();
    let mut run = judge.start(RunTime(0));
    assert_eq!(go(&mut run, &judge, 0, Ok(Some(1))), [0]);
    assert_eq!(wake(&run), Some(60));
    assert_eq!(go(&mut run, &judge, 60, Ok(Some(1))), [0]);
    assert_eq!(go(&mut run, &judge, 90, Ok(Some(1))), [1]);
    assert_eq!(go(&mut run, &judge, 120, Ok(Some(1))), [0, 1]);
    assert_eq!(run.result(&judge).phase, MetricPhase::Running, "an interval without a count goes on");
}

#[test]
fn without_count_and_interval_one_measurement_is_all() {
    let judge = Threshold::new(vec![limits("a"), MetricLimits { count: Some(2), ..every("b", 10) }]).unwrap();
    let mut run = judge.start(RunTime(0));
    go(&mut run, &judge, 0, Ok(Some(1)));
    assert_eq!(run.metrics(&judge)[0].phase, MetricPhase::Successful);
    assert_eq!(run.result(&judge).phase, MetricPhase::Running);
    assert_eq!(go(&mut run, &judge, 10, Ok(Some(1))), [1]);
    assert_eq!(run.result(&judge).phase, MetricPhase::Successful);
    assert_eq!(wake(&run), None);
    assert_eq!(run.asked(0), Err(RunError::NotDue(0)), "what has ended stays so");
}

#[test]
fn the_first_bad_one_ends_the_others_and_a_dry_run_ends_nobody() {
    let tight = |dry_run| MetricLimits {
        condition: Condition::success(Bound::new(Comparison::Less, Real::from(1))),
        dry_run,
        ..every("a", 60)
    };
    let judge = Threshold::new(vec![tight(false), every("b", 60)]).unwrap();
    let mut run = judge.start(RunTime(0));
    go(&mut run, &judge, 0, Ok(Some(1)));
    let result = run.result(&judge);
    assert_eq!((result.phase, result.blamed), (MetricPhase::Failed, Some("a")));
    assert_eq!(wake(&run), None);

    let judge = Threshold::new(vec![tight(true), MetricLimits { count: Some(1), ..limits("b") }]).unwrap();
    let mut run = judge.start(RunTime(0));
    go(&mut run, &judge, 0, Ok(Some(1)));
    assert_eq!(run.metrics(&judge)[0].phase, MetricPhase::Failed, "it is judged");
    assert_eq!(run.result(&judge).phase, MetricPhase::Successful, "and does not count");
}

#[test]
fn after_an_error_it_is_asked_sooner() {
    let judge = || Threshold::new(vec![every("a", 60)]).unwrap();
    let after = |judge: &Threshold| {
        let mut run = judge.start(RunTime(0));
        let mut at = 0;
        let mut pauses = Vec::new();
        for _ in 0..4 {
            go(&mut run, judge, at, Err("timeout"));
            let next = wake(&run).unwrap();
            pauses.push(next - at);
            at = next;
        }
        pauses
    };
    assert_eq!(after(&judge()), [10, 20, 40, 60], "ours backs off");
    assert_eq!(after(&judge().order(PeerOrder::Argo)), [10, 10, 10, 10]);
}

/// D10 of `docs/differences.md`.
#[test]
fn nothing_measured_is_no_success_except_in_the_peers_order() {
    let judge = Threshold::new(vec![every("a", 60)]).unwrap();
    let ended = |judge: &Threshold| {
        let mut run = judge.start(RunTime(0));
        run.end(judge);
        run.result(judge).phase
    };
    assert_eq!(ended(&judge), MetricPhase::Inconclusive);
    assert_eq!(ended(&judge.clone().order(PeerOrder::Argo)), MetricPhase::Successful);
    let mut run = judge.start(RunTime(0));
    run.asked(0).unwrap();
    run.end(&judge);
    assert_eq!(run.result(&judge).phase, MetricPhase::Inconclusive, "an open question is withdrawn");
    assert_eq!(run.answered(&judge, 0, &answer(1, Ok(Some(1)))), Err(RunError::NotAsked(0)));
}

#[test]
fn absence_is_held_ignored_or_counted_as_written() {
    let with = |no_data| Threshold::new(vec![MetricLimits { no_data, count: Some(2), ..every("a", 60) }]).unwrap();
    let end = |judge: &Threshold, rounds: u64| {
        let mut run = judge.start(RunTime(0));
        (0..rounds).for_each(|round| {
            go(&mut run, judge, round * 60, Ok(None));
        });
        run.result(judge).phase
    };
    assert_eq!(end(&with(NoData::Fail), 1), MetricPhase::Failed);
    assert_eq!(end(&with(NoData::Ignore { reason: "night".to_owned() }), 2), MetricPhase::Successful);
    let hold = with(NoData::Hold { at_most: seconds(120) });
    assert_eq!(end(&hold, 2), MetricPhase::Running);
    assert_eq!(end(&hold, 3), MetricPhase::Inconclusive);
}

/// Flagger's counter is one for all metrics, goes up with every tick in which any failed, and never down.
#[test]
fn flaggers_counter_is_shared_and_never_falls() {
    let flagger = |name| MetricLimits { failure_limit: None, no_data: NoData::Fail, ..limits(name) };
    let judge = Threshold::with_failed_checks(vec![flagger("a"), flagger("b")], Limit::at_least(3)).unwrap();
    let mut state = ThresholdState::default();
    let mut tick = |number| {
        let at = RunTime(60_000);
        judge.observe(&mut state, RunTime(0), &[&answer(60, number)]);
        judge.verdict(&state, at)
    };
    assert_eq!(tick(Ok(Some(2))).standing, Standing::NotYet, "a failed check does not advance");
    assert_eq!(tick(Ok(Some(1))).standing, Standing::Good, "a good one does");
    assert_eq!(tick(Err("timeout")).standing, Standing::NotYet, "an error is a failed check here: two");
    let third = tick(Ok(None));
    assert_eq!(third.standing, Standing::Bad(ReasonCode::AnalysisFailed), "so is no value: three");
    assert!(third.judgements[0].because.contains("3 failed checks of all metrics, fails at ≥ 3"));
    let back: Threshold = serde_json::from_str(&serde_json::to_string(&judge).unwrap()).unwrap();
    assert_eq!(back, judge);
}

/// In a run of its own the counter is the same, and answers to another judge than it was begun with are refused without a panic.
#[test]
fn a_run_counts_the_failed_checks_of_all_metrics() {
    let flagger = |name| MetricLimits { failure_limit: None, no_data: NoData::Fail, ..every(name, 60) };
    let judge = Threshold::with_failed_checks(vec![flagger("a"), flagger("b")], Limit::at_least(4)).unwrap();
    let mut run = judge.start(RunTime(0));
    assert_eq!(go(&mut run, &judge, 0, Ok(Some(2))), [0, 1]);
    assert_eq!(run.result(&judge).phase, MetricPhase::Running, "two of them");
    go(&mut run, &judge, 60, Ok(Some(2)));
    assert_eq!(run.result(&judge).phase, MetricPhase::Failed, "four");
    assert_eq!(run.wake_at(), None);

    let three = Threshold::new(vec![every("a", 60), every("b", 60), every("c", 60)]).unwrap();
    let mut run = judge.start(RunTime(0));
    run.asked(0).unwrap();
    assert_eq!(run.answered(&three, 2, &answer(0, Ok(Some(0)))), Err(RunError::NoSuchMetric(2)));
    let one = Threshold::new(vec![every("a", 60)]).unwrap();
    run.answered(&one, 0, &answer(0, Ok(Some(0)))).unwrap();
    assert_eq!(run.result(&three).phase, MetricPhase::Running);
    run.end(&three);
    assert_eq!(run.result(&three).phase, MetricPhase::Error, "of the third nothing is known");
}

/// Sizes are compared at the quantile that the author names, and without one they are an error, not a number.
#[test]
fn sizes_are_judged_at_the_quantile_that_is_named() {
    let samples = (1..=100_u32).map(Real::from).collect();
    let window = Window::ending(Timestamp(0), seconds(60));
    let mut measured = answer(60, Ok(Some(0)));
    let metric = MetricName::new("a").unwrap();
    measured.result = Ok(vec![Measurement::new(metric, Arm::Candidate, window, Reading::Samples(samples))]);
    let standing = |quantile: Option<f64>, limit: u32| {
        let condition = Condition::success(Bound::new(Comparison::AtMost, Real::from(limit)));
        let quantile = quantile.map(|quantile| Real::new(quantile).unwrap());
        let judge = Threshold::new(vec![MetricLimits { quantile, condition, ..limits("a") }]).unwrap();
        let mut state = ThresholdState::default();
        judge.observe(&mut state, RunTime(0), &[&measured]);
        judge.verdict(&state, RunTime(60_000)).standing
    };
    assert_eq!(standing(Some(0.5), 52), Standing::Good);
    assert_eq!(standing(Some(0.99), 52), Standing::Bad(ReasonCode::AnalysisFailed));
    assert_eq!(standing(None, 52), Standing::NotYet, "an error, counted as one");
}

proptest! {
    /// Whatever is answered: while it runs something is open or due, and when all have ended it is the worst of those that count.
    #[test]
    fn it_always_has_a_next_step_or_an_end(
        answers in proptest::collection::vec(0u8..5, 1..60), dry: bool, count in proptest::option::of(1u32..4),
    ) {
        let inconclusive_limit = Some(Limit::more_than(1));
        let a = MetricLimits { dry_run: dry, inconclusive_limit, failure_limit: Some(Limit::more_than(1)), ..every("a", 20) };
        let b = MetricLimits { count, inconclusive_limit, ..every("b", 30) };
        let judge = Threshold::new(vec![MetricLimits { count: count.map(|n| n + 1), ..a }, b]).unwrap();
        let mut run = judge.start(RunTime(0));
        for kind in answers {
            let Some(at) = wake(&run) else { break };
            let number = match kind {
                0 => Err("timeout"),
                1 => Ok(None),
                2 => Ok(Some(2)),
                _ => Ok(Some(1)),
            };
            prop_assert!(!go(&mut run, &judge, at, number).is_empty());
            let text = serde_json::to_string(&run).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Run>(&text).unwrap(), &run);
        }
        let result = run.result(&judge);
        prop_assert!(run.wake_at().is_some() || result.phase != MetricPhase::Running);
        run.end(&judge);
        let worst = run.metrics(&judge).iter().filter(|metric| !metric.dry_run).map(|metric| metric.phase).max();
        prop_assert_eq!(Some(run.result(&judge).phase), worst);
        prop_assert!(run.wake_at().is_none());
    }
}

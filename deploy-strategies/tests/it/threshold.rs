//! What the threshold judge says of measurements.

use std::time::Duration;

use deploy_core::monitor::{Arm, Comparison, Counts, MeasureRequest, Measured, Measurement, Reading, Window};
use deploy_core::name::{BlockName, MetricName};
use deploy_core::real::Real;
use deploy_core::strategy::ReasonCode;
use deploy_core::time::{RunTime, Timestamp};
use deploy_strategies::analysis::Standing;
use deploy_strategies::analysis::threshold::{
    Bound, Condition, ErrorPolicy, Limit, MetricLimits, NoData, OnError, Subject, Threshold, ThresholdState,
};

use crate::model::revision;

fn metric() -> MetricName {
    MetricName::new("http.error_ratio").unwrap()
}

fn at_most(limit: f64) -> Condition {
    Condition::success(Bound::new(Comparison::AtMost, Real::new(limit).unwrap()))
}

fn limits() -> MetricLimits {
    let errors = ErrorPolicy::consecutive(Limit::more_than(2), OnError::Inconclusive);
    MetricLimits::new(metric(), at_most(0.01), Limit::more_than(1), errors, NoData::Inconclusive)
}

/// Judges answers that come one a minute.
struct Judged {
    judge: Threshold,
    state: ThresholdState,
    now: RunTime,
}

impl Judged {
    fn by(limits: MetricLimits) -> Self {
        Self { judge: Threshold::new(vec![limits]).unwrap(), state: ThresholdState::default(), now: RunTime::START }
    }

    fn answer(&mut self, result: Result<Vec<(Arm, Reading)>, &str>) -> Standing {
        self.now = self.now + Duration::from_secs(60);
        let window = Window { from: Timestamp(0), to: Timestamp(60_000) };
        let request = MeasureRequest {
            monitor: BlockName::new("prometheus").unwrap(),
            metrics: vec![metric()],
            candidate: revision("v2"),
            baseline: None,
            lookback: Duration::from_secs(60),
        };
        let list = |list: Vec<_>| list.into_iter().map(|(arm, r)| Measurement::new(metric(), arm, window, r)).collect();
        let measured = Measured { request, at: self.now, result: result.map(list).map_err(ToOwned::to_owned) };
        self.judge.observe(&mut self.state, RunTime::START, &[&measured]);
        self.standing()
    }

    fn value(&mut self, number: f64) -> Standing {
        self.answer(Ok(vec![(Arm::Candidate, Reading::Value(Real::new(number).unwrap()))]))
    }

    fn counts(&mut self, events: u64, bad: u64) -> Standing {
        self.answer(Ok(vec![(Arm::Candidate, Reading::Counts(Counts::new(events, bad).unwrap()))]))
    }

    fn nothing(&mut self) -> Standing {
        self.answer(Ok(vec![(Arm::Candidate, Reading::NoData)]))
    }

    fn standing(&self) -> Standing {
        self.judge.verdict(&self.state, self.now).standing
    }
}

const FAILED: Standing = Standing::Bad(ReasonCode::AnalysisFailed);

#[test]
fn nothing_measured_is_not_success() {
    assert_eq!(Judged::by(limits()).standing(), Standing::NotYet);
}

#[test]
fn the_cumulative_limit_counts_all_and_the_consecutive_one_only_a_row() {
    let mut total = Judged::by(limits());
    assert_eq!([total.value(0.5), total.value(0.001), total.value(0.5)], [Standing::NotYet, Standing::Good, FAILED]);

    let mut row = Judged::by(MetricLimits {
        failure_limit: None,
        consecutive_failure_limit: Some(Limit::at_least(2)),
        ..limits()
    });
    assert_eq!(
        [row.value(0.5), row.value(0.001), row.value(0.5)],
        [Standing::NotYet, Standing::Good, Standing::NotYet]
    );
    assert_eq!(row.value(0.5), FAILED);
}

#[test]
fn a_number_exactly_at_the_limit_is_on_the_side_that_the_operator_names() {
    assert_eq!(Judged::by(limits()).value(0.01), Standing::Good);
    let strict = Condition::success(Bound::new(Comparison::Less, Real::new(0.01).unwrap()));
    let strict = MetricLimits { condition: strict, failure_limit: Some(Limit::more_than(0)), ..limits() };
    assert_eq!(Judged::by(strict).value(0.01), FAILED);
}

#[test]
fn errors_have_their_own_counter_and_their_own_consequence() {
    let mut judged = Judged::by(limits());
    for _ in 0..2 {
        assert_eq!(judged.answer(Err("timeout")), Standing::NotYet);
    }
    assert_eq!(judged.answer(Err("timeout")), Standing::Unclear(ReasonCode::AnalysisErrors));
    assert_eq!(judged.value(0.001), Standing::Good, "an answer ends the row");

    let back = ErrorPolicy::total(Limit::at_least(1), OnError::RollBack);
    assert_eq!(
        Judged::by(MetricLimits { errors: back, ..limits() }).answer(Err("timeout")),
        Standing::Bad(ReasonCode::AnalysisErrors)
    );

    let hold = OnError::Hold { at_most: Duration::from_secs(120) };
    let mut held = Judged::by(MetricLimits { errors: ErrorPolicy::consecutive(Limit::at_least(1), hold), ..limits() });
    let holding = Standing::Holding(ReasonCode::AnalysisErrors);
    assert_eq!([held.answer(Err("x")), held.answer(Err("x"))], [holding, holding]);
    assert_eq!(held.answer(Err("x")), Standing::Unclear(ReasonCode::AnalysisErrors), "a hold ends");
}

#[test]
fn absence_means_what_the_author_wrote() {
    let with =
        |no_data| Judged::by(MetricLimits { no_data, inconclusive_limit: Some(Limit::more_than(1)), ..limits() });
    let mut fail = with(NoData::Fail);
    assert_eq!([fail.nothing(), fail.nothing()], [Standing::NotYet, Standing::Bad(ReasonCode::NoData)]);
    let mut doubt = with(NoData::Inconclusive);
    assert_eq!([doubt.nothing(), doubt.nothing()], [Standing::NotYet, Standing::Unclear(ReasonCode::NoData)]);
    let mut hold = with(NoData::Hold { at_most: Duration::from_secs(60) });
    assert_eq!(
        [hold.nothing(), hold.nothing()],
        [Standing::Holding(ReasonCode::NoData), Standing::Unclear(ReasonCode::NoData)]
    );
    assert_eq!(hold.value(0.001), Standing::Good, "a measurement ends the hold");
    let mut ignore = with(NoData::Ignore { reason: "nobody buys at night".to_owned() });
    assert_eq!(ignore.nothing(), Standing::Good);
    let said = ignore.judge.verdict(&ignore.state, ignore.now).judgements.remove(0);
    assert!(said.because.contains("nobody buys at night"), "{}", said.because);
}

/// A full count in which nothing was good is no success, whatever no limit forbids.
#[test]
fn a_full_count_without_anything_good_is_a_doubt() {
    let unclear = Standing::Unclear(ReasonCode::NoData);
    let limits = || MetricLimits { count: Some(3), inconclusive_limit: None, ..limits() };
    let mut absent = Judged::by(MetricLimits { no_data: NoData::Inconclusive, ..limits() });
    assert_eq!([absent.nothing(), absent.nothing(), absent.nothing()], [Standing::NotYet, Standing::NotYet, unclear]);
    let mut bad = Judged::by(MetricLimits {
        failure_limit: None,
        consecutive_failure_limit: Some(Limit::more_than(10)),
        ..limits()
    });
    let all = [bad.value(1.0), bad.value(1.0), bad.value(1.0)];
    assert_eq!(all[2], Standing::Unclear(ReasonCode::AnalysisInconclusive));
    let mut some = Judged::by(MetricLimits { no_data: NoData::Inconclusive, ..limits() });
    assert_eq!(
        [some.nothing(), some.value(0.001), some.nothing()][2],
        Standing::Good,
        "one was, and no limit was broken"
    );
}

/// What is no error ends a row of errors, also where it counts as nothing.
#[test]
fn answers_that_do_not_count_end_a_row_of_errors() {
    let errors = ErrorPolicy::consecutive(Limit::at_least(2), OnError::RollBack);
    for no_data in
        [NoData::Hold { at_most: Duration::from_secs(3600) }, NoData::Ignore { reason: "at night".to_owned() }]
    {
        let mut judged = Judged::by(MetricLimits { no_data, errors, ..limits() });
        let bad = Standing::Bad(ReasonCode::AnalysisErrors);
        for _ in 0..3 {
            assert_ne!(judged.answer(Err("down")), bad);
            assert_ne!(judged.nothing(), bad);
        }
        assert_ne!(judged.answer(Err("down")), bad);
        assert_eq!(judged.answer(Err("down")), bad, "two in a row");
    }
    let mut few = Judged::by(MetricLimits { min_events: 1_000_000, errors, ..limits() });
    for _ in 0..3 {
        assert_eq!([few.answer(Err("down")), few.counts(3, 0)], [Standing::NotYet; 2]);
    }
}

#[test]
fn too_few_events_are_added_up_before_they_are_judged() {
    let mut judged = Judged::by(MetricLimits { min_events: 100, failure_limit: Some(Limit::more_than(0)), ..limits() });
    assert_eq!(judged.counts(3, 1), Standing::NotYet, "one of three is no verdict");
    assert_eq!(judged.counts(60, 0), Standing::NotYet);
    assert_eq!(judged.counts(40, 0), Standing::Good, "one of 103 is");
    assert_eq!(judged.counts(100, 2), FAILED);
}

#[test]
fn no_events_at_all_are_no_data_not_a_good_number() {
    let mut judged =
        Judged::by(MetricLimits { no_data: NoData::Fail, failure_limit: Some(Limit::more_than(0)), ..limits() });
    assert_eq!(judged.counts(0, 0), Standing::Bad(ReasonCode::NoData));
}

#[test]
fn what_comes_in_the_warm_up_is_not_judged() {
    let mut judged = Judged::by(MetricLimits {
        warm_up: Duration::from_secs(90),
        failure_limit: Some(Limit::more_than(0)),
        ..limits()
    });
    // The second minute began 60 s after the start: half of it is warm-up.
    assert_eq!([judged.value(1.0), judged.value(1.0), judged.value(1.0)], [Standing::NotYet, Standing::NotYet, FAILED]);
}

#[test]
fn a_count_ends_it_and_what_has_ended_stays_so() {
    let mut judged = Judged::by(MetricLimits { count: Some(2), ..limits() });
    assert_eq!([judged.value(0.0), judged.value(0.0)], [Standing::NotYet, Standing::Good]);
    assert_eq!([judged.value(1.0), judged.value(1.0), judged.value(1.0)], [Standing::Good; 3]);
}

#[test]
fn enough_good_ones_in_a_row_end_it_early() {
    let limits = MetricLimits {
        consecutive_success_limit: Some(Limit::at_least(2)),
        failure_limit: Some(Limit::more_than(5)),
        ..limits()
    };
    let mut judged = Judged::by(limits);
    assert_eq!([judged.value(0.0), judged.value(1.0), judged.value(0.0)], [Standing::NotYet; 3]);
    assert_eq!(judged.value(0.0), Standing::Good);
}

#[test]
fn both_sides_are_compared_where_the_author_says_so() {
    let answer = |new: f64, old: f64| {
        let value = |n| Reading::Value(Real::new(n).unwrap());
        Ok(vec![(Arm::Candidate, value(new)), (Arm::Baseline, value(old))])
    };
    let with = |of, limit| {
        Judged::by(MetricLimits { of, condition: at_most(limit), failure_limit: Some(Limit::more_than(0)), ..limits() })
    };
    assert_eq!(with(Subject::Difference, 0.01).answer(answer(0.05, 0.045)), Standing::Good);
    assert_eq!(with(Subject::Difference, 0.01).answer(answer(0.05, 0.03)), FAILED);
    assert_eq!(with(Subject::Ratio, 1.5).answer(answer(0.03, 0.02)), Standing::Good);
    assert_eq!(with(Subject::Ratio, 1.5).answer(answer(0.05, 0.02)), FAILED);
    assert_eq!(
        with(Subject::Ratio, 1.5).answer(answer(0.05, 0.0)),
        Standing::NotYet,
        "a zero below the line is no data"
    );
}

#[test]
fn a_judgement_names_number_limit_age_and_what_would_change_it() {
    let mut judged = Judged::by(limits());
    judged.value(0.5);
    judged.value(0.25);
    let later = judged.now + Duration::from_secs(12);
    let said = judged.judge.verdict(&judged.state, later).judgements.remove(0);
    assert_eq!(said.measured.map(Real::get), Some(0.25));
    assert_eq!(said.limit.map(|(c, l)| (c, l.get())), Some((Comparison::AtMost, 0.01)));
    assert_eq!((said.at, said.over), (judged.now, Duration::from_secs(60)));
    assert_eq!(
        said.because,
        "http.error_ratio was 0.25, good if ≤ 0.01; asked 12s ago over 1m; 0 good, 2 bad, 0 inconclusive, 0 errors; fails at > 1 bad"
    );
    assert_eq!(said.otherwise, "with fewer than 2 bad ones it would not have failed (2 now)");
}

#[test]
fn absence_errors_and_operators_have_to_be_written() {
    for (text, missing) in [
        (
            r#"{"metrics":[{"metric":"m","condition":{"success":{"compare":"<","limit":1}},"failure_limit":{"compare":">","count":0},"errors":{"limit":{"compare":">","count":4},"on_error":"roll_back"}}]}"#,
            "no_data",
        ),
        (
            r#"{"metrics":[{"metric":"m","condition":{"success":{"compare":"<","limit":1}},"failure_limit":{"compare":">","count":0},"no_data":"fail"}]}"#,
            "errors",
        ),
        (
            r#"{"metrics":[{"metric":"m","condition":{"success":{"limit":1}},"failure_limit":{"compare":">","count":0},"errors":{"limit":{"compare":">","count":4},"on_error":"roll_back"},"no_data":"fail"}]}"#,
            "compare",
        ),
        (
            r#"{"metrics":[{"metric":"m","condition":{"success":{"compare":"<","limit":1}},"failure_limit":{"compare":"<","count":0},"errors":{"limit":{"compare":">","count":4},"on_error":"roll_back"},"no_data":"fail"}]}"#,
            "metrics[0].failure_limit.compare",
        ),
    ] {
        let error = serde_json::from_str::<Threshold>(text).unwrap_err().to_string();
        assert!(error.contains(missing), "{missing}: {error}");
    }
}

#[test]
fn every_problem_is_named_at_once() {
    let broken = MetricLimits {
        condition: Condition { success: None, failure: None },
        failure_limit: Some(Limit { compare: Comparison::Less, count: 1 }),
        errors: ErrorPolicy { limit: None, consecutive_limit: None, on_error: OnError::RollBack },
        no_data: NoData::Ignore { reason: " ".to_owned() },
        ..limits()
    };
    let refused = Threshold::new(vec![broken]).unwrap_err();
    let places: Vec<_> = refused.problems().iter().map(|p| p.at.as_str()).collect();
    assert_eq!(
        places,
        [
            "metrics[0].condition",
            "metrics[0].errors",
            "metrics[0].failure_limit.compare",
            "metrics[0].no_data.ignore.reason"
        ]
    );
}

//! A canary that is measured.

use std::time::Duration;

use deploy_core::monitor::{Arm, Comparison, MeasureRequest, Measurement, Reading, Window};
use deploy_core::name::{BlockName, MetricName};
use deploy_core::real::Real;
use deploy_core::strategy::{Memory, Next, Promotion, ReasonCode, Strategy};
use deploy_core::time::{RunTime, Timestamp};
use deploy_strategies::analysis::threshold::{
    Bound, Condition, ErrorPolicy, Limit, MetricLimits, NoData, OnError, Threshold,
};
use deploy_strategies::analysis::{Analysis, Judge};
use deploy_strategies::canary::{Canary, OnInconclusive, Step};

use crate::bar::Bar;
use crate::closed_loop::{Answers, End, Loop};
use crate::model::{Place, release, revision, serving};

fn limits(name: &str) -> MetricLimits {
    MetricLimits::new(
        MetricName::new(name).unwrap(),
        Condition::success(Bound::new(Comparison::AtMost, Real::new(0.01).unwrap())),
        Limit::more_than(1),
        ErrorPolicy::consecutive(Limit::more_than(3), OnError::Inconclusive),
        NoData::Inconclusive,
    )
}

fn analysis(limits: Vec<MetricLimits>) -> Analysis {
    Analysis::new(BlockName::new("prometheus").unwrap(), Judge::Threshold(Threshold::new(limits).unwrap()))
}

pub(crate) fn error_ratio() -> Analysis {
    analysis(vec![limits("http.error_ratio")])
}

fn answer(request: &MeasureRequest, reading: Reading) -> Result<Vec<Measurement>, String> {
    let window = Window { from: Timestamp(0), to: Timestamp(60_000) };
    Ok(request.metrics.iter().map(|m| Measurement::new(m.clone(), Arm::Candidate, window, reading.clone())).collect())
}

pub(crate) const GOOD: Answers = |request, _| answer(request, Reading::Value(Real::ZERO));
pub(crate) const BAD: Answers = |request, _| answer(request, Reading::Value(Real::from(1)));
pub(crate) const TURNS_BAD: Answers = |request, now| {
    let bad = u32::from(now > RunTime(400_000));
    answer(request, Reading::Value(Real::from(bad)))
};
const ABSENT: Answers = |request, _| answer(request, Reading::NoData);

fn run<'a>(canary: &'a Canary, monitor: Answers) -> Loop<'a, Canary> {
    let bar = Bar { least: 10, most: 20, with_ending: false };
    let mut run = Loop::new(canary, release("v2"), Place::new(&serving("v1", 10), 1, 0), bar);
    run.monitor = monitor;
    run
}

fn inline() -> Canary {
    let soak = Duration::from_secs(120);
    let step = |weight| Step::weight(weight).soak(soak).analysis(error_ratio());
    Canary::builder().step(step(10)).step(step(50)).build().unwrap()
}

fn background() -> Canary {
    let soak = Duration::from_secs(300);
    let canary = Canary::builder().step(Step::weight(10)).step(Step::weight(50).soak(soak));
    canary.background(1, error_ratio()).build().unwrap()
}

/// Rows: M62, M168.
#[test]
fn good_numbers_let_it_through_and_stand_in_every_decision() {
    for canary in [inline(), background()] {
        let mut run = run(&canary, GOOD);
        assert_eq!(run.run(200), End::Complete, "{}", run.story());
        assert!(run.log.iter().any(|line| line.contains("http.error_ratio was 0, good if ≤ 0.01")), "{}", run.story());
    }
}

#[test]
fn a_strategy_names_the_monitors_that_it_will_ask() {
    let monitor = vec![BlockName::new("prometheus").unwrap()];
    assert_eq!((inline().monitors(), background().monitors()), (monitor.clone(), monitor));
    assert!(Canary::builder().step(Step::weight(50)).build().unwrap().monitors().is_empty());
}

/// Rows: M62, M168.
#[test]
fn bad_numbers_send_all_traffic_back_in_the_same_statement() {
    let canary = inline();
    let mut run = run(&canary, BAD);
    while !run.going_back {
        run.look(Promotion::None);
        run.tick();
    }
    assert_eq!(run.last().reason.code, ReasonCode::AnalysisFailed);
    assert_eq!(run.last().want.weights, serving("v1", 10).weights);
    assert_eq!(run.last().judgements.len(), 1);
    assert!(run.last().reason.otherwise.contains("fewer than 2 bad ones"), "{}", run.story());
    assert_eq!(run.run(50), End::RolledBack);
    assert_eq!(run.place.observe(), serving("v1", 10));
}

#[test]
fn the_background_is_judged_to_the_end_and_can_still_send_it_back() {
    let mut spec = background().spec().clone();
    spec.scale_down_delay = Duration::from_secs(300);
    let canary = spec.build().unwrap();
    let mut run = run(&canary, TURNS_BAD);
    assert_eq!(run.run(200), End::RolledBack, "{}", run.story());
    assert!(run.log.iter().any(|line| line.contains("all traffic: http.error_ratio was 1")), "{}", run.story());
}

/// Rows: M63, M192.
#[test]
fn nothing_measured_never_promotes() {
    let never = OnInconclusive::RollBack;
    let soak = Duration::from_secs(60);
    let steps = [Step::weight(10).soak(soak).analysis(error_ratio()), Step::weight(10).soak(soak)];
    for step in steps {
        let builder = Canary::builder().on_inconclusive(never.clone());
        let builder = if step.analysis.is_empty() { builder.background(0, error_ratio()) } else { builder };
        let canary = builder.step(step).build().unwrap();
        let mut run = run(&canary, ABSENT);
        assert_eq!(run.run(400), End::RolledBack, "{}", run.story());
    }
}

#[test]
fn errors_of_the_query_ask_a_person_and_never_fail_the_release() {
    let canary = inline();
    let mut run = run(&canary, |_, _| Err("connection refused".to_owned()));
    while !run.asks() {
        assert_eq!(run.look(Promotion::None), None);
        run.tick();
    }
    assert_eq!(run.last().reason.code, ReasonCode::AnalysisErrors);
    assert!(run.last().reason.sentence.contains("connection refused"), "{}", run.story());
    assert!(matches!(&run.last().next, Next::Await(request) if request.expires_after > Duration::ZERO));
    run.monitor = GOOD;
    assert_eq!(run.run(200), End::Complete, "{}", run.story());
}

#[test]
fn a_question_is_first_asked_when_its_window_lies_in_the_step() {
    let canary = inline();
    let mut run = run(&canary, GOOD);
    let mut in_place = None;
    while run.log.is_empty() || run.last().measure.is_empty() {
        run.look(Promotion::None);
        if in_place.is_none() && run.place.state.weights.contains_key(&revision("v2")) {
            in_place = Some(run.now);
        }
        run.tick();
    }
    // The answer comes with the look that follows.
    assert!(run.now.since(in_place.unwrap()) >= Duration::from_secs(60), "{}", run.story());
}

#[test]
fn the_memory_of_as_many_metrics_as_may_be_fits_into_a_record() {
    let many = (0..24).map(|i| limits(&format!("a.rather.long.name.of.a.metric.that.somebody.made.up.{i}"))).collect();
    let canary = Canary::builder().step(Step::weight(10).analysis(analysis(many))).build().unwrap();
    let mut run = run(&canary, |_, _| Err("e".repeat(1_000)));
    let mut longest = 0;
    for _ in 0..60 {
        run.look(Promotion::None);
        longest = longest.max(run.last().memory.len());
        run.tick();
    }
    assert!(run.asks(), "{}", run.story());
    assert!((5_000..Memory::LONGEST).contains(&longest), "{longest}");
}

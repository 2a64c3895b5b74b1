//! Every judge at work in a canary, and what it means that there is nothing to be judged.

use std::time::Duration;

use deploy_core::monitor::{Arm, Counts, MeasureRequest, Measurement, Reading, Window};
use deploy_core::name::{BlockName, MetricName};
use deploy_core::strategy::{Memory, Promotion, ReasonCode};
use deploy_core::time::{RunTime, Timestamp};
use deploy_strategies::analysis::burn_rate::BurnRate;
use deploy_strategies::analysis::sequential::{Sequential, Watch, Watched};
use deploy_strategies::analysis::threshold::{ErrorPolicy, Limit, NoData, OnError};
use deploy_strategies::analysis::{Absence, Analysis, Judge};
use deploy_strategies::canary::{Canary, OnInconclusive, Step};

use crate::closed_loop::{Answers, Bar, End, Loop};
use crate::model::{Place, release, serving};

fn errors() -> MetricName {
    MetricName::new("errors").unwrap()
}

fn kayenta(after: Duration, metrics: usize) -> Judge {
    let metric = |i: usize| {
        let name = if i == 0 { "errors".to_owned() } else { format!("errors.{i}") };
        serde_json::json!({"name": name, "groups": ["all"], "classifier": {"direction": "increase"}})
    };
    let metrics: Vec<_> = (0..metrics).map(metric).collect();
    let judge = serde_json::json!({"kayenta": {
        "metrics": metrics, "pass": 95.0, "marginal": 75.0, "after": after.as_millis() as u64
    }});
    serde_json::from_value(judge).unwrap()
}

fn service_score() -> Judge {
    serde_json::from_value(serde_json::json!({"service_score": {
        "pass": 90.0, "warning": 75.0, "without_previous": "inconclusive", "after": 300_000,
        "objectives": [{"metric": "errors", "pass": [[{"comparison": "<=", "limit": {"percent_of_previous": 50.0}}]]}]
    }}))
    .unwrap()
}

fn burn_rate() -> Judge {
    Judge::BurnRate(BurnRate::new(errors(), 0.99))
}

fn asked(judge: Judge) -> Analysis {
    Analysis::new(BlockName::new("prometheus").unwrap(), judge).absence(Absence::doubt(2))
}

fn canary(analysis: Analysis) -> Canary {
    let step = Step::weight(50).soak(Duration::from_secs(60)).analysis(analysis);
    Canary::builder().on_inconclusive(OnInconclusive::RollBack).step(step).build().unwrap()
}

/// A minute of traffic that ended now: as many requests for both arms, since each has half of the weight, and errors that
/// change a little from minute to minute.
fn minute(request: &MeasureRequest, now: RunTime, candidate: u64) -> Vec<Measurement> {
    let window = Window::ending(Timestamp(i64::try_from(now.0).unwrap()), request.lookback);
    let jitter = now.0 / 60_000 % 5;
    let one = |metric: &MetricName, arm| {
        let bad = if arm == Arm::Candidate { candidate + jitter } else { 34 - jitter };
        Measurement::new(metric.clone(), arm, window, Reading::Counts(Counts::new(6_000, bad).unwrap()))
    };
    let both = |metric| {
        let baseline = request.baseline.is_some().then(|| one(metric, Arm::Baseline));
        [one(metric, Arm::Candidate)].into_iter().chain(baseline)
    };
    request.metrics.iter().flat_map(both).collect()
}

const GOOD: Answers = |request, now| Ok(minute(request, now, 30));
const BAD: Answers = |request, now| Ok(minute(request, now, 3_000));
const NOTHING: Answers = |_, _| Ok(Vec::new());
const DEAD: Answers = |_, _| Err("no route to host".to_owned());

fn run<'a>(canary: &'a Canary, monitor: Answers) -> Loop<'a, Canary> {
    let bar = Bar { least: 10, most: 20, with_ending: false };
    let mut run = Loop::new(canary, release("v2"), Place::new(&serving("v1", 10), 1, 0), bar);
    run.monitor = monitor;
    run
}

#[test]
fn every_judge_promotes_the_good_and_takes_back_the_bad() {
    let ten = Duration::from_secs(600);
    for judge in [kayenta(ten, 1), service_score(), burn_rate()] {
        let canary = canary(asked(judge.clone()));
        let mut good = run(&canary, GOOD);
        assert_eq!(good.run(600), End::Complete, "{judge:?} {}", good.story());
        let mut bad = run(&canary, BAD);
        assert_eq!(bad.run(600), End::RolledBack, "{judge:?} {}", bad.story());
        assert!(bad.story().contains("analysis-failed"), "{}", bad.story());
    }
}

#[test]
fn a_judge_at_a_fixed_time_says_nothing_before_it_and_is_asked_once() {
    let canary = canary(asked(kayenta(Duration::from_secs(600), 1)));
    let mut run = run(&canary, BAD);
    while !run.going_back && run.now < RunTime(3_600_000) {
        run.look(Promotion::None);
        run.tick();
    }
    assert!(run.now >= RunTime(600_000), "{}", run.story());
    assert!(run.story().contains("it is judged once, after 10m"), "{}", run.story());
}

#[test]
fn no_judge_promotes_what_was_not_measured() {
    let ten = Duration::from_secs(600);
    let sequential = Judge::Sequential(Sequential::new(1, vec![Watched::required(errors(), Watch::errors())]));
    for judge in [kayenta(ten, 1), service_score(), burn_rate(), sequential] {
        for (monitor, code) in [(NOTHING, "no-data"), (DEAD, "analysis-errors")] {
            let canary = canary(asked(judge.clone()));
            let mut run = run(&canary, monitor);
            assert_eq!(run.run(600), End::RolledBack, "{judge:?} {}", run.story());
            assert!(run.story().contains(code), "{judge:?} {}", run.story());
        }
    }
}

#[test]
fn absence_means_what_the_author_wrote() {
    let five = Duration::from_secs(300);
    let errors_hold = ErrorPolicy::consecutive(Limit::more_than(0), OnError::Hold { at_most: five });
    let go_back = ErrorPolicy::consecutive(Limit::more_than(0), OnError::RollBack);
    let sequential = Judge::Sequential(Sequential::new(1, vec![Watched::required(errors(), Watch::errors())]));
    let first = |judge: &Judge, absence: Absence, monitor: Answers| {
        let canary = canary(asked(judge.clone()).absence(absence));
        let mut run = run(&canary, monitor);
        let mut held = false;
        while !run.going_back && run.now < RunTime(7_200_000) {
            run.look(Promotion::None);
            held |= run.last().reason.sentence.contains("holds:");
            run.tick();
        }
        (held, run.last().reason.code)
    };
    let fail = Absence::new(NoData::Fail, go_back);
    assert_eq!(first(&sequential, fail.clone(), NOTHING), (false, ReasonCode::NoData));
    assert_eq!(first(&sequential, fail, DEAD), (false, ReasonCode::AnalysisErrors));
    let hold = Absence::new(NoData::Hold { at_most: five }, errors_hold);
    assert_eq!(first(&sequential, hold.clone(), NOTHING), (true, ReasonCode::NoData));
    assert_eq!(first(&sequential, hold, DEAD), (true, ReasonCode::AnalysisErrors));
    let quiet = NoData::Ignore { reason: "nobody is awake".to_owned() };
    let canary = canary(asked(burn_rate()).absence(Absence::new(quiet, go_back)));
    let mut run = run(&canary, NOTHING);
    assert_eq!(run.run(600), End::Complete, "{}", run.story());
    assert!(run.story().contains("which is ignored: nobody is awake"), "{}", run.story());
}

#[test]
fn what_absence_means_has_to_be_written_and_a_comparison_cannot_ignore_it() {
    let refused = |analysis: Analysis| {
        let step = Step::weight(50).analysis(analysis);
        Canary::builder().step(step).build().unwrap_err().to_string()
    };
    let monitor = BlockName::new("prometheus").unwrap();
    let silent = refused(Analysis::new(monitor, burn_rate()));
    assert!(silent.contains("analysis[0].absence: what no data and errors mean is not written"), "{silent}");
    let ignore = NoData::Ignore { reason: "night".to_owned() };
    let doubt = Absence::doubt(2);
    let blind = refused(asked(service_score()).absence(Absence::new(ignore, doubt.errors)));
    assert!(blind.contains("a comparison without data would count as passed"), "{blind}");
    let endless = ErrorPolicy { limit: None, consecutive_limit: None, on_error: OnError::Inconclusive };
    let forever = refused(asked(burn_rate()).absence(Absence::new(NoData::Fail, endless)));
    assert!(forever.contains("errors would go on for ever"), "{forever}");
}

#[test]
fn what_a_judge_remembers_fits_into_a_record_or_is_refused_by_its_size() {
    let hours = |hours: u64, metrics: usize| asked(kayenta(Duration::from_secs(3_600 * hours), metrics));
    let step = |analysis| Step::weight(50).soak(Duration::from_secs(60)).analysis(analysis);
    let too_much = Canary::builder().step(step(hours(4, 4))).build().unwrap_err().to_string();
    assert!(too_much.contains("it would remember up to") && too_much.contains("at most 12000"), "{too_much}");
    let canary = Canary::builder().step(step(hours(2, 5))).build().unwrap();
    let mut run = run(&canary, GOOD);
    let mut longest = 0;
    while run.look(Promotion::None).is_none() && run.now < RunTime(10_000_000) {
        longest = longest.max(run.last().memory.len());
        run.tick();
    }
    assert!((9_000..Memory::LONGEST).contains(&longest), "{longest}");
}

/// A candidate that should see a tenth of the traffic and sees half of it: whatever is compared, it is not the same.
///
/// Rows: M190.
#[test]
fn a_share_that_is_not_that_of_the_weights_holds_and_never_promotes() {
    let sequential = || Judge::Sequential(Sequential::new(1, vec![Watched::required(errors(), Watch::errors())]));
    let step = |weight| Step::weight(weight).soak(Duration::from_secs(60)).analysis(asked(sequential()));
    let by = |weight| Canary::builder().on_inconclusive(OnInconclusive::RollBack).step(step(weight)).build().unwrap();
    let (half, tenth) = (by(50), by(10));
    let mut right = run(&half, GOOD);
    assert_eq!(right.run(600), End::Complete, "{}", right.story());
    let mut wrong = run(&tenth, GOOD);
    assert_eq!(wrong.run(600), End::RolledBack, "{}", wrong.story());
    assert!(wrong.story().contains("of the traffic that it should"), "{}", wrong.story());
    assert!(wrong.story().contains("analysis-inconclusive"), "a doubt, not a failure: {}", wrong.story());
}

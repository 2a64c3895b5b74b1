//! A canary that is compared with what served before, at every look.

use std::time::Duration;

use deploy_core::monitor::{Arm, Counts, MeasureRequest, Measurement, Reading, Window};
use deploy_core::name::{BlockName, MetricName, StratumName};
use deploy_core::real::Real;
use deploy_core::strategy::{Memory, Promotion, ReasonCode};
use deploy_core::time::{RunTime, Timestamp};
use deploy_strategies::analysis::sequential::{Requests, Sequential, Watch, Watched};
use deploy_strategies::analysis::{Absence, Analysis, Judge};
use deploy_strategies::canary::{Canary, OnInconclusive, Step};

use crate::bar::Bar;
use crate::closed_loop::{Answers, End, Loop};
use crate::model::{Place, release, revision, serving};

fn name(name: &str) -> MetricName {
    MetricName::new(name).unwrap()
}

fn analysis(stages: u32, watched: Vec<Watched>) -> Analysis {
    let mut judge = Sequential::new(stages, watched);
    // The answers here know nothing of weights: both arms see the same in every step.
    judge.sample_ratio.requests = Requests::Uncounted;
    Analysis::new(BlockName::new("prometheus").unwrap(), Judge::Sequential(judge)).absence(Absence::doubt(2))
}

pub(crate) fn errors(stages: u32) -> Analysis {
    analysis(stages, vec![Watched::required(name("http.errors"), Watch::errors())])
}

/// A minute of traffic that ended now, with so many bad events of the candidate.
pub(crate) fn minute(request: &MeasureRequest, now: RunTime, bad: u64) -> Vec<Measurement> {
    assert!(request.baseline.is_some(), "a comparison asks for both arms");
    let window = Window::ending(Timestamp(i64::try_from(now.0).unwrap()), request.lookback);
    let one = |metric: &MetricName, arm| {
        let reading = if metric.as_str().starts_with("latency") {
            Reading::Samples((1..200_u32).map(|ms| Real::from(ms * ms)).collect())
        } else {
            Reading::Counts(Counts::new(6_000, if arm == Arm::Candidate { bad } else { 60 }).unwrap())
        };
        Measurement::new(metric.clone(), arm, window, reading)
    };
    let both = |metric| [one(metric, Arm::Candidate), one(metric, Arm::Baseline)];
    request.metrics.iter().flat_map(both).collect()
}

/// A minute of two endpoints, of which the candidate sees another mix than the baseline: its clients like the one that fails often.
/// Each endpoint fails as often with both, or at `checkout` six times as often with the candidate.
fn mixed(request: &MeasureRequest, now: RunTime, worse: bool) -> Vec<Measurement> {
    let window = Window::ending(Timestamp(i64::try_from(now.0).unwrap()), request.lookback);
    let one = |stratum: &str, arm, events, bad| {
        let counts = Reading::Counts(Counts::new(events, bad).unwrap());
        let measurement = Measurement::new(request.metrics[0].clone(), arm, window, counts);
        if stratum.is_empty() { measurement } else { measurement.in_stratum(StratumName::new(stratum).unwrap()) }
    };
    let checkout = if worse { 600 } else { 100 };
    vec![
        one("checkout", Arm::Candidate, 2_000, checkout),
        one("checkout", Arm::Baseline, 1_000, 50),
        one("search", Arm::Candidate, 1_000, 1),
        one("search", Arm::Baseline, 9_000, 9),
    ]
}

fn of_all(all: Vec<Measurement>) -> Vec<Measurement> {
    Measurement::of_all(&all).unwrap()
}

const OTHER_MIX: Answers = |request, now| Ok(mixed(request, now, false));
const OTHER_MIX_IN_ONE: Answers = |request, now| Ok(of_all(mixed(request, now, false)));
const WORSE_AT_ONE: Answers = |request, now| Ok(mixed(request, now, true));

const GOOD: Answers = |request, now| Ok(minute(request, now, 60));
const BAD: Answers = |request, now| Ok(minute(request, now, 240));
const TURNS_BAD: Answers = |request, now| Ok(minute(request, now, if now > RunTime(1_500_000) { 240 } else { 60 }));

fn run<'a>(canary: &'a Canary, monitor: Answers) -> Loop<'a, Canary> {
    let bar = Bar { least: 10, most: 20, with_ending: false };
    let mut run = Loop::new(canary, release("v2"), Place::new(&serving("v1", 10), 1, 0), bar);
    run.monitor = monitor;
    run
}

fn inline() -> Canary {
    let step = |weight| Step::weight(weight).soak(Duration::from_secs(60)).analysis(errors(1));
    Canary::builder().on_inconclusive(OnInconclusive::RollBack).step(step(10)).step(step(50)).build().unwrap()
}

fn background() -> Canary {
    let step = |weight| Step::weight(weight).soak(Duration::from_secs(900));
    let canary = Canary::builder().on_inconclusive(OnInconclusive::RollBack).step(step(10)).step(step(50));
    canary.background(0, errors(2)).build().unwrap()
}

/// Rows: M62, M192.
#[test]
fn a_good_release_is_promoted_with_proof_in_every_step() {
    let canary = inline();
    let mut run = run(&canary, GOOD);
    assert_eq!(run.run(600), End::Complete, "{}", run.story());
    let went_on = |line: &&String| line.contains("was shown in this stage to be no worse");
    assert!(run.log.iter().filter(went_on).count() >= 2, "{}", run.story());
}

/// What looks like harm where all traffic is compared at once (3.4 % against 0.6 %) is none where each endpoint is compared with itself.
#[test]
fn another_mix_of_endpoints_is_no_harm_where_they_are_compared_one_by_one() {
    let canary = inline();
    let mut by_endpoint = run(&canary, OTHER_MIX);
    assert_eq!(by_endpoint.run(600), End::Complete, "{}", by_endpoint.story());
    for (answers, blamed) in [(OTHER_MIX_IN_ONE, None), (WORSE_AT_ONE, Some("most of the difference is in checkout"))] {
        let mut run = run(&canary, answers);
        while !run.going_back && run.now < RunTime(3_600_000) {
            run.look(Promotion::None);
            run.tick();
        }
        assert!(run.going_back, "{}", run.story());
        let said = run.log.iter().any(|line| line.contains(blamed.unwrap_or("worse")));
        assert!(said, "{}", run.story());
    }
}

#[test]
fn strata_that_cannot_be_remembered_or_counted_are_an_error_of_the_question() {
    let too_many: Answers = |request, now| {
        let all = (0..17).flat_map(|number| {
            let stratum = StratumName::new(format!("zone-{number}")).unwrap();
            minute(request, now, 60).into_iter().map(move |one| one.in_stratum(stratum.clone()))
        });
        Ok(all.collect())
    };
    let too_long: Answers = |request, now| {
        let stratum = StratumName::new("z".repeat(33)).unwrap();
        Ok(minute(request, now, 60).into_iter().map(|one| one.in_stratum(stratum.clone())).collect())
    };
    let twice: Answers = |request, now| {
        let stratum = StratumName::new("zone-1").unwrap();
        let both = minute(request, now, 60).into_iter().map(|one| one.in_stratum(stratum.clone()));
        Ok(both.chain(minute(request, now, 60)).collect())
    };
    let canary = inline();
    for (answers, said) in [(too_many, "at most 16"), (too_long, "more than 32"), (twice, "counted twice")] {
        let mut run = run(&canary, answers);
        while !run.going_back && run.now < RunTime(3_600_000) {
            run.look(Promotion::None);
            run.tick();
        }
        assert!(run.going_back, "nobody measured, and it says so: {}", run.story());
        assert!(run.log.iter().any(|line| line.contains(said)), "{said}: {}", run.story());
    }
}

/// As much as may be remembered is remembered: sixteen strata of all kinds of metrics fit into a strategy's memory.
#[test]
fn sixteen_strata_fit_into_a_memory() {
    let watched = |metric: &str, watch| Watched::required(name(metric), watch);
    let metrics = vec![
        watched("http.errors", Watch::errors()),
        watched("latency.a", Watch::latency()),
        watched("latency.b", Watch::latency()),
        watched("latency.c", Watch::latency()),
        watched("http.refused", Watch::errors()),
    ];
    let many: Answers = |request, now| {
        let all = (0..16).flat_map(|number| {
            let stratum = StratumName::new(format!("availability-zone-of-the-east-{number:02}")).unwrap();
            minute(request, now, 60).into_iter().map(move |one| one.in_stratum(stratum.clone()))
        });
        Ok(all.collect())
    };
    let step = Step::weight(10).soak(Duration::from_secs(60)).analysis(analysis(1, metrics));
    let canary = Canary::builder().on_inconclusive(OnInconclusive::RollBack).step(step).build().unwrap();
    let mut run = run(&canary, many);
    assert_eq!(run.run(600), End::Complete, "{}", run.story());
}

#[test]
fn in_the_background_the_last_step_needs_the_proof_and_all_traffic_none() {
    let mut spec = background().spec().clone();
    // Shorter than the five minutes that the judge wants to see.
    spec.steps.iter_mut().for_each(|step| step.soak = Duration::from_secs(120));
    let canary = spec.build().unwrap();
    let mut run = run(&canary, GOOD);
    let mut end = None;
    while end.is_none() && run.now < RunTime(3_600_000) {
        end = run.look(Promotion::None);
        let compared = run.last().want.weights.contains_key(&revision("v1"));
        assert!(compared || run.last().measure.is_empty(), "nobody is left to compare with: {}", run.story());
        run.tick();
    }
    assert_eq!(end, Some(End::Complete), "{}", run.story());
    let waits = |line: &String| line.contains("50 % waits for measurements");
    assert!(run.log.iter().any(waits), "{}", run.story());
    assert!(!run.log.iter().any(|line| line.contains("10 % waits for measurements")), "{}", run.story());
}

/// Rows: M62, M192.
#[test]
fn a_bad_release_goes_back_as_soon_as_the_evidence_is_there() {
    for canary in [inline(), background()] {
        let mut run = run(&canary, BAD);
        while !run.going_back && run.now < RunTime(3_600_000) {
            run.look(Promotion::None);
            run.tick();
        }
        assert!(run.going_back, "{}", run.story());
        assert_eq!(run.last().reason.code, ReasonCode::AnalysisFailed, "{}", run.story());
        assert!(run.last().reason.sentence.contains("worse beyond its margin"), "{}", run.story());
        assert_eq!(run.last().want.weights, serving("v1", 10).weights);
        // Three minutes to warm up, then one or two batches.
        assert!(run.now < RunTime(480_000), "{}", run.story());
        assert_eq!(run.run(50), End::RolledBack);
    }
}

#[test]
fn harm_that_a_later_step_brings_out_is_found_in_the_background() {
    let canary = background();
    let mut run = run(&canary, TURNS_BAD);
    assert_eq!(run.run(600), End::RolledBack, "{}", run.story());
    assert!(
        run.log.iter().any(|line| line.contains("50 %: the candidate is worse beyond its margin")),
        "{}",
        run.story()
    );
}

/// Who wants to go on where it cannot be told goes on where it was measured, with the reason in the decision; never where it was not, and never
/// over harm.
#[test]
fn a_doubt_may_be_a_warning_and_missing_numbers_never_are() {
    let doubt = || OnInconclusive::Promote { reason: "an error more or less is retried".to_owned() };
    let spec = |canary: Canary, then: OnInconclusive| {
        let mut spec = canary.spec().clone();
        spec.on_inconclusive = then;
        spec.build().unwrap()
    };
    let after = |canary: &Canary, monitor: Answers| {
        let mut run = run(canary, monitor);
        let mut end = None;
        while end.is_none() && run.now < RunTime(6 * 3_600_000) {
            end = run.look(Promotion::None);
            run.tick();
        }
        (end, run.asks(), run.story())
    };
    // For certain, and within the margin.
    let a_little_worse: Answers = |request, now| {
        let mut all = minute(request, now, 60);
        for m in &mut all {
            let bad = if m.arm == Arm::Candidate { 6_600 } else { 6_000 };
            m.reading = Reading::Counts(Counts::new(600_000, bad).unwrap());
        }
        Ok(all)
    };
    let next_to_nothing: Answers = |request, now| {
        let mut all = minute(request, now, 60);
        all.iter_mut().for_each(|m| m.reading = Reading::Counts(Counts::new(3, 0).unwrap()));
        Ok(all)
    };
    for (canary, place) in [(inline(), "inline"), (background(), "background")] {
        for answers in [a_little_worse, next_to_nothing] {
            let (end, _, story) = after(&spec(canary.clone(), doubt()), answers);
            assert_eq!(end, Some(End::Complete), "{place}: {story}");
            assert!(story.contains("it goes on (an error more or less is retried)"), "{place}: {story}");
            let (end, asks, story) = after(&spec(canary.clone(), OnInconclusive::default()), answers);
            assert!(end.is_none() && asks, "{place}: {story}");
        }
        let absent: Answers = |_, _| Ok(Vec::new());
        let down: Answers = |_, _| Err("down".to_owned());
        for answers in [absent, down] {
            let (end, asks, story) = after(&spec(canary.clone(), doubt()), answers);
            assert!(end.is_none() && asks, "{place}: {story}");
        }
        assert_eq!(after(&spec(canary.clone(), doubt()), BAD).0, Some(End::RolledBack));
    }
}

/// A candidate that loses its records is compared with nothing.
#[test]
fn arms_that_do_not_see_their_traffic_are_no_warning() {
    let mut judge = Sequential::new(1, vec![Watched::required(name("http.errors"), Watch::errors())]);
    judge.within_margin = deploy_strategies::analysis::sequential::WithinMargin::Promote;
    let analysis = Analysis::new(BlockName::new("prometheus").unwrap(), Judge::Sequential(judge));
    let step = Step::weight(10).soak(Duration::from_secs(60)).analysis(analysis.absence(Absence::doubt(2)));
    let doubt = OnInconclusive::Promote { reason: "as good as any".to_owned() };
    let canary = Canary::builder().on_inconclusive(doubt).step(step).build().unwrap();
    // Half of the traffic is seen where a tenth should be.
    let mut run = run(&canary, GOOD);
    for _ in 0..120 {
        assert_ne!(run.look(Promotion::None), Some(End::Complete), "{}", run.story());
        run.tick();
    }
    assert!(run.asks() && run.story().contains("of the traffic that it should"), "{}", run.story());
}

#[test]
fn windows_that_overlap_are_not_counted_twice() {
    let canary = inline();
    let mut run = run(&canary, |request, _| Ok(minute(request, RunTime(600_000), 240)));
    assert_eq!(run.run(600), End::RolledBack, "{}", run.story());
    assert!(run.story().contains("events would be counted twice"), "{}", run.story());
}

#[test]
fn answers_of_another_kind_are_a_doubt_and_never_a_yes() {
    let canary = inline();
    let mut run = run(&canary, |request, now| {
        let mut all = minute(request, now, 60);
        all.iter_mut().for_each(|m| m.reading = Reading::Value(Real::from(1)));
        Ok(all)
    });
    assert_eq!(run.run(600), End::RolledBack, "{}", run.story());
    assert!(run.story().contains("is watched as counts and measured as values"), "{}", run.story());
}

#[test]
fn the_memory_of_as_many_series_as_may_be_fits_into_a_record() {
    let long = |kind: &str, i: u32| name(&format!("{kind}.a.rather.long.name.of.a.metric.that.somebody.made.up.{i}"));
    let latencies = (0..3).map(|i| Watched::required(long("latency", i), Watch::latency()));
    let counts = (0..3).map(|i| Watched::required(long("errors", i), Watch::errors()));
    let watched: Vec<Watched> = latencies.chain(counts).collect();
    let steps = (1..=12).map(|i| Step::weight(i * 8).soak(Duration::from_secs(300)));
    let build = |watched: Vec<Watched>| {
        let builder = steps.clone().fold(Canary::builder(), |builder, step| builder.step(step));
        builder.background(0, analysis(12, watched)).build()
    };
    let mut more = watched.clone();
    more.push(Watched::required(name("errors"), Watch::errors()));
    assert!(build(more).unwrap_err().to_string().contains("at most 12000"));
    let canary = build(watched).unwrap();
    let mut run = run(&canary, GOOD);
    let mut longest = 0;
    for _ in 0..500 {
        let end = run.look(Promotion::None);
        longest = longest.max(run.last().memory.len());
        if end.is_some() {
            break;
        }
        run.tick();
    }
    assert!((4_000..Memory::LONGEST).contains(&longest), "{longest}");
}

#[test]
fn figures_that_make_no_sense_are_refused_when_it_is_built() {
    let mut judge = Sequential::new(1, vec![Watched::required(name("errors"), Watch::errors())]);
    judge.alpha = 0.0;
    let analysis = Analysis::new(BlockName::new("prometheus").unwrap(), Judge::Sequential(judge));
    let refused = Canary::builder().step(Step::weight(10).analysis(analysis)).build().unwrap_err();
    assert!(refused.to_string().contains("alpha"), "{refused}");
}

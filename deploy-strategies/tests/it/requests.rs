//! Steps of a canary that route, copy and compare, a roll whose batches are measured, and what an autoscaler may do meanwhile.

use std::num::NonZeroU32;
use std::time::Duration;

use deploy_core::strategy::{Promotion, ReasonCode, Strategy};
use deploy_core::target::{Experiment, TargetState};
use deploy_strategies::canary::{Canary, Step};
use deploy_strategies::rolling::{Amount, Batch, Rolling};
use deploy_strategies::share::Percent;

use crate::bar::Bar;
use crate::canary_analysis::{BAD, GOOD, error_ratio};
use crate::closed_loop::{End, Loop};
use crate::exploration::unrouted;
use crate::model::{Place, release, revision, serving};

const SOAK: Duration = Duration::from_secs(60);

fn looks<'a, S: Strategy>(strategy: &'a S, from: &TargetState, most: u32) -> Loop<'a, S> {
    Loop::new(strategy, release("v2"), Place::new(from, 1, 0), Bar { least: 4, most, with_ending: false })
}

/// Rows: M61.
#[test]
fn routes_and_copies_go_to_ready_instances_alone_and_end_with_their_step() {
    let canary = Canary::builder()
        .step(Step::weight(0).header("x-tester", "yes").cookie("beta", "1").soak(SOAK))
        .step(Step::weight(0).mirror(Percent::new(10).unwrap()).soak(SOAK))
        .build()
        .unwrap();
    let needs = canary.needs();
    assert!(needs.routes && needs.mirror && !needs.experiments);
    let mut run = looks(&canary, &serving("v1", 4), 8);
    let (mut routed, mut copied) = (0, 0);
    let end = loop {
        let end = run.look(Promotion::None);
        let (there, ready) = (&run.place.state, run.place.observe().revision(&revision("v2")).ready);
        assert!(ready > 0 || (there.routes.is_empty() && there.mirror.is_none()), "{}", run.story());
        assert!(there.routes.is_empty() || there.mirror.is_none(), "each step has its own");
        routed += u32::from(there.routes.len() == 2 && there.routes.iter().all(|r| r.to == revision("v2")));
        copied += u32::from(there.mirror.as_ref().is_some_and(|m| m.percent == 10));
        if end.is_some() {
            break end;
        }
        run.tick();
    };
    assert_eq!(end, Some(End::Complete), "{}", run.story());
    assert!(routed >= 6 && copied >= 6, "{routed} {copied}: {}", run.story());
    assert!(run.place.state.routes.is_empty() && run.place.state.mirror.is_none());
}

#[test]
fn a_lost_instance_loses_its_routes_at_the_next_look() {
    let canary = Canary::builder().step(Step::weight(0).header("x-tester", "yes").soak(10 * SOAK)).build().unwrap();
    let mut run = looks(&canary, &serving("v1", 4), 8);
    for _ in 0..4 {
        run.look(Promotion::None);
        run.tick();
    }
    assert_eq!(run.place.state.routes.len(), 1, "{}", run.story());
    run.place.kill(&revision("v2"));
    run.look(Promotion::None);
    assert!(run.place.state.routes.is_empty(), "{}", run.story());
}

/// Rows: M62.
#[test]
fn an_experiment_compares_with_fresh_instances_and_takes_its_traffic_from_the_stable_side() {
    let two = NonZeroU32::new(2).unwrap();
    let canary = Canary::builder()
        .step(Step::weight(20).experiment(two, 20).soak(SOAK).analysis(error_ratio()))
        .build()
        .unwrap();
    assert!(canary.needs().experiments);
    let fresh = Experiment::revision_of(&revision("v1"));
    let mut run = looks(&canary, &serving("v1", 4), 10);
    run.monitor = GOOD;
    let mut in_place = 0;
    let end = loop {
        let end = run.look(Promotion::None);
        let there = run.place.observe();
        let weights = ["v1", "v2"].map(|name| there.weight(&revision(name)));
        assert!(there.weight(&fresh) == 0 || there.revision(&fresh).ready == 2, "{}", run.story());
        in_place += u32::from((weights, there.weight(&fresh)) == ([60, 20], 20));
        if end.is_some() {
            break end;
        }
        run.tick();
    };
    assert_eq!(end, Some(End::Complete), "{}", run.story());
    assert!(in_place > 5, "{}", run.story());
    assert_eq!(run.place.observe().revision(&fresh).desired, 0);
}

#[test]
fn what_cannot_be_routed_copied_or_compared_is_refused() {
    let refused = |step: Step| Canary::builder().step(step).build().unwrap_err().problems()[0].at.clone();
    let mut empty = Step::weight(5);
    empty.routes.push(vec![]);
    assert_eq!(refused(empty), "steps[0].routes[0]");
    assert_eq!(refused(Step::weight(5).header(" ", "x")), "steps[0].routes[0]");
    assert_eq!(refused(Step::weight(5).mirror(Percent::new(0).unwrap())), "steps[0].mirror");
    assert_eq!(refused(Step::weight(60).experiment(NonZeroU32::MIN, 40)), "steps[0].experiment.weight");
    let count = Amount::Count(1);
    let by_instances = Canary::builder().by_instances(count, count).step(Step::weight(5).header("a", "b"));
    assert_eq!(by_instances.build().unwrap_err().problems()[0].at, "steps[0]");
}

fn measured_roll() -> Rolling {
    let upto = |percent| Batch::upto(Amount::Percent(Percent::new(percent).unwrap()));
    let batches = vec![upto(25).soak(SOAK).analysis(error_ratio()), upto(100).analysis(error_ratio())];
    Rolling::builder().unavailable(Amount::Count(0)).batches(batches).build().unwrap()
}

/// Rows: M64, M169.
#[test]
fn a_roll_goes_on_only_with_good_measurements_and_goes_back_with_bad_ones() {
    let rolling = measured_roll();
    assert_eq!(rolling.monitors().len(), 1);
    for (monitor, wanted) in [(GOOD, End::Complete), (BAD, End::RolledBack)] {
        let mut run = looks(&rolling, &unrouted(4), 5);
        run.monitor = monitor;
        assert_eq!(run.run(400), wanted, "{}", run.story());
        assert_eq!(run.story().contains(ReasonCode::AnalysisFailed.as_str()), wanted == End::RolledBack);
    }
}

#[test]
fn a_roll_that_nobody_measures_asks_a_person_and_does_not_go_on() {
    let rolling = measured_roll();
    let mut run = looks(&rolling, &unrouted(4), 5);
    for _ in 0..300 {
        run.look(Promotion::None);
        run.tick();
    }
    assert!(run.asks(), "{}", run.story());
    assert_eq!(run.place.observe().revision(&revision("v2")).desired, 1, "{}", run.story());
}

/// D19 of `docs/differences.md`.
#[test]
fn more_is_followed_at_once_and_fewer_when_it_has_stood() {
    let canary = Canary::builder().step(Step::weight(50).soak(100 * SOAK)).build().unwrap();
    let mut run = looks(&canary, &serving("v1", 10), 40);
    let mut want = |wanted: u32| {
        run.place.state.wanted_by_others = Some(wanted);
        run.look(Promotion::None);
        run.tick();
        run.last().want.capacity[&revision("v1")]
    };
    assert_eq!([10, 13, 10, 13, 10, 10].map(&mut want), [10, 13, 13, 13, 13, 13], "it flutters");
    assert_eq!(want(10), 10, "it has stood for three looks");
}

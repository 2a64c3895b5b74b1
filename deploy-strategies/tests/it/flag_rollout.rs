//! A flag that is raised step by step.

use std::time::Duration;

use deploy_core::name::FlagName;
use deploy_core::real::Real;
use deploy_core::strategy::{Promotion, ReasonCode, Strategy};
use deploy_strategies::flags::{FlagRollout, FlagStep};
use deploy_strategies::share::Percent;
use proptest::prelude::*;

use crate::bar::Bar;
use crate::canary_analysis::{BAD, GOOD, error_ratio};
use crate::closed_loop::{End, Loop, RUNS};
use crate::model::{Place, release, serving};

fn flag() -> FlagName {
    FlagName::new("new-search").unwrap()
}

fn percent(n: u32) -> Percent {
    Percent::new(n).unwrap()
}

fn three_steps() -> FlagRollout {
    let step = |n| FlagStep::percent(percent(n)).soak(Duration::from_secs(60)).analysis(error_ratio());
    FlagRollout::builder(flag()).step(step(1)).step(step(25)).step(step(100)).build().unwrap()
}

fn run<'a>(rollout: &'a FlagRollout, at: u32, monitor: crate::closed_loop::Answers) -> Loop<'a, FlagRollout> {
    let mut from = serving("v1", 3);
    from.flags.insert(flag(), Real::from(at));
    let mut run =
        Loop::new(rollout, release("v1"), Place::new(&from, 0, 0), Bar { least: 3, most: 3, with_ending: true });
    run.monitor = monitor;
    run
}

fn now(run: &Loop<'_, FlagRollout>) -> Real {
    run.place.observe().flags[&flag()]
}

#[test]
fn it_is_raised_step_by_step_and_instances_stay_as_they_are() {
    let rollout = three_steps();
    let mut run = run(&rollout, 0, GOOD);
    let mut seen = vec![];
    while run.look(Promotion::None).is_none() {
        seen.push(now(&run));
        run.tick();
    }
    seen.dedup();
    assert_eq!(seen, [1, 25, 100].map(Real::from), "{}", run.story());
    assert_eq!(run.place.observe().revisions, serving("v1", 3).revisions);
    assert!(rollout.needs().flags && !rollout.needs().capacity);
}

#[test]
fn steps_that_are_behind_already_are_passed_over() {
    let rollout = three_steps();
    let mut run = run(&rollout, 25, GOOD);
    run.look(Promotion::None);
    assert_eq!(now(&run), Real::from(100));
    assert_eq!(run.run(100), End::Complete, "{}", run.story());
}

#[test]
fn bad_numbers_take_it_back_to_where_it_was() {
    let rollout = three_steps();
    let mut run = run(&rollout, 5, BAD);
    assert_eq!(run.run(100), End::RolledBack, "{}", run.story());
    assert_eq!(now(&run), Real::from(5));
}

#[test]
fn whoever_lowers_it_throws_the_kill_switch_and_it_stays_there() {
    let rollout = three_steps();
    let mut run = run(&rollout, 5, GOOD);
    for _ in 0..3 {
        run.look(Promotion::None);
        run.tick();
    }
    run.place.state.flags.insert(flag(), Real::ZERO);
    run.look(Promotion::None);
    assert_eq!(run.last().reason.code, ReasonCode::KillSwitch, "{}", run.story());
    assert_eq!(run.run(10), End::RolledBack);
    assert_eq!(now(&run), Real::ZERO, "not back to 5 against somebody's will");
}

#[test]
fn falling_steps_are_refused() {
    let refused =
        FlagRollout::builder(flag()).step(FlagStep::percent(percent(50))).step(FlagStep::percent(percent(50))).build();
    assert_eq!(refused.unwrap_err().problems()[0].at, "steps[1].percent");
    assert!(serde_json::from_str::<FlagRollout>(r#"{"flag": "f", "steps": [{"percent": 101}]}"#).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(RUNS))]
    #[test]
    fn forward_it_only_adds_users(start in 0..=100_u32, steps in prop::collection::btree_set(1..=100_u32, 1..5)) {
        let mut builder = FlagRollout::builder(flag());
        for step in steps {
            builder = builder.step(FlagStep::percent(percent(step)));
        }
        let rollout = builder.build().unwrap();
        let mut run = run(&rollout, start, GOOD);
        let mut before = now(&run);
        for _ in 0..100 {
            let end = run.look(Promotion::None);
            prop_assert!(now(&run) >= before, "{}", run.story());
            before = now(&run);
            if end.is_some() {
                prop_assert_eq!(end, Some(End::Complete));
                return Ok(());
            }
            run.tick();
        }
        prop_assert!(false, "{}", run.story());
    }
}

//! A flag that is raised step by step.

use std::time::Duration;

use deploy_core::name::FlagName;
use deploy_core::real::Real;
use deploy_core::strategy::{Promotion, ReasonCode, Strategy};
use deploy_core::time::Timestamp;
use deploy_strategies::flags::{FlagRollout, FlagStep};
use deploy_strategies::share::Percent;
use deploy_strategies::spec::StrategySpec;
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

/// Rows: M170.
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

/// Rows: M170.
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

fn date(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// Rows: M170.
#[test]
fn a_flag_past_its_date_is_refused_before_the_run_and_at_the_first_look() {
    let rollout = FlagRollout::builder(flag()).step(FlagStep::percent(percent(50)));
    let rollout = rollout.expires(date("2026-12-01T00:00:00Z")).build().unwrap();
    assert_eq!(rollout.objection(&release("v1"), date("2026-11-30T23:59:59Z")), None);
    let objection = rollout.objection(&release("v1"), date("2026-12-01T00:00:00Z")).unwrap();
    assert!(objection.starts_with("flag new-search expired at 2026-12-01"), "{objection}");
    let spec = StrategySpec::from(rollout.clone());
    assert_eq!(spec.objection(&release("v1"), date("2026-12-01T00:00:00Z")), Some(objection), "as data, too");
    // It may have waited for its turn for days.
    let mut run = run(&rollout, 5, GOOD);
    run.wall = date("2026-12-02T00:00:00Z");
    assert_eq!(run.run(3), End::RolledBack, "{}", run.story());
    assert_eq!(run.last().reason.code, ReasonCode::Expired);
    assert_eq!(now(&run), Real::from(5), "nothing was raised");
}

#[test]
fn a_rollout_under_way_says_that_its_flag_has_expired_and_goes_on() {
    let soaks = FlagStep::percent(percent(50)).soak(Duration::from_secs(60));
    let rollout = FlagRollout::builder(flag()).step(soaks).expires(date("2026-12-01T00:00:00Z")).build().unwrap();
    let mut run = run(&rollout, 0, GOOD);
    run.look(Promotion::None);
    assert!(!run.last().reason.sentence.contains("expired"), "{}", run.story());
    run.tick();
    run.wall = date("2026-12-01T00:00:01Z");
    run.look(Promotion::None);
    assert!(run.last().reason.sentence.contains("new-search expired at 2026-12-01"), "{}", run.story());
    assert_eq!(run.run(20), End::Complete, "{}", run.story());
}

/// D20 of `docs/differences.md`.
///
/// Rows: M170.
#[test]
fn another_flag_has_to_be_on_before_each_step() {
    let other = FlagName::new("new-index").unwrap();
    let step = |n| FlagStep::percent(percent(n)).soak(Duration::from_secs(20));
    let rollout = FlagRollout::builder(flag()).step(step(10)).step(step(100)).requires(other.clone()).build().unwrap();
    let mut run = run(&rollout, 0, GOOD);
    for on in [None, Some(99), Some(100)] {
        if let Some(percent) = on {
            run.place.state.flags.insert(other.clone(), Real::from(percent));
        }
        assert_eq!(now(&run), Real::ZERO);
        run.look(if on == Some(99) { Promotion::Skip } else { Promotion::None });
        let waits = run.last().reason.code == ReasonCode::WaitingForPrerequisite;
        assert_eq!(waits, on != Some(100), "{}", run.story());
        run.tick();
    }
    assert_eq!(now(&run), Real::from(10));
    // It is turned off while this step holds: users keep what they have, and nobody is added.
    run.place.state.flags.insert(other.clone(), Real::ZERO);
    for _ in 0..10 {
        assert_eq!(run.look(Promotion::None), None, "{}", run.story());
        run.tick();
    }
    assert_eq!(now(&run), Real::from(10), "{}", run.story());
    assert!(run.last().reason.sentence.contains("new-index is at 0 % and has to be at 100 %"), "{}", run.story());
    run.place.state.flags.insert(other, Real::from(100));
    assert_eq!(run.run(20), End::Complete, "{}", run.story());
}

#[test]
fn a_flag_that_is_never_turned_on_sends_it_back_after_the_deadline() {
    let other = FlagName::new("new-index").unwrap();
    let rollout = FlagRollout::builder(flag()).step(FlagStep::percent(percent(10))).requires(other).build().unwrap();
    let mut run = run(&rollout, 3, GOOD);
    assert_eq!(run.run(70), End::RolledBack, "{}", run.story());
    assert_eq!(run.last().reason.code, ReasonCode::ProgressDeadline, "{}", run.story());
    assert_eq!(now(&run), Real::from(3));
}

#[test]
fn prerequisites_and_dates_are_read_as_people_write_them_and_checked() {
    let text = r#"{"flag": "f", "steps": [{"percent": 5}], "requires": [{"flag": "g"}, {"flag": "h", "at_least": 50}],
        "expires": "2026-12-01T00:00:00Z"}"#;
    let read: FlagRollout = serde_json::from_str(text).unwrap();
    assert_eq!(read.spec().requires[0].at_least, Percent::ALL);
    assert_eq!(read.spec().expires, Some(date("2026-12-01T00:00:00Z")));
    let written = serde_json::to_string(&read).unwrap();
    assert_eq!(serde_json::from_str::<FlagRollout>(&written).unwrap(), read);
    for (bad, place) in [
        (r#"[{"flag": "f"}]"#, "requires[0].flag"),
        (r#"[{"flag": "g"}, {"flag": "g"}]"#, "requires[1].flag"),
        (r#"[{"flag": "g", "at_least": 0}]"#, "requires[0].at_least"),
    ] {
        let text = format!(r#"{{"flag": "f", "steps": [{{"percent": 5}}], "requires": {bad}}}"#);
        let error = serde_json::from_str::<FlagRollout>(&text).unwrap_err().to_string();
        assert!(error.contains(place), "{error}");
    }
    assert!(
        serde_json::from_str::<FlagRollout>(r#"{"flag": "f", "steps": [{"percent": 5}], "expires": "soon"}"#).is_err()
    );
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

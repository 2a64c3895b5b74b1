//! Blue and green.

use std::time::Duration;

use deploy_core::monitor::{Counts, Reading};
use deploy_core::strategy::{Next, Promotion, ReasonCode, Situation, Strategy};
use deploy_core::target::TargetState;
use deploy_core::time::RunTime;
use deploy_strategies::blue_green::{BlueGreen, OnInconclusive, Promote};
use deploy_strategies::rolling::Amount;
use proptest::prelude::*;

use crate::bar::Bar;
use crate::canary_analysis::{BAD, GOOD, error_ratio};
use crate::canary_sequential::{errors, minute};
use crate::closed_loop::{Answers, End, Loop, RUNS};
use crate::model::{Place, release, revision, serving};

const BAR: Bar = Bar { least: 4, most: 8, with_ending: false };

fn run<'a>(strategy: &'a BlueGreen, monitor: Answers) -> Loop<'a, BlueGreen> {
    let mut run = Loop::new(strategy, release("v2"), Place::new(&serving("v1", 4), 1, 1), BAR);
    run.monitor = monitor;
    run
}

/// Rows: M56, M57, M58, M167.
#[test]
fn it_is_previewed_checked_switched_at_once_and_checked_again() {
    let strategy =
        BlueGreen::builder().preview(Amount::Count(1)).before(error_ratio()).after(error_ratio()).build().unwrap();
    let mut run = run(&strategy, GOOD);
    let mut seen = vec![];
    let mut sizes = vec![];
    while run.look(Promotion::None).is_none() {
        let there = run.place.observe();
        seen.push(there.weight(&revision("v2")));
        sizes.push(there.revision(&revision("v2")).desired);
        run.tick();
    }
    seen.dedup();
    sizes.dedup();
    assert_eq!((seen, sizes), (vec![0, 100], vec![1, 4]), "{}", run.story());
    assert_eq!(run.place.observe(), serving("v2", 4), "the second address is free again");
    assert!(run.now.0 >= 2 * 60_000, "{}", run.story());
}

/// Rows: M57.
#[test]
fn a_bad_preview_never_meets_a_user() {
    let strategy = BlueGreen::builder().before(error_ratio()).build().unwrap();
    let mut run = run(&strategy, BAD);
    let mut most = 0;
    while !run.going_back {
        run.look(Promotion::None);
        most = most.max(run.place.observe().weight(&revision("v2")));
        run.tick();
    }
    assert_eq!((most, run.last().reason.code), (0, ReasonCode::AnalysisFailed));
    assert_eq!(run.run(50), End::RolledBack, "{}", run.story());
    assert_eq!(run.place.observe(), serving("v1", 4));
}

/// Rows: M59, M167.
#[test]
fn a_bad_check_after_the_switch_switches_everything_back_at_once() {
    let strategy = BlueGreen::builder().after(error_ratio()).build().unwrap();
    let mut run = run(&strategy, BAD);
    while !run.going_back {
        run.look(Promotion::None);
        run.tick();
    }
    assert_eq!(run.place.observe().weight(&revision("v1")), 100, "{}", run.story());
    assert_eq!(run.place.observe().revision(&revision("v1")).ready, 4, "the old side was kept warm");
    assert_eq!(run.run(50), End::RolledBack);
}

#[test]
fn a_person_switches_and_only_a_person() {
    let strategy = BlueGreen::builder().promote(Promote::by_person("switch?")).build().unwrap();
    let mut run = run(&strategy, GOOD);
    for _ in 0..50 {
        assert_eq!(run.look(Promotion::None), None);
        run.tick();
    }
    assert!(run.asks() && run.place.observe().weight(&revision("v2")) == 0, "{}", run.story());
    assert_eq!(run.run(50), End::Complete, "{}", run.story());
}

#[test]
fn checks_that_never_come_do_not_let_the_old_side_go() {
    let strategy = BlueGreen::builder().after(error_ratio()).on_inconclusive(OnInconclusive::RollBack).build().unwrap();
    let mut run = run(&strategy, |_, _| Err("down".to_owned()));
    assert_eq!(run.run(200), End::RolledBack, "{}", run.story());
}

/// After the switch as before it: who wants to go on in doubt does where something was measured, and is asked where nothing was.
#[test]
fn in_doubt_the_old_side_goes_if_that_was_said_and_something_was_measured() {
    let doubt = OnInconclusive::Promote { reason: "an error more or less is retried".to_owned() };
    let strategy = BlueGreen::builder().after(errors(1)).on_inconclusive(doubt).build().unwrap();
    let next_to_nothing: Answers = |request, now| {
        let mut all = minute(request, now, 60);
        all.iter_mut().for_each(|m| m.reading = Reading::Counts(Counts::new(3, 0).unwrap()));
        Ok(all)
    };
    let absent: Answers = |_, _| Ok(Vec::new());
    for (answers, complete) in [(next_to_nothing, true), (absent, false)] {
        let mut run = run(&strategy, answers);
        let mut end = None;
        while end.is_none() && run.now < RunTime(6 * 3_600_000) {
            end = run.look(Promotion::None);
            run.tick();
        }
        assert_eq!((end == Some(End::Complete), run.asks()), (complete, !complete), "{}", run.story());
    }
}

#[test]
fn a_first_install_and_what_is_there_already_need_no_preview() {
    let strategy = BlueGreen::builder().build().unwrap();
    let nothing = TargetState { max_weight: 100, ..TargetState::default() };
    let mut run =
        Loop::new(&strategy, release("v1"), Place::new(&nothing, 2, 0), Bar { least: 0, most: 1, with_ending: false });
    assert_eq!(run.run(20), End::Complete, "{}", run.story());
    let (release, there) = (release("v1"), serving("v1", 3));
    let decision = strategy.decide(&Situation::first(&release, &there));
    assert_eq!((decision.next, decision.reason.code), (Next::Complete, ReasonCode::AlreadyThere));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(RUNS))]
    #[test]
    fn whatever_dies_the_bar_holds_and_it_ends(
        size in 1..6_u32,
        preview in prop::option::of(1..6_u32),
        start in 0..4_u32,
        end in 0..3_u32,
        delay in 0..60_u64,
        deaths in prop::collection::vec((0..40_u32, any::<bool>()), 0..12),
        abort in prop::option::of(0..30_u32),
    ) {
        let mut builder = BlueGreen::builder().promote(Promote::after(Duration::from_secs(delay)));
        if let Some(preview) = preview {
            builder = builder.preview(Amount::Count(preview));
        }
        let strategy = builder.build().unwrap();
        let mut run = Loop::new(&strategy, release("v2"), Place::new(&serving("v1", size), start, end), Bar { least: size, most: 2 * size, with_ending: false });
        let mut ended = None;
        for look in 0..300 {
            if abort == Some(look) {
                run.going_back = true;
            }
            for (_, new) in deaths.iter().filter(|(at, _)| *at == look) {
                run.place.kill(&revision(if *new { "v2" } else { "v1" }));
            }
            ended = run.look(Promotion::None);
            if ended.is_some() {
                break;
            }
            run.tick();
        }
        prop_assert!(ended.is_some(), "{}", run.story());
    }
}

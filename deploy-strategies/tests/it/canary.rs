//! A canary.

use std::time::Duration;

use deploy_core::strategy::{Next, Promotion, ReasonCode, Situation, Strategy};
use deploy_core::target::{RevisionState, TargetState};
use deploy_core::time::RunTime;
use deploy_strategies::canary::{Canary, CanaryCapacity, StableCapacity, Step};
use deploy_strategies::rolling::Amount;
use proptest::prelude::*;

use crate::bar::Bar;
use crate::closed_loop::{End, Loop, RUNS, limits};
use crate::model::{Place, release, revision, serving};

fn three_steps() -> Canary {
    let soak = Duration::from_secs(60);
    Canary::builder()
        .step(Step::weight(10).soak(soak))
        .step(Step::weight(30).soak(soak))
        .step(Step::weight(60).approval("go on?"))
        .build()
        .unwrap()
}

/// Rows: M60, M63.
#[test]
fn instances_come_before_weight_and_the_ladder_is_climbed_in_order() {
    let canary = three_steps();
    let mut run = Loop::new(
        &canary,
        release("v2"),
        Place::new(&serving("v1", 10), 2, 1),
        Bar { least: 10, most: 20, with_ending: false },
    );
    let mut seen = vec![];
    loop {
        let promotion = if run.asks() { Promotion::Skip } else { Promotion::None };
        let end = run.look(promotion);
        let weight = run.place.state.weights.get(&revision("v2")).copied().unwrap_or(0);
        if seen.last() != Some(&weight) {
            seen.push(weight);
        }
        if end.is_some() {
            break;
        }
        run.tick();
    }
    assert_eq!(seen, [0, 10, 30, 60, 100], "{}", run.story());
    assert_eq!(run.place.observe(), serving("v2", 10));
}

#[test]
fn a_person_is_asked_and_only_a_yes_goes_on() {
    let canary = three_steps();
    let mut run = Loop::new(
        &canary,
        release("v2"),
        Place::new(&serving("v1", 10), 0, 0),
        Bar { least: 10, most: 20, with_ending: false },
    );
    for _ in 0..100 {
        assert_eq!(run.look(Promotion::None), None);
        run.tick();
    }
    assert!(run.asks(), "{}", run.story());
    assert_eq!(run.place.state.weights[&revision("v2")], 60);
    run.look(Promotion::Skip);
    assert!(!run.asks());
    assert_eq!(run.run(100), End::Complete);
}

#[test]
fn skipping_a_soak_is_not_the_yes_of_the_person_whom_the_step_asks() {
    let step = Step::weight(50).soak(Duration::from_secs(3_600)).approval("go on?");
    let canary = Canary::builder().step(step).build().unwrap();
    let mut run = Loop::new(
        &canary,
        release("v2"),
        Place::new(&serving("v1", 2), 0, 0),
        Bar { least: 2, most: 4, with_ending: false },
    );
    for _ in 0..4 {
        run.look(Promotion::None);
        run.tick();
    }
    assert!(!run.asks());
    run.look(Promotion::Skip);
    assert!(run.asks(), "{}", run.story());
    assert_eq!(run.place.state.weights[&revision("v2")], 50);
}

/// Rows: M67.
#[test]
fn a_canary_that_dies_loses_its_traffic_at_the_next_look_and_soaks_again() {
    let canary = three_steps();
    let mut run = Loop::new(
        &canary,
        release("v2"),
        Place::new(&serving("v1", 10), 2, 0),
        Bar { least: 10, most: 20, with_ending: false },
    );
    while run.place.state.weights.get(&revision("v2")) != Some(&10) {
        run.look(Promotion::None);
        run.tick();
    }
    run.place.kill(&revision("v2"));
    run.look(Promotion::None);
    assert_eq!(run.place.state.weights.get(&revision("v2")), None, "{}", run.story());
    let back_from = run.now;
    while run.place.state.weights.get(&revision("v2")) != Some(&30) {
        run.look(Promotion::None);
        run.tick();
    }
    assert!(run.now.since(back_from) >= Duration::from_secs(60 + 20), "{}", run.story());
}

#[test]
fn fewer_ready_instances_than_the_step_needs_never_raise_the_weight() {
    let canary = Canary::builder().step(Step::weight(50)).build().unwrap();
    let (release, from) = (release("v2"), serving("v1", 10));
    let first = canary.decide(&Situation::first(&release, &from));
    assert_eq!(first.want.capacity[&revision("v2")], 5);
    let weight_with = |ready: u32| {
        let mut now = from.clone();
        now.revisions.insert(revision("v2"), RevisionState { desired: 5, ready, terminating: 0 });
        let last = Situation::first(&release, &now).from(&from).later(&now, &first, RunTime(10_000), Duration::ZERO);
        canary.decide(&last).want.weights.get(&revision("v2")).copied()
    };
    assert_eq!((weight_with(4), weight_with(5)), (None, Some(50)));
}

#[test]
fn promoting_fully_still_waits_for_instances() {
    let canary = three_steps();
    let mut run = Loop::new(
        &canary,
        release("v2"),
        Place::new(&serving("v1", 10), 3, 0),
        Bar { least: 10, most: 20, with_ending: false },
    );
    run.look(Promotion::Full);
    assert_eq!(run.place.state.weights.get(&revision("v2")), None);
    assert_eq!(run.run(30), End::Complete, "{}", run.story());
    assert_eq!(run.place.observe(), serving("v2", 10));
}

#[test]
fn aborting_gives_the_stable_side_everything_at_once() {
    let canary = three_steps();
    let mut run = Loop::new(
        &canary,
        release("v2"),
        Place::new(&serving("v1", 10), 1, 1),
        Bar { least: 10, most: 20, with_ending: false },
    );
    while run.place.state.weights.get(&revision("v2")) != Some(&30) {
        run.look(Promotion::None);
        run.tick();
    }
    run.going_back = true;
    run.look(Promotion::None);
    assert_eq!(run.place.state.weights, serving("v1", 10).weights);
    let left = run.place.observe().revision(&revision("v2")).desired;
    assert_eq!(left, 3, "the new instances stay for the delay");
    assert_eq!(run.run(20), End::RolledBack, "{}", run.story());
    assert_eq!(run.place.observe(), serving("v1", 10));
}

#[test]
fn the_way_back_of_a_shrunken_stable_side_follows_its_instances() {
    let canary = Canary::builder()
        .step(Step::weight(90).approval("go on?"))
        .stable(StableCapacity::MatchWeight)
        .build()
        .unwrap();
    let mut run = Loop::new(
        &canary,
        release("v2"),
        Place::new(&serving("v1", 10), 2, 0),
        Bar { least: 10, most: 19, with_ending: false },
    );
    for _ in 0..10 {
        run.look(Promotion::None);
        run.tick();
    }
    assert_eq!(run.place.observe().revision(&revision("v1")).desired, 1, "{}", run.story());
    run.going_back = true;
    run.look(Promotion::None);
    // One ready instance of ten takes twice its share; the rest stays until more are ready.
    assert_eq!(run.place.state.weights[&revision("v1")], 20, "{}", run.story());
    assert_eq!(run.run(20), End::RolledBack, "{}", run.story());
    assert_eq!(run.place.observe(), serving("v1", 10));
}

#[test]
fn another_whole_gets_the_nearest_parts_and_never_everything_before_the_end() {
    let mut start = serving("v1", 10);
    start.max_weight = 1_000;
    start.weights.insert(revision("v1"), 1_000);
    let canary = Canary::builder().step(Step::weight(25).approval("?")).build().unwrap();
    let mut run =
        Loop::new(&canary, release("v2"), Place::new(&start, 0, 0), Bar { least: 10, most: 20, with_ending: false });
    for _ in 0..5 {
        run.look(Promotion::None);
        run.tick();
    }
    assert_eq!(run.place.state.weights[&revision("v2")], 250);
    let fine = Canary::builder().weights_of(10_000).step(Step::weight(9_999).approval("?")).build().unwrap();
    let mut run = Loop::new(
        &fine,
        release("v2"),
        Place::new(&serving("v1", 10), 0, 0),
        Bar { least: 10, most: 20, with_ending: false },
    );
    for _ in 0..5 {
        run.look(Promotion::None);
        run.tick();
    }
    assert_eq!(run.place.state.weights[&revision("v2")], 99);
}

#[test]
fn a_first_install_and_a_revision_that_serves_already_have_no_steps() {
    let nothing = TargetState { max_weight: 100, ..TargetState::default() };
    let canary = three_steps();
    let mut run =
        Loop::new(&canary, release("v1"), Place::new(&nothing, 2, 0), Bar { least: 0, most: 1, with_ending: false });
    assert_eq!(run.run(20), End::Complete, "{}", run.story());

    let (release, there) = (release("v1"), serving("v1", 3));
    let decision = canary.decide(&Situation::first(&release, &there));
    assert_eq!((decision.next, decision.reason.code), (Next::Complete, ReasonCode::AlreadyThere));
    assert_eq!(canary.outline(&release, &nothing).stages.len(), 1);
}

#[test]
fn an_autoscaler_is_followed() {
    let canary = three_steps();
    let mut run = Loop::new(
        &canary,
        release("v2"),
        Place::new(&serving("v1", 4), 1, 0),
        Bar { least: 4, most: 16, with_ending: false },
    );
    for _ in 0..5 {
        run.look(Promotion::None);
        run.tick();
    }
    run.place.state.wanted_by_others = Some(8);
    assert_eq!(run.run(100), End::Complete, "{}", run.story());
    assert_eq!(run.place.observe().revision(&revision("v2")).ready, 8);
}

#[test]
fn the_outline_says_how_long_it_takes_at_least_and_on_what_that_rests() {
    let outline = three_steps().outline(&release("v2"), &serving("v1", 10));
    let percents: Vec<_> = outline.stages.iter().map(|s| s.percent).collect();
    assert_eq!(percents, [Some(10), Some(30), Some(60), Some(100)]);
    assert_eq!(outline.at_least(), Duration::from_secs(150));
    assert_eq!(outline.stages[2].waits_for, "6 ready instances of v2; a person: go on?");
    assert!(!outline.basis.is_empty());
}

/// Rows: M61.
#[test]
fn whoever_meets_too_much_before_it_is_proven_goes_back() {
    let second = Duration::from_secs(1);
    let step = Step::weight(50).soak(20 * second).approval("go on?");
    let canary = Canary::builder().blast_radius(60 * second).step(step.clone()).build().unwrap();
    let text = serde_json::to_string(&canary).unwrap();
    assert!(text.contains(r#""blast_radius":"1m""#) && serde_json::from_str::<Canary>(&text).unwrap() == canary);
    let mut run = Loop::new(
        &canary,
        release("v2"),
        Place::new(&serving("v1", 2), 0, 0),
        Bar { least: 2, most: 4, with_ending: false },
    );
    while !run.going_back {
        run.look(Promotion::None);
        run.tick();
    }
    assert_eq!(run.last().reason.code, ReasonCode::BlastRadius, "{}", run.story());
    assert!(run.now.0 > 120_000, "half of the traffic for two minutes: {}", run.story());
    let refused = Canary::builder().blast_radius(5 * second).step(step).build().unwrap_err();
    assert_eq!(refused.problems()[0].at, "blast_radius");
}

#[test]
fn bad_descriptions_are_refused_with_every_problem() {
    let text = r#"{"weights_of": 100, "min_instances": 0, "progress_deadline": "0s",
        "steps": [{"weight": 101}, {"weight": 10, "capacity": {"instances": 0}}]}"#;
    let error = serde_json::from_str::<Canary>(text).unwrap_err().to_string();
    for place in [
        "min_instances",
        "progress_deadline",
        "steps[0].weight: 101 is more than the whole, 100; allowed: 0 to 100",
        "steps[1].capacity",
    ] {
        assert!(error.contains(place), "{place} is missing in {error}");
    }
    let none = Canary::builder().build().unwrap_err();
    assert_eq!(none.problems()[0].at, "steps", "everything at once has to be said");
    let unknown = serde_json::from_str::<Canary>(r#"{"steps": [{"weight": 10, "pause": "5m"}]}"#).unwrap_err();
    assert!(unknown.to_string().contains("unknown field `pause`"), "{unknown}");
}

prop_compose! {
    fn steps()(weights in prop::collection::vec((0..=100_u32, 0..4_u64, any::<bool>(), 0..3_u8), 1..6)) -> Vec<Step> {
        weights.into_iter().map(|(weight, soak, asks, capacity)| {
            let step = Step::weight(weight).soak(Duration::from_secs(soak * 15));
            let step = if asks { step.approval("?") } else { step };
            match capacity {
                0 => step,
                1 => step.capacity(CanaryCapacity::Instances(weight / 20 + 1)),
                _ => step.capacity(CanaryCapacity::Percent(50.try_into().unwrap())),
            }
        }).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(RUNS))]
    #[test]
    fn whatever_dies_or_is_scaled_the_bar_holds_and_it_ends(
        steps in steps(),
        size in 1..8_u32,
        start in 0..4_u32,
        end in 0..3_u32,
        match_weight in any::<bool>(),
        deaths in prop::collection::vec((0..60_u32, any::<bool>()), 0..16),
        meddling in prop::collection::vec((0..60_u32, any::<bool>(), 0..10_u32), 0..4),
        weights in prop::option::of((0..60_u32, 0..=100_u32)),
        others in prop::option::of((0..60_u32, 1..10_u32)),
        abort in prop::option::of(0..60_u32),
    ) {
        let mut builder = Canary::builder();
        for step in steps {
            builder = builder.step(step);
        }
        let stable = if match_weight { StableCapacity::MatchWeight } else { StableCapacity::Full };
        let canary = builder.stable(stable).build().unwrap();
        let wanted = others.map_or(size, |(_, n)| n);
        let most = 2 * size.max(wanted).max(10);
        let bar = Bar { least: if match_weight || others.is_some() || !meddling.is_empty() { 1 } else { size }, most, with_ending: false };
        let mut run = Loop::new(&canary, release("v2"), Place::new(&serving("v1", size), start, end), bar);
        let mut ended = None;
        for look in 0..600 {
            if abort == Some(look) {
                run.going_back = true;
            }
            let name = |new: bool| revision(if new { "v2" } else { "v1" });
            for (_, new) in deaths.iter().filter(|(at, _)| *at == look) {
                run.place.kill(&name(*new));
            }
            for (_, new, count) in meddling.iter().filter(|(at, _, _)| *at == look) {
                if run.place.instances.contains_key(&name(*new)) {
                    run.place.scale(&name(*new), *count);
                }
            }
            if let Some((at, weight)) = weights && at == look && run.place.observe().revision(&name(true)).ready > 0 && run.place.observe().revision(&name(false)).ready > 0 {
                run.place.state.weights = [(name(true), weight), (name(false), 100 - weight)].into();
            }
            if let Some((at, count)) = others && at == look {
                run.place.state.wanted_by_others = Some(count);
            }
            let promotion = if run.asks() { Promotion::Skip } else { Promotion::None };
            ended = run.look(promotion);
            if ended.is_some() {
                break;
            }
            run.tick();
        }
        prop_assert!(ended.is_some(), "{}", run.story());
    }
}

#[test]
fn without_a_router_instances_carry_the_weight_within_both_limits() {
    let canary = Canary::builder()
        .by_instances(Amount::Count(1), Amount::Count(0))
        .step(Step::weight(20).soak(Duration::from_secs(30)))
        .step(Step::weight(50).approval("go on?"))
        .build()
        .unwrap();
    assert!(!canary.needs().weights);
    let from = TargetState { weights: [].into(), max_weight: 0, ..serving("v1", 10) };
    let mut run =
        Loop::new(&canary, release("v2"), Place::new(&from, 1, 1), Bar { least: 10, most: 11, with_ending: true });
    let mut seen = vec![];
    for _ in 0..200 {
        let promotion = if run.asks() { Promotion::Skip } else { Promotion::None };
        if run.asks() {
            seen.push(run.place.observe().revision(&revision("v2")).ready);
        }
        if run.look(promotion).is_some() {
            break;
        }
        run.tick();
    }
    assert_eq!(seen, [5], "{}", run.story());
    let there = run.place.observe();
    assert_eq!((there.revision(&revision("v2")).ready, there.revisions.len()), (10, 1), "{}", run.story());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(RUNS))]
    #[test]
    fn without_a_router_whatever_dies_the_limits_hold_and_it_ends(
        weights in prop::collection::vec((0..=100_u32, 0..3_u64), 1..4),
        size in 1..12_u32,
        (surge, unavailable) in prop::sample::select(limits()),
        start in 0..4_u32,
        end in 0..3_u32,
        routed in any::<bool>(),
        deaths in prop::collection::vec((0..60_u32, any::<bool>()), 0..12),
        abort in prop::option::of(0..60_u32),
    ) {
        let mut builder = Canary::builder().by_instances(Amount::Count(surge), Amount::Count(unavailable));
        for (weight, soak) in weights {
            builder = builder.step(Step::weight(weight).soak(Duration::from_secs(soak * 15)));
        }
        let canary = builder.build().unwrap();
        let from = if routed { serving("v1", size) } else { TargetState { weights: [].into(), max_weight: 0, ..serving("v1", size) } };
        let bar = Bar { least: size.saturating_sub(unavailable), most: size + surge, with_ending: true };
        let mut run = Loop::new(&canary, release("v2"), Place::new(&from, start, end), bar);
        let mut ended = None;
        for look in 0..800 {
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

//! A rolling update.

use std::collections::BTreeMap;
use std::time::Duration;

use deploy_core::strategy::{Next, Promotion, ReasonCode, Situation, Strategy};
use deploy_core::target::TargetState;
use deploy_strategies::rolling::{Amount, Batch, Rolling};
use deploy_strategies::share::Percent;
use proptest::prelude::*;

use crate::bar::Bar;
use crate::closed_loop::{End, Loop, RUNS, limits};
use crate::model::{Place, release, revision, serving};

fn percent(n: u32) -> Amount {
    Amount::Percent(Percent::new(n).unwrap())
}

/// A place that routes nothing: instances share the traffic.
fn unrouted(name: &str, instances: u32) -> TargetState {
    TargetState { weights: BTreeMap::new(), max_weight: 0, ..serving(name, instances) }
}

/// Rows: M64, M169.
#[test]
fn it_stays_within_both_limits_and_replaces_everything() {
    let rolling = Rolling::builder().surge(percent(30)).unavailable(percent(20)).build().unwrap();
    let bar = Bar { least: 8, most: 13, with_ending: true };
    let mut run = Loop::new(&rolling, release("v2"), Place::new(&unrouted("v1", 10), 1, 1), bar);
    assert_eq!(run.run(100), End::Complete, "{}", run.story());
    assert_eq!(run.place.observe(), unrouted("v2", 10));
}

#[test]
fn where_traffic_is_routed_the_weights_follow_the_ready_instances() {
    let rolling = Rolling::builder()
        .surge(Amount::Count(1))
        .unavailable(Amount::Count(0))
        .min_healthy(Duration::ZERO)
        .build()
        .unwrap();
    let mut run = Loop::new(
        &rolling,
        release("v2"),
        Place::new(&serving("v1", 4), 0, 0),
        Bar { least: 4, most: 5, with_ending: true },
    );
    let mut seen = vec![];
    while run.look(Promotion::None).is_none() {
        let weight = run.place.state.weights.get(&revision("v2")).copied().unwrap_or(0);
        if seen.last() != Some(&weight) {
            seen.push(weight);
        }
        run.tick();
    }
    assert_eq!(seen, [0, 20, 25, 50, 75, 100], "{}", run.story());
}

/// Rows: M64, M67.
#[test]
fn one_after_another_waits_until_each_has_been_healthy() {
    let rolling =
        deploy_strategies::rolling::RollingBuilder::ordered().min_healthy(Duration::from_secs(30)).build().unwrap();
    let mut run = Loop::new(
        &rolling,
        release("v2"),
        Place::new(&unrouted("v1", 3), 1, 0),
        Bar { least: 2, most: 3, with_ending: true },
    );
    assert_eq!(run.run(100), End::Complete, "{}", run.story());
    assert!(run.now.0 >= 3 * 30_000, "{}", run.story());
}

#[test]
fn batches_stop_for_a_soak_and_for_a_person() {
    let batches = vec![
        Batch::upto(Amount::Count(1)).soak(Duration::from_secs(100)),
        Batch::upto(percent(50)).approval("half; go on?"),
        Batch::upto(percent(100)),
    ];
    let rolling = Rolling::builder().batches(batches).build().unwrap();
    let mut run = Loop::new(
        &rolling,
        release("v2"),
        Place::new(&unrouted("v1", 8), 1, 0),
        Bar { least: 6, most: 10, with_ending: true },
    );
    let mut at_half = 0;
    for _ in 0..60 {
        assert_eq!(run.look(Promotion::None), None);
        at_half = run.place.observe().revision(&revision("v2")).desired;
        run.tick();
    }
    assert!(run.asks() && at_half == 4, "{}", run.story());
    assert_eq!(run.run(60), End::Complete, "{}", run.story());
}

#[test]
fn a_partition_leaves_the_rest_where_it_is() {
    let rolling = Rolling::builder().partition(3).build().unwrap();
    let mut run = Loop::new(
        &rolling,
        release("v2"),
        Place::new(&unrouted("v1", 5), 1, 0),
        Bar { least: 4, most: 7, with_ending: true },
    );
    assert_eq!(run.run(60), End::Complete, "{}", run.story());
    let there = run.place.observe();
    assert_eq!((there.revision(&revision("v1")).ready, there.revision(&revision("v2")).ready), (3, 2));
}

/// D3 of `docs/differences.md`.
///
/// Rows: M67.
#[test]
fn instances_that_never_come_roll_back_within_the_limits() {
    let rolling = Rolling::builder().progress_deadline(Duration::from_secs(60)).build().unwrap();
    let mut place = Place::new(&unrouted("v1", 8), 1, 1);
    place.broken.push(revision("v2"));
    let mut run = Loop::new(&rolling, release("v2"), place, Bar { least: 6, most: 10, with_ending: true });
    assert_eq!(run.run(100), End::RolledBack, "{}", run.story());
    assert_eq!(run.place.observe(), unrouted("v1", 8));
}

#[test]
fn growth_in_mid_roll_is_shared_out() {
    let rolling = Rolling::builder().surge(Amount::Count(2)).unavailable(Amount::Count(0)).build().unwrap();
    let mut run = Loop::new(
        &rolling,
        release("v2"),
        Place::new(&unrouted("v1", 6), 2, 0),
        Bar { least: 6, most: 14, with_ending: true },
    );
    for _ in 0..4 {
        run.look(Promotion::None);
        run.tick();
    }
    run.place.state.wanted_by_others = Some(12);
    run.look(Promotion::None);
    let there = run.place.observe();
    let (old, new) = (there.revision(&revision("v1")).desired, there.revision(&revision("v2")).desired);
    assert_eq!((old + new, new), (14, 4), "{}", run.story());
    assert_eq!(run.run(100), End::Complete, "{}", run.story());
    assert_eq!(run.place.observe().revision(&revision("v2")).ready, 12);
}

#[test]
fn what_is_there_already_is_complete_at_the_first_look() {
    let (release, there) = (release("v1"), unrouted("v1", 3));
    let decision = Rolling::builder().build().unwrap().decide(&Situation::first(&release, &there));
    assert_eq!((decision.next, decision.reason.code), (Next::Complete, ReasonCode::AlreadyThere));
}

#[test]
fn bad_descriptions_are_refused_with_every_problem() {
    let text = r#"{"surge": {"count": 0}, "unavailable": {"percent": 0}, "min_healthy": "10m",
        "batches": [{"upto": {"count": 3}}, {"upto": {"count": 2}}]}"#;
    let error = serde_json::from_str::<Rolling>(text).unwrap_err().to_string();
    for place in
        ["unavailable", "progress_deadline", "batches[1].upto: it is not more", "batches[1].upto: the last batch"]
    {
        assert!(error.contains(place), "{place} is missing in {error}");
    }
}

/// For how many looks an observation may be taken for one that is older than the last statement.
const DOUBT: u32 = 3;

/// What happens around one roll, and when.
struct Course {
    size: u32,
    limits: (u32, u32),
    start: u32,
    end: u32,
    min_healthy: u64,
    routed: bool,
    half: bool,
    /// Whether the place counts its changes.
    counts: bool,
    deaths: Vec<(u32, bool)>,
    meddling: Vec<(u32, bool, u32)>,
    others: Option<(u32, u32)>,
    abort: Option<u32>,
}

impl Course {
    /// Runs it to its end; otherwise what happened.
    fn run(self) -> Result<(), String> {
        let Self {
            size,
            limits: (surge, unavailable),
            start,
            end,
            min_healthy,
            routed,
            half,
            counts,
            deaths,
            meddling,
            others,
            abort,
        } = self;
        let mut builder = Rolling::builder()
            .surge(Amount::Count(surge))
            .unavailable(Amount::Count(unavailable))
            .min_healthy(Duration::from_secs(min_healthy));
        if half {
            builder = builder
                .batches(vec![Batch::upto(percent(50)).soak(Duration::from_secs(20)), Batch::upto(percent(100))]);
        }
        let rolling = builder.build().unwrap();
        let wanted = others.map_or(size, |(_, n)| n);
        let bar = Bar {
            least: size.min(wanted).saturating_sub(unavailable),
            most: size.max(wanted) + surge,
            with_ending: true,
        };
        let from = if routed { serving("v1", size) } else { unrouted("v1", size) };
        let place = Place::new(&from, start, end);
        let place = if counts { place.counting() } else { place };
        let mut run = Loop::new(&rolling, release("v2"), place, bar);
        let mut ended = None;
        // What was there when the last statement was made.
        let mut before = from;
        // Without a count of changes, who scales by hand again before the last statement was seen looks like an old observation.
        let meddling = if counts { &meddling[..] } else { &meddling[..meddling.len().min(1)] };
        for look in 0..1_500 {
            if abort == Some(look) {
                run.going_back = true;
            }
            let name = |new: bool| revision(if new { "v2" } else { "v1" });
            for (_, new) in deaths.iter().filter(|(at, _)| *at == look) {
                run.place.kill(&name(*new));
            }
            for (_, new, count) in meddling.iter().filter(|(at, _, _)| *at == look) {
                // So does who puts back at once what it changed, which matters where an instance dies while that is in doubt.
                let dies = deaths.iter().any(|(at, _)| (look..look + DOUBT).contains(at));
                let put_back = !counts && dies && before.revision(&name(*new)).desired == *count;
                if run.place.instances.contains_key(&name(*new)) && !put_back {
                    run.place.scale(&name(*new), *count);
                }
            }
            if let Some((at, count)) = others
                && at == look
            {
                run.place.state.wanted_by_others = Some(count);
            }
            let promotion = if run.asks() { Promotion::Skip } else { Promotion::None };
            before = run.place.observe();
            ended = run.look(promotion);
            if ended.is_some() {
                break;
            }
            run.tick();
        }
        ended.map(drop).ok_or_else(|| run.story())
    }
}

#[test]
fn on_the_way_back_an_old_instance_dies_while_somebody_scales_the_new_side_up() {
    let course = Course {
        size: 9,
        limits: (1, 2),
        start: 0,
        end: 2,
        min_healthy: 31,
        routed: true,
        half: true,
        counts: false,
        deaths: vec![(19, false), (3, false), (36, false)],
        meddling: vec![(36, true, 3)],
        others: None,
        abort: Some(28),
    };
    assert_eq!(course.run(), Ok(()));
}

#[test]
fn on_the_way_back_an_old_instance_dies_when_somebody_scales_up_what_was_just_scaled_down() {
    let course = Course {
        size: 5,
        limits: (0, 1),
        start: 0,
        end: 2,
        min_healthy: 21,
        routed: false,
        half: false,
        counts: false,
        deaths: vec![(41, false), (0, false)],
        meddling: vec![(41, true, 3)],
        others: None,
        abort: Some(28),
    };
    assert_eq!(course.run(), Ok(()));
}

/// Without a count of changes this cannot be told from an observation older than the statement that took the old instance away.
#[test]
fn somebody_puts_back_what_was_just_taken_away_when_a_new_instance_dies_where_changes_are_counted() {
    let course = Course {
        size: 4,
        limits: (1, 0),
        start: 0,
        end: 0,
        min_healthy: 1,
        routed: false,
        half: false,
        counts: true,
        deaths: vec![(9, true)],
        meddling: vec![(9, false, 2)],
        others: None,
        abort: None,
    };
    assert_eq!(course.run(), Ok(()));
}

#[test]
fn somebody_takes_the_old_side_away_and_an_autoscaler_wants_more() {
    let course = Course {
        size: 9,
        limits: (0, 1),
        start: 0,
        end: 2,
        min_healthy: 1,
        routed: false,
        half: true,
        counts: false,
        deaths: vec![],
        meddling: vec![(21, false, 0)],
        others: Some((22, 10)),
        abort: None,
    };
    assert_eq!(course.run(), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(RUNS))]
    #[test]
    fn whatever_dies_or_is_scaled_the_limits_hold_and_it_ends(
        size in 1..12_u32,
        (surge, unavailable) in prop::sample::select(limits()),
        start in 0..4_u32,
        end in 0..3_u32,
        min_healthy in 0..40_u64,
        routed in any::<bool>(),
        half in any::<bool>(),
        counts in any::<bool>(),
        deaths in prop::collection::vec((0..60_u32, any::<bool>()), 0..16),
        meddling in prop::collection::vec((0..60_u32, any::<bool>(), 0..12_u32), 0..4),
        others in prop::option::of((0..60_u32, 1..14_u32)),
        abort in prop::option::of(0..60_u32),
    ) {
        let course = Course { size, limits: (surge, unavailable), start, end, min_healthy, routed, half, counts, deaths, meddling, others, abort };
        if let Err(story) = course.run() {
            prop_assert!(false, "{story}");
        }
    }
}

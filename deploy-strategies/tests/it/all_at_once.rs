//! Everything at once.

use std::time::Duration;

use deploy_core::strategy::{Next, ReasonCode, Situation, Strategy};
use deploy_core::target::TargetState;
use deploy_strategies::all_at_once::AllAtOnce;
use proptest::prelude::*;

use crate::bar::Bar;
use crate::closed_loop::{End, Loop, RUNS};
use crate::model::{Place, release, revision, serving};

#[test]
fn instances_first_then_traffic_then_the_old_ones_go() {
    let strategy = AllAtOnce::new();
    let bar = Bar { least: 3, most: 6, with_ending: false };
    let mut run = Loop::new(&strategy, release("v2"), Place::new(&serving("v1", 3), 2, 1), bar);
    assert_eq!(run.run(50), End::Complete, "{}", run.story());
    assert_eq!(run.place.observe(), serving("v2", 3));
}

#[test]
fn a_first_install_gets_no_traffic_before_it_is_ready() {
    let nothing = TargetState { max_weight: 100, ..TargetState::default() };
    let strategy = AllAtOnce::new().instances(2.try_into().unwrap());
    let mut run =
        Loop::new(&strategy, release("v1"), Place::new(&nothing, 3, 0), Bar { least: 0, most: 2, with_ending: false });
    assert_eq!(run.run(50), End::Complete, "{}", run.story());
    assert_eq!(run.place.observe(), serving("v1", 2));
    assert!(run.log.last().unwrap().contains("first-install"), "{}", run.story());
}

#[test]
fn what_is_there_already_is_complete_at_the_first_look() {
    let (release, there) = (release("v1"), serving("v1", 3));
    let decision = AllAtOnce::new().decide(&Situation::first(&release, &there));
    assert_eq!((decision.next, decision.reason.code), (Next::Complete, ReasonCode::AlreadyThere));
}

#[test]
fn instances_that_never_come_end_in_a_roll_back_and_the_old_state() {
    let strategy = AllAtOnce::new().progress_deadline(Duration::from_secs(60));
    let mut place = Place::new(&serving("v1", 3), 2, 1);
    place.broken.push(revision("v2"));
    let mut run = Loop::new(&strategy, release("v2"), place, Bar { least: 3, most: 6, with_ending: false });
    assert_eq!(run.run(50), End::RolledBack, "{}", run.story());
    assert!(run.log.iter().any(|line| line.contains("progress-deadline")), "{}", run.story());
    assert_eq!(run.place.observe(), serving("v1", 3));
}

#[test]
fn a_description_round_trips_and_refuses_what_it_does_not_know() {
    let strategy = AllAtOnce::new().scale_down_delay(Duration::from_secs(90));
    let text = serde_json::to_string(&strategy).unwrap();
    assert_eq!(serde_json::from_str::<AllAtOnce>(&text).unwrap(), strategy);
    let error = serde_json::from_str::<AllAtOnce>(r#"{"scale_down": "5m"}"#).unwrap_err();
    assert!(error.to_string().contains("scale_down_delay"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(RUNS))]
    #[test]
    fn whatever_dies_the_bar_holds_and_it_ends(
        size in 1..6_u32,
        start in 0..4_u32,
        end in 0..3_u32,
        deaths in prop::collection::vec((0..40_u32, any::<bool>()), 0..12),
        abort in prop::option::of(0..30_u32),
    ) {
        let strategy = AllAtOnce::new();
        let mut run = Loop::new(&strategy, release("v2"), Place::new(&serving("v1", size), start, end), Bar { least: size, most: 2 * size, with_ending: false });
        let mut ended = None;
        for look in 0..200 {
            if abort == Some(look) {
                run.going_back = true;
            }
            for (_, new) in deaths.iter().filter(|(at, _)| *at == look) {
                run.place.kill(&revision(if *new { "v2" } else { "v1" }));
            }
            ended = run.look(deploy_core::strategy::Promotion::None);
            if ended.is_some() {
                break;
            }
            run.tick();
        }
        prop_assert!(ended.is_some(), "{}", run.story());
        let left = run.place.observe();
        prop_assert_eq!(left.weights.len(), 1);
    }
}

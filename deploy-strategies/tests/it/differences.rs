//! The wanted differences of `docs/differences.md`, each shown here or by the test that cites its number.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use deploy_core::strategy::{Decision, Promotion, ReasonCode, Situation, Strategy};
use deploy_core::target::{RevisionState, TargetState};
use deploy_core::time::RunTime;
use deploy_strategies::canary::{Canary, StableCapacity, Step};
use deploy_strategies::rolling::{Amount, Rolling};

use crate::bar::Bar;
use crate::closed_loop::{EVERY, End, Loop};
use crate::exploration::unrouted;
use crate::model::{Place, release, revision, serving};

/// Every number that a text cites: `D` and digits.
fn cited(text: &str) -> BTreeSet<u32> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter_map(|word| word.strip_prefix('D')?.parse().ok()).collect()
}

/// Adds what the files of a folder cite: all of it, or what follows `mod tests`.
fn cited_in(folder: &Path, whole: bool, all: &mut BTreeSet<u32>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            cited_in(&path, whole, all);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let tests = if whole { Some(text.as_str()) } else { text.split_once("mod tests {").map(|(_, t)| t) };
            all.extend(tests.map(cited).unwrap_or_default());
        }
    }
}

#[test]
fn every_wanted_difference_is_cited_by_a_test() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(own.join("docs/differences.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| D")?.split(' ').next()?.parse::<u32>().ok());
    let named: BTreeSet<u32> = rows.collect();
    assert!(named.iter().copied().eq(1..=named.last().copied().unwrap()), "without gaps: {named:?}");
    let mut shown = BTreeSet::new();
    cited_in(&own.join("tests/it"), true, &mut shown);
    cited_in(&own.join("src"), false, &mut shown);
    assert!(named.is_subset(&shown), "not cited by any test: {:?}", named.difference(&shown));
}

fn state(old: RevisionState, new: RevisionState) -> TargetState {
    TargetState { revisions: [(revision("v1"), old), (revision("v2"), new)].into(), ..unrouted(0) }
}

fn instances(desired: u32, ready: u32, terminating: u32) -> RevisionState {
    RevisionState { desired, ready, terminating }
}

fn new_of(decision: &Decision) -> u32 {
    decision.want.capacity.get(&revision("v2")).copied().unwrap_or(0)
}

/// D1 of `docs/differences.md`: the peers would let one instance be missing.
#[test]
fn limits_within_which_nothing_can_move_are_refused() {
    let (none, one) = (Amount::Count(0), Amount::Count(1));
    let refused = Rolling::builder().surge(none).unavailable(none).build().unwrap_err();
    assert!(refused.problems().iter().any(|problem| problem.at == "unavailable"), "{refused}");
    assert!(Rolling::builder().surge(one).unavailable(none).build().is_ok());
    let canary = |surge| Canary::builder().by_instances(surge, none).step(Step::weight(50)).build();
    assert!(canary(none).is_err() && canary(one).is_ok());
}

/// D2 of `docs/differences.md`: the peer starts the next instance while the room of the old one is still taken.
#[test]
fn instances_on_their_way_out_take_room_until_they_are_gone() {
    let (release, from) = (release("v2"), unrouted(4));
    let rolling = Rolling::builder().surge(Amount::Count(1)).unavailable(Amount::Count(0)).min_healthy(Duration::ZERO);
    let rolling = rolling.build().unwrap();
    let first = Situation::first(&release, &from).from(&from).observe_every(EVERY);
    let begun = rolling.decide(&first);
    assert_eq!(new_of(&begun), 1);
    let taken = state(instances(4, 4, 0), instances(1, 1, 0));
    let second = rolling.decide(&first.later(&taken, &begun, RunTime(10_000), EVERY));
    assert_eq!(second.want.capacity[&revision("v1")], 3);
    let next = |ending| {
        let there = state(instances(3, 3, ending), instances(1, 1, 0));
        new_of(&rolling.decide(&first.later(&there, &second, RunTime(20_000), 2 * EVERY)))
    };
    assert_eq!(next(1), 1, "with the one that is going there are five");
    assert_eq!(next(0), 2);
}

/// D12 of `docs/differences.md`: the peer's weight waits for the canary's instances, which wait for the stable side.
#[test]
fn the_weight_of_an_aborted_canary_that_is_kept_goes_back_at_once() {
    let canary = Canary::builder()
        .step(Step::weight(90).approval("go on?"))
        .stable(StableCapacity::MatchWeight)
        .abort_delay(Duration::from_secs(3_600))
        .build()
        .unwrap();
    let bar = Bar { least: 10, most: 19, with_ending: false };
    let mut run = Loop::new(&canary, release("v2"), Place::new(&serving("v1", 10), 2, 0), bar);
    while !run.asks() {
        assert_eq!(run.look(Promotion::None), None);
        run.tick();
    }
    run.going_back = true;
    for _ in 0..10 {
        assert_eq!(run.look(Promotion::None), None, "{}", run.story());
        run.tick();
    }
    let there = run.place.observe();
    assert_eq!((there.weight(&revision("v2")), there.revision(&revision("v2")).ready), (0, 9), "{}", run.story());
}

/// D13 of `docs/differences.md`: the peer's deadline passes while a person thinks.
#[test]
fn time_in_which_a_person_is_asked_does_not_count() {
    let step = Step::weight(50).approval("go on?");
    let canary = Canary::builder().step(step).progress_deadline(Duration::from_secs(30)).build().unwrap();
    let bar = Bar { least: 2, most: 4, with_ending: false };
    let mut run = Loop::new(&canary, release("v2"), Place::new(&serving("v1", 2), 1, 0), bar);
    for _ in 0..100 {
        assert_eq!(run.look(Promotion::None), None, "{}", run.story());
        run.tick();
    }
    assert!(run.asks() && run.now > RunTime(900_000));
    assert_eq!(run.run(20), End::Complete, "{}", run.story());
}

#[cfg(feature = "import")]
mod imported {
    use std::sync::atomic::{AtomicU32, Ordering};

    use deploy_core::monitor::{MeasureRequest, Measurement};

    use super::*;
    use crate::import::{import, refused};
    use crate::import_flagger::{METRICS, all, manifest};

    const RAMP: &str = "    interval: 1m\n    threshold: 1\n    maxWeight: 20\n    stepWeight: 10\n";

    /// D1 of `docs/differences.md`, of what is read.
    #[test]
    fn limits_of_a_manifest_within_which_nothing_can_move_are_refused_with_their_place() {
        let manifest = crate::import::rollout("    canary: {maxSurge: 0, maxUnavailable: 0, steps: [{setWeight: 20}]}");
        let found = refused(&manifest);
        assert!(
            found.iter().any(|(line, path, _)| *line == 8 && path.starts_with("spec.strategy.canary")),
            "{found:?}"
        );
    }

    static CHECKS: AtomicU32 = AtomicU32::new(0);

    fn bad(request: &MeasureRequest, _: RunTime) -> Result<Vec<Measurement>, String> {
        CHECKS.fetch_add(1, Ordering::Relaxed);
        all(request, 50)
    }

    /// D15 of `docs/differences.md`: the peer rolls back one tick later.
    #[test]
    fn the_check_that_reaches_the_threshold_rolls_back_in_the_same_look() {
        let canary = import(&manifest(&format!("{RAMP}{METRICS}"))).strategy;
        let bar = Bar { least: 10, most: 20, with_ending: false };
        let mut run = Loop::new(&canary, release("v2"), Place::new(&serving("v1", 10), 0, 0), bar);
        run.monitor = bad;
        for _ in 0..40 {
            assert_eq!(run.going_back, CHECKS.load(Ordering::Relaxed) > 0, "{}", run.story());
            if run.going_back {
                break;
            }
            run.look(Promotion::None);
            if run.going_back {
                assert_eq!(run.place.state.weights, serving("v1", 10).weights, "users are away in that look");
            }
            run.tick();
        }
        assert!(run.going_back, "{}", run.story());
    }

    /// D16 of `docs/differences.md`: the peer starts its primary anew from the new specification, which nobody has judged.
    #[test]
    fn the_instances_that_were_judged_are_the_ones_that_stay() {
        let canary = import(&manifest(&format!("{RAMP}{METRICS}"))).strategy;
        let bar = Bar { least: 10, most: 20, with_ending: false };
        let mut run = Loop::new(&canary, release("v2"), Place::new(&serving("v1", 10), 1, 0), bar);
        run.monitor = |request, _| all(request, 100);
        let mut new = 0;
        loop {
            let end = run.look(Promotion::None);
            let there = run.place.observe();
            let names: Vec<&str> = there.revisions.keys().map(|name| name.as_str()).collect();
            assert!(names.iter().all(|name| ["v1", "v2"].contains(name)), "{names:?}");
            let now = there.revision(&revision("v2")).desired;
            assert!(now >= new, "none of them is replaced: {}", run.story());
            new = now;
            if end.is_some() {
                assert_eq!((end, run.place.observe()), (Some(End::Complete), serving("v2", 10)), "{}", run.story());
                break;
            }
            assert!(run.now < RunTime(4_000_000), "{}", run.story());
            run.tick();
        }
        assert_ne!(run.last().reason.code, ReasonCode::AlreadyThere);
    }
}

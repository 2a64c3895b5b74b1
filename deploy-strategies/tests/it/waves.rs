//! Waves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use deploy_core::gate::GateDecision;
use deploy_core::name::{StepName, TargetName};
use deploy_core::plan::StepPath;
use deploy_strategies::rolling::Amount;
use deploy_strategies::share::Percent;
use deploy_strategies::waves::{Wave, WaveWork, Waves};
use proptest::prelude::*;

fn targets(count: usize) -> Vec<TargetName> {
    (1..=count).map(|i| TargetName::new(format!("t{i}")).unwrap()).collect()
}

fn wave(name: &str, targets: Vec<TargetName>, at_a_time: Option<Amount>) -> Wave {
    Wave { at_a_time, ..Wave::new(StepName::new(name).unwrap(), targets) }
}

#[test]
fn so_many_go_at_a_time_and_a_wave_waits_for_the_whole_one_before() {
    let all = targets(6);
    let waves = vec![wave("first", all[..2].to_vec(), None), wave("rest", all[2..].to_vec(), Some(Amount::Count(2)))];
    let steps = Waves::new(waves).unwrap().steps(&StepName::new("go").unwrap());
    let after: Vec<Vec<&str>> = steps.iter().map(|s| s.after.iter().map(|p| p.as_str()).collect()).collect();
    let first = vec!["first/t1/go", "first/t2/go"];
    assert_eq!(after, [vec![], vec![], first.clone(), first, vec!["rest/t3/go"], vec!["rest/t4/go"]]);
    assert!(steps.iter().all(|step| matches!(step.does, WaveWork::RollOut(_))));
}

#[test]
fn every_target_goes_exactly_once_whatever_the_sizes_are() {
    for count in 1..12 {
        for sizes in [
            vec![],
            vec![Amount::Count(1), Amount::Count(1), Amount::Count(1)],
            vec![Amount::Count(100)],
            vec![Amount::Count(0), Amount::Count(4)],
        ] {
            let all = targets(count);
            let waves = Waves::growing(&all, &sizes, Duration::ZERO).unwrap();
            let gone: Vec<TargetName> = waves.waves().iter().flat_map(|wave| wave.targets.clone()).collect();
            assert_eq!(gone, all, "{sizes:?}");
        }
    }
}

#[test]
fn what_stands_twice_or_is_empty_is_refused() {
    let all = targets(2);
    let refused = Waves::new(vec![
        wave("a", all.clone(), Some(Amount::Count(0))),
        wave("a", all[..1].to_vec(), None),
        wave("b", vec![], None),
    ]);
    let refused = refused.unwrap_err();
    let places: Vec<&str> = refused.problems().iter().map(|p| p.at.as_str()).collect();
    assert_eq!(places, ["waves[0].at_a_time", "waves[1].name", "waves[1].targets[0]", "waves[2].targets"]);
    assert!(Waves::growing(&[], &[], Duration::ZERO).is_err());
}

fn waits(waves: &Waves) -> Vec<(String, Vec<String>)> {
    let text = |path: &StepPath| path.as_str().to_owned();
    let steps = waves.steps(&StepName::new("go").unwrap());
    steps.iter().map(|step| (text(&step.path), step.after.iter().map(text).collect())).collect()
}

#[test]
fn a_failure_budget_is_asked_before_each_further_target_and_at_the_end_of_each_wave() {
    let all = targets(4);
    let first = wave("first", all[..1].to_vec(), None).soak(Duration::from_secs(60));
    let waves = Waves::new(vec![first, wave("rest", all[1..].to_vec(), Some(Amount::Count(2)))]).unwrap();
    let waves = waves.may_fail(Amount::Percent(Percent::new(50).unwrap()));
    assert_eq!(waves.budget(), 2);
    let waits = waits(&waves);
    let waits: Vec<(&str, Vec<&str>)> =
        waits.iter().map(|(path, after)| (path.as_str(), after.iter().map(String::as_str).collect())).collect();
    assert_eq!(
        waits,
        [
            ("first/t1/go", vec![]),
            ("first/budget", vec!["first/t1/go"]),
            ("first/soak", vec!["first/budget"]),
            ("rest/t2/go", vec!["first/soak"]),
            ("rest/t3/go", vec!["first/soak"]),
            ("rest/t4/go-budget", vec!["rest/t2/go"]),
            ("rest/t4/go", vec!["rest/t4/go-budget"]),
            ("rest/budget", vec!["rest/t2/go", "rest/t3/go", "rest/t4/go"]),
        ]
    );
}

#[test]
fn the_budget_counts_its_own_targets_and_says_which_failed() {
    let waves = Waves::growing(&targets(3), &[], Duration::ZERO).unwrap().may_fail(Amount::Count(1));
    let budget = waves.failure_budget(&StepName::new("go").unwrap());
    let failed = |paths: &[&str]| -> GateDecision {
        budget.judge(&paths.iter().map(|path| (StepPath::new(path).unwrap(), "it is broken".to_owned())).collect())
    };
    assert_eq!(failed(&["other/task"]), GateDecision::Go);
    assert!(matches!(failed(&["out/wave-1/t1/go"]), GateDecision::Conditional { .. }));
    let GateDecision::NoGo { vetoes } = failed(&["out/wave-1/t1/go", "out/wave-1/t3/go"]) else { panic!("two of one") };
    assert!(vetoes[0].reason.contains("2 of 3 targets failed, 1 may"), "{}", vetoes[0].reason);
    assert!(vetoes[0].reason.contains("wave-1/t3/go: it is broken"), "{}", vetoes[0].reason);
}

#[test]
fn services_go_after_what_they_depend_on_whatever_the_order_they_are_named_in() {
    let all = targets(3);
    let chain = wave("services", all.clone(), Some(Amount::Count(1)));
    let chain = chain.after(all[0].clone(), all[2].clone()).after(all[2].clone(), all[1].clone());
    let waits = waits(&Waves::new(vec![chain.clone()]).unwrap());
    let order: Vec<&str> = waits.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(order, ["services/t2/go", "services/t3/go", "services/t1/go"]);
    let text = r#"{"waves": [{"name": "services", "targets": ["t1", "t2", "t3"], "at_a_time": {"count": 1},
        "after": {"t1": ["t3"], "t3": ["t2"]}}], "may_fail": {"count": 0}}"#;
    assert_eq!(serde_json::from_str::<Waves>(text).unwrap(), Waves::new(vec![chain]).unwrap());
}

#[test]
fn a_circle_and_what_comes_later_are_refused() {
    let all = targets(3);
    let circle = wave("a", all[..2].to_vec(), None);
    let circle = circle.after(all[0].clone(), all[1].clone()).after(all[1].clone(), all[0].clone());
    let later = wave("b", all[2..].to_vec(), None).after(all[2].clone(), TargetName::new("t9").unwrap());
    let refused = Waves::new(vec![circle, later]).unwrap_err();
    let told: Vec<String> = refused.problems().iter().map(ToString::to_string).collect();
    assert!(told[0].contains("t1, t2 wait for each other in a circle"), "{told:?}");
    assert!(told[1].contains("t3 waits for t9"), "{told:?}");
    let needs = [(all[0].clone(), vec![all[1].clone()]), (all[1].clone(), vec![all[0].clone()])];
    assert!(Waves::by_dependency(&needs, Duration::ZERO).is_err());
}

proptest! {
    /// Every target waits, directly or by way of others, for all that it depends on and for every wave before its own, and nothing waits
    /// for what comes later.
    #[test]
    fn nobody_goes_before_what_it_waits_for(
        sizes in prop::collection::vec(1..5_usize, 1..4),
        lanes in 1..4_u32,
        edges in prop::collection::vec((0..20_usize, 0..20_usize), 0..12),
        may_fail in 0..3_u32,
    ) {
        let all = targets(sizes.iter().sum());
        let mut from = 0;
        let mut waves = vec![];
        for (i, size) in sizes.iter().enumerate() {
            let mut wave = wave(&format!("w{i}"), all[from..from + size].to_vec(), Some(Amount::Count(lanes)));
            for (a, b) in &edges {
                // A higher number comes first, so that no circle comes about.
                let (target, first) = (from + a % size, from + b % size);
                if target < first {
                    wave = wave.after(all[target].clone(), all[first].clone());
                }
            }
            from += size;
            waves.push(wave);
        }
        let waves = Waves::new(waves).unwrap().may_fail(Amount::Count(may_fail));
        let steps = waits(&waves);
        let mut before: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (path, after) in &steps {
            let mut all = BTreeSet::new();
            for first in after {
                prop_assert!(before.contains_key(first), "{path} waits for {first}, which comes later");
                all.insert(first.clone());
                all.extend(before[first].clone());
            }
            before.insert(path.clone(), all);
        }
        let path = |wave: &Wave, target: &TargetName| format!("{}/{target}/go", wave.name);
        for (i, wave) in waves.waves().iter().enumerate() {
            for target in &wave.targets {
                let waits = &before[&path(wave, target)];
                for first in wave.after.get(target).into_iter().flatten() {
                    prop_assert!(waits.contains(&path(wave, first)), "{target} before {first}");
                }
                for earlier in &waves.waves()[..i] {
                    prop_assert!(earlier.targets.iter().all(|t| waits.contains(&path(earlier, t))));
                }
            }
        }
    }
}

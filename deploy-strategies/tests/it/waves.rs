//! Waves.

use std::time::Duration;

use deploy_core::name::{StepName, TargetName};
use deploy_strategies::rolling::Amount;
use deploy_strategies::waves::{Wave, WaveWork, Waves};

fn targets(count: usize) -> Vec<TargetName> {
    (1..=count).map(|i| TargetName::new(format!("t{i}")).unwrap()).collect()
}

fn wave(name: &str, targets: Vec<TargetName>, at_a_time: Option<Amount>) -> Wave {
    Wave { name: StepName::new(name).unwrap(), targets, at_a_time, soak: Duration::ZERO }
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

//! Strategies as plain data.

use std::num::NonZeroU32;
use std::time::Duration;

use deploy_core::monitor::Comparison;
use deploy_core::name::{BlockName, FlagName, MetricName};
use deploy_core::real::Real;
use deploy_core::strategy::Strategy as _;
use deploy_strategies::all_at_once::AllAtOnce;
use deploy_strategies::analysis::threshold::{
    Bound, Condition, ErrorPolicy, Limit, MetricLimits, NoData, OnError, Threshold,
};
use deploy_strategies::analysis::{Analysis, Judge};
use deploy_strategies::blue_green::{BlueGreen, Promote};
use deploy_strategies::canary::{Canary, CanaryCapacity, OnInconclusive, StableCapacity, Step};
use deploy_strategies::flags::{FlagRollout, FlagStep};
use deploy_strategies::rolling::{Amount, Batch, Rolling};
use deploy_strategies::share::Percent;
use deploy_strategies::spec::{SpecError, StrategySpec};
use proptest::prelude::*;

fn problem(text: &str) -> (String, String) {
    let refused = StrategySpec::from_json(text).expect_err(text);
    let first = &refused.problems()[0];
    (first.at.clone(), first.wrong.clone())
}

#[test]
fn what_is_wrong_is_named_by_its_path() {
    let at = |text: &str| problem(text).0;
    assert_eq!(at(r#"{"steps": []}"#), "type");
    assert_eq!(at(r#"{"type": "canari"}"#), "type");
    assert_eq!(at(r#"{"type": ["canary"]}"#), "type");
    assert_eq!(at(r#"[1]"#), "");
    assert_eq!(at(r#"{"type": "canary", "step": []}"#), "step");
    assert_eq!(at(r#"{"type": "canary", "steps": []}"#), "steps");
    assert_eq!(at(r#"{"type": "canary"}"#), "steps");
    assert_eq!(at(r#"{"type": "rolling", "batches": []}"#), "batches");
    let nobody = r#""on_inconclusive": {"ask": {"question": "?", "quorum": 0, "expires_after": 5}}"#;
    for kind in [
        r#""canary", "steps": [{"weight": 5}]"#,
        r#""blue-green""#,
        r#""rolling""#,
        r#""flags", "flag": "f", "steps": [{"percent": 5}]"#,
    ] {
        assert_eq!(at(&format!(r#"{{"type": {kind}, {nobody}}}"#)), "on_inconclusive.ask.quorum");
    }
    assert_eq!(at(r#"{"type": "canary", "steps": [{"weight": 5}, {"weight": -1}]}"#), "steps[1].weight");
    assert_eq!(at(r#"{"type": "canary", "steps": [{"weight": 5, "soak": "5 min"}]}"#), "steps[0].soak");
    assert_eq!(at(r#"{"type": "canary", "steps": [{"weight": 5, "wieght": 6}]}"#), "steps[0].wieght");
    assert_eq!(at(r#"{"type": "canary", "steps": [{"weight": 5, "mirror": 101}]}"#), "steps[0].mirror");
    assert_eq!(at(r#"{"type": "rolling", "surge": {"count": 0}, "unavailable": {"count": 0}}"#), "unavailable");
    assert_eq!(at(r#"{"type": "rolling", "surge": "25%"}"#), "surge");
    assert_eq!(at(r#"{"type": "rolling", "surge": {"percent": 25, "count": 1}}"#), "surge");
    assert_eq!(at(r#"{"type": "all-at-once", "instances": 0}"#), "instances");
    assert_eq!(at(r#"{"type": "canary", "steps": [[5]]}"#), "steps[0]", "a list does not stand for a map");
    assert_eq!(at(r#"{"type": "canary", "traffic": {"router": null}}"#), "traffic.router", "nor a map for a name");
    assert_eq!(at(r#"{"type": "canary", "weights_of": 1e400}"#), "");
    assert_eq!(at(r#"{"type": "canary", "weights_of": 99999999999999999999}"#), "weights_of");
    assert_eq!(at(r#"{"type": "flags", "flag": "f"}"#), "");
    assert_eq!(at(r#"{"type": "flags", "flag": "f", "steps": []}"#), "steps");
    let asked = r#"{"type": "canary", "steps": [{"weight": 5, "approval": {"question": "?", "quorum": 1, "expires_after": 5, "rolls": []}}]}"#;
    assert_eq!(problem(asked), ("steps[0].approval.rolls".to_owned(), "nobody knows this field".to_owned()));
    assert_eq!(problem(r#"{"type": "canary", "type": "rolling"}"#).1, "the key \"type\" stands here twice");
    assert_eq!(problem(r#"{"type": "canary", "#).0, "");
}

#[test]
fn every_problem_of_the_builder_is_said_at_once() {
    let text =
        r#"{"type": "canary", "weights_of": 100, "min_instances": 0, "steps": [{"weight": 101}, {"weight": 500}]}"#;
    let refused: SpecError = StrategySpec::from_json(text).expect_err("three problems");
    let places: Vec<&str> = refused.problems().iter().map(|problem| problem.at.as_str()).collect();
    assert_eq!(places, ["min_instances", "steps[0].weight", "steps[1].weight"]);
}

#[cfg(feature = "yaml")]
#[test]
fn in_yaml_what_is_wrong_has_its_line_and_column() {
    let place = |text: &str| {
        let refused = StrategySpec::from_yaml(text).expect_err(text);
        let first = &refused.problems()[0];
        (first.place.map(|place| (place.line, place.column)), first.at.clone())
    };
    let at = |line, column, path: &str| (Some((line, column)), path.to_owned());
    assert_eq!(place("type: canary\nsteps:\n  - weight: 5\n  - weight: 105\n"), at(4, 5, "steps[1].weight"));
    assert_eq!(place("type: canary\nsteps:\n  - weight: 5\n    sok: 5m\n"), at(4, 5, "steps[0].sok"));
    assert_eq!(place("type: canary\nsteps:\n  - weight: five\n"), at(3, 5, "steps[0].weight"));
    assert_eq!(place("steps: []\ntype: canary\nsteps: []\n"), at(3, 1, ""));
    assert_eq!(place("type: canary\n---\ntype: rolling\n"), at(3, 1, ""));
    assert_eq!(place("# nothing\n"), (None, String::new()));
    let latin = StrategySpec::from_yaml(b"type: canary\nname: caf\xe9\n").expect_err("Latin-1");
    assert_eq!(latin.problems()[0].place.map(|place| (place.line, place.column)), Some((2, 10)));
    let long = StrategySpec::from_yaml("#".repeat(2 << 20)).expect_err("too long");
    assert!(long.to_string().starts_with("it has 2097152 bytes"), "{long}");
}

#[test]
fn it_is_the_strategy_that_it_describes() {
    let spec = StrategySpec::from_json(r#"{"type": "blue-green", "name": "switch"}"#).unwrap();
    assert_eq!((spec.type_name(), spec.name().as_str()), ("blue-green", "switch"));
    assert_eq!(spec, BlueGreen::builder().name(BlockName::new("switch").unwrap()).build().unwrap().into());
    assert_eq!(spec.needs(), spec.clone().into_strategy().needs());
    assert!(spec.needs().switch);
}

fn spans() -> impl Strategy<Value = Duration> {
    (1..10_000_000_u64).prop_map(Duration::from_millis)
}

fn analyses() -> impl Strategy<Value = Analysis> {
    let names = prop::sample::subsequence(vec!["errors", "latency.p99", "5xx"], 1..=3);
    let bounds = (-1e12..1e12_f64, prop::bool::ANY, 0..4_u32, prop::option::of(1..5_u32), spans(), prop::bool::ANY);
    (names, bounds, spans()).prop_map(|(names, (limit, above, failures, row, hold, dry), every)| {
        let bound = Bound::new(if above { Comparison::AtLeast } else { Comparison::Less }, Real::new(limit).unwrap());
        let metric = |name: &&str| {
            let mut limits = MetricLimits::new(
                MetricName::new(name).unwrap(),
                if dry { Condition::failure(bound) } else { Condition::success(bound) },
                Limit::more_than(failures),
                ErrorPolicy::consecutive(Limit::at_least(2), OnError::Hold { at_most: hold }),
                NoData::Hold { at_most: hold },
            );
            (limits.dry_run, limits.consecutive_success_limit) = (dry, row.map(Limit::at_least));
            limits
        };
        let judge = Threshold::new(names.iter().map(metric).collect()).unwrap();
        Analysis::new(BlockName::new("prometheus").unwrap(), Judge::Threshold(judge)).every(every)
    })
}

fn amounts() -> impl Strategy<Value = Amount> {
    prop_oneof![
        (1..50_u32).prop_map(Amount::Count),
        (1..=100_u32).prop_map(|percent| Amount::Percent(Percent::new(percent).unwrap())),
    ]
}

fn texts() -> impl Strategy<Value = String> {
    // What YAML could take for something else stands among them.
    prop_oneof![
        "\\PC{1,20}",
        prop::sample::select(vec![
            "no",
            "~",
            "null",
            "1e3",
            "0x1F",
            "- a",
            "a: b",
            "#",
            "'",
            "\"",
            "a\nb",
            " a ",
            "!x",
            "&a",
            "*a",
            "|",
            "2026-01-01"
        ])
        .prop_map(str::to_owned),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let requests = (prop::option::of((texts(), texts())), prop::option::of(1..=100_u32));
    (
        1..=100_u32,
        prop::option::of(texts()),
        spans(),
        prop::option::of(texts()),
        requests,
        prop::option::of(analyses()),
        0..3_u32,
    )
        .prop_map(|(weight, name, soak, question, (header, mirror), analysis, capacity)| {
            let mut step = Step::weight(weight).soak(soak);
            step.name = name;
            if let Some(question) = question {
                step = step.approval(question);
            }
            if let Some((name, value)) = header.filter(|(name, _)| !name.trim().is_empty()) {
                step = step.header(name, value.clone()).cookie("c", value);
            }
            step.mirror = mirror.map(|share| Percent::new(share).unwrap());
            step.analysis.extend(analysis);
            step.capacity = match capacity {
                0 => None,
                1 => Some(CanaryCapacity::Instances(weight)),
                _ => Some(CanaryCapacity::Percent(Percent::new(weight).unwrap())),
            };
            step
        })
}

pub(crate) fn specs() -> impl Strategy<Value = StrategySpec> {
    let canary = (prop::collection::vec(steps(), 1..6), prop::bool::ANY, prop::option::of(analyses()), 1..2_000_u32);
    let canary = canary.prop_map(|(steps, matching, background, instances)| {
        let mut canary = Canary::builder().instances(NonZeroU32::new(instances).unwrap());
        canary.steps = steps;
        if matching {
            canary = canary.stable(StableCapacity::MatchWeight).on_inconclusive(OnInconclusive::RollBack);
        }
        if let Some(analysis) = background {
            canary = canary.background(0, analysis);
            if !matching {
                canary = canary.on_inconclusive(OnInconclusive::Promote { reason: "it is retried".to_owned() });
            }
        }
        canary.build().unwrap().into()
    });
    let switch =
        (prop::option::of(amounts()), prop::option::of(texts()), spans(), prop::collection::vec(analyses(), 0..3));
    let switch = switch.prop_map(|(preview, question, delay, analyses)| {
        let mut switch = BlueGreen::builder().promote(Promote::after(delay)).scale_down_delay(delay);
        switch.preview = preview;
        if let Some(question) = question {
            switch = switch.promote(Promote::by_person(question));
        }
        (switch.before, switch.after) = (analyses.clone(), analyses);
        switch.build().unwrap().into()
    });
    let roll = (amounts(), amounts(), 1..99_u32, spans(), prop::option::of(analyses()));
    let roll = roll.prop_map(|(surge, unavailable, first, span, analysis)| {
        let percent = |n| Amount::Percent(Percent::new(n).unwrap());
        let mut batch = Batch::upto(percent(first)).soak(span);
        batch.analysis.extend(analysis);
        let roll = Rolling::builder().surge(surge).unavailable(unavailable).min_healthy(span);
        let roll = roll.batches(vec![batch, Batch::upto(percent(100))]).progress_deadline(span * 2);
        roll.build().unwrap().into()
    });
    let flags = (1..100_u32, spans(), prop::option::of(texts()), prop::option::of(analyses()));
    let flags = flags.prop_map(|(first, soak, question, analysis)| {
        let mut step = FlagStep::percent(Percent::new(first).unwrap()).soak(soak);
        if let Some(question) = question {
            step = step.approval(question);
        }
        step.analysis.extend(analysis);
        let flag = FlagRollout::builder(FlagName::new("new-search").unwrap()).step(step);
        flag.step(FlagStep::percent(Percent::new(100).unwrap())).build().unwrap().into()
    });
    let all = (spans(), spans())
        .prop_map(|(delay, deadline)| AllAtOnce::new().scale_down_delay(delay).progress_deadline(deadline).into());
    prop_oneof![4 => canary, 2 => switch, 2 => roll, 2 => flags, 1 => all]
}

proptest! {
    #[test]
    fn what_is_written_reads_back_the_same(spec in specs()) {
        let json = spec.to_json();
        prop_assert_eq!(&StrategySpec::from_json(&json).unwrap(), &spec);
        prop_assert_eq!(&serde_json::from_str::<StrategySpec>(&json).unwrap(), &spec);
        let value = serde_json::to_value(&spec).unwrap();
        prop_assert_eq!(&serde_json::from_value::<StrategySpec>(value).unwrap(), &spec);
        #[cfg(feature = "yaml")]
        {
            let yaml = spec.to_yaml().unwrap();
            prop_assert_eq!(&StrategySpec::from_yaml(&yaml).unwrap_or_else(|e| panic!("{e}\n{yaml}")), &spec, "{}", yaml);
            // JSON is YAML.
            prop_assert_eq!(&StrategySpec::from_yaml(&json).unwrap(), &spec);
        }
    }
}

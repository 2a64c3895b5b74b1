//! The arithmetic of a canary against the figures of Argo Rollouts, and schedules against those of AWS CodeDeploy.

use std::num::NonZeroU32;
use std::time::Duration;

use deploy_strategies::canary::Step;
use deploy_strategies::canary::replicas::{
    ActualWeights, OwnScale, PeerStep, Present, Routed, Sides, approximate, arrived, counted, enough, for_weight,
    reconcile, scale_at, weight_at, weight_on_abort,
};
use deploy_strategies::canary::schedule::{HostLimit, Schedule};
use deploy_strategies::rolling::{Allowance, Amount, Set};
use deploy_strategies::share::Percent;
use proptest::prelude::*;
use serde_json::Value;

use crate::cases::{each, whole};

const FILE: &str = "argo_canary_more.json";

fn n(input: &Value, field: &str) -> u32 {
    whole(&input[field]).unwrap()
}

fn set(row: &Value) -> Set {
    // The peer reads an absent wish as one.
    Set { asked: whole(&row["spec_replicas"]).unwrap_or(1), ready: whole(&row["available_replicas"]).unwrap_or(0) }
}

fn numbers(row: &Value) -> Vec<u32> {
    row.as_array().unwrap().iter().map(|v| whole(v).unwrap()).collect()
}

fn allowance(input: &Value) -> Allowance {
    Allowance { surge: n(input, "max_surge"), unavailable: n(input, "max_unavailable") }
}

fn check(name: &str, expected: &Value, sides: Sides) {
    for (field, is) in [
        ("canary_replicas", sides.canary),
        ("canary", sides.canary),
        ("stable_replicas", sides.stable),
        ("stable", sides.stable),
    ] {
        if let Some(figure) = expected.get(field) {
            assert_eq!(*figure, is, "{name}: {field}");
        }
    }
}

#[test]
fn the_nearest_split() {
    each("argo_canary_approximate.json", None, |name, input, expected| {
        let sides =
            approximate(n(input, "replicas"), n(input, "weight"), n(input, "max_weight"), n(input, "max_surge"));
        check(name, expected, sides);
    });
}

#[test]
fn one_step_towards_a_split() {
    each("argo_canary_reconcile.json", None, |name, input, expected| {
        let (size, aborted) = (n(input, "replicas"), input["aborted"] == true);
        let weight = if input["promote_full"] == true {
            100
        } else if aborted {
            0
        } else {
            n(input, "set_weight_percent")
        };
        let scale = Some(&input["set_canary_scale"]).filter(|scale| !scale.is_null());
        let sides = if input["mode"] == "basic" {
            let present = Present {
                canary: set(&input["canary"]),
                stable: set(&input["stable"]),
                older: whole(&input["older"]["spec_replicas"]).unwrap_or(0),
                ending: 0,
            };
            reconcile(size, approximate(size, weight, 100, n(input, "max_surge")), allowance(input), present)
        } else {
            let step = scale.map_or(PeerStep::Other, |scale| {
                match (scale["match_traffic_weight"] == true, whole(&scale["replicas"])) {
                    (true, _) => PeerStep::MatchWeight,
                    (false, Some(count)) => PeerStep::SetInstances(count),
                    (false, None) => PeerStep::SetInstancesFor(n(scale, "weight_percent")),
                }
            });
            let kept = input["abort_scale_down_delay_seconds"] == 0;
            let explicit = scale_at(&[step], 0, aborted, kept).map(|scale| match scale {
                OwnScale::Instances(count) => count,
                OwnScale::Weight(weight) => for_weight(size, weight, 100),
            });
            let least = whole(&input["min_pods_per_replica_set"]).unwrap_or(0);
            Routed { size, weight, of: 100, explicit, least, dynamic: None }.sides()
        };
        check(name, expected, sides);
    });
}

/// D7 of `docs/differences.md`.
#[test]
fn where_the_peer_finds_no_split_ours_is_the_lower_one() {
    // The peer's rule gives 0 and 5 here: no new instance for a weight of 90 %.
    assert_eq!(approximate(5, 90, 100, 0), Sides { canary: 4, stable: 1 });
}

#[test]
fn the_smaller_rules() {
    each(FILE, Some("no_separate_stable"), |name, input, expected| {
        // Our canary hands over at once then; what is left is the full size and nothing else.
        assert!(input["stable_is_new"] == true, "{name}");
        assert_eq!((n(expected, "new_replicas"), n(expected, "stable_replicas")), (n(input, "replicas"), 0), "{name}");
    });
    each(FILE, Some("traffic_routed"), |name, input, expected| {
        let routed = Routed {
            size: n(input, "replicas"),
            weight: n(input, "set_weight_percent"),
            of: 100,
            explicit: None,
            least: 1,
            dynamic: None,
        };
        check(name, expected, routed.sides());
    });
    each(FILE, Some("dynamic_stable_scale"), |name, input, expected| {
        let (size, steps, aborted) =
            (n(input, "replicas"), numbers(&input["set_weight_steps_percent"]), input["aborted"] == true);
        let kept = !input["explicit_abort_scale_down_delay_seconds"].is_null();
        let known = !input["canary"].is_null() && !input["stable"].is_null();
        let weight = match (aborted, known) {
            (false, _) => steps[n(input, "current_step_index") as usize],
            (true, false) => 0,
            (true, true) => {
                // The canary counts as fully available, as the notes of the table say.
                weight_on_abort(
                    size,
                    &steps,
                    100,
                    n(&input["canary"], "spec_replicas"),
                    n(&input["stable"], "available_replicas"),
                    kept,
                )
            }
        };
        let actual = ActualWeights {
            canary: n(input, "actual_canary_weight_percent"),
            stable: n(input, "actual_stable_weight_percent"),
            aborted,
        };
        check(
            name,
            expected,
            Routed { size, weight, of: 100, explicit: None, least: 1, dynamic: Some(actual) }.sides(),
        );
    });
    each(FILE, Some("weight_to_replicas"), |name, input, expected| {
        assert_eq!(
            for_weight(n(input, "replicas"), n(input, "weight"), n(input, "max_weight")),
            n(expected, "replicas"),
            "{name}"
        );
    });
    each(FILE, Some("replicas_counted_for_scale_down"), |name, input, expected| {
        let set = if input["set"].is_null() { Set::default() } else { set(&input["set"]) };
        assert_eq!(counted(set, input["ignore_availability"] == true), n(expected, "replicas"), "{name}");
    });
    each(FILE, Some("canary_replicas_or_weight"), |name, input, expected| {
        let steps: Vec<PeerStep> = input["steps"].as_array().unwrap().iter().map(step).collect();
        let index = whole(&input["current_step_index"]).unwrap_or(0) as usize;
        let own = (input["traffic_routing"] == true).then(|| scale_at(&steps, index, false, false)).flatten();
        let (replicas, weight) = match own {
            _ if input["promote_full"] == true => (None, 100),
            Some(OwnScale::Instances(count)) => (Some(count), 0),
            Some(OwnScale::Weight(weight)) => (None, weight),
            None => (None, weight_at(&steps, index, false, 100)),
        };
        assert_eq!((whole(&expected["replicas"]), n(expected, "weight_percent")), (replicas, weight), "{name}");
    });
    each(FILE, Some("current_set_weight"), |name, input, expected| {
        let steps: Vec<PeerStep> = input["steps"].as_array().unwrap().iter().map(step).collect();
        let weight = weight_at(
            &steps,
            n(input, "current_step_index") as usize,
            input["aborted"] == true,
            n(input, "max_weight_percent"),
        );
        assert_eq!(weight, n(expected, "weight_percent"), "{name}");
    });
    each(FILE, Some("desired_weight_on_abort"), |name, input, expected| {
        let kept = !input["explicit_abort_scale_down_delay_seconds"].is_null();
        let (canary, stable) = (n(&input["canary"], "available_replicas"), n(&input["stable"], "available_replicas"));
        let weight = weight_on_abort(
            n(input, "replicas"),
            &numbers(&input["set_weight_steps_percent"]),
            100,
            canary,
            stable,
            kept,
        );
        assert_eq!(weight, n(expected, "weight_percent"), "{name}");
    });
    each(FILE, Some("progress_threshold"), |name, input, expected| {
        let value = input["threshold"]["value"].as_i64().unwrap();
        // Less than nothing, which the peer takes, cannot be written with us; nothing is the nearest: D14 of
        // `docs/differences.md`.
        let value = u32::try_from(value.max(0)).unwrap();
        let threshold = if input["threshold"]["kind"] == "percent" {
            Amount::Percent(Percent::new(value).unwrap())
        } else {
            Amount::Count(value)
        };
        let met = !input["set"].is_null() && enough(threshold, set(&input["set"]).ready, n(input, "desired_replicas"));
        assert_eq!(expected["met"], met, "{name}");
    });
    each(FILE, Some("all_desired_available"), |name, input, expected| {
        let wanted = n(input, "desired_replicas");
        let all = !input["set"].is_null() && set(&input["set"]) == Set { asked: wanted, ready: wanted };
        assert_eq!(expected["available"], all, "{name}");
    });
    each(FILE, Some("at_desired_counts"), |name, input, expected| {
        let target = approximate(n(input, "replicas"), n(input, "set_weight_percent"), 100, n(input, "max_surge"));
        let created = n(&input["stable"], "created_replicas");
        let is = arrived(target, set(&input["new"]), set(&input["stable"]), created, 0);
        assert_eq!(expected["at_desired"], is, "{name}");
    });
    each(FILE, Some("before_starting_step"), |name, input, expected| {
        let (start, index) = (whole(&input["background_analysis_starting_step"]), whole(&input["current_step_index"]));
        let before = start.zip(index).is_some_and(|(start, index)| index < start);
        assert_eq!(expected["before_starting_step"], before, "{name}");
    });
    each(FILE, Some("experiment_in_force"), |name, input, expected| {
        let mut steps: Vec<Step> = vec![];
        for step in input["steps"].as_array().unwrap() {
            let seconds =
                step.as_str().unwrap().strip_prefix("experiment ").map(|s| s.trim_end_matches('s').parse().unwrap());
            let next = Step::weight(0);
            steps.push(match seconds {
                Some(seconds) => next.experiment(NonZeroU32::MIN, 1).soak(Duration::from_secs(seconds)),
                None => next.approval("go on?"),
            });
        }
        let here = steps.get(n(input, "current_step_index") as usize).filter(|step| step.experiment.is_some());
        let lasts = here.map(|step| format!("{}s", step.soak.as_secs()));
        assert_eq!(expected["experiment_duration"].as_str(), lasts.as_deref(), "{name}");
    });
}

fn step(row: &Value) -> PeerStep {
    match (whole(&row["set_weight_percent"]), whole(&row["set_canary_scale"]["replicas"])) {
        (Some(weight), _) => PeerStep::SetWeight(weight),
        (None, Some(count)) => PeerStep::SetInstances(count),
        (None, None) => PeerStep::Other,
    }
}

#[test]
fn named_schedules() {
    each("codedeploy_named.json", Some("traffic"), |name, _, expected| {
        let schedule = Schedule::named(name).unwrap_or_else(|| panic!("{name} is unknown"));
        let is: Vec<(u64, u32)> = schedule.shifts().iter().map(|s| (s.at.as_secs() / 60, s.percent.get())).collect();
        let wanted: Vec<(u64, u32)> = expected["shifts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| (s[0].as_u64().unwrap(), whole(&s[1]).unwrap()))
            .collect();
        assert_eq!(is, wanted, "{name}");
    });
    each("codedeploy_named.json", Some("hosts"), |name, input, expected| {
        let limit = match input["kind"].as_str().unwrap() {
            "all_at_once" => HostLimit::AllAtOnce,
            "half_at_a_time" => HostLimit::HalfAtATime,
            "one_at_a_time" => HostLimit::OneAtATime,
            "least_healthy_count" => HostLimit::LeastHealthy(n(input, "least_healthy")),
            other => panic!("{name}: {other}"),
        };
        let hosts = n(input, "hosts");
        for (field, is) in [
            ("most_hosts_at_once", limit.most_at_once(hosts)),
            ("least_successes_for_success", limit.least_successes(hosts)),
            ("least_healthy_hosts", limit.least_healthy(hosts)),
        ] {
            if let Some(figure) = expected.get(field) {
                assert_eq!(*figure, is, "{name}: {field}");
            }
        }
    });
}

#[test]
fn the_figures_of_the_guide_for_nine_hosts() {
    assert_eq!((HostLimit::HalfAtATime.most_at_once(9), HostLimit::HalfAtATime.least_successes(9)), (4, 5));
    let share = HostLimit::LeastHealthyPercent(Percent::new(40).unwrap());
    assert_eq!((share.least_healthy(9), share.most_at_once(9)), (4, 5));
}

#[test]
fn schedules_that_make_no_sense_are_refused() {
    let minute = Duration::from_secs(60);
    let percent = |n| Percent::new(n).unwrap();
    for refused in [
        Schedule::canary(percent(100), minute),
        Schedule::canary(percent(0), minute),
        Schedule::linear(percent(10), Duration::ZERO),
        Schedule::linear(percent(0), minute),
        Schedule::exponential(percent(5), 1, minute),
        Schedule::custom(vec![]),
    ] {
        assert!(refused.is_err());
    }
    for unknown in ["LambdaCanary10Percent7Minutes", "ECSCanary10percent30Minutes", "Linear", ""] {
        assert_eq!(Schedule::named(unknown), None, "{unknown}");
    }
}

proptest! {
    #[test]
    fn a_split_is_never_further_off_than_any_other_that_is_allowed(size in 0..40_u32, weight in 0..=100_u32, surge in 0..3_u32) {
        let sides = approximate(size, weight, 100, surge);
        let total = sides.canary + sides.stable;
        prop_assert!(total == size || (surge > 0 && total == size + 1));
        if size > 1 && weight > 0 && weight < 100 {
            prop_assert!(sides.canary > 0 && sides.stable > 0);
        }
        if size > 0 && (weight == 0 || weight == 100) {
            prop_assert_eq!(sides.canary, if weight == 0 { 0 } else { size });
        }
    }

    #[test]
    fn step_by_step_a_split_is_reached_within_both_limits(
        size in 1..14_u32,
        surge in 0..4_u32,
        unavailable in 0..4_u32,
        weights in prop::collection::vec(0..=100_u32, 1..5),
        slow in prop::collection::vec(any::<bool>(), 1..50),
    ) {
        prop_assume!(surge + unavailable > 0);
        let allowance = Allowance { surge, unavailable };
        let mut now = Present { stable: Set { asked: size, ready: size }, ..Present::default() };
        let mut pace = slow.iter().cycle();
        for weight in weights {
            let target = approximate(size, weight, 100, surge);
            for round in 0.. {
                let next = reconcile(size, target, allowance, now);
                prop_assert!(next.canary + next.stable <= (size + surge).max(now.canary.asked + now.stable.asked));
                let (canary, stable) = (now.canary.ready.min(next.canary), now.stable.ready.min(next.stable));
                prop_assert!(canary + stable >= allowance.least(size).min(now.canary.ready + now.stable.ready));
                // Instances come up one at a time, or not at all in a slow round.
                let up = u32::from(!*pace.next().unwrap() || round > 60);
                now.canary = Set { asked: next.canary, ready: (canary + up).min(next.canary) };
                now.stable = Set { asked: next.stable, ready: (stable + up).min(next.stable) };
                if next == target && now.canary.ready == next.canary && now.stable.ready == next.stable {
                    break;
                }
                prop_assert!(round < 200, "{now:?} does not reach {target:?}");
            }
        }
    }
}

//! The arithmetic of a rolling update against the figures of Kubernetes.

use std::time::Duration;

use deploy_core::time::RunTime;
use deploy_strategies::rolling::{
    Allowance, Amount, Counts, Set, Sharing, left, new_size, proportional, remove_ready, remove_unhealthy, share,
    shrink_old, timed_out,
};
use deploy_strategies::share::Percent;
use serde_json::Value;

use crate::cases::{each, whole};

/// What an importer makes of the peer's lenient texts: a number, a percentage, nothing; anything else is an error. D6 of
/// `docs/differences.md`.
fn amount(raw: &Value) -> Option<Amount> {
    match raw {
        Value::Null => Some(Amount::Count(0)),
        Value::Number(_) => whole(raw).map(Amount::Count),
        Value::String(text) => {
            let percent = text.strip_suffix('%')?.parse().ok()?;
            Percent::new(percent).ok().map(Amount::Percent)
        }
        _ => None,
    }
}

fn n(input: &Value, field: &str) -> u32 {
    whole(&input[field]).unwrap()
}

fn set(input: &Value) -> Set {
    Set { asked: n(input, "spec_replicas"), ready: n(input, "available_replicas") }
}

#[test]
fn fenceposts() {
    each("k8s_fenceposts.json", None, |name, input, expected| {
        let limits = amount(&input["max_surge_raw"]).zip(amount(&input["max_unavailable_raw"]));
        let allowance = limits.map(|(surge, missing)| Allowance::of(surge, missing, n(input, "desired_replicas")));
        assert_eq!(allowance.is_none(), expected.get("error").is_some(), "{name}");
        if let Some(allowance) = allowance {
            assert_eq!(
                (allowance.surge, allowance.unavailable),
                (n(expected, "surge"), n(expected, "unavailable")),
                "{name}"
            );
        }
    });
}

#[test]
fn the_size_of_the_new_set() {
    each("k8s_new_replicas.json", None, |name, input, expected| {
        let wanted = n(input, "desired_replicas");
        // The peer's other strategy does not count what others take: D5 of `docs/differences.md`.
        let taken = if input["strategy"] == "recreate" {
            n(input, "new_set_replicas")
        } else {
            n(input, "total_current_replicas")
        };
        let allowance = Allowance { surge: n(input, "max_surge"), unavailable: 0 };
        let size = new_size(n(input, "new_set_replicas"), taken, wanted, allowance);
        assert_eq!(size, n(expected, "new_set_replicas"), "{name}");
    });
}

#[test]
fn how_many_may_be_missing() {
    for table in ["max_unavailable", "min_available"] {
        each("k8s_max_unavailable.json", Some(table), |name, input, expected| {
            if input["strategy"] == "recreate" {
                // Recreate stops everything first; there is no such strategy of ours, and nothing to be computed: D5 of
                // `docs/differences.md`.
                assert_eq!(expected[table], 0, "{name}");
                return;
            }
            let wanted = n(input, "desired_replicas");
            let surge = Amount::Count(n(input, "max_surge"));
            let allowance = Allowance::of(surge, amount(&input["max_unavailable_raw"]).unwrap(), wanted);
            let is = if table == "max_unavailable" { allowance.missing(wanted) } else { allowance.least(wanted) };
            assert_eq!(is, n(expected, table), "{name}");
        });
    }
}

#[test]
fn one_step_of_a_roll() {
    each("k8s_rolling.json", Some("reconcile_new"), |name, input, expected| {
        let (old, new) = (n(input, "old_set_replicas"), n(input, "new_set_replicas"));
        let allowance = Allowance { surge: n(input, "max_surge"), unavailable: 0 };
        let size = new_size(new, old + new, n(input, "desired_replicas"), allowance);
        // The peer cuts a new set that is too large in another branch, whatever room there is: D4 of `docs/differences.md`.
        let size = if new > n(input, "desired_replicas") { n(input, "desired_replicas") } else { size };
        assert_eq!(size, n(expected, "new_set_replicas"), "{name}");
        assert_eq!(size != new, expected["scaled"], "{name}");
    });
    let allowance = |input: &Value| {
        let missing = amount(&input["max_unavailable_raw"]).unwrap();
        Allowance {
            surge: n(input, "max_surge"),
            ..Allowance::of(Amount::Count(0), missing, n(input, "desired_replicas"))
        }
    };
    each("k8s_rolling.json", Some("reconcile_old"), |name, input, expected| {
        let mut old = [set(&input["old_set"])];
        let new = set(&input["new_set"]);
        let taken = shrink_old(&mut old, new, n(input, "desired_replicas"), allowance(input), 0);
        assert_eq!(taken > 0, expected["scaled"], "{name}");
    });
    each("k8s_rolling.json", Some("cleanup_unhealthy"), |name, input, expected| {
        let taken = remove_unhealthy(&mut [set(&input["old_set"])], n(input, "max_cleanup"));
        assert_eq!(taken, n(expected, "cleaned_up"), "{name}");
    });
    each("k8s_rolling.json", Some("scale_down_old"), |name, input, expected| {
        let mut old = [set(&input["old_set"])];
        let taken = remove_ready(&mut old, Set::default(), n(input, "desired_replicas"), allowance(input), u32::MAX);
        assert_eq!((taken > 0, old[0].asked), (expected["scaled"] == true, n(expected, "old_set_replicas")), "{name}");
    });
}

#[test]
fn done_moving_and_out_of_time() {
    let file = "k8s_complete_progress_timeout.json";
    let counts = |row: &Value| Counts {
        current: n(row, "current_replicas"),
        updated: n(row, "updated_replicas"),
        ready: whole(&row["ready_replicas"]).unwrap_or(0),
        available: n(row, "available_replicas"),
    };
    let seconds = |value: &Value| value.as_u64().map(|s| RunTime(s * 1_000));
    let deadline = |input: &Value| input["progress_deadline_seconds"].as_u64().map(Duration::from_secs);
    each(file, Some("complete"), |name, input, expected| {
        assert_eq!(counts(input).complete(n(input, "desired_replicas")), expected["complete"], "{name}");
    });
    each(file, Some("progressing"), |name, input, expected| {
        let moved = counts(&input["after"]).progressed_since(counts(&input["before"]));
        assert_eq!(moved, expected["progressing"], "{name}");
    });
    each(file, Some("timed_out"), |name, input, expected| {
        let complete = input["last_progress_reason"] == "complete";
        let times = seconds(&input["last_progress_at_seconds"]).zip(seconds(&input["now_seconds"]));
        let out = !complete && times.is_some_and(|(last, now)| timed_out(last, deadline(input), now));
        assert_eq!(out, expected["timed_out"], "{name}");
    });
    each(file, Some("deadline_left"), |name, input, expected| {
        let since = seconds(&input["seconds_since_last_progress"]).filter(|_| input["condition"] == "progressing");
        let again = deadline(input).zip(since).map(|(deadline, now)| left(RunTime::START, deadline, now).as_secs());
        assert_eq!(again, expected["check_again_in_seconds"].as_u64(), "{name}");
    });
}

#[test]
fn the_wanted_number_changes_in_mid_roll() {
    each("k8s_proportional_scale.json", Some("share"), |name, input, expected| {
        let (wanted, surge) = (n(input, "desired_replicas"), n(input, "max_surge"));
        let before = whole(&input["recorded_max_replicas"]).unwrap_or(0);
        let set = Sharing { asked: n(input, "set_replicas"), most_before: before, created: 0 };
        let change = share(set, wanted, wanted + surge, n(input, "current_replicas_of_all_sets"));
        assert_eq!(Some(change), expected["change"].as_i64(), "{name}");
    });
    each("k8s_proportional_scale.json", Some("scale"), |name, input, expected| {
        let rows = input["sets"].as_array().unwrap();
        let sets: Vec<Sharing> = rows
            .iter()
            .map(|row| Sharing {
                asked: n(row, "spec_replicas"),
                most_before: whole(&row["recorded_max_replicas"]).unwrap_or(0),
                created: n(row, "created_order"),
            })
            .collect();
        let sizes = proportional(&sets, n(input, "desired_replicas"), n(input, "max_surge"));
        for (row, size) in rows.iter().zip(sizes) {
            assert_eq!(expected["spec_replicas"][row["name"].as_str().unwrap()], size, "{name}");
        }
    });
}

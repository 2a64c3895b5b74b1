//! The schema of strategies as data: what it refuses, the reader refuses.

use std::sync::LazyLock;

use deploy_strategies::spec::StrategySpec;
use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::cases;
use crate::spec::specs;

fn schema() -> &'static Validator {
    static SCHEMA: LazyLock<Validator> =
        LazyLock::new(|| jsonschema::draft202012::new(&StrategySpec::schema()).unwrap());
    &SCHEMA
}

/// Documents that use every field, one for each type.
fn examples() -> Vec<Value> {
    let approval = json!({"question": "go on?", "roles": ["sre"], "people": ["ada"], "quorum": 2, "self_approval": true, "expires_after": 60_000});
    let limit = json!({"compare": ">", "count": 2});
    let errors = json!({"limit": limit, "consecutive_limit": limit, "on_error": {"hold": {"at_most": "1h 30m"}}});
    let threshold = json!({"metrics": [{
        "metric": "errors", "of": "ratio", "condition": {"success": {"compare": "<", "limit": 0.5}, "failure": {"compare": ">=", "limit": 2}},
        "failure_limit": limit, "consecutive_failure_limit": limit, "errors": errors, "inconclusive_limit": limit,
        "consecutive_success_limit": {"compare": ">=", "count": 1}, "no_data": {"ignore": {"reason": "quiet at night"}}, "min_events": 10, "warm_up": "1m",
        "initial_delay": "30s", "interval": "2m", "quantile": 0.99, "dry_run": true, "count": 5
    }], "order": "argo", "failed_checks": limit});
    let analysis = json!({"monitor": "prometheus", "every": "1m", "lookback": "1m", "judge": {"threshold": threshold}});
    vec![
        json!({
            "type": "canary", "name": "slow", "instances": 10, "weights_of": 1_000, "capacity": {"percent": 20}, "stable": "match_weight", "min_instances": 2,
            "traffic": "router", "background": [{"from_step": 0, "analysis": analysis}], "on_inconclusive": "roll_back", "blast_radius": "1d",
            "scale_down_delay": "1m", "abort_delay": "0s", "progress_deadline": "20m",
            "steps": [{
                "weight": 50, "name": "first", "soak": "10m", "approval": approval, "mirror": 10, "capacity": {"instances": 3}, "analysis": [analysis],
                "routes": [[{"header": {"name": "x", "value": "1"}}, {"cookie": {"name": "c", "value": "2"}}]], "experiment": {"instances": 1, "weight": 50}
            }]
        }),
        json!({"type": "canary", "traffic": {"instances": {"surge": {"count": 1}, "unavailable": {"percent": 10}}}, "steps": [{"weight": 5}]}),
        json!({
            "type": "blue-green", "name": "switch", "instances": null, "preview": {"count": 1}, "before": [analysis], "promote": {"approved": approval},
            "after": [analysis], "on_inconclusive": {"ask": approval}, "scale_down_delay": "1m", "abort_delay": "1m", "progress_deadline": "20m"
        }),
        json!({"type": "blue-green", "promote": {"automatic": {"after": "5m"}}}),
        json!({
            "type": "rolling", "name": "roll", "instances": 10, "surge": {"percent": 25}, "unavailable": {"count": 0}, "min_healthy": "10s", "may_fail": {"count": 1},
            "batches": [{"upto": {"count": 1}, "soak": "5m", "approval": approval, "analysis": [analysis]}, {"upto": {"percent": 100}}], "partition": 2,
            "background": [analysis], "on_inconclusive": "roll_back", "progress_deadline": "20m"
        }),
        json!({
            "type": "flags", "name": "ramp", "flag": "new-search", "on_inconclusive": "roll_back", "progress_deadline": "20m",
            "requires": [{"flag": "new-index", "at_least": 50}, {"flag": "login"}], "expires": "2099-12-01T00:00:00Z",
            "steps": [{"percent": 1, "soak": "1d", "approval": approval, "analysis": [analysis]}, {"percent": 100}]
        }),
        json!({"type": "all-at-once", "instances": 3, "scale_down_delay": "1m", "progress_deadline": "20m"}),
    ]
}

#[test]
fn every_example_is_taken_by_schema_and_reader() {
    let schema = schema();
    for example in examples() {
        let wrong: Vec<String> =
            schema.iter_errors(&example).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        let spec =
            StrategySpec::from_json(example.to_string()).unwrap_or_else(|refused| panic!("{refused}\n{example}"));
        let written: Value = serde_json::from_str(&spec.to_json()).unwrap();
        assert!(schema.is_valid(&written), "what is written fits too");
    }
}

/// Every map of the value, as a path of keys and places.
fn maps(value: &Value, at: &mut Vec<String>, all: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(map) => {
            all.push(at.clone());
            for (key, inside) in map {
                at.push(key.clone());
                maps(inside, at, all);
                at.pop();
            }
        }
        Value::Array(list) => {
            for (i, inside) in list.iter().enumerate() {
                at.push(i.to_string());
                maps(inside, at, all);
                at.pop();
            }
        }
        _ => {}
    }
}

fn pointer(path: &[String]) -> String {
    path.iter().map(|part| format!("/{part}")).collect()
}

/// A field that is in neither is refused by both, wherever it stands: the schema and the reader cannot drift apart unseen, since the
/// examples use every field and are taken by both.
#[test]
fn a_field_that_nobody_knows_is_refused_by_both_wherever_it_stands() {
    let schema = schema();
    let mut tried = 0;
    for example in examples() {
        let mut all = Vec::new();
        maps(&example, &mut Vec::new(), &mut all);
        for path in all {
            let mut wrong = example.clone();
            wrong
                .pointer_mut(&pointer(&path))
                .and_then(Value::as_object_mut)
                .unwrap()
                .insert("zzz".to_owned(), json!(1));
            assert!(StrategySpec::from_json(wrong.to_string()).is_err(), "{path:?}");
            assert!(!schema.is_valid(&wrong), "{path:?}");
            tried += 1;
        }
    }
    cases::say(&format!("a field that nobody knows: {tried} places"));
}

/// What the reader knows under each name stands in the schema: the reader itself says which fields it expects.
#[test]
fn the_schema_has_every_field_that_the_reader_knows() {
    for example in examples().into_iter().filter(|example| example["type"] != "canary" || example["name"] == "slow") {
        let mut wrong = example.clone();
        wrong.as_object_mut().unwrap().insert("zzz".to_owned(), json!(1));
        let refused = StrategySpec::from_json(wrong.to_string()).expect_err("a field that nobody knows").to_string();
        let expected = refused.split("expected one of ").nth(1);
        assert!(expected.is_some(), "{refused}");
        for field in expected.into_iter().flat_map(|list| list.split('`').skip(1).step_by(2)) {
            let kinds = StrategySpec::schema();
            let own = kinds["oneOf"]
                .as_array()
                .unwrap()
                .iter()
                .find(|kind| kind["properties"]["type"]["const"] == example["type"])
                .unwrap()
                .clone();
            assert!(own["properties"].get(field).is_some(), "{field} of {}", example["type"]);
        }
    }
}

/// Replaces one value somewhere by another one.
fn changed(mut value: Value, place: &prop::sample::Index, by: &Value) -> Value {
    fn all(value: &Value, at: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
        found.push(at.clone());
        let inside: Vec<(String, &Value)> = match value {
            Value::Object(map) => map.iter().map(|(key, inside)| (key.clone(), inside)).collect(),
            Value::Array(list) => list.iter().enumerate().map(|(i, inside)| (i.to_string(), inside)).collect(),
            _ => Vec::new(),
        };
        for (part, inside) in inside {
            at.push(part);
            all(inside, at, found);
            at.pop();
        }
    }
    let mut found = Vec::new();
    all(&value, &mut Vec::new(), &mut found);
    let path = &found[place.index(found.len())];
    if let Some(old) = value.pointer_mut(&pointer(path)) {
        *old = by.clone();
    }
    value
}

fn values() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(-1),
        json!(100),
        json!(101),
        json!(5_000_000_000_u64),
        json!(0.5),
        json!(1.0),
        json!(""),
        json!("5m"),
        json!("-5m"),
        json!("1d 2h"),
        json!(" 5m "),
        json!("x"),
        json!("router"),
        json!("match_weight"),
        json!("roll_back"),
        json!("fail"),
        json!([]),
        json!({}),
        json!([5]),
        json!({"count": 1}),
        json!({"percent": 50}),
        json!({"percent": 101}),
        json!({"count": 1, "percent": 1}),
        json!({"router": null}),
        json!({"at_most": "1m"}),
        json!({"hold": {"at_most": "1m"}}),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn what_the_schema_refuses_the_reader_refuses(example in 0..7_usize, changes in prop::collection::vec((any::<prop::sample::Index>(), values()), 0..3)) {
        let start = examples().swap_remove(example);
        let document = changes.iter().fold(start, |document, (place, by)| changed(document, place, by));
        let read = StrategySpec::from_json(document.to_string());
        if !schema().is_valid(&document) {
            prop_assert!(read.is_err(), "the reader takes {}", document);
        }
    }

    #[test]
    fn whatever_is_written_fits_the_schema(spec in specs()) {
        let written = serde_json::to_value(&spec).unwrap();
        prop_assert!(schema().is_valid(&written), "{}", written);
    }
}

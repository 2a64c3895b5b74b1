//! The schema says what the reader accepts.

use std::path::Path;

use deploy_agents::documents::{Loaded, PipelineDocument};
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use serde_json::Value;

use crate::random::document;

/// With `UPDATE_SCHEMA=1` the file is written anew.
#[test]
fn the_schema_that_editors_use_is_the_one_of_the_types() {
    let schema = serde_json::to_string_pretty(&PipelineDocument::schema()).expect("JSON") + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pipeline.schema.json");
    if std::env::var("UPDATE_SCHEMA").as_deref() == Ok("1") {
        std::fs::write(&path, schema).expect("it can be written");
        return;
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == schema, "run `UPDATE_SCHEMA=1 cargo test -p deploy-agents --test documents schema`");
}

#[test]
fn the_schema_is_as_strict_as_the_reader() {
    let schema = PipelineDocument::schema();
    let definitions = schema["$defs"].as_object().expect("definitions");
    let objects = definitions.values().chain([&schema]).filter(|one| one.get("properties").is_some());
    for one in objects {
        assert_eq!(one["additionalProperties"], false, "{one}");
    }
    let step = &definitions["StepDocument"];
    assert_eq!(step["oneOf"].as_array().map(Vec::len), Some(5));
    assert_eq!(step["required"], serde_json::json!(["name"]));
    let required = schema["required"].as_array().expect("a list");
    assert_eq!(required.len(), 4, "{required:?}");
}

/// The places of a document at which a field may be added: every object that is no block's own parameters.
fn objects(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            // Under `gates` and `strategies` stand names, and under `with` whatever a maker takes.
            if !at.ends_with("/gates") && !at.ends_with("/strategies") {
                found.push(at.clone());
            }
            for (name, member) in members.iter().filter(|(name, _)| *name != "with") {
                objects(member, format!("{at}/{name}"), found);
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| objects(item, format!("{at}/{index}"), found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_schema_and_the_reader_agree(document in document(), choice in any::<proptest::sample::Index>()) {
        let validator = jsonschema::validator_for(&PipelineDocument::schema()).expect("a schema");
        let mut value = serde_json::to_value(&document).expect("JSON");
        if let Err(error) = validator.validate(&value) {
            prop_assert!(false, "{error} at {}", error.instance_path());
        }
        let mut places = Vec::new();
        objects(&value, String::new(), &mut places);
        let place = choice.get(&places);
        let object = value.pointer_mut(place).and_then(Value::as_object_mut).expect("an object");
        object.insert("unheard_of".to_owned(), Value::from(1));
        prop_assert!(!validator.is_valid(&value), "{place}");
        prop_assert_eq!(Loaded::json(&value.to_string()).is_err(), true, "{}", place);
    }
}

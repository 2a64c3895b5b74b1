//! The schema says what the reader accepts.

use std::path::Path;

use deploy_agents::documents::PipelineDocument;

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

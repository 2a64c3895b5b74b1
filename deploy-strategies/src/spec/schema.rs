//! The JSON schema of strategies as data.

use serde_json::{Map, Value, json};

use super::StrategySpec;

impl StrategySpec {
    /// The schema (JSON Schema, draft 2020-12): for editors, and for whoever checks files without this crate.
    ///
    /// It says which fields there are, of which shape, and which numbers may stand there. What depends on several fields at once (a weight
    /// that exceeds the whole, surge and unavailable that are both nothing) only the reader sees: whatever the schema refuses, the
    /// reader refuses, and not the other way round.
    ///
    /// ```
    /// use deploy_strategies::spec::StrategySpec;
    ///
    /// let schema = StrategySpec::schema();
    /// assert_eq!(schema["oneOf"].as_array().map(Vec::len), Some(StrategySpec::TYPES.len()));
    /// ```
    #[must_use]
    pub fn schema() -> Value {
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "a strategy",
            "description": "How a release spreads over a target.",
            "oneOf": [
                tagged("canary", "Traffic moves to the new revision step by step.", &["steps"], canary()),
                tagged("blue-green", "One side comes up beside the other, then all traffic is switched.", &[], blue_green()),
                tagged("rolling", "Instances are replaced a few at a time.", &[], rolling()),
                tagged("flags", "The percentage of a feature flag is raised step by step.", &["flag", "steps"], flags()),
                tagged("all-at-once", "Everything changes at once, the new revision beside the old one.", &[], all_at_once()),
            ],
            "$defs": definitions(),
        })
    }
}

/// A map with these fields and no others.
fn object(required: &[&str], fields: Value) -> Value {
    json!({"type": "object", "additionalProperties": false, "required": required, "properties": fields})
}

fn tagged(name: &str, what: &str, required: &[&str], fields: Map<String, Value>) -> Value {
    let mut fields = fields;
    fields.insert("type".to_owned(), json!({"const": name}));
    let required: Vec<&str> = std::iter::once("type").chain(required.iter().copied()).collect();
    let mut tagged = object(&required, Value::Object(fields));
    tagged["description"] = what.into();
    tagged
}

/// A choice with one thing inside.
fn choice(name: &str, inside: Value) -> Value {
    object(&[name], json!({name: inside}))
}

fn one_of(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

fn list(name: &str) -> Value {
    json!({"type": "array", "items": one_of(name)})
}

fn maybe(inside: &Value) -> Value {
    json!({"anyOf": [inside, {"type": "null"}]})
}

fn fields(all: Value) -> Map<String, Value> {
    match all {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn canary() -> Map<String, Value> {
    fields(json!({
        "name": one_of("name"),
        "instances": maybe(&one_of("positive")),
        "weights_of": one_of("positive"),
        "steps": {"type": "array", "items": one_of("step"), "minItems": 1},
        "traffic": one_of("carrier"),
        "capacity": one_of("canary_capacity"),
        "stable": {"enum": ["full", "match_weight"]},
        "min_instances": one_of("positive"),
        "background": list("background"),
        "on_inconclusive": one_of("on_inconclusive"),
        "blast_radius": maybe(&one_of("span")),
        "scale_down_delay": one_of("span"),
        "abort_delay": one_of("span"),
        "progress_deadline": one_of("span"),
    }))
}

fn blue_green() -> Map<String, Value> {
    fields(json!({
        "name": one_of("name"),
        "instances": maybe(&one_of("positive")),
        "preview": maybe(&one_of("amount")),
        "before": list("analysis"),
        "promote": {"oneOf": [
            choice("automatic", object(&["after"], json!({"after": one_of("span")}))),
            choice("approved", one_of("approval")),
        ]},
        "after": list("analysis"),
        "on_inconclusive": one_of("on_inconclusive"),
        "scale_down_delay": one_of("span"),
        "abort_delay": one_of("span"),
        "progress_deadline": one_of("span"),
    }))
}

fn rolling() -> Map<String, Value> {
    fields(json!({
        "name": one_of("name"),
        "instances": maybe(&one_of("positive")),
        "surge": one_of("amount"),
        "unavailable": one_of("amount"),
        "min_healthy": one_of("span"),
        "batches": {"type": "array", "items": one_of("batch"), "minItems": 1},
        "may_fail": one_of("amount"),
        "partition": one_of("count"),
        "background": list("analysis"),
        "on_inconclusive": one_of("on_inconclusive"),
        "progress_deadline": one_of("span"),
    }))
}

fn flags() -> Map<String, Value> {
    fields(json!({
        "name": one_of("name"),
        "flag": one_of("name"),
        "steps": {"type": "array", "items": one_of("flag_step"), "minItems": 1},
        "requires": {"type": "array", "items": one_of("prerequisite")},
        "expires": {"description": "RFC 3339, for example 2026-12-01T00:00:00Z.", "type": ["string", "null"]},
        "on_inconclusive": one_of("on_inconclusive"),
        "progress_deadline": one_of("span"),
    }))
}

fn all_at_once() -> Map<String, Value> {
    fields(json!({
        "instances": maybe(&one_of("positive")),
        "scale_down_delay": one_of("span"),
        "progress_deadline": one_of("span"),
    }))
}

fn definitions() -> Value {
    let pair = json!({"name": {"type": "string"}, "value": {"type": "string"}});
    let held = object(&["at_most"], json!({"at_most": one_of("span")}));
    json!({
        "name": {
            "description": "1 to 96 letters, digits and . _ - + : @, the first a letter or digit.",
            "type": "string",
            "pattern": "^[A-Za-z0-9][A-Za-z0-9._+:@-]{0,95}$",
        },
        "span": {
            "description": "Whole numbers with units, for example 90s, 5m, 1h 30m or 250ms.",
            "type": "string",
            "pattern": "^\\s*[0-9]+(d|h|m|s|ms)(\\s+[0-9]+(d|h|m|s|ms))*\\s*$",
        },
        "count": {"type": "integer", "minimum": 0, "maximum": u32::MAX},
        "positive": {"type": "integer", "minimum": 1, "maximum": u32::MAX},
        "percent": {"type": "integer", "minimum": 0, "maximum": 100},
        "amount": {
            "description": "A count, or a share of the wanted number of instances.",
            "oneOf": [choice("count", one_of("count")), choice("percent", one_of("percent"))],
        },
        "approval": object(&["question", "quorum", "expires_after"], json!({
            "question": {"type": "string"},
            "roles": {"type": "array", "items": {"type": "string"}},
            "people": {"type": "array", "items": {"type": "string"}},
            "quorum": one_of("positive"),
            "self_approval": {"type": "boolean"},
            "expires_after": {"description": "Milliseconds.", "type": "integer", "minimum": 0},
        })),
        "route_part": {"oneOf": [
            choice("header", route_part(&pair)),
            choice("cookie", route_part(&pair)),
        ]},
        "canary_capacity": {"oneOf": [
            {"const": "match_weight"},
            choice("instances", one_of("count")),
            choice("percent", one_of("percent")),
        ]},
        "carrier": {"oneOf": [
            {"const": "router"},
            choice("instances", object(&["surge", "unavailable"], json!({"surge": one_of("amount"), "unavailable": one_of("amount")}))),
        ]},
        "step": object(&["weight"], json!({
            "weight": one_of("count"),
            "name": maybe(&json!({"type": "string"})),
            "soak": one_of("span"),
            "approval": maybe(&one_of("approval")),
            "routes": {"type": "array", "items": {"type": "array", "items": one_of("route_part"), "minItems": 1}},
            "mirror": maybe(&json!({"type": "integer", "minimum": 1, "maximum": 100})),
            "experiment": maybe(&object(&["instances", "weight"], json!({"instances": one_of("positive"), "weight": one_of("positive")}))),
            "capacity": maybe(&one_of("canary_capacity")),
            "analysis": list("analysis"),
        })),
        "background": object(&["analysis"], json!({"from_step": one_of("count"), "analysis": one_of("analysis")})),
        "batch": object(&["upto"], json!({
            "upto": one_of("amount"),
            "soak": one_of("span"),
            "approval": maybe(&one_of("approval")),
            "analysis": list("analysis"),
        })),
        "flag_step": object(&["percent"], json!({
            "percent": {"type": "integer", "minimum": 1, "maximum": 100},
            "soak": one_of("span"),
            "approval": maybe(&one_of("approval")),
            "analysis": list("analysis"),
        })),
        "prerequisite": object(&["flag"], json!({
            "flag": one_of("name"),
            "at_least": {"type": "integer", "minimum": 1, "maximum": 100},
        })),
        "on_inconclusive": {"oneOf": [
            choice("ask", one_of("approval")),
            {"const": "roll_back"},
            choice("promote", object(&["reason"], json!({"reason": {"type": "string"}}))),
        ]},
        "analysis": object(&["monitor", "every", "lookback", "judge"], json!({
            "monitor": one_of("name"),
            "every": one_of("span"),
            "lookback": one_of("span"),
            "judge": {"oneOf": [
                choice("threshold", one_of("threshold")),
                choice("sequential", json!({"type": "object"})),
                choice("kayenta", json!({"type": "object"})),
                choice("burn_rate", json!({"type": "object"})),
                choice("service_score", json!({"type": "object"})),
            ]},
            "absence": maybe(&object(&["no_data", "errors"], json!({"no_data": one_of("no_data"), "errors": one_of("errors")}))),
        })),
        "threshold": object(&["metrics"], json!({
            "metrics": {"type": "array", "items": one_of("metric"), "minItems": 1},
            "order": {"enum": ["ours", "argo"]},
            "failed_checks": maybe(&one_of("limit")),
        })),
        "metric": object(&["metric", "condition", "errors", "no_data"], json!({
            "metric": one_of("name"),
            "of": {"enum": ["candidate", "difference", "ratio"]},
            "condition": object(&[], json!({"success": maybe(&one_of("bound")), "failure": maybe(&one_of("bound"))})),
            "failure_limit": maybe(&one_of("limit")),
            "consecutive_failure_limit": maybe(&one_of("limit")),
            "errors": one_of("errors"),
            "inconclusive_limit": maybe(&one_of("limit")),
            "consecutive_success_limit": maybe(&one_of("limit")),
            "no_data": one_of("no_data"),
            "min_events": {"type": "integer", "minimum": 0},
            "warm_up": one_of("span"),
            "initial_delay": one_of("span"),
            "interval": maybe(&one_of("span")),
            "quantile": maybe(&json!({"type": "number", "minimum": 0, "maximum": 1})),
            "dry_run": {"type": "boolean"},
            "count": maybe(&one_of("count")),
        })),
        "bound": object(&["compare", "limit"], json!({
            "compare": {"enum": ["<", "<=", ">", ">="]},
            "limit": {"type": "number"},
        })),
        "limit": object(&["compare", "count"], json!({
            "compare": {"enum": [">", ">="]},
            "count": one_of("count"),
        })),
        "errors": object(&["on_error"], json!({
            "limit": maybe(&one_of("limit")),
            "consecutive_limit": maybe(&one_of("limit")),
            "on_error": {"oneOf": [choice("hold", held.clone()), {"enum": ["roll_back", "inconclusive"]}]},
        })),
        "no_data": {"oneOf": [
            {"enum": ["fail", "inconclusive"]},
            choice("hold", held),
            choice("ignore", object(&["reason"], json!({"reason": {"type": "string"}}))),
        ]},
    })
}

fn route_part(pair: &Value) -> Value {
    object(&["name", "value"], pair.clone())
}

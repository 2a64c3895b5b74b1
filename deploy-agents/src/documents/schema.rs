//! The JSON schema of documents.
#![expect(dead_code, reason = "these types only say what texts of the types they stand for look like")]

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{Length, PipelineDocument};

impl PipelineDocument {
    /// The JSON schema (draft 2020-12) of documents, for editors and for those who write documents by program.
    #[must_use]
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }
}

impl JsonSchema for Length {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Length".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let number = "[0-9]+";
        let pattern = format!("^ *(?=.)({number}d *)?({number}h *)?({number}m *)?({number}s *)?({number}ms *)?$");
        schemars::json_schema!({
            "type": "string",
            "description": "A length of time: `90s`, `1h 30m`, `250ms`.",
            "pattern": pattern,
        })
    }
}

/// Who may wait for the lock.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Queue {
    /// First in, first out.
    Fifo,
    /// The newest waits in place of those that waited before.
    NewestWins,
    /// Nobody waits.
    Reject,
    /// Waits before all who wait in another way.
    Priority,
}

/// What becomes of a run in flight when a newer one arrives.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum InFlight {
    /// It goes on to its end.
    Finish,
    /// It is aborted and undone.
    Supersede,
}

/// A kind of release.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// An ordinary release.
    Production,
    /// A small urgent repair.
    Hotfix,
    /// New behaviour behind a flag.
    FeatureRollout,
    /// A change of what the service stands on.
    Infrastructure,
    /// A change of settings alone.
    Configuration,
    /// A repair that cannot wait.
    EmergencyPatch,
}

/// A check that a task must pass: its name, or with what its evidence must satisfy.
#[derive(JsonSchema)]
#[serde(untagged)]
pub(super) enum Verify {
    /// The check, under its own policy.
    Name(String),
    /// The check, under another policy.
    Policy(Policy),
}

/// A check and what its evidence must satisfy.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    /// The check.
    check: String,
    /// The kind of report that is asked for; `any` for whatever there is.
    kind: Option<String>,
    /// The oldest that the evidence may be.
    max_age: Option<Length>,
    /// Whether the agent that claims may also be the producer.
    self_attested: Option<bool>,
}

/// Exactly one kind of work is there.
pub(super) fn one_kind_of_work(schema: &mut Schema) {
    let one = |kind: &str| serde_json::json!({ "required": [kind] });
    let kinds = ["task", "gate", "approval", "soak", "rollout"].map(one);
    schema.insert("oneOf".to_owned(), serde_json::Value::Array(kinds.into()));
}

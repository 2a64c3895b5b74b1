//! Tools that a model may ask for, by an allow-list that the runtime keeps.

use std::fmt;
use std::sync::Arc;

use deploy_core::digest::Digest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Extracts, ToolCall, ToolSpec};

/// What a tool does: a function of the extracts and the arguments.
type Run = dyn Fn(&Extracts, &Value) -> Result<String, String> + Send + Sync;

/// A tool: a function of what the model is shown anyway. It gets no network, no files and no secrets.
#[derive(Clone)]
pub struct ModelTool {
    spec: ToolSpec,
    run: Arc<Run>,
}

impl fmt::Debug for ModelTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ModelTool").field(&self.spec.name).finish()
    }
}

impl ModelTool {
    /// A tool with the JSON schema of its arguments.
    pub fn new(
        name: impl Into<String>,
        description: impl Into<String>,
        arguments: Value,
        run: impl Fn(&Extracts, &Value) -> Result<String, String> + Send + Sync + 'static,
    ) -> Self {
        let spec = ToolSpec { name: name.into(), description: description.into(), arguments };
        Self { spec, run: Arc::new(run) }
    }

    /// `read`: the value of a fact, by its id.
    #[must_use]
    pub fn read() -> Self {
        let arguments = json!({
            "type": "object",
            "properties": { "fact": { "type": "string", "description": "the id of a fact, such as E1/totals/failures" } },
            "required": ["fact"],
            "additionalProperties": false,
        });
        Self::new("read", "reads a fact again where it stands", arguments, |extracts, arguments| {
            let id = arguments.get("fact").and_then(Value::as_str).ok_or("say which fact")?;
            let fact = extracts.fact_of(id).ok_or_else(|| format!("there is no fact {id}"))?;
            extracts.value(fact).ok_or_else(|| format!("{id} cannot be read"))
        })
    }

    /// What the model is told of it.
    #[must_use]
    pub fn spec(&self) -> &ToolSpec {
        &self.spec
    }
}

/// Proof of a call, made by the runtime: what the model says of its calls counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ToolReceipt {
    /// Its id: `T1`, `T2` …
    pub id: String,
    /// The tool that was asked for.
    pub tool: String,
    /// Its arguments, as a digest of their JSON.
    pub arguments: Digest,
    /// Whether it is on the list of this agent. What is not is never run.
    pub allowed: bool,
    /// The digest of what it answered; absent where it was not run, or refused.
    pub answer: Option<Digest>,
}

/// Runs a call if its tool is on the list, and says so in a receipt.
pub(super) fn call(
    allowed: &[ModelTool],
    extracts: &Extracts,
    call: &ToolCall,
    number: usize,
) -> (ToolReceipt, String) {
    let mut receipt = ToolReceipt {
        id: format!("T{number}"),
        tool: call.name.chars().take(100).collect(),
        arguments: Digest::of(call.arguments.to_string().as_bytes()),
        allowed: false,
        answer: None,
    };
    let Some(tool) = allowed.iter().find(|tool| tool.spec.name == call.name) else {
        return (receipt, "this tool is not on the list of this agent; it was not run".to_owned());
    };
    receipt.allowed = true;
    let text = match (tool.run)(extracts, &call.arguments) {
        Ok(answer) => {
            receipt.answer = Some(Digest::of(answer.as_bytes()));
            format!("{}: {answer}", receipt.id)
        }
        Err(reason) => format!("{}: refused: {reason}", receipt.id),
    };
    (receipt, text)
}

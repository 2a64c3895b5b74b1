//! Asking a language model, in one method.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::digest::Digest;
use deploy_core::time::Spell;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Asks a language model once.
///
/// # Contract for implementors
///
/// One request, one answer; nothing of an earlier request is remembered. An error never contains a key or the request. Whoever
/// asks bounds how long it may take by dropping the future.
#[async_trait]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a client of a language model",
    note = "use `deploy_agents::model::HttpModel`, or implement `deploy_agents::model::ModelClient` (`complete`)"
)]
pub trait ModelClient: Debug + Send + Sync + 'static {
    /// Asks for what follows the conversation.
    ///
    /// # Errors
    ///
    /// [`ModelError`], told apart by what may be done about it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future withdraws the request; it may have been received, and paid for.
    async fn complete(&self, request: &ModelRequest) -> Result<ModelAnswer, ModelError>;
}

#[async_trait]
impl<T: ModelClient + ?Sized> ModelClient for std::sync::Arc<T> {
    async fn complete(&self, request: &ModelRequest) -> Result<ModelAnswer, ModelError> {
        (**self).complete(request).await
    }
}

/// What a model is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRequest {
    /// Which model, by the name that its server knows.
    pub model: String,
    /// What it is to do, in our words: never anything that was read.
    pub system: String,
    /// The conversation so far.
    pub messages: Vec<ModelMessage>,
    /// The tools that it may ask for.
    pub tools: Vec<ToolSpec>,
    /// The longest answer, in tokens.
    pub max_tokens: u32,
}

impl ModelRequest {
    /// The digest of the request as JSON: what a recording knows it by.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }
}

/// One part of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelMessage {
    /// What we say.
    User(String),
    /// What the model said, with the tools that it asked for.
    Model {
        /// The text.
        text: String,
        /// The calls.
        calls: Vec<ToolCall>,
    },
    /// What a tool answered.
    Tool {
        /// Which call this answers.
        call: String,
        /// The answer, or why there is none.
        text: String,
    },
}

/// A tool that a model may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// The JSON schema of its arguments.
    pub arguments: Value,
}

/// A tool that a model asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Which call this is.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments.
    pub arguments: Value,
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelAnswer {
    /// The text.
    pub text: String,
    /// The tools that it asks for; then it is not done.
    pub calls: Vec<ToolCall>,
    /// The model that answered, as its server says.
    pub model: String,
    /// How many tokens were read.
    pub input_tokens: u64,
    /// How many tokens were written.
    pub output_tokens: u64,
}

impl ModelAnswer {
    /// An answer of text alone.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

/// A model that did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The server asks for patience: ask again later.
    #[error("the model's server asks for patience{}", after(*.retry_after))]
    RateLimited {
        /// For how long, where it says.
        retry_after: Option<Duration>,
    },
    /// No whole answer came in time: it may be asked again.
    #[error("no answer of the model within {}", Spell(*.bound))]
    TimedOut {
        /// How long it was waited for.
        bound: Duration,
    },
    /// Nobody was reached, or the connection broke: it may be asked again.
    #[error("the model's server cannot be reached: {0}")]
    Unreachable(String),
    /// The server failed: it may be asked again.
    #[error("the model's server failed with status {0}")]
    Failed(u16),
    /// The server refused the request: mend the request, the model's name or the key.
    #[error("the model's server refused the request with status {0}")]
    Refused(u16),
    /// The answer is larger than was allowed.
    #[error("the answer of the model is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The answer is not what such a server answers.
    #[error("the answer of the model's server cannot be read: {0}")]
    Unreadable(String),
    /// A recording holds no answer to this request: record it anew.
    #[error("the recording holds no answer to request {}", .0.short())]
    NotRecorded(Digest),
}

fn after(wait: Option<Duration>) -> String {
    wait.map_or_else(String::new, |wait| format!(" for {}", Spell(wait)))
}

impl ModelError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::TimedOut { .. } | Self::Unreachable(_) | Self::Failed(_) => true,
            Self::Refused(_) | Self::TooLarge { .. } | Self::Unreadable(_) | Self::NotRecorded(_) => false,
        }
    }
}

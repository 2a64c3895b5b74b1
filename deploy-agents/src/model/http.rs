//! Models behind HTTP, in the two dialects that servers speak.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{ModelAnswer, ModelClient, ModelError, ModelMessage, ModelRequest, ToolCall};
use crate::http::{Draft, HttpClient, HttpError, HttpLimits, PlainHttp, retry_after, shown};
use crate::secret::Secret;
use crate::wait::pause;

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `POST /v1/chat/completions`, as OpenAI and most servers of open models have it; the key is a bearer token.
    OpenAi,
    /// `POST /v1/messages`, as Anthropic has it; the key is in `x-api-key`.
    Anthropic,
}

/// A model behind HTTP. Without TLS unless the host hands in a client that has it.
///
/// A request that failed in a way that may pass is made again, at most twice, after what the server asks for or else 1 s and 2 s.
#[derive(Clone)]
pub struct HttpModel {
    dialect: Dialect,
    base: String,
    key: Option<Secret>,
    http: Arc<dyn HttpClient>,
    limits: HttpLimits,
    attempts: u32,
}

/// Longer than this a server is not waited for: the budget of a review is shorter.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The version of the interface that the messages here are of.
const ANTHROPIC_VERSION: &str = "2023-06-01";

impl fmt::Debug for HttpModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpModel")
            .field("dialect", &self.dialect)
            .field("base", &shown(&self.base))
            .finish_non_exhaustive()
    }
}

impl HttpModel {
    /// A model at this base URL, before `/v1`. An answer may take 60 s and have 1 MiB.
    pub fn new(dialect: Dialect, base: impl Into<String>) -> Self {
        let mut base = base.into();
        base.truncate(base.trim_end_matches('/').len());
        let limits = HttpLimits { timeout: Duration::from_secs(60), max_body: 1024 * 1024 };
        Self { dialect, base, key: None, http: Arc::new(PlainHttp::new()), limits, attempts: 3 }
    }

    /// The same model with the key that is shown to the server.
    #[must_use]
    pub fn key(mut self, key: Secret) -> Self {
        self.key = Some(key);
        self
    }

    /// The same model over another client, one with TLS for example.
    #[must_use]
    pub fn over(mut self, http: Arc<dyn HttpClient>) -> Self {
        self.http = http;
        self
    }

    /// The same model with other limits of one answer.
    #[must_use]
    pub fn limits(mut self, limits: HttpLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The same model, asked at most so often for one answer. Default 3: past one restart of a server.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    async fn once(&self, body: &Bytes) -> Result<ModelAnswer, ModelError> {
        let path = match self.dialect {
            Dialect::OpenAi => "/v1/chat/completions",
            Dialect::Anthropic => "/v1/messages",
        };
        let draft = Draft::new(Method::POST, &format!("{}{path}", self.base));
        let mut draft = draft.kind("application/json").body(body.clone());
        match (self.dialect, &self.key) {
            (Dialect::OpenAi, key) => draft = draft.bearer(key.as_ref()),
            (Dialect::Anthropic, Some(key)) => draft = draft.header("x-api-key", key.expose()),
            (Dialect::Anthropic, None) => {}
        }
        if self.dialect == Dialect::Anthropic {
            draft = draft.header("anthropic-version", ANTHROPIC_VERSION);
        }
        let answer = draft.send(self.http.as_ref(), self.limits).await.map_err(|error| match error {
            HttpError::TimedOut { bound, .. } => ModelError::TimedOut { bound },
            HttpError::TooLarge { limit, .. } => ModelError::TooLarge { limit },
            other => ModelError::Unreachable(other.to_string()),
        })?;
        let status = answer.status();
        if status == StatusCode::TOO_MANY_REQUESTS || status.as_u16() == 529 {
            return Err(ModelError::RateLimited { retry_after: retry_after(&answer) });
        }
        if status.is_server_error() {
            return Err(ModelError::Failed(status.as_u16()));
        }
        if !status.is_success() {
            return Err(ModelError::Refused(status.as_u16()));
        }
        let value: Value =
            serde_json::from_slice(answer.body()).map_err(|_| ModelError::Unreadable("it is no JSON".to_owned()))?;
        let read = match self.dialect {
            Dialect::OpenAi => from_open_ai(&value),
            Dialect::Anthropic => from_anthropic(&value),
        };
        read.ok_or_else(|| ModelError::Unreadable("it has no message".to_owned()))
    }
}

#[async_trait]
impl ModelClient for HttpModel {
    async fn complete(&self, request: &ModelRequest) -> Result<ModelAnswer, ModelError> {
        let body = match self.dialect {
            Dialect::OpenAi => to_open_ai(request),
            Dialect::Anthropic => to_anthropic(request),
        };
        let body = Bytes::from(body.to_string());
        let mut made = 1;
        loop {
            let error = match self.once(&body).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if made >= self.attempts || !error.is_retryable() {
                return Err(error);
            }
            let wait = match &error {
                ModelError::RateLimited { retry_after: Some(wait) } if *wait > LONGEST_WAIT => return Err(error),
                ModelError::RateLimited { retry_after: Some(wait) } => *wait,
                _ => Duration::from_secs(1 << (made - 1)),
            };
            pause(wait).await;
            made += 1;
        }
    }
}

fn to_open_ai(request: &ModelRequest) -> Value {
    let mut messages = vec![json!({ "role": "system", "content": request.system })];
    for message in &request.messages {
        messages.push(match message {
            ModelMessage::User(text) => json!({ "role": "user", "content": text }),
            ModelMessage::Model { text, calls } => {
                let calls: Vec<Value> = calls
                    .iter()
                    .map(|call| {
                        let function = json!({ "name": call.name, "arguments": call.arguments.to_string() });
                        json!({ "id": call.id, "type": "function", "function": function })
                    })
                    .collect();
                json!({ "role": "assistant", "content": text, "tool_calls": calls })
            }
            ModelMessage::Tool { call, text } => json!({ "role": "tool", "tool_call_id": call, "content": text }),
        });
    }
    let mut body = json!({
        "model": request.model,
        "messages": messages,
        "max_tokens": request.max_tokens,
        "temperature": 0,
    });
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|tool| {
            let function = json!({ "name": tool.name, "description": tool.description, "parameters": tool.arguments });
            json!({ "type": "function", "function": function })
        });
        body["tools"] = tools.collect();
    }
    body
}

fn from_open_ai(value: &Value) -> Option<ModelAnswer> {
    let message = value.pointer("/choices/0/message")?;
    let calls = message.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
    let calls = calls.filter_map(|call| {
        let function = call.get("function")?;
        let arguments = function.get("arguments").and_then(Value::as_str).unwrap_or("{}");
        Some(ToolCall {
            id: text(call, "id"),
            name: text(function, "name"),
            // What is no JSON is handed on as a text, and refused by the tool.
            arguments: serde_json::from_str(arguments).unwrap_or_else(|_| Value::from(arguments)),
        })
    });
    Some(ModelAnswer {
        text: text(message, "content"),
        calls: calls.collect(),
        model: text(value, "model"),
        input_tokens: count(value, "/usage/prompt_tokens"),
        output_tokens: count(value, "/usage/completion_tokens"),
    })
}

fn to_anthropic(request: &ModelRequest) -> Value {
    let mut messages: Vec<Value> = Vec::new();
    for message in &request.messages {
        match message {
            ModelMessage::User(text) => messages.push(json!({ "role": "user", "content": text })),
            ModelMessage::Model { text, calls } => {
                let mut content = Vec::new();
                if !text.is_empty() {
                    content.push(json!({ "type": "text", "text": text }));
                }
                content.extend(calls.iter().map(
                    |call| json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments }),
                ));
                messages.push(json!({ "role": "assistant", "content": content }));
            }
            ModelMessage::Tool { call, text } => {
                let result = json!({ "type": "tool_result", "tool_use_id": call, "content": text });
                // All results of one turn stand in one message.
                match messages.last_mut().filter(|last| last["content"][0]["type"] == "tool_result") {
                    Some(last) => {
                        if let Some(content) = last["content"].as_array_mut() {
                            content.push(result);
                        }
                    }
                    None => messages.push(json!({ "role": "user", "content": [result] })),
                }
            }
        }
    }
    let mut body = json!({
        "model": request.model,
        "system": request.system,
        "messages": messages,
        "max_tokens": request.max_tokens,
        "temperature": 0,
    });
    if !request.tools.is_empty() {
        let tools = request.tools.iter();
        body["tools"] = tools
            .map(|tool| json!({ "name": tool.name, "description": tool.description, "input_schema": tool.arguments }))
            .collect();
    }
    body
}

fn from_anthropic(value: &Value) -> Option<ModelAnswer> {
    let content = value.get("content")?.as_array()?;
    let of = |kind: &'static str| content.iter().filter(move |part| part["type"] == kind);
    let call =
        |part: &Value| ToolCall { id: text(part, "id"), name: text(part, "name"), arguments: part["input"].clone() };
    Some(ModelAnswer {
        text: of("text").map(|part| text(part, "text")).collect(),
        calls: of("tool_use").map(call).collect(),
        model: text(value, "model"),
        input_tokens: count(value, "/usage/input_tokens"),
        output_tokens: count(value, "/usage/output_tokens"),
    })
}

fn text(value: &Value, field: &str) -> String {
    value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn count(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

//! The two dialects over HTTP, against servers in this process.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use deploy_agents::http::{HttpClient, HttpError, HttpLimits};
use deploy_agents::model::{
    Dialect, HttpModel, ModelClient, ModelError, ModelMessage, ModelRequest, ToolCall, ToolSpec,
};
use deploy_agents::secret::Secret;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const OPEN_AI: &str = r#"{"model":"m-1","choices":[{"message":{"role":"assistant","content":"hello","tool_calls":[
  {"id":"c1","type":"function","function":{"name":"read","arguments":"{\"fact\":\"E1/x\"}"}}]}}],
  "usage":{"prompt_tokens":12,"completion_tokens":3}}"#;

const ANTHROPIC: &str = r#"{"model":"m-1","content":[{"type":"text","text":"hel"},{"type":"text","text":"lo"},
  {"type":"tool_use","id":"c1","name":"read","input":{"fact":"E1/x"}}],"usage":{"input_tokens":12,"output_tokens":3}}"#;

fn request() -> ModelRequest {
    let call = ToolCall { id: "c0".to_owned(), name: "read".to_owned(), arguments: json!({ "fact": "E1/y" }) };
    ModelRequest {
        model: "m".to_owned(),
        system: "be brief".to_owned(),
        messages: vec![
            ModelMessage::User("hi".to_owned()),
            ModelMessage::Model {
                text: "let me see".to_owned(),
                calls: vec![call.clone(), ToolCall { id: "c9".to_owned(), ..call }],
            },
            ModelMessage::Tool { call: "c0".to_owned(), text: "7".to_owned() },
            ModelMessage::Tool { call: "c9".to_owned(), text: "8".to_owned() },
        ],
        tools: vec![ToolSpec {
            name: "read".to_owned(),
            description: "reads".to_owned(),
            arguments: json!({ "type": "object" }),
        }],
        max_tokens: 100,
    }
}

type Answer = Result<(u16, Option<&'static str>, Bytes), HttpError>;

/// A server without sockets: answers in order, and keeps what it was asked.
#[derive(Debug, Default)]
struct StandIn {
    answers: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<(http::request::Parts, Value)>>,
}

impl StandIn {
    fn new(answers: Vec<Answer>) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.into()), ..Self::default() })
    }

    fn count(&self) -> usize {
        self.asked.lock().expect("whole").len()
    }
}

#[async_trait]
impl HttpClient for StandIn {
    async fn send(
        &self,
        request: http::Request<Bytes>,
        _limits: HttpLimits,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let body = serde_json::from_slice(&body).expect("JSON");
        self.asked.lock().expect("whole").push((parts, body));
        let (status, retry_after, body) = self.answers.lock().expect("whole").pop_front().expect("one more answer")?;
        let mut answer = http::Response::builder().status(status);
        if let Some(after) = retry_after {
            answer = answer.header("retry-after", after);
        }
        Ok(answer.body(body).expect("an answer"))
    }
}

fn fine(text: &'static str) -> Answer {
    Ok((200, None, Bytes::from_static(text.as_bytes())))
}

fn status(status: u16, retry_after: Option<&'static str>) -> Answer {
    Ok((status, retry_after, Bytes::from_static(b"{\"error\":\"key-123 is over its quota\"}")))
}

fn model(dialect: Dialect, server: &Arc<StandIn>) -> HttpModel {
    HttpModel::new(dialect, "https://models.example/").key(Secret::new("key-123")).over(Arc::clone(server) as _)
}

#[tokio::test]
async fn both_dialects_carry_a_conversation_and_its_tools() {
    for (dialect, answer, path) in [
        (Dialect::OpenAi, OPEN_AI, "https://models.example/v1/chat/completions"),
        (Dialect::Anthropic, ANTHROPIC, "https://models.example/v1/messages"),
    ] {
        let server = StandIn::new(vec![fine(answer)]);
        let got = model(dialect, &server).complete(&request()).await.expect("an answer");
        assert_eq!((got.text.as_str(), got.model.as_str()), ("hello", "m-1"));
        assert_eq!((got.input_tokens, got.output_tokens), (12, 3));
        assert_eq!(got.calls[0].arguments, json!({ "fact": "E1/x" }));
        let asked = server.asked.lock().expect("whole");
        let (parts, body) = &asked[0];
        assert_eq!(parts.uri.to_string(), path);
        assert_eq!((body["model"].as_str(), body["temperature"].as_u64()), (Some("m"), Some(0)));
        match dialect {
            Dialect::OpenAi => {
                assert_eq!(parts.headers["authorization"], "Bearer key-123");
                let roles: Vec<_> = body["messages"].as_array().expect("a list").iter().map(|m| &m["role"]).collect();
                assert_eq!(roles, ["system", "user", "assistant", "tool", "tool"]);
                assert_eq!(body["messages"][2]["tool_calls"][0]["function"]["arguments"], "{\"fact\":\"E1/y\"}");
                assert_eq!(body["tools"][0]["function"]["name"], "read");
            }
            Dialect::Anthropic => {
                assert_eq!(parts.headers["x-api-key"], "key-123");
                assert!(parts.headers.contains_key("anthropic-version"));
                assert_eq!(body["system"], "be brief");
                let messages = body["messages"].as_array().expect("a list");
                assert_eq!(messages.len(), 3, "the results of one turn stand in one message: {messages:?}");
                assert_eq!(messages[2]["content"][1]["tool_use_id"], "c9");
                assert_eq!(body["tools"][0]["input_schema"]["type"], "object");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again_after_what_the_server_asks_for() {
    let server = StandIn::new(vec![status(429, Some("30")), status(503, None), fine(OPEN_AI)]);
    let began = tokio::time::Instant::now();
    assert!(model(Dialect::OpenAi, &server).complete(&request()).await.is_ok());
    assert_eq!(began.elapsed(), Duration::from_secs(32), "30 s as it asked, and 2 s before the third attempt");

    let server = StandIn::new(vec![status(529, None), status(500, None), status(500, None)]);
    assert_eq!(model(Dialect::Anthropic, &server).complete(&request()).await, Err(ModelError::Failed(500)));
    assert_eq!(server.count(), 3, "and then no more");

    let server = StandIn::new(vec![status(429, Some("3600"))]);
    let limited = Err(ModelError::RateLimited { retry_after: Some(Duration::from_secs(3_600)) });
    assert_eq!(model(Dialect::OpenAi, &server).complete(&request()).await, limited, "nobody waits for an hour");

    for refused in [400, 401, 404] {
        let server = StandIn::new(vec![status(refused, None)]);
        let error = model(Dialect::OpenAi, &server).complete(&request()).await.expect_err("refused");
        assert_eq!((&error, server.count()), (&ModelError::Refused(refused), 1));
        assert!(!format!("{error} {error:?}").contains("key-123"), "nothing of the answer or the key is shown");
    }
    let shown = format!("{:?}", model(Dialect::OpenAi, &server));
    assert!(!shown.contains("key-123"), "{shown}");
}

#[tokio::test]
async fn what_is_no_answer_is_said_to_be_none() {
    for (text, said) in [
        ("<html>busy</html>", "it is no JSON"),
        ("{}", "it has no message"),
        ("[1]", "it has no message"),
        ("", "it is no JSON"),
    ] {
        for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
            let server = StandIn::new(vec![fine(text)]);
            let error = model(dialect, &server).complete(&request()).await.expect_err("unreadable");
            assert_eq!(error, ModelError::Unreadable(said.to_owned()), "{text}");
        }
    }
    // A tool call whose arguments are no JSON is handed on as text; the tool refuses it.
    let server = StandIn::new(vec![fine(
        r#"{"choices":[{"message":{"content":null,"tool_calls":[{"id":"c","function":{"name":"read","arguments":"rm -rf"}}]}}]}"#,
    )]);
    let got = model(Dialect::OpenAi, &server).complete(&request()).await.expect("an answer");
    assert_eq!((got.text.as_str(), &got.calls[0].arguments), ("", &json!("rm -rf")));
}

/// A real server on this machine that says this to everybody, after reading what they say; or nothing at all.
async fn serve(answer: Option<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let answer = answer.clone();
            let mut read = vec![0; 64 * 1024];
            let _ = socket.read(&mut read).await;
            match answer {
                Some(answer) => _ = socket.write_all(&answer).await,
                None => kept.push(socket),
            }
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn over_a_real_connection_answers_are_read_and_bounded() {
    let whole = |body: &str| {
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).into_bytes()
    };
    let good = HttpModel::new(Dialect::OpenAi, serve(Some(whole(OPEN_AI))).await);
    assert_eq!(good.complete(&request()).await.expect("an answer").text, "hello");

    let limits = HttpLimits { timeout: Duration::from_secs(30), max_body: 1_000 };
    let flood = HttpModel::new(Dialect::OpenAi, serve(Some(whole(&"x".repeat(100_000)))).await).limits(limits);
    assert_eq!(flood.complete(&request()).await, Err(ModelError::TooLarge { limit: 1_000 }));

    let bound = Duration::from_millis(50);
    let limits = HttpLimits { timeout: bound, max_body: 1_000 };
    let silent = HttpModel::new(Dialect::OpenAi, serve(None).await).limits(limits).attempts(1);
    assert_eq!(silent.complete(&request()).await, Err(ModelError::TimedOut { bound }));
}

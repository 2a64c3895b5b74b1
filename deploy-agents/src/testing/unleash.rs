//! A stand-in for Unleash's admin API.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::http::{HttpClient, HttpError, HttpLimits};

/// The admin API of Unleash for the flags of one environment, as far as a rollout needs it:
///
/// | call | answer |
/// |---|---|
/// | `GET /api/admin/projects/P/features/F/environments/E` | the flag in the environment, with its strategies |
/// | `PUT …/strategies/ID` | 200 with the strategy, replaced by what was sent |
///
/// The shapes are those of the server's own API description (`featureEnvironmentSchema`, `featureStrategySchema`,
/// `updateFeatureStrategySchema`), and of answers that a server of version 7.6 gave. As there, a strategy is replaced as a whole: what
/// is not sent is gone.
#[derive(Debug, Default)]
pub struct UnleashStandIn {
    token: String,
    flags: Mutex<BTreeMap<String, Flag>>,
    calls: Mutex<Vec<String>>,
    fault: Mutex<Option<StatusCode>>,
}

#[derive(Debug, Clone)]
struct Flag {
    enabled: bool,
    strategies: Vec<Map<String, Value>>,
}

impl UnleashStandIn {
    /// A server without flags that lets in whoever shows this token.
    #[must_use]
    pub fn new(token: impl Into<String>) -> Self {
        Self { token: token.into(), ..Self::default() }
    }

    /// The same server with one more flag, switched on, with one gradual rollout strategy.
    #[must_use]
    pub fn flag(self, name: &str, rollout: u32) -> Self {
        let strategy = json!({
            "id": format!("strategy-of-{name}"),
            "name": "flexibleRollout",
            "title": null,
            "disabled": false,
            "featureName": name,
            "parameters": {"rollout": rollout.to_string(), "stickiness": "userId", "groupId": name},
            "constraints": [],
            "segments": [],
            "variants": [],
            "sortOrder": 0,
        });
        held(&self.flags).insert(name.to_owned(), Flag { enabled: true, strategies: Vec::new() });
        self.strategy(name, strategy)
    }

    /// The same server with one more strategy of a flag that it has.
    #[must_use]
    pub fn strategy(self, flag: &str, strategy: Value) -> Self {
        if let (Some(flag), Value::Object(strategy)) = (held(&self.flags).get_mut(flag), strategy) {
            flag.strategies.push(strategy);
        }
        self
    }

    /// Switches a flag on or off, as a person does.
    pub fn switch(&self, flag: &str, enabled: bool) {
        if let Some(flag) = held(&self.flags).get_mut(flag) {
            flag.enabled = enabled;
        }
    }

    /// Answers every further call with this status; nothing: as it should.
    pub fn fail_with(&self, status: Option<StatusCode>) {
        *held(&self.fault) = status;
    }

    /// The first strategy of a flag, as it stands now.
    #[must_use]
    pub fn strategy_of(&self, flag: &str) -> Option<Value> {
        held(&self.flags).get(flag).and_then(|flag| flag.strategies.first()).cloned().map(Value::Object)
    }

    /// Every call so far: method and path.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        held(&self.calls).clone()
    }

    fn answer(&self, request: &Request<Bytes>) -> (StatusCode, Value) {
        let path = request.uri().path();
        held(&self.calls).push(format!("{} {path}", request.method()));
        if request.headers().get(header::AUTHORIZATION).and_then(|token| token.to_str().ok()) != Some(&self.token) {
            return refusal(StatusCode::UNAUTHORIZED, "NoAccessError", "the token is not known");
        }
        if let Some(status) = *held(&self.fault) {
            return refusal(status, "Error", "made to fail");
        }
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let ["api", "admin", "projects", _, "features", flag, "environments", environment, rest @ ..] = &*parts else {
            return refusal(StatusCode::NOT_FOUND, "NotFoundError", "nothing is there");
        };
        let mut flags = held(&self.flags);
        let Some(there) = flags.get_mut(*flag) else {
            return refusal(StatusCode::NOT_FOUND, "NotFoundError", &format!("could not find feature {flag}"));
        };
        match (request.method(), rest) {
            (&Method::GET, []) => {
                let body = json!({
                    "name": flag,
                    "environment": environment,
                    "enabled": there.enabled,
                    "type": "production",
                    "strategies": there.strategies,
                });
                (StatusCode::OK, body)
            }
            (&Method::PUT, ["strategies", id]) => replace(there, flag, id, request.body()),
            _ => refusal(StatusCode::NOT_FOUND, "NotFoundError", "nothing is there"),
        }
    }
}

fn replace(flag: &mut Flag, name: &str, id: &str, body: &[u8]) -> (StatusCode, Value) {
    let Ok(Value::Object(mut next)) = serde_json::from_slice::<Value>(body) else {
        return refusal(StatusCode::BAD_REQUEST, "BadDataError", "the body is not an object");
    };
    // Parameters are texts, whatever they hold.
    let parameters = next.get("parameters").and_then(Value::as_object);
    if parameters.is_some_and(|all| all.values().any(|value| !value.is_string())) {
        return refusal(StatusCode::BAD_REQUEST, "BadDataError", "parameters are texts");
    }
    let same = |strategy: &&mut Map<String, Value>| strategy.get("id").and_then(Value::as_str) == Some(id);
    let Some(strategy) = flag.strategies.iter_mut().find(same) else {
        return refusal(StatusCode::NOT_FOUND, "NotFoundError", "could not find the strategy");
    };
    next.insert("id".to_owned(), id.into());
    next.insert("featureName".to_owned(), name.into());
    for (field, empty) in [("constraints", json!([])), ("segments", json!([])), ("variants", json!([]))] {
        next.entry(field).or_insert(empty);
    }
    *strategy = next;
    (StatusCode::OK, Value::Object(strategy.clone()))
}

fn refusal(status: StatusCode, name: &str, message: &str) -> (StatusCode, Value) {
    (status, json!({"id": "0", "name": name, "message": message}))
}

fn held<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl HttpClient for UnleashStandIn {
    async fn send(&self, request: Request<Bytes>, _limits: HttpLimits) -> Result<Response<Bytes>, HttpError> {
        let (status, body) = self.answer(&request);
        let mut answer = Response::new(Bytes::from(body.to_string()));
        *answer.status_mut() = status;
        Ok(answer)
    }
}

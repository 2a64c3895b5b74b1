//! Flags of an Unleash server, over its admin API.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use deploy_core::name::{FlagName, TargetName};
use deploy_core::real::Real;
use deploy_core::target::{Applied, Capabilities, DesiredState, EffectContext, Target, TargetError, TargetState};
use http::{Method, StatusCode, header};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::percent::{state, wanted};
use crate::http::{Draft, HttpClient, HttpError, HttpLimits};
use crate::secret::Secret;

/// How long one call may take.
const CALL: Duration = Duration::from_secs(15);
/// The strategy whose `rollout` is a percentage.
const GRADUAL: &str = "flexibleRollout";
/// What a strategy is made of when it is written (`updateFeatureStrategySchema`); the rest is the server's.
const WRITTEN: [&str; 8] =
    ["name", "title", "disabled", "constraints", "parameters", "variants", "segments", "sortOrder"];

/// One flag: its gradual rollout strategy is raised and lowered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnleashFlag {
    /// Its name.
    pub flag: FlagName,
    /// The id of the strategy, where the flag has several gradual ones.
    pub strategy: Option<String>,
}

impl UnleashFlag {
    /// A flag with one gradual rollout strategy.
    #[must_use]
    pub fn new(flag: FlagName) -> Self {
        Self { flag, strategy: None }
    }

    /// The same flag, of whose strategies the one with this id is meant.
    #[must_use]
    pub fn strategy(mut self, id: impl Into<String>) -> Self {
        self.strategy = Some(id.into());
        self
    }
}

/// The percentages of flags in one environment of an Unleash project.
///
/// A percentage is the parameter `rollout` of the flag's `flexibleRollout` strategy. Everything else of the strategy is written
/// back as it was read: stickiness, group, constraints, segments, variants. Unleash takes whole percents alone.
///
/// - A flag that is switched off in the environment is at 0 %. It is never switched on here: that was a person's decision.
/// - A flag with another active strategy that has neither constraints nor segments is refused: that one lets in everybody it names,
///   and the percentage would not be the truth.
/// - *Read back* after each write. Clients poll; until they do, they go on with what they had.
/// - The API has no compare-and-set and no fences, and none are claimed.
///
/// Where the environment asks for change requests, writing is answered with 403 and told so.
///
/// Any [`HttpClient`] may be used; [`PlainHttp`](crate::http::PlainHttp) speaks no TLS.
#[derive(Debug)]
pub struct UnleashTarget {
    name: TargetName,
    base: String,
    project: String,
    environment: String,
    token: Secret,
    http: Arc<dyn HttpClient>,
    flags: Vec<UnleashFlag>,
}

/// A flag in an environment (`featureEnvironmentSchema`).
#[derive(Debug, Deserialize)]
struct InEnvironment {
    enabled: bool,
    #[serde(default)]
    strategies: Vec<Map<String, Value>>,
}

/// What of a flag matters here.
struct Found {
    enabled: bool,
    strategy: Map<String, Value>,
    rollout: u32,
}

impl UnleashTarget {
    /// An environment of a project, at a server whose address begins with `base` (`https://unleash.example`), with an admin token.
    pub fn new(
        name: TargetName,
        base: impl Into<String>,
        project: impl Into<String>,
        environment: impl Into<String>,
        token: Secret,
        http: Arc<dyn HttpClient>,
    ) -> Self {
        let (mut base, project, environment) = (base.into(), project.into(), environment.into());
        base.truncate(base.trim_end_matches('/').len());
        Self { name, base, project, environment, token, http, flags: Vec::new() }
    }

    /// The same target with one more flag that is rolled out. Flags that were not added are neither shown nor changed.
    #[must_use]
    pub fn flag(mut self, flag: UnleashFlag) -> Self {
        self.flags.push(flag);
        self
    }

    fn path(&self, flag: &FlagName) -> String {
        let (project, flag, environment) = (escape(&self.project), escape(flag.as_str()), escape(&self.environment));
        format!("/api/admin/projects/{project}/features/{flag}/environments/{environment}")
    }

    async fn find(&self, flag: &UnleashFlag) -> Result<Found, TargetError> {
        let name = &flag.flag;
        let answer = self.call(Method::GET, &self.path(name), Bytes::new()).await?;
        let there: InEnvironment = serde_json::from_slice(&answer).map_err(|error| {
            TargetError::unknown(format!("what unleash says of {name} cannot be read")).because(error)
        })?;
        let text =
            |strategy: &Map<String, Value>, key: &str| strategy.get(key).and_then(Value::as_str).map(str::to_owned);
        let is_meant = |strategy: &Map<String, Value>| match &flag.strategy {
            Some(id) => text(strategy, "id").as_ref() == Some(id),
            None => text(strategy, "name").as_deref() == Some(GRADUAL),
        };
        let (mut meant, others): (Vec<_>, Vec<_>) = there.strategies.into_iter().partition(is_meant);
        if let Some(open) = others.iter().find(|strategy| lets_everybody_in(strategy)) {
            let kind = text(open, "name").unwrap_or_default();
            return Err(TargetError::definitive(format!(
                "{name} has a strategy {kind:?} without constraints beside its rollout, so that a percentage would not be the \
                 truth; disable or constrain it"
            )));
        }
        let strategy = match (meant.len(), meant.pop()) {
            (1, Some(strategy)) => strategy,
            (n, _) => {
                let mend = if n == 0 { "add one" } else { "name one by its id" };
                return Err(TargetError::definitive(format!(
                    "{name} has {n} strategies {GRADUAL:?} that may be meant; {mend}"
                )));
            }
        };
        if text(&strategy, "name").as_deref() != Some(GRADUAL) {
            return Err(TargetError::definitive(format!("the strategy of {name} that was named is not {GRADUAL:?}")));
        }
        let rollout = strategy.get("parameters").and_then(|parameters| parameters.get("rollout"));
        // A text in Unleash's own answers; some tools write a number.
        let rollout = match rollout {
            Some(Value::String(text)) => text.parse().ok(),
            Some(Value::Number(number)) => number.as_u64().and_then(|n| u32::try_from(n).ok()),
            _ => None,
        };
        let rollout = rollout.filter(|percent| *percent <= 100);
        let rollout = rollout.ok_or_else(|| {
            TargetError::definitive(format!("the rollout of {name} is not a whole number from 0 to 100"))
        })?;
        let active = strategy.get("disabled").and_then(Value::as_bool) != Some(true);
        Ok(Found { enabled: there.enabled && active, strategy, rollout })
    }

    /// Writes one percentage, and reads it back.
    async fn set(&self, flag: &UnleashFlag, found: Found, percent: u32) -> Result<(), TargetError> {
        let name = &flag.flag;
        let mut strategy = found.strategy;
        let id = strategy.get("id").and_then(Value::as_str).map(str::to_owned);
        let id = id.ok_or_else(|| TargetError::definitive(format!("the strategy of {name} has no id")))?;
        if let Some(Value::Object(parameters)) = strategy.get_mut("parameters") {
            parameters.insert("rollout".to_owned(), percent.to_string().into());
        }
        strategy.retain(|field, _| WRITTEN.contains(&field.as_str()));
        let body = serde_json::to_vec(&strategy)
            .map_err(|error| TargetError::definitive("a strategy cannot be written as JSON").because(error))?;
        let path = format!("{}/strategies/{}", self.path(name), escape(&id));
        self.call(Method::PUT, &path, body.into()).await?;
        let after = self.find(flag).await?;
        if after.rollout != percent {
            let message = format!("{name} was set to {percent} %, and reads back at {} %", after.rollout);
            return Err(TargetError::unknown(message));
        }
        Ok(())
    }

    async fn call(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, TargetError> {
        let writes = method != Method::GET;
        let draft = Draft::new(method, &format!("{}{path}", self.base));
        let draft = draft.header(header::AUTHORIZATION, self.token.expose()).kind("application/json").body(body);
        let limits = HttpLimits { timeout: CALL, ..HttpLimits::default() };
        let answer = draft.send(self.http.as_ref(), limits).await.map_err(|error| {
            let name = &self.name;
            let refused = match error {
                HttpError::Unsupported { .. } => TargetError::definitive(format!("{name} cannot be asked")),
                _ if writes && !error.is_not_sent() => TargetError::unknown(format!("{name} gave no whole answer")),
                _ => TargetError::transient(format!("{name} could not be asked")),
            };
            refused.because(error)
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer.into_body());
        }
        let said = serde_json::from_slice::<Value>(answer.body()).ok();
        let said = said.as_ref().and_then(|said| said.get("message")).and_then(Value::as_str).unwrap_or_default();
        let message = format!("{} answered {status} to {path}: {said}", self.name);
        Err(match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => TargetError::transient(message),
            _ if status.is_client_error() => TargetError::definitive(message),
            _ if writes => TargetError::unknown(message),
            _ => TargetError::transient(message),
        })
    }
}

#[async_trait]
impl Target for UnleashTarget {
    fn name(&self) -> TargetName {
        self.name.clone()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { flags: true, ..Capabilities::default() }
    }

    async fn observe(&self) -> Result<TargetState, TargetError> {
        let mut percents = BTreeMap::new();
        for flag in &self.flags {
            let found = self.find(flag).await?;
            percents.insert(flag.flag.clone(), Real::from(if found.enabled { found.rollout } else { 0 }));
        }
        Ok(state(percents, None))
    }

    async fn apply(&self, desired: &DesiredState, _cx: &EffectContext) -> Result<Applied, TargetError> {
        let wanted = wanted(desired, self.flags.iter().map(|flag| &flag.flag))?;
        let whole = |percent: Real| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked: 0 to 100")]
            let number = percent.get() as u32;
            (Real::from(number) == percent).then_some(number)
        };
        // All are checked before any is changed.
        let mut changes = Vec::new();
        for flag in &self.flags {
            let percent = wanted.get(&flag.flag).copied().unwrap_or(Real::ZERO);
            let Some(percent) = whole(percent) else {
                let message = format!("{} is to be at {percent} %; unleash takes whole percents alone", flag.flag);
                return Err(TargetError::definitive(message));
            };
            let found = self.find(flag).await?;
            if !found.enabled && percent > 0 {
                return Err(TargetError::definitive(format!(
                    "{} is switched off in {}, and is to be at {percent} %; whoever switched it off has to switch it on",
                    flag.flag, self.environment
                )));
            }
            if found.enabled && found.rollout != percent {
                changes.push((flag, found, percent));
            }
        }
        let changed = !changes.is_empty();
        for (flag, found, percent) in changes {
            self.set(flag, found, percent).await?;
        }
        Ok(if changed { Applied::changed() } else { Applied::unchanged() })
    }
}

/// Whether a strategy is active and asks nothing of anybody.
fn lets_everybody_in(strategy: &Map<String, Value>) -> bool {
    let none = |key: &str| strategy.get(key).and_then(Value::as_array).is_none_or(Vec::is_empty);
    let active = strategy.get("disabled").and_then(Value::as_bool) != Some(true);
    active && none("constraints") && none("segments")
}

/// A part of a path, with everything but letters, digits and `. _ -` as `%` and its number.
fn escape(part: &str) -> String {
    let byte = |byte: u8| match byte {
        b if b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-') => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    part.bytes().map(byte).collect()
}

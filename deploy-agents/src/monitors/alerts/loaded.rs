//! Whether the rules that were declared are those that the server evaluates.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::{AlertRule, AlertRules, AlertSeverity};
use crate::http::{Endpoint, HttpClient, HttpLimits};
use crate::secret::Secret;

/// Reads the rules that a Prometheus has loaded (`/api/v1/rules`).
///
/// Rows: M36, M44.
#[derive(Debug, Clone)]
pub struct RulesApi {
    endpoint: Endpoint,
}

/// A declared rule that is not evaluated as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotLoaded {
    /// The server does not have it.
    Missing {
        /// The rule.
        rule: String,
    },
    /// The server has another one under its name.
    Differs {
        /// The rule.
        rule: String,
        /// In what.
        what: String,
    },
    /// The server cannot evaluate it.
    Unhealthy {
        /// The rule.
        rule: String,
        /// In the server's words.
        said: String,
    },
}

impl fmt::Display for NotLoaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { rule } => write!(f, "{rule} is not loaded"),
            Self::Differs { rule, what } => write!(f, "{rule} is loaded with another {what}"),
            Self::Unhealthy { rule, said } => write!(f, "{rule} cannot be evaluated: {said}"),
        }
    }
}

/// The rules could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the rules of {from} could not be read")]
#[non_exhaustive]
pub struct RulesError {
    from: String,
    source: Box<dyn std::error::Error + Send + Sync>,
}

#[derive(Deserialize)]
struct Envelope {
    data: Groups,
}

#[derive(Deserialize)]
struct Written {
    data: String,
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    name: String,
    rules: Vec<Loaded>,
}

#[derive(Deserialize)]
struct Loaded {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    #[serde(default)]
    query: String,
    #[serde(default)]
    duration: f64,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    health: String,
    #[serde(default, rename = "lastError")]
    last_error: String,
}

impl RulesApi {
    /// The server at this base URL (what comes before `/api/v1`). 5 s and 4 MiB for an answer.
    #[must_use]
    pub fn new(base: impl Into<String>) -> Self {
        Self { endpoint: Endpoint::new(base, HttpLimits { max_body: 4 << 20, ..HttpLimits::default() }) }
    }

    /// The same, showing this bearer token.
    #[must_use]
    pub fn token(mut self, token: Secret) -> Self {
        self.endpoint.token(token);
        self
    }

    /// The same over another client, for example one that speaks TLS.
    #[must_use]
    pub fn over(mut self, http: Arc<dyn HttpClient>) -> Self {
        self.endpoint.over(http);
        self
    }

    /// What of the declared rules is not evaluated as declared; empty if all of it is. A rule that was loaded and not evaluated
    /// yet counts as unhealthy.
    ///
    /// # Errors
    ///
    /// [`RulesError`] if the server cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn not_loaded(&self, declared: &AlertRules) -> Result<Vec<NotLoaded>, RulesError> {
        let groups = self.groups().await?;
        let there: Vec<&Loaded> =
            groups.iter().filter(|group| group.name == declared.group()).flat_map(|group| &group.rules).collect();
        let mut not_loaded = Vec::new();
        for rule in declared.rules() {
            let difference = match of_rule(rule, &there) {
                None => Some(NotLoaded::Missing { rule: rule.name.clone() }),
                Some(found) if !self.is_same(&found.query, &rule.expression).await? => {
                    Some(NotLoaded::Differs { rule: rule.name.clone(), what: "expression".to_owned() })
                }
                Some(found) => difference(rule, found),
            };
            not_loaded.extend(difference);
        }
        Ok(not_loaded)
    }

    /// Whether two expressions are the same but for how they are written: a server shows its rules in its own way (`[60s]` as `[1m]`), which it
    /// is asked for. Where it cannot tell, they are not.
    async fn is_same(&self, one: &str, other: &str) -> Result<bool, RulesError> {
        let plain = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        if plain(one) == plain(other) {
            return Ok(true);
        }
        let (one, other) = (self.formatted(one).await?, self.formatted(other).await?);
        Ok(one.zip(other).is_some_and(|(one, other)| plain(&one) == plain(&other)))
    }

    /// An expression as the server writes it (`/api/v1/format_query`); nothing if it does not.
    async fn formatted(&self, expression: &str) -> Result<Option<String>, RulesError> {
        let answer = self.endpoint.ask("/api/v1/format_query", &[("query", expression)]).await;
        let answer = answer.map_err(|error| RulesError { from: self.endpoint.name(), source: error.into() })?;
        let written = serde_json::from_slice::<Written>(answer.body()).ok().filter(|_| answer.status().is_success());
        Ok(written.map(|written| written.data))
    }

    /// Every alert rule that is loaded, for the lint: also those that nobody declared here.
    ///
    /// # Errors
    ///
    /// [`RulesError`] if the server cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn alert_rules(&self) -> Result<Vec<AlertRule>, RulesError> {
        let groups = self.groups().await?;
        let rules = groups.into_iter().flat_map(|group| group.rules).filter(|rule| rule.kind == "alerting");
        Ok(rules.map(Loaded::into_rule).collect())
    }

    async fn groups(&self) -> Result<Vec<Group>, RulesError> {
        let failed =
            |source: Box<dyn std::error::Error + Send + Sync>| RulesError { from: self.endpoint.name(), source };
        let answer = self.endpoint.ask("/api/v1/rules", &[]).await.map_err(|error| failed(error.into()))?;
        if !answer.status().is_success() {
            return Err(failed(format!("it answered {}", answer.status()).into()));
        }
        let envelope: Envelope = serde_json::from_slice(answer.body()).map_err(|error| failed(error.into()))?;
        Ok(envelope.data.groups)
    }
}

impl Loaded {
    fn into_rule(self) -> AlertRule {
        let Self { mut labels, mut annotations, .. } = self;
        let severity = labels.remove("severity").and_then(|text| match text.as_str() {
            "critical" | "page" => Some(AlertSeverity::Critical),
            "warning" => Some(AlertSeverity::Warning),
            "info" => Some(AlertSeverity::Info),
            _ => None,
        });
        let span = Duration::try_from_secs_f64(self.duration).ok().filter(|span| !span.is_zero());
        AlertRule {
            severity,
            hold_for: span,
            owner: labels.remove("owner"),
            runbook: annotations.remove("runbook_url").or_else(|| annotations.remove("runbook")),
            summary: annotations.remove("summary"),
            labels,
            ..AlertRule::new(self.name, self.query)
        }
    }
}

/// The loaded rule of this name: that with the same labels, or else any.
fn of_rule<'a>(rule: &AlertRule, there: &[&'a Loaded]) -> Option<&'a Loaded> {
    let wanted = rule.all_labels();
    let of_name = || there.iter().filter(|loaded| loaded.kind == "alerting" && loaded.name == rule.name);
    of_name().find(|loaded| loaded.labels == wanted).or_else(|| of_name().next()).copied()
}

/// What is different beside the expression.
fn difference(rule: &AlertRule, found: &Loaded) -> Option<NotLoaded> {
    let name = rule.name.clone();
    let differs = |what: &str| Some(NotLoaded::Differs { rule: name.clone(), what: what.to_owned() });
    if (found.duration - rule.hold_for.unwrap_or_default().as_secs_f64()).abs() > 1e-3 {
        return differs("duration");
    }
    if found.labels != rule.all_labels() {
        return differs("set of labels");
    }
    if found.annotations != rule.annotations() {
        return differs("set of annotations");
    }
    let said = if found.last_error.is_empty() { format!("it is {}", found.health) } else { found.last_error.clone() };
    (found.health != "ok").then_some(NotLoaded::Unhealthy { rule: name, said })
}

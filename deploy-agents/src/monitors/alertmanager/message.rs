//! Alerts as they are posted, asked for and sent.

use std::collections::BTreeMap;

use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// An alert to be posted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Alert {
    /// What it is: the same labels are the same alert.
    pub labels: BTreeMap<String, String>,
    /// What is said about it.
    pub annotations: BTreeMap<String, String>,
    /// Since when it is so; now if nothing is said.
    pub starts_at: Option<Timestamp>,
    /// Until when it is so; until the server's own time-out if nothing is said. A time that has passed resolves it.
    pub ends_at: Option<Timestamp>,
}

impl Alert {
    /// An alert of this name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let labels = BTreeMap::from([("alertname".to_owned(), name.into())]);
        Self { labels, annotations: BTreeMap::new(), starts_at: None, ends_at: None }
    }

    /// The same with one more label.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// The same with one more thing that is said about it.
    #[must_use]
    pub fn annotation(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(name.into(), value.into());
        self
    }

    /// The same, from then until then.
    #[must_use]
    pub fn between(mut self, starts_at: Option<Timestamp>, ends_at: Option<Timestamp>) -> Self {
        (self.starts_at, self.ends_at) = (starts_at, ends_at);
        self
    }

    pub(super) fn json(&self) -> serde_json::Value {
        let mut json = serde_json::json!({ "labels": self.labels, "annotations": self.annotations });
        for (name, at) in [("startsAt", self.starts_at), ("endsAt", self.ends_at)] {
            if let Some(at) = at {
                json[name] = at.to_string().into();
            }
        }
        json
    }
}

/// Whether an alert is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// Not looked at yet.
    Unprocessed,
    /// It is told.
    Active,
    /// It is silenced, or another alert speaks for it.
    Suppressed,
}

/// An alert that an Alertmanager knows of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActiveAlert {
    /// What it is.
    pub labels: BTreeMap<String, String>,
    /// What is said about it.
    pub annotations: BTreeMap<String, String>,
    /// Since when it is so.
    pub starts_at: Timestamp,
    /// Whether it is told.
    pub state: AlertState,
    /// The silences that keep it from being told.
    pub silenced_by: Vec<String>,
    /// What names it.
    pub fingerprint: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawActive {
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    starts_at: String,
    status: RawStatus,
    #[serde(default)]
    fingerprint: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawStatus {
    state: AlertState,
    #[serde(default)]
    silenced_by: Vec<String>,
}

/// The most alerts of one answer or message that are read.
const MOST_ALERTS: usize = 10_000;

pub(super) fn active(body: &[u8]) -> Result<Vec<ActiveAlert>, MessageError> {
    let all: Vec<RawActive> = serde_json::from_slice(body).map_err(MessageError::Shape)?;
    if all.len() > MOST_ALERTS {
        return Err(MessageError::TooMany(all.len()));
    }
    let read = |raw: RawActive| {
        Ok(ActiveAlert {
            labels: raw.labels,
            annotations: raw.annotations,
            starts_at: time(&raw.starts_at)?,
            state: raw.status.state,
            silenced_by: raw.status.silenced_by,
            fingerprint: raw.fingerprint,
        })
    };
    all.into_iter().map(read).collect()
}

fn time(text: &str) -> Result<Timestamp, MessageError> {
    Timestamp::parse(text).map_err(|_| MessageError::Time(text.chars().take(40).collect()))
}

/// What Alertmanager sends to a webhook (version 4), as data. Nothing in it is an instruction: whoever reads it decides.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebhookMessage {
    /// What names the group.
    pub group: String,
    /// Whether an alert of the group is still so.
    pub firing: bool,
    /// Who it was sent to.
    pub receiver: String,
    /// The labels that the group shares by configuration.
    pub group_labels: BTreeMap<String, String>,
    /// Its alerts.
    pub alerts: Vec<SentAlert>,
    /// How many more there were than were sent.
    pub truncated: u64,
}

/// One alert of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SentAlert {
    /// Whether it is still so.
    pub firing: bool,
    /// What it is.
    pub labels: BTreeMap<String, String>,
    /// What is said about it.
    pub annotations: BTreeMap<String, String>,
    /// Since when it is so.
    pub starts_at: Timestamp,
    /// When it ceased to be so; nothing while it is.
    pub ends_at: Option<Timestamp>,
    /// What names it.
    pub fingerprint: String,
}

/// What is no message of Alertmanager.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// It is not the JSON that Alertmanager sends.
    #[error("this is not what Alertmanager sends")]
    Shape(#[source] serde_json::Error),
    /// It is of another version than 4.
    #[error("this is of version {0:?}; only version 4 is read")]
    Version(String),
    /// A time that is none.
    #[error("{0:?} is not a time")]
    Time(String),
    /// A state that is none.
    #[error("{0:?} is neither firing nor resolved")]
    State(String),
    /// More alerts than are read.
    #[error("there are {0} alerts; at most {MOST_ALERTS} are read")]
    TooMany(usize),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMessage {
    version: String,
    group_key: String,
    status: String,
    receiver: String,
    #[serde(default)]
    group_labels: BTreeMap<String, String>,
    #[serde(default)]
    truncated_alerts: u64,
    alerts: Vec<RawSent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSent {
    status: String,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    starts_at: String,
    #[serde(default)]
    ends_at: Option<String>,
    #[serde(default)]
    fingerprint: String,
}

impl WebhookMessage {
    /// Reads the body of a call to a webhook.
    ///
    /// # Errors
    ///
    /// [`MessageError`] for anything that is not a message of version 4.
    pub fn parse(body: &[u8]) -> Result<Self, MessageError> {
        let raw: RawMessage = serde_json::from_slice(body).map_err(MessageError::Shape)?;
        if raw.version != "4" {
            return Err(MessageError::Version(raw.version.chars().take(20).collect()));
        }
        if raw.alerts.len() > MOST_ALERTS {
            return Err(MessageError::TooMany(raw.alerts.len()));
        }
        let alert = |raw: RawSent| {
            let firing = firing(&raw.status)?;
            let ends_at = raw.ends_at.as_deref().filter(|_| !firing).map(time).transpose()?;
            let RawSent { labels, annotations, fingerprint, .. } = raw;
            Ok(SentAlert { firing, labels, annotations, starts_at: time(&raw.starts_at)?, ends_at, fingerprint })
        };
        Ok(Self {
            group: raw.group_key,
            firing: firing(&raw.status)?,
            receiver: raw.receiver,
            group_labels: raw.group_labels,
            alerts: raw.alerts.into_iter().map(alert).collect::<Result<_, MessageError>>()?,
            truncated: raw.truncated_alerts,
        })
    }
}

fn firing(status: &str) -> Result<bool, MessageError> {
    match status {
        "firing" => Ok(true),
        "resolved" => Ok(false),
        other => Err(MessageError::State(other.chars().take(20).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::{MessageError, WebhookMessage};

    /// As Alertmanager 0.25 sent it.
    const SENT: &str = r#"{"receiver":"everything","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"A","severity":"critical"},
        "annotations":{"summary":"s"},"startsAt":"2026-11-22T08:00:00.123Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"","fingerprint":"f1"},
        {"status":"resolved","labels":{"alertname":"A"},"annotations":{},"startsAt":"2026-11-22T08:00:00Z","endsAt":"2026-11-22T08:01:00Z","generatorURL":"","fingerprint":"f2"}],
        "groupLabels":{"alertname":"A"},"commonLabels":{"alertname":"A"},"commonAnnotations":{},"externalURL":"http://x","version":"4","groupKey":"{}:{}","truncatedAlerts":0}"#;

    #[test]
    fn a_message_is_read_as_data() {
        let message = WebhookMessage::parse(SENT.as_bytes()).expect("a message");
        assert!(message.firing && message.alerts[0].ends_at.is_none() && !message.alerts[1].firing);
        assert_eq!(message.alerts[1].ends_at.map(|at| at.to_string()).as_deref(), Some("2026-11-22T08:01:00.000Z"));
        assert!(matches!(
            WebhookMessage::parse(SENT.replace("\"4\"", "\"5\"").as_bytes()),
            Err(MessageError::Version(v)) if v == "5"
        ));
        let odd = SENT.replace("\"status\":\"resolved\"", "\"status\":\"maybe\"");
        assert!(matches!(WebhookMessage::parse(odd.as_bytes()), Err(MessageError::State(_))));
        assert!(matches!(WebhookMessage::parse(&SENT.as_bytes()[..200]), Err(MessageError::Shape(_))));
        let odd = SENT.replace("2026-11-22T08:00:00.123Z", "yesterday");
        assert!(matches!(WebhookMessage::parse(odd.as_bytes()), Err(MessageError::Time(_))));
    }
}

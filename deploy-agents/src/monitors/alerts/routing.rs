//! Who is told, together with what, and how often.

use std::time::Duration;

use serde_json::{Value, json};

use crate::monitors::prometheus::duration;

/// Which alerts are told together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    /// Alerts with the same values of these labels go out as one message.
    pub by: Vec<String>,
    /// How long the first message waits for others.
    pub wait: Duration,
    /// How long until what joined the group is told.
    pub interval: Duration,
    /// How long until what is still so is told again.
    pub repeat: Duration,
}

/// Where alerts go: a webhook for everything, and others by owner and severity. Makes a configuration for Alertmanager.
///
/// ```
/// use std::time::Duration;
/// use deploy_agents::monitors::alerts::{AlertRouting, Grouping};
///
/// let grouping = Grouping {
///     by: vec!["service".to_owned(), "owner".to_owned()],
///     wait: Duration::from_secs(30),
///     interval: Duration::from_secs(300),
///     repeat: Duration::from_secs(4 * 3_600),
/// };
/// let routing = AlertRouting::new("http://127.0.0.1:8081/alerts", grouping).owner("team-shop", "http://127.0.0.1:8082/");
/// assert!(routing.configuration().contains("team-shop"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRouting {
    url: String,
    grouping: Grouping,
    owners: Vec<(String, String)>,
}

impl AlertRouting {
    /// Everything goes to this webhook.
    #[must_use]
    pub fn new(url: impl Into<String>, grouping: Grouping) -> Self {
        Self { url: url.into(), grouping, owners: Vec::new() }
    }

    /// The same; what this owner acts on goes to this webhook instead.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<String>, url: impl Into<String>) -> Self {
        self.owners.push((owner.into(), url.into()));
        self
    }

    /// The configuration of an Alertmanager. It is JSON, which is YAML too. A critical alert silences the warnings of the same
    /// group.
    #[must_use]
    pub fn configuration(&self) -> String {
        let receiver = |name: &str, url: &str| -> Value {
            json!({ "name": name, "webhook_configs": [{ "url": url, "send_resolved": true }] })
        };
        let receivers: Vec<Value> = std::iter::once(receiver("everything", &self.url))
            .chain(self.owners.iter().map(|(owner, url)| receiver(&format!("owner {owner}"), url)))
            .collect();
        let matcher = |name: &str, value: &str| {
            let quoted = crate::monitors::prometheus::quoted(value, '"');
            format!("{name}=\"{quoted}\"")
        };
        let routes: Vec<Value> = self
            .owners
            .iter()
            .map(|(owner, _)| json!({ "receiver": format!("owner {owner}"), "matchers": [matcher("owner", owner)] }))
            .collect();
        let configuration = json!({
            "route": {
                "receiver": "everything",
                "group_by": self.grouping.by,
                "group_wait": duration(self.grouping.wait),
                "group_interval": duration(self.grouping.interval),
                "repeat_interval": duration(self.grouping.repeat),
                "routes": routes,
            },
            "receivers": receivers,
            "inhibit_rules": [{
                "source_matchers": [matcher("severity", "critical")],
                "target_matchers": [matcher("severity", "warning")],
                "equal": self.grouping.by,
            }],
        });
        format!("{configuration:#}\n")
    }
}

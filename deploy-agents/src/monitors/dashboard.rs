//! Dashboards as data: written for Grafana, and checked panel by panel.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::http::{Endpoint, HttpClient, HttpLimits};
use crate::secret::Secret;

/// What is shown together.
///
/// ```
/// use deploy_agents::monitors::dashboard::{Dashboard, Panel};
///
/// let errors = Panel::new("Errors by revision", "sum by (version) (rate(http_requests_total{code=~\"5..\"}[1m]))", "reqps");
/// let board = Dashboard::new("shop-release", "Shop: release").panel(errors).link("Runbook", "https://runbooks.example/shop");
/// assert_eq!(board.grafana()["panels"][0]["title"], "Errors by revision");
/// ```
///
/// Rows: M47.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Dashboard {
    /// What names it for ever: the same id is the same dashboard.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What it shows, from top to bottom.
    pub panels: Vec<Panel>,
    /// Where to go from there: title and URL.
    pub links: BTreeMap<String, String>,
}

/// One picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Panel {
    /// Its title.
    pub title: String,
    /// PromQL, without variables.
    pub expression: String,
    /// The unit, as Grafana calls it: `s`, `reqps`, `percentunit`, `bytes`.
    pub unit: String,
}

/// A panel that shows nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EmptyPanel {
    /// Its title.
    pub title: String,
    /// Why it shows nothing.
    pub why: String,
}

impl Panel {
    /// A panel.
    #[must_use]
    pub fn new(title: impl Into<String>, expression: impl Into<String>, unit: impl Into<String>) -> Self {
        Self { title: title.into(), expression: expression.into(), unit: unit.into() }
    }
}

impl Dashboard {
    /// An empty one.
    #[must_use]
    pub fn new(id: impl Into<String>, title: impl Into<String>) -> Self {
        Self { id: id.into(), title: title.into(), panels: Vec::new(), links: BTreeMap::new() }
    }

    /// The same with one more panel.
    #[must_use]
    pub fn panel(mut self, panel: Panel) -> Self {
        self.panels.push(panel);
        self
    }

    /// The same with one more link.
    #[must_use]
    pub fn link(mut self, title: impl Into<String>, url: impl Into<String>) -> Self {
        self.links.insert(title.into(), url.into());
        self
    }

    /// The dashboard as Grafana imports it: two panels a row, data from whatever Prometheus is chosen there.
    #[must_use]
    pub fn grafana(&self) -> Value {
        let panel = |(at, panel): (usize, &Panel)| {
            json!({
                "id": at + 1,
                "type": "timeseries",
                "title": panel.title,
                "datasource": { "type": "prometheus", "uid": "${datasource}" },
                "gridPos": { "x": (at % 2) * 12, "y": (at / 2) * 8, "w": 12, "h": 8 },
                "fieldConfig": { "defaults": { "unit": panel.unit }, "overrides": [] },
                "targets": [{ "refId": "A", "expr": panel.expression }],
            })
        };
        let link = |(title, url): (&String, &String)| json!({ "type": "link", "title": title, "url": url });
        json!({
            "uid": self.id,
            "title": self.title,
            "schemaVersion": 39,
            "editable": false,
            "time": { "from": "now-1h", "to": "now" },
            "templating": { "list": [{ "name": "datasource", "type": "datasource", "query": "prometheus" }] },
            "links": self.links.iter().map(link).collect::<Vec<_>>(),
            "panels": self.panels.iter().enumerate().map(panel).collect::<Vec<_>>(),
        })
    }
}

/// Asks a Prometheus whether every panel shows something.
#[derive(Debug, Clone)]
pub struct DashboardCheck {
    endpoint: Endpoint,
}

impl DashboardCheck {
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

    /// The panels that show nothing now, each with why: no series, nothing but NaN, no query at all, or a server that does not
    /// answer.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn empty_panels(&self, dashboard: &Dashboard) -> Vec<EmptyPanel> {
        let mut empty = Vec::new();
        for panel in &dashboard.panels {
            if let Err(why) = self.shows(&panel.expression).await {
                empty.push(EmptyPanel { title: panel.title.clone(), why });
            }
        }
        empty
    }

    async fn shows(&self, expression: &str) -> Result<(), String> {
        let answer = self.endpoint.ask("/api/v1/query", &[("query", expression)]).await;
        let answer = answer.map_err(|error| deploy_core::report::chain(&error))?;
        super::prometheus::shows_numbers(answer.body())
    }
}

//! One rule.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How bad it is, and so who is told how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertSeverity {
    /// Somebody should know, some day.
    Info,
    /// Somebody must look within the working day.
    Warning,
    /// Somebody is woken up.
    Critical,
}

impl fmt::Display for AlertSeverity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        })
    }
}

/// An alert rule as somebody wrote it, perhaps unfinished: [`lint`](super::lint) says what it lacks.
///
/// ```
/// use std::time::Duration;
/// use deploy_agents::monitors::alerts::{AlertRule, AlertRules, AlertSeverity};
///
/// let rule = AlertRule::new("TooManyErrors", "shop:error_ratio > 0.05")
///     .hold_for(Duration::from_secs(120))
///     .severity(AlertSeverity::Critical)
///     .owner("team-shop")
///     .runbook("https://runbooks.example/shop/errors")
///     .summary("more than one in twenty requests fails");
/// let rules = AlertRules::new("shop", [rule])?;
/// # Ok::<(), deploy_agents::monitors::alerts::Unactionable>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AlertRule {
    /// Its name.
    pub name: String,
    /// PromQL that has a series for each thing that is wrong.
    pub expression: String,
    /// How long it must be so before anybody is told.
    #[serde(default, with = "deploy_core::time::option_duration_ms", skip_serializing_if = "Option::is_none")]
    pub hold_for: Option<Duration>,
    /// How bad it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<AlertSeverity>,
    /// Who acts on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What to do: a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// What is wrong, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// More labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl AlertRule {
    /// A rule that lacks everything but its name and expression.
    #[must_use]
    pub fn new(name: impl Into<String>, expression: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            expression: expression.into(),
            hold_for: None,
            severity: None,
            owner: None,
            runbook: None,
            summary: None,
            labels: BTreeMap::new(),
        }
    }

    /// The same; it must be so for this long.
    #[must_use]
    pub fn hold_for(mut self, span: Duration) -> Self {
        self.hold_for = Some(span);
        self
    }

    /// The same with a severity.
    #[must_use]
    pub fn severity(mut self, severity: AlertSeverity) -> Self {
        self.severity = Some(severity);
        self
    }

    /// The same with somebody who acts on it.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// The same with what to do.
    #[must_use]
    pub fn runbook(mut self, url: impl Into<String>) -> Self {
        self.runbook = Some(url.into());
        self
    }

    /// The same with what is wrong.
    #[must_use]
    pub fn summary(mut self, sentence: impl Into<String>) -> Self {
        self.summary = Some(sentence.into());
        self
    }

    /// The same with one more label.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// The labels that its alerts carry, apart from those of their series.
    #[must_use]
    pub fn all_labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        labels.extend(self.severity.map(|severity| ("severity".to_owned(), severity.to_string())));
        labels.extend(self.owner.clone().map(|owner| ("owner".to_owned(), owner)));
        labels
    }

    /// The annotations that its alerts carry.
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let pairs = [("summary", &self.summary), ("runbook_url", &self.runbook)];
        pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))).collect()
    }
}

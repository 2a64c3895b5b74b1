//! Facts of a Prometheus server's answers.

use std::collections::BTreeMap;

use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::evidence::{Doubt, Pointer, Sourced};

/// What a Prometheus server answered.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PrometheusFacts {
    /// The series of a query. An answer without any is not a zero.
    pub series: Vec<QuerySeries>,
    /// Whom it scrapes.
    pub targets: Vec<ScrapeTarget>,
    /// The rules that it evaluates.
    pub rules: Vec<MonitoringRule>,
    /// The alerts that are pending or firing.
    pub alerts: Vec<ActiveAlert>,
    /// What it warns of: parts that could not be asked, for example. With any, the answer may be incomplete.
    pub warnings: Vec<Sourced<String>>,
    /// What keeps the answer from being taken at its word.
    pub doubts: Vec<Doubt>,
}

/// A series of a query.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct QuerySeries {
    /// Its labels, the name of the metric under `__name__`. A scalar has none.
    pub labels: BTreeMap<String, String>,
    /// Its samples, oldest first.
    pub samples: Vec<QuerySample>,
    /// Whether it is a native histogram, whose buckets are not read.
    pub histogram: bool,
    /// Where it stands.
    pub at: Pointer,
}

/// A sample of a series.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct QuerySample {
    /// When, in seconds since the Unix epoch.
    pub seconds: f64,
    /// The value as it stands, for example `0.25`, `NaN` or `+Inf`.
    pub text: String,
    /// The value; nothing where it is not a finite number.
    pub value: Option<Sourced<f64>>,
}

/// Somebody who is scraped.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ScrapeTarget {
    /// Its job.
    pub job: String,
    /// Its instance.
    pub instance: String,
    /// `up`, `down` or `unknown`.
    pub health: Sourced<String>,
    /// When it was last scraped.
    pub last_scrape: Option<Sourced<Timestamp>>,
    /// What went wrong then, empty if nothing.
    pub last_error: String,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MonitoringRule {
    /// The group in which it stands.
    pub group: String,
    /// Its name.
    pub name: String,
    /// Whether it alerts; the others record.
    pub alerting: bool,
    /// `ok`, `err` or `unknown`.
    pub health: Sourced<String>,
    /// `inactive`, `pending` or `firing`, empty for one that records.
    pub state: String,
    /// When it was last evaluated.
    pub last_evaluation: Option<Sourced<Timestamp>>,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ActiveAlert {
    /// Its labels, its name under `alertname`.
    pub labels: BTreeMap<String, String>,
    /// `pending` or `firing`.
    pub state: Sourced<String>,
    /// Since when.
    pub since: Option<Sourced<Timestamp>>,
}

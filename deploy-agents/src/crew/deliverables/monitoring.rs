//! Whether the release is watched, and what the watchers see.

use std::collections::{BTreeMap, BTreeSet};

use deploy_core::evidence::Refusal;
use serde::{Deserialize, Serialize};

use crate::checks::infrastructure::AlertDrill;
use crate::checks::kind;
use crate::checks::performance::{ErrorBudget, SuccessMetrics};
use crate::checks::{Figure, Reading};
use crate::crew::issued::Content;
use crate::crew::material::Material;

/// What watches the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MonitoringStatus {
    /// The targets that are up, and all that there are.
    pub targets_up: (u64, u64),
    /// The alert rules that are evaluated without a fault, and all that there are.
    pub rules_sound: (u64, u64),
    /// The alerts that were drilled, and how many milliseconds each took to its receiver; absent: it never came.
    pub drilled: BTreeMap<String, Option<i64>>,
}

fn status(reading: &Reading<'_>) -> Result<MonitoringStatus, Refusal> {
    let targets = reading.monitoring(kind::PROMETHEUS_TARGETS)?.targets;
    let rules = reading.monitoring(kind::PROMETHEUS_RULES)?.rules;
    let drill = reading.document::<AlertDrill>()?.document;
    let up = targets.iter().filter(|target| target.health.value == "up").count() as u64;
    let alerting = || rules.iter().filter(|rule| rule.alerting);
    let sound = alerting().filter(|rule| rule.health.value == "ok").count() as u64;
    let took = |alert: &crate::checks::infrastructure::DrilledAlert| {
        alert.received_at.map(|received| received.0 - alert.fired_at.0)
    };
    Ok(MonitoringStatus {
        targets_up: (up, targets.len() as u64),
        rules_sound: (sound, alerting().count() as u64),
        drilled: drill.alerts.iter().map(|alert| (alert.name.clone(), took(alert))).collect(),
    })
}

impl Content for MonitoringStatus {
    const NAME: &'static str = "monitoring-status";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        status(&material.reading())
    }
}

/// That the release is watched, alerts reach somebody, and each of them has an owner and a runbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MonitoringSetup {
    /// What watches it.
    pub status: MonitoringStatus,
    /// The alerts without an owner or a runbook.
    pub orphaned: Vec<String>,
    /// How many series there are of the new revision.
    pub series: Option<u64>,
}

impl Content for MonitoringSetup {
    const NAME: &'static str = "monitoring-setup";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let reading = material.reading();
        let drill = reading.document::<AlertDrill>()?.document;
        let orphaned = drill.alerts.iter().filter(|a| a.owner.trim().is_empty() || a.runbook.trim().is_empty());
        let series = reading.monitoring(kind::PROMETHEUS_SERIES).ok().map(|facts| facts.series.len() as u64);
        Ok(Self { status: status(&reading)?, orphaned: orphaned.map(|a| a.name.clone()).collect(), series })
    }
}

/// How fast it is, against what was promised and against before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PerfReport {
    /// What was read of load and of benchmarks, each number with its place.
    pub figures: Vec<Figure>,
    /// What should be looked at, with the measured effect: every benchmark that is slower.
    pub advice: Vec<String>,
}

impl Content for PerfReport {
    const NAME: &'static str = "perf-report";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let reading = material.reading();
        let loads = reading.loads()?;
        let mut figures = crate::checks::performance::service_level(&loads, material.thresholds()).figures;
        // Without benchmarks the load stands alone: the checks say whether they are asked for.
        if let (Ok(new), Ok(old)) = (reading.times(kind::HYPERFINE), reading.times(kind::HYPERFINE_BEFORE)) {
            figures.extend(crate::checks::performance::no_slowdown(&new, &old, material.thresholds()).figures);
        }
        let slower = figures.iter().filter(|f| f.name.ends_with(" slower by") && f.number.is_some_and(|by| by > 0.0));
        let advice = slower.map(|f| format!("{} {}: profile it", f.name, f.value)).collect();
        Ok(Self { figures, advice })
    }
}

/// How much of the error budget is left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SloStatus {
    /// The objective, a share from 0 to 1.
    pub objective: f64,
    /// How many events there were.
    pub total: u64,
    /// How many of them were bad.
    pub bad: u64,
    /// How much of the budget is left, from 1 down; less than 0 where it is overdrawn. Absent where there is none.
    pub left: Option<f64>,
}

impl Content for SloStatus {
    const NAME: &'static str = "slo-status";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let budget = material.reading().document::<ErrorBudget>()?.document;
        Ok(Self { objective: budget.objective, total: budget.total, bad: budget.bad, left: budget.left() })
    }
}

/// Whether the security of what runs is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SecurityWatch {
    /// The scanners that look at what runs.
    pub scanners: BTreeSet<String>,
    /// The policies that are not kept now.
    pub not_kept: Vec<String>,
    /// The vulnerabilities that are open now.
    pub open: Vec<String>,
}

impl Content for SecurityWatch {
    const NAME: &'static str = "security-watch";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let scans = material.reading().vulnerabilities()?;
        let policies = material.reading().policies()?;
        let not_kept = policies.iter().flat_map(|(_, facts)| facts.not_kept()).map(|result| result.rule.clone());
        Ok(Self {
            not_kept: not_kept.collect(),
            open: scans.iter().flat_map(|(_, scan)| &scan.found).map(|v| v.id.clone()).collect(),
            scanners: scans.into_iter().map(|(_, scan)| scan.scanner).collect(),
        })
    }
}

/// What the release did to the numbers that the business lives by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BusinessImpact {
    /// The metrics outside of what was called a success: the name, and what was measured.
    pub missed: BTreeMap<String, Option<f64>>,
    /// How many metrics there are.
    pub metrics: u64,
    /// Whether it baked as long as was agreed.
    pub baked: bool,
}

impl Content for BusinessImpact {
    const NAME: &'static str = "business-impact";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let read = material.reading().document::<SuccessMetrics>()?.document;
        let missed = read.metrics.iter().filter(|metric| {
            // What was not measured is missed; what is not a number is never within.
            let within = metric.measured.is_some_and(|value| {
                metric.at_least.is_none_or(|low| value >= low) && metric.at_most.is_none_or(|high| value <= high)
            });
            !within
        });
        Ok(Self {
            missed: missed.map(|metric| (metric.name.clone(), metric.measured)).collect(),
            metrics: read.metrics.len() as u64,
            baked: read.baked_seconds >= read.bake_seconds,
        })
    }
}

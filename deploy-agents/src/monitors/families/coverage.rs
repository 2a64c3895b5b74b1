//! Which kinds are bound, by what, and whether they really measure.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use deploy_core::monitor::{MeasureContext, MeasureRequest, Monitor, Reading};
use deploy_core::name::{BlockName, MetricName};
use serde::Serialize;

use super::{MonitorFamily, MonitorKind};
use crate::monitors::of_all_traffic;

/// What a service is watched by: monitors bound to kinds, and kinds that do not apply, for a reason.
///
/// ```
/// use std::sync::Arc;
/// use deploy_agents::monitors::ProbeMonitor;
/// use deploy_agents::monitors::families::{Binding, MonitorKind, Monitoring};
/// use deploy_core::name::{BlockName, MetricName};
///
/// let probe = Arc::new(ProbeMonitor::new(BlockName::new("probe")?, "http://127.0.0.1:8080/"));
/// let monitoring = Monitoring::new()
///     .bind(Binding::new(MonitorKind::ErrorRates, probe, [MetricName::new("http.probe.errors")?]))
///     .not_applicable(MonitorKind::DatabasePerformance, "the service keeps nothing");
/// let report = monitoring.coverage();
/// assert_eq!((report.bound(), report.missing().len()), (1, 14));
/// # Ok::<(), deploy_core::name::NameError>(())
/// ```
///
/// Rows: M124, M127.
#[derive(Debug, Clone, Default)]
pub struct Monitoring {
    bindings: Vec<Binding>,
    not_applicable: BTreeMap<MonitorKind, String>,
}

/// A monitor that measures one kind.
#[derive(Debug, Clone)]
pub struct Binding {
    kind: MonitorKind,
    monitor: Arc<dyn Monitor>,
    metrics: Vec<MetricName>,
    goal: Option<String>,
}

impl Binding {
    /// These metrics of this monitor measure this kind.
    pub fn new(kind: MonitorKind, monitor: Arc<dyn Monitor>, metrics: impl IntoIterator<Item = MetricName>) -> Self {
        Self { kind, monitor, metrics: metrics.into_iter().collect(), goal: None }
    }

    /// The same, with the goal that it guards. Guardrails of the business need one.
    #[must_use]
    pub fn goal(mut self, goal: impl Into<String>) -> Self {
        self.goal = Some(goal.into());
        self
    }
}

/// Which kinds are covered. Its `Display` is a table for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CoverageReport {
    /// All sixteen kinds, family by family.
    pub kinds: Vec<Covered>,
    /// What is not wrong and should be mended, in sentences.
    pub warnings: Vec<String>,
}

/// One kind, and how it is covered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Covered {
    /// The kind.
    pub kind: MonitorKind,
    /// Its family.
    pub family: MonitorFamily,
    /// How.
    pub coverage: Coverage,
}

/// How a kind is covered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Coverage {
    /// By these metrics.
    Bound(Vec<Seen>),
    /// It does not apply.
    NotApplicable {
        /// Why.
        reason: String,
    },
    /// By nothing.
    Missing {
        /// What of this crate would measure it.
        ready_made: &'static str,
    },
}

/// One metric of a bound kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Seen {
    /// The monitor.
    pub monitor: BlockName,
    /// The metric.
    pub metric: MetricName,
    /// Whether it measures; nothing if it was not asked.
    pub measures: Option<Result<(), String>>,
}

impl Monitoring {
    /// Nothing is watched.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more binding. A kind may have several.
    #[must_use]
    pub fn bind(mut self, binding: Binding) -> Self {
        self.bindings.push(binding);
        self
    }

    /// The same; this kind does not apply to this service.
    #[must_use]
    pub fn not_applicable(mut self, kind: MonitorKind, reason: impl Into<String>) -> Self {
        self.not_applicable.insert(kind, reason.into());
        self
    }

    /// The monitors, for a rollout that is to be judged by them.
    pub fn monitors(&self) -> impl Iterator<Item = &Arc<dyn Monitor>> {
        self.bindings.iter().map(|binding| &binding.monitor)
    }

    /// Which kinds are bound, without asking any monitor.
    #[must_use]
    pub fn coverage(&self) -> CoverageReport {
        self.report(|_, _| None)
    }

    /// Which kinds are bound, and whether each of their metrics really measures the candidate: an answer, with data, of the right
    /// kind. What is bound and measures nothing covers nothing.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the question under way.
    pub async fn self_test(&self, request: &MeasureRequest, cx: &MeasureContext) -> CoverageReport {
        let mut answers = BTreeMap::new();
        for (at, binding) in self.bindings.iter().enumerate() {
            for metric in &binding.metrics {
                let question = MeasureRequest {
                    monitor: binding.monitor.name(),
                    metrics: vec![metric.clone()],
                    baseline: None,
                    ..request.clone()
                };
                let answer = match of_all_traffic(binding.monitor.as_ref(), &question, cx).await {
                    Err(error) => Err(deploy_core::report::chain(&error)),
                    Ok(all) => match all.iter().find(|m| m.metric == *metric).map(|m| &m.reading) {
                        None => Err("it does not answer what it is asked".to_owned()),
                        Some(Reading::NoData) => Err("there is no data".to_owned()),
                        Some(reading) if !binding.kind.takes(reading) => {
                            Err(format!("a {} is not what measures {}", shape(reading), binding.kind))
                        }
                        Some(_) => Ok(()),
                    },
                };
                answers.insert((at, metric.clone()), answer);
            }
        }
        self.report(|at, metric| answers.get(&(at, metric.clone())).cloned())
    }

    fn report(&self, measures: impl Fn(usize, &MetricName) -> Option<Result<(), String>>) -> CoverageReport {
        let mut warnings = Vec::new();
        let covered = |kind: &MonitorKind| {
            let bindings = self.bindings.iter().enumerate().filter(|(_, binding)| binding.kind == *kind);
            let seen: Vec<Seen> = bindings
                .flat_map(|(at, binding)| binding.metrics.iter().map(move |metric| (at, binding, metric)))
                .map(|(at, binding, metric)| Seen {
                    monitor: binding.monitor.name(),
                    metric: metric.clone(),
                    measures: measures(at, metric),
                })
                .collect();
            let coverage = match (seen.is_empty(), self.not_applicable.get(kind)) {
                (false, _) => Coverage::Bound(seen),
                (true, Some(reason)) => Coverage::NotApplicable { reason: reason.clone() },
                (true, None) => Coverage::Missing { ready_made: kind.ready_made() },
            };
            Covered { kind: *kind, family: kind.family(), coverage }
        };
        let kinds = MonitorKind::ALL.iter().map(covered).collect();
        for binding in &self.bindings {
            let (kind, monitor) = (binding.kind, binding.monitor.name());
            if kind.family() == MonitorFamily::Business && binding.goal.is_none() {
                warnings.push(format!("{kind} by {monitor} guards no goal: say which"));
            }
            if binding.metrics.is_empty() {
                warnings.push(format!("{kind} is bound to {monitor} without a metric"));
            }
            if self.not_applicable.contains_key(&kind) {
                warnings.push(format!("{kind} is bound to {monitor} and said not to apply"));
            }
        }
        CoverageReport { kinds, warnings }
    }
}

fn shape(reading: &Reading) -> &'static str {
    match reading {
        Reading::Value(_) => "single number",
        Reading::Counts(_) => "count of events",
        Reading::Samples(_) => "list of samples",
        Reading::Histogram(_) => "histogram",
        Reading::NoData => "silence",
    }
}

impl CoverageReport {
    /// How many kinds are bound and do not fail to measure.
    #[must_use]
    pub fn bound(&self) -> usize {
        self.kinds.iter().filter(|covered| covered.coverage.holds()).count()
    }

    /// The kinds that nothing covers, or only what does not measure.
    #[must_use]
    pub fn missing(&self) -> Vec<MonitorKind> {
        let not = |covered: &&Covered| {
            !covered.coverage.holds() && !matches!(covered.coverage, Coverage::NotApplicable { .. })
        };
        self.kinds.iter().filter(not).map(|covered| covered.kind).collect()
    }
}

impl Coverage {
    fn holds(&self) -> bool {
        match self {
            Self::Bound(seen) => seen.iter().any(|seen| !matches!(seen.measures, Some(Err(_)))),
            Self::NotApplicable { .. } | Self::Missing { .. } => false,
        }
    }
}

impl fmt::Display for CoverageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let applies = self.kinds.iter().filter(|c| !matches!(c.coverage, Coverage::NotApplicable { .. })).count();
        writeln!(f, "{} of {applies} kinds of monitoring that apply are bound", self.bound())?;
        for covered in &self.kinds {
            write!(f, "{:<14}  {:<26}  ", covered.family, covered.kind)?;
            match &covered.coverage {
                Coverage::Bound(seen) => {
                    let mut gap = "";
                    for seen in seen {
                        write!(f, "{gap}{} of {}", seen.metric, seen.monitor)?;
                        match &seen.measures {
                            None => {}
                            Some(Ok(())) => f.write_str(" (measures)")?,
                            Some(Err(why)) => write!(f, " (FAILS: {why})")?,
                        }
                        gap = ", ";
                    }
                    writeln!(f)?;
                }
                Coverage::NotApplicable { reason } => writeln!(f, "does not apply: {reason}")?,
                Coverage::Missing { ready_made } => writeln!(f, "MISSING; ready made: {ready_made}")?,
            }
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        Ok(())
    }
}

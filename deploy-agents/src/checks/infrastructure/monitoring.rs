//! Whether somebody looks: targets and rules, series of the new version, the kinds of monitoring that are bound.

use deploy_core::evidence::Refusal;
use deploy_core::time::{Spell, Timestamp};
use serde::{Deserialize, Serialize};

use crate::checks::assessment::{Assessment, Assessor, Figure};
use crate::checks::document::{Document, Read};
use crate::checks::thresholds::Thresholds;
use crate::evidence::facts::PrometheusFacts;
use crate::monitors::families::{Coverage, CoverageReport, MonitorKind};

/// Every target is up and was scraped lately, and every rule can be evaluated.
///
/// Rows: M18, M141, M155, M180, M208.
#[must_use]
pub fn monitoring_up(targets: &PrometheusFacts, rules: &PrometheusFacts, now: Timestamp, t: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    found.doubts(&targets.doubts);
    found.doubts(&rules.doubts);
    for warning in targets.warnings.iter().chain(&rules.warnings) {
        found.refuse(Refusal::Unfinished(format!("the server warns: {warning}")));
    }
    let up = targets.targets.iter().filter(|target| target.health.value == "up").count();
    let at = targets.targets.first().map(|target| target.health.at.clone());
    found.figure(Figure::count("targets up", up as u64).limit(format!("all {}", targets.targets.len())).at(at));
    found.require(!targets.targets.is_empty(), || "nothing is scraped".to_owned());
    for target in &targets.targets {
        let named = format!("{} of {}", target.instance, target.job);
        if target.health.value != "up" {
            found.fail(format!("{named} is {}: {} ({})", target.health.value, target.last_error, target.health.at));
        }
        match &target.last_scrape {
            None => found.fail(format!("{named} was never scraped")),
            Some(last) => found.require(now.since(last.value) <= t.scrape_max_age, || {
                let (age, limit) = (Spell(now.since(last.value)), Spell(t.scrape_max_age));
                format!("{named} was last scraped {age} ago; at most {limit} is allowed ({})", last.at)
            }),
        }
    }
    let alerting = rules.rules.iter().filter(|rule| rule.alerting).count();
    let at = rules.rules.first().map(|rule| rule.health.at.clone());
    found.figure(Figure::count("alerting rules", alerting as u64).limit("at least 1").at(at));
    found.require(alerting > 0, || "no rule would alert anybody".to_owned());
    for rule in rules.rules.iter().filter(|rule| rule.health.value != "ok") {
        found.fail(format!("rule {} is {} ({})", rule.name, rule.health.value, rule.health.at));
    }
    found.finish()
}

/// There are series of the version that is to be released: before traffic, so that nobody flies blind.
///
/// Rows: M35, M152.
#[must_use]
pub fn series_flow(answer: &PrometheusFacts, revision: &str) -> Assessment {
    let mut found = Assessor::new();
    found.doubts(&answer.doubts);
    for warning in &answer.warnings {
        found.refuse(Refusal::Unfinished(format!("the server warns: {warning}")));
    }
    let of_ours = |labels: &std::collections::BTreeMap<String, String>| labels.values().any(|value| value == revision);
    let ours: Vec<_> = answer.series.iter().filter(|series| of_ours(&series.labels)).collect();
    let filled = ours.iter().filter(|series| series.samples.iter().any(|sample| sample.value.is_some())).count();
    let at = ours.first().map(|series| series.at.clone());
    found.figure(Figure::count(format!("series of {revision} with samples"), filled as u64).limit("at least 1").at(at));
    if ours.is_empty() {
        found.refuse(Refusal::Missing(format!("no series has the label {revision}")));
    } else if filled == 0 {
        found.refuse(Refusal::Missing(format!("the series of {revision} have no sample that is a number")));
    }
    found.finish()
}

/// Which of the sixteen kinds of monitoring are bound, as a self-test of the monitors found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitoringCoverage {
    /// Each kind.
    pub kinds: Vec<CoveredKind>,
}

/// One kind of monitoring, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoveredKind {
    /// Which.
    pub kind: MonitorKind,
    /// The metrics that were asked and gave an answer of the right kind, each as `metric of monitor`.
    #[serde(default)]
    pub measures: Vec<String>,
    /// The metrics that are bound and gave none, each with the reason; or that were never asked.
    #[serde(default)]
    pub silent: Vec<String>,
    /// Why it does not apply to this service, if it does not.
    #[serde(default)]
    pub not_applicable: Option<String>,
}

impl Document for MonitoringCoverage {
    const KIND: &'static str = "monitoring-coverage";
}

impl From<&CoverageReport> for MonitoringCoverage {
    fn from(report: &CoverageReport) -> Self {
        let kinds = report.kinds.iter().map(|covered| {
            let mut kind =
                CoveredKind { kind: covered.kind, measures: Vec::new(), silent: Vec::new(), not_applicable: None };
            match &covered.coverage {
                Coverage::Bound(seen) => {
                    for seen in seen {
                        let name = format!("{} of {}", seen.metric, seen.monitor);
                        match &seen.measures {
                            Some(Ok(())) => kind.measures.push(name),
                            Some(Err(why)) => kind.silent.push(format!("{name}: {why}")),
                            None => kind.silent.push(format!("{name}: it was never asked")),
                        }
                    }
                }
                Coverage::NotApplicable { reason } => kind.not_applicable = Some(reason.clone()),
                Coverage::Missing { .. } => {}
            }
            kind
        });
        Self { kinds: kinds.collect() }
    }
}

/// Enough of the sixteen kinds of monitoring are bound to metrics that were asked and answered; kinds that do not apply need a
/// reason, and count as covered.
///
/// Rows: M124, M155.
#[must_use]
pub fn monitoring_coverage(coverage: &Read<MonitoringCoverage>, t: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    let mut covered = 0;
    let mut seen = std::collections::BTreeSet::new();
    for (index, kind) in coverage.document.kinds.iter().enumerate() {
        let at = coverage.at(format!("/kinds/{index}"));
        if !seen.insert(kind.kind) {
            found.refuse(Refusal::Duplicate(format!("{} stands there twice ({at})", kind.kind)));
            continue;
        }
        match &kind.not_applicable {
            Some(reason) if reason.trim().is_empty() => {
                found.fail(format!("{} is said not to apply, without a reason ({at})", kind.kind));
            }
            Some(reason) => {
                covered += 1;
                found.note(format!("{} does not apply: {reason}", kind.kind));
            }
            None if kind.measures.is_empty() => found.note(format!("{} is not measured ({at})", kind.kind)),
            None => covered += 1,
        }
        for silent in &kind.silent {
            found.remark(format!("{}: {silent} ({at})", kind.kind));
        }
    }
    let limit = format!("at least {}", t.monitor_kinds_at_least);
    found.figure(Figure::count("kinds of monitoring covered", covered).limit(limit).at(coverage.at("/kinds")));
    found.require(covered >= t.monitor_kinds_at_least && covered > 0, || {
        format!("{covered} of 16 kinds of monitoring are covered; at least {} must be", t.monitor_kinds_at_least)
    });
    found.finish()
}

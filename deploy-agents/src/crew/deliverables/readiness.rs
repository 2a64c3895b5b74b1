//! What readiness is read from.

use std::collections::BTreeMap;

use deploy_core::evidence::{Refusal, Verdict};
use deploy_core::gate::{GateDecision, Veto};
use deploy_core::name::CheckName;
use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::checks::infrastructure::RestoreRecord;
use crate::crew::issued::Content;
use crate::crew::material::Material;

/// Whether the release is ready, as far as one agent has looked: what each check says, and what follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReadinessReport {
    /// What follows from all checks together. Each has a veto.
    pub decision: GateDecision,
    /// How many checks are met.
    pub met: u64,
    /// How many there are.
    pub checks: u64,
    /// What stands in the way, a line each: the check, and why.
    pub blocking: Vec<String>,
    /// What was let through with remarks.
    pub concerns: Vec<String>,
}

impl Content for ReadinessReport {
    const NAME: &'static str = "readiness-report";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let said = material.said();
        if said.is_empty() {
            return Err(Refusal::Missing("no check was asked".to_owned()));
        }
        let decision = said.iter().map(|s| weigh(&s.check, &s.verdict)).fold(GateDecision::Go, GateDecision::and);
        let (blocking, concerns) = match &decision {
            GateDecision::NoGo { vetoes } => {
                (vetoes.iter().map(|v| format!("{}: {}", v.by, v.reason)).collect(), Vec::new())
            }
            GateDecision::Conditional { conditions } => (Vec::new(), conditions.clone()),
            GateDecision::Go | GateDecision::Hold { .. } => (Vec::new(), Vec::new()),
        };
        let met = said.iter().filter(|s| s.verdict.is_met()).count() as u64;
        Ok(Self { decision, met, checks: said.len() as u64, blocking, concerns })
    }
}

/// What one check decides.
pub(crate) fn weigh(check: &CheckName, verdict: &Verdict) -> GateDecision {
    let veto = |reason: String| GateDecision::NoGo { vetoes: vec![Veto { by: check.to_string(), reason }] };
    match verdict {
        Verdict::Pass | Verdict::NotApplicable { .. } => GateDecision::Go,
        Verdict::Concerns { remarks } => {
            GateDecision::Conditional { conditions: vec![format!("{check}: {}", remarks.join("; "))] }
        }
        Verdict::Waived(waiver) => {
            let text = format!("{check} is waived by {} until {}: {}", waiver.person, waiver.expires, waiver.reason);
            GateDecision::Conditional { conditions: vec![text] }
        }
        Verdict::Fail { reason } => veto(reason.clone()),
        Verdict::Inconclusive { refusal } => veto(format!("its evidence was refused as {refusal}")),
    }
}

/// What the release is made of, under which licences, and with which known faults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DependencyReport {
    /// How many components the bills name.
    pub components: u64,
    /// How many of them have a digest.
    pub with_digest: u64,
    /// How many of them name a licence.
    pub with_licence: u64,
    /// The scanners that looked.
    pub scanners: Vec<String>,
    /// How many vulnerabilities they found, by severity.
    pub found: BTreeMap<String, u64>,
}

impl Content for DependencyReport {
    const NAME: &'static str = "dependency-report";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let bills = material.reading().bills()?;
        let components = || bills.iter().flat_map(|bill| &bill.components);
        let mut report = Self {
            components: components().count() as u64,
            with_digest: components().filter(|c| !c.hashes.is_empty()).count() as u64,
            with_licence: components().filter(|c| !c.licences.is_empty()).count() as u64,
            scanners: Vec::new(),
            found: BTreeMap::new(),
        };
        // A bill without a scan is a whole bill: the checks say whether a scan is asked for.
        for (_, scan) in material.reading().vulnerabilities().unwrap_or_default() {
            report.scanners.push(scan.scanner.clone());
            for one in &scan.found {
                *report.found.entry(format!("{:?}", one.severity).to_lowercase()).or_default() += 1;
            }
        }
        Ok(report)
    }
}

/// What there is to go back to, and whether somebody went there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BackupPlan {
    /// The tool that keeps the backups.
    pub tools: Vec<String>,
    /// The newest good backup.
    pub newest: Option<String>,
    /// When it ended.
    pub newest_at: Option<Timestamp>,
    /// How many good backups there are.
    pub good: u64,
    /// The restores that were tried and compared, with when.
    pub restored: BTreeMap<String, Timestamp>,
}

impl Content for BackupPlan {
    const NAME: &'static str = "backup-plan";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let stores = material.reading().backups()?;
        let newest = stores.iter().filter_map(|facts| facts.newest_good());
        let newest = newest.max_by_key(|backup| backup.finished.as_ref().map(|at| at.value));
        let good = stores.iter().flat_map(|facts| &facts.backups).filter(|backup| !backup.failed).count() as u64;
        let restores = material.reading().documents::<RestoreRecord>()?;
        let restored = restores.iter().filter(|r| r.document.matches);
        Ok(Self {
            tools: stores.iter().map(|facts| facts.tool.clone()).collect(),
            newest: newest.map(|backup| backup.label.clone()),
            newest_at: newest.and_then(|backup| backup.finished.as_ref()).map(|at| at.value),
            good,
            restored: restored.map(|r| (r.document.label.clone(), r.document.at)).collect(),
        })
    }
}

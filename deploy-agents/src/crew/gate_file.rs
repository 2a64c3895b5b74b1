//! The gate file: the reviewer's word as a document, computed, with its history.

use std::time::Duration;

use deploy_core::evidence::{Refusal, Verdict};
use deploy_core::time::Timestamp;

use super::issued::{Content, Said};
use super::material::Material;
use crate::checks::Document as _;
use crate::checks::rules::{QaGate, QaHistory, QaIssue, QaSeverity, QaVerdict, QaWaiver};

/// How long a word holds: as long as the evidence of most checks.
const HOLDS_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// What a reviewer says, computed from what checks say: fail where one fails or its evidence was refused, concerns where one has
/// remarks or is waived, pass otherwise. What was said before stands in its history, of which nothing is ever taken out.
///
/// A refusal is graver than in a check: a reviewer who could not look does not let anything through.
///
/// Rows: M3.
#[must_use]
pub fn gate_file(
    subject: String,
    reviewer: String,
    said: &[Said],
    reviewed: u64,
    before: Option<&QaGate>,
    now: Timestamp,
) -> QaGate {
    let mut issues = Vec::new();
    for said in said {
        let (severity, finding) = match &said.verdict {
            Verdict::Pass | Verdict::NotApplicable { .. } => continue,
            Verdict::Concerns { remarks } => (QaSeverity::Low, remarks.join("; ")),
            Verdict::Waived(waiver) => (QaSeverity::Low, format!("waived by {}: {}", waiver.person, waiver.reason)),
            Verdict::Fail { reason } => (QaSeverity::High, reason.clone()),
            Verdict::Inconclusive { refusal } => (QaSeverity::High, format!("its evidence was refused: {refusal}")),
        };
        let number = issues.len() + 1;
        let id = format!("{}-{number:03}", kind_of(said.check.as_str()));
        let action = format!("make {} pass", said.check);
        issues.push(QaIssue { id, severity, finding: format!("{}: {finding}", said.check), action });
    }
    let worst = issues.iter().map(|issue| issue.severity).max();
    let gate = match worst {
        _ if said.is_empty() || reviewed == 0 => QaVerdict::Fail,
        None => QaVerdict::Pass,
        Some(QaSeverity::Low | QaSeverity::Medium) => QaVerdict::Concerns,
        Some(QaSeverity::High) => QaVerdict::Fail,
    };
    let reason = match (gate, issues.iter().max_by_key(|issue| issue.severity)) {
        (QaVerdict::Pass, _) => format!("all {} checks pass", said.len()),
        (_, Some(issue)) => issue.finding.clone(),
        (_, None) => "nothing was reviewed".to_owned(),
    };
    QaGate {
        subject,
        gate,
        reason,
        reviewer,
        at: now,
        expires: Some(now.after(HOLDS_FOR)),
        top_issues: issues,
        waiver: QaWaiver::default(),
        history: history(before),
        evidence_reviewed: reviewed,
    }
}

/// What was said before, with the word of the file itself at its end.
fn history(before: Option<&QaGate>) -> Vec<QaHistory> {
    let Some(before) = before else { return Vec::new() };
    let mut history = before.history.clone();
    history.push(QaHistory { at: before.at, gate: before.gate });
    history
}

/// Whether `after` says all that `before` said, and goes on from there: nothing was taken out of its history.
#[must_use]
pub fn goes_on_from(after: &QaGate, before: &QaGate) -> bool {
    after.history.starts_with(&history(Some(before))) && after.at >= before.at
}

/// Of which kind an issue is, by the check that raised it.
fn kind_of(check: &str) -> &'static str {
    match check {
        "no-critical-vulnerability" | "security-audit" | "compliance" | "access" | "runtime-security" => "SEC",
        "no-slowdown" | "service-level" | "error-budget" => "PERF",
        "health" | "backup" | "rollback-drill" | "zero-downtime" => "REL",
        "tests-pass" | "coverage" | "smoke" | "integration-pass" | "acceptance" => "TEST",
        "environment" | "no-drift" | "capacity" | "plan-applied" | "configuration" => "ARCH",
        "docs-complete" | "release-notes" | "training" => "DOC",
        "requirements-traced" | "nfr" => "REQ",
        _ => "MNT",
    }
}

impl Content for QaGate {
    const NAME: &'static str = Self::KIND;
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let before = match material.reading().document::<Self>() {
            Ok(read) => Some(read.document),
            Err(Refusal::Missing(_)) => None,
            Err(refusal) => return Err(refusal),
        };
        let reviewed = material.input.evidence.len() as u64;
        let (subject, reviewer) = (material.release().to_string(), material.by.to_string());
        Ok(gate_file(subject, reviewer, material.said(), reviewed, before.as_ref(), material.now()))
    }
}

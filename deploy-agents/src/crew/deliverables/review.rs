//! What reviewers of code and security say.

use std::collections::BTreeMap;

use deploy_core::evidence::Refusal;
use serde::{Deserialize, Serialize};

use crate::checks::kind;
use crate::crew::issued::Content;
use crate::crew::material::Material;

/// What analysers found in the code, and is still open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CodeReview {
    /// The analysers, each with its version.
    pub tools: BTreeMap<String, String>,
    /// How many findings are open, by level.
    pub open: BTreeMap<String, u64>,
    /// The rules that are broken at level error.
    pub errors: Vec<String>,
}

impl Content for CodeReview {
    const NAME: &'static str = "code-review";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let reports = material.reading().findings()?;
        let mut review = Self { tools: BTreeMap::new(), open: BTreeMap::new(), errors: Vec::new() };
        for report in &reports {
            review.tools.extend(report.runs.iter().map(|run| (run.tool.clone(), run.version.clone())));
            for finding in report.open() {
                *review.open.entry(format!("{:?}", finding.level).to_lowercase()).or_default() += 1;
                if finding.level == crate::evidence::facts::FindingLevel::Error {
                    review.errors.push(finding.rule.clone());
                }
            }
        }
        Ok(review)
    }
}

/// What security says: whose audit it is, what it covers, and what is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SecurityClearance {
    /// Whether every check of security is met. No other word opens the gate.
    pub cleared: bool,
    /// Who signed the audit, by the name of the key.
    pub audited_by: Vec<String>,
    /// The vulnerabilities that were found, by severity.
    pub found: BTreeMap<String, u64>,
    /// The policies that are not kept.
    pub not_kept: Vec<String>,
}

impl Content for SecurityClearance {
    const NAME: &'static str = "security-clearance";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let reading = material.reading();
        let scans = reading.vulnerabilities()?;
        // The checks say whether an audit and policies are asked for.
        let audits = reading.signed(kind::AUDIT, &material.thresholds().audit_keys).unwrap_or_default();
        let policies = reading.policies().unwrap_or_default();
        let mut found = BTreeMap::new();
        for one in scans.iter().flat_map(|(_, scan)| &scan.found) {
            *found.entry(format!("{:?}", one.severity).to_lowercase()).or_default() += 1;
        }
        let not_kept = policies.iter().flat_map(|(_, facts)| facts.not_kept()).map(|result| result.rule.clone());
        Ok(Self {
            cleared: !material.said().is_empty() && material.said().iter().all(|said| said.verdict.is_met()),
            audited_by: audits.iter().flat_map(|a| &a.signed_by).map(|signature| signature.key.clone()).collect(),
            found,
            not_kept: not_kept.collect(),
        })
    }
}

//! Checklists whose items are computed.

use std::fmt;

use deploy_core::evidence::{Receipt, Verdict};
use deploy_core::name::CheckName;
use deploy_core::operator::Principal;
use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Items that must be so, each computed from checks whenever it is read: nothing in here remembers a tick.
///
/// An item without a check can only be ticked by a named person, and shows as such.
///
/// ```
/// use deploy_agents::checks::Checklist;
///
/// let list = Checklist::pre_deployment();
/// assert_eq!(list.items().len(), 12);
/// assert!(!list.read(&[]).is_done(), "nobody has verified anything");
/// assert_eq!(Checklist::deployment().items().len(), 18);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checklist {
    title: String,
    items: Vec<ChecklistItem>,
}

/// One item of a checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChecklistItem {
    /// What must be so.
    pub text: String,
    /// The row of the workflows, if it is one of theirs.
    pub row: Option<u16>,
    /// The checks that make it so, all of them. None: only a person can say so.
    pub checks: Vec<CheckName>,
    /// What a person said, where there is no check.
    pub attestation: Option<ManualAttestation>,
}

/// The word of a named person that an item is so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManualAttestation {
    /// Who.
    pub who: Principal,
    /// When.
    pub at: Timestamp,
    /// What they looked at.
    pub note: String,
}

/// Why a person's word was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttestError {
    /// There is no such item: look at the list.
    #[error("there is no item {0:?}")]
    NoItem(String),
    /// Checks say whether it is so: provide their evidence, or waive the check.
    #[error("{item:?} is computed from {checks}; nobody ticks it by hand")]
    Computed {
        /// The item.
        item: String,
        /// Its checks.
        checks: String,
    },
    /// Nobody says who, or what they looked at: say both.
    #[error("{0:?} is ticked by somebody who gives no name or note")]
    Anonymous(String),
}

/// How an item stands, at the moment of reading.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ItemState {
    /// Its checks are met.
    Computed,
    /// Its checks are met, and some of them only because a person answers for them.
    Waived(Vec<String>),
    /// A person said so; nothing was checked.
    Attested(ManualAttestation),
    /// It is not so, and why.
    Open(Vec<String>),
}

/// A checklist as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChecklistReading {
    /// Its title.
    pub title: String,
    /// Its items with their state, in order.
    pub items: Vec<(ChecklistItem, ItemState)>,
}

impl Checklist {
    /// A list without items.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), items: Vec::new() }
    }

    /// The same list with an item that checks compute. Names that are none are left out, and an item without any check is
    /// one for a person.
    #[must_use]
    pub fn item(mut self, row: u16, text: impl Into<String>, checks: &[&str]) -> Self {
        let checks = checks.iter().filter_map(|name| CheckName::new(name).ok()).collect();
        self.items.push(ChecklistItem { text: text.into(), row: Some(row), checks, attestation: None });
        self
    }

    /// The same list with an item that only a person can tick.
    #[must_use]
    pub fn manual(mut self, text: impl Into<String>) -> Self {
        self.items.push(ChecklistItem { text: text.into(), row: None, checks: Vec::new(), attestation: None });
        self
    }

    /// The twelve items before a deployment.
    #[must_use]
    pub fn pre_deployment() -> Self {
        Self::new("Before the deployment")
            .item(8, "Quality gates passed", &["build-success", "tests-pass", "coverage"])
            .item(9, "Benchmarks validated", &["no-slowdown", "service-level"])
            .item(10, "Documentation complete", &["docs-complete"])
            .item(11, "Rollback procedures tested", &["rollback-drill"])
            .item(12, "Security audit complete", &["security-audit"])
            .item(13, "Vulnerability scan reviewed", &["no-critical-vulnerability"])
            .item(14, "Compliance verified", &["compliance"])
            .item(15, "Access control validated", &["access"])
            .item(16, "Environment validated", &["environment", "no-drift"])
            .item(17, "Resources confirmed", &["capacity"])
            .item(18, "Monitoring operational", &["monitoring-up", "alerts-delivered"])
            .item(19, "Backup verified", &["backup"])
    }

    /// The eighteen items of a deployment.
    #[must_use]
    pub fn deployment() -> Self {
        Self::new("Deployment")
            .item(196, "Risk assessment complete", &["risks"])
            .item(197, "Stakeholders notified", &["stakeholders-notified"])
            .item(198, "Backup created", &["backup"])
            .item(199, "Dependencies validated", &["dependencies"])
            .item(200, "Build artifacts ready", &["artifacts-attested"])
            .item(201, "Security scan passed", &["no-critical-vulnerability"])
            .item(202, "Infrastructure provisioned", &["plan-applied", "no-drift"])
            .item(203, "Configuration validated", &["configuration"])
            .item(204, "Deployment executed", &["deployment-executed"])
            .item(205, "Health checks passing", &["health"])
            .item(206, "Smoke tests passed", &["smoke"])
            .item(207, "Performance validated", &["no-slowdown", "service-level"])
            .item(208, "Monitoring active", &["monitoring-up"])
            .item(209, "Alerts configured", &["alerts-delivered"])
            .item(210, "Documentation updated", &["docs-complete"])
            .item(211, "Team briefed", &["training"])
            .item(212, "Rollback tested", &["rollback-drill"])
            .item(213, "Success metrics met", &["success-metrics"])
    }

    /// The items.
    #[must_use]
    pub fn items(&self) -> &[ChecklistItem] {
        &self.items
    }

    /// Takes the word of a person for an item without a check.
    ///
    /// # Errors
    ///
    /// [`AttestError`] where there is no such item, where checks compute it, or where the person gives no name or note.
    pub fn attest(&mut self, item: &str, attestation: ManualAttestation) -> Result<(), AttestError> {
        let found = self.items.iter_mut().find(|i| i.text == item);
        let found = found.ok_or_else(|| AttestError::NoItem(item.to_owned()))?;
        if !found.checks.is_empty() {
            let checks: Vec<&str> = found.checks.iter().map(CheckName::as_str).collect();
            return Err(AttestError::Computed { item: item.to_owned(), checks: checks.join(", ") });
        }
        if attestation.who.subject.trim().is_empty() || attestation.note.trim().is_empty() {
            return Err(AttestError::Anonymous(item.to_owned()));
        }
        found.attestation = Some(attestation);
        Ok(())
    }

    /// How the items stand by these receipts, which the caller has just made: of several of one check the last counts. A
    /// receipt that read nothing counts only where a person answers for it.
    #[must_use]
    pub fn read(&self, receipts: &[Receipt]) -> ChecklistReading {
        let items = self.items.iter().map(|item| (item.clone(), state(item, receipts)));
        ChecklistReading { title: self.title.clone(), items: items.collect() }
    }
}

fn state(item: &ChecklistItem, receipts: &[Receipt]) -> ItemState {
    if item.checks.is_empty() {
        return match &item.attestation {
            Some(attestation) => ItemState::Attested(attestation.clone()),
            None => ItemState::Open(vec!["nobody has said so".to_owned()]),
        };
    }
    let (mut open, mut waived) = (Vec::new(), Vec::new());
    for check in &item.checks {
        let Some(receipt) = receipts.iter().rfind(|receipt| receipt.check == *check) else {
            open.push(format!("{check}: nobody has verified it"));
            continue;
        };
        match &receipt.verdict {
            Verdict::Waived(waiver) => waived.push(format!("{check} by {}: {}", waiver.person, waiver.reason)),
            Verdict::NotApplicable { reason } if !reason.trim().is_empty() && !receipt.read.is_empty() => {}
            Verdict::Pass | Verdict::Concerns { .. } if !receipt.read.is_empty() => {}
            Verdict::Fail { reason } => open.push(format!("{check}: {reason}")),
            Verdict::Inconclusive { refusal } => open.push(format!("{check}: {refusal}")),
            Verdict::Pass | Verdict::Concerns { .. } | Verdict::NotApplicable { .. } => {
                open.push(format!("{check}: nothing was read"));
            }
        }
    }
    match (open.is_empty(), waived.is_empty()) {
        (false, _) => ItemState::Open(open),
        (true, false) => ItemState::Waived(waived),
        (true, true) => ItemState::Computed,
    }
}

impl ItemState {
    /// Whether the item is so, by whomever.
    #[must_use]
    pub fn is_so(&self) -> bool {
        !matches!(self, Self::Open(_))
    }
}

impl ChecklistReading {
    /// Whether every item is so.
    #[must_use]
    pub fn is_done(&self) -> bool {
        !self.items.is_empty() && self.items.iter().all(|(_, state)| state.is_so())
    }
}

impl fmt::Display for ChecklistReading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        for (item, state) in &self.items {
            let (mark, why) = match state {
                ItemState::Computed => ("x", String::new()),
                ItemState::Waived(by) => ("w", format!("waived: {}", by.join("; "))),
                ItemState::Attested(a) => ("m", format!("by hand: {} at {}: {}", a.who, a.at, a.note)),
                ItemState::Open(why) => (" ", why.join("; ")),
            };
            writeln!(f, "{}", format!("- [{mark}] {:30} {why}", item.text).trim_end())?;
        }
        Ok(())
    }
}

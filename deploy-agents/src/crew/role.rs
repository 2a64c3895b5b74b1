//! The roles of the two workflows, by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Every role of the two documented workflows.
///
/// ```
/// use deploy_agents::crew::Role;
///
/// assert_eq!(Role::ALL.len(), 21);
/// assert_eq!("deployment operations manager".parse(), Ok(Role::DeploymentOpsManager));
/// assert_eq!(Role::Qa.slug(), "qa");
/// assert!(!Role::Qa.decides().is_empty());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Final readiness: is what was asked for there, tested, and fit to run?
    SpecValidator,
    /// Reviews, and proves that the release is watched.
    SpecReviewer,
    /// Audit, scans, compliance, access. Has a veto.
    SecuritySpecialist,
    /// The whole: environment, resources, monitoring, backups.
    Architect,
    /// Quality: tests, requirements of quality, the gate file.
    Qa,
    /// What it means for users and the business.
    Pm,
    /// Order, preconditions, who answers for what.
    Orchestrator,
    /// Provisions, deploys, operates.
    DeploymentOpsManager,
    /// Keeps the register of risks.
    RiskManager,
    /// Plans the work and its time.
    ProjectPlanner,
    /// Sees to it that everybody knows who must.
    StakeholderCommunicator,
    /// Builds, from a commit to artifacts that can be traced back to it.
    CicdBuilder,
    /// Dependencies: what is in it, under which licence, with which faults.
    DependencyManager,
    /// Environments as code.
    IacAutomationEngineer,
    /// Controls, hardening, compliance.
    SecurityArchitect,
    /// Metrics and alerts.
    ResourceMonitor,
    /// The smoke suite.
    TestSuiteGenerator,
    /// Integration, acceptance, defects.
    QaCoordinator,
    /// Speed, before and after.
    PerformanceOptimizer,
    /// What people read.
    DocumentationGenerator,
    /// What people learn.
    TrainingChangeManager,
}

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no role {text:?}; the roles are {}", slugs())]
#[non_exhaustive]
pub struct UnknownRole {
    /// The text.
    pub text: String,
}

fn slugs() -> String {
    Role::ALL.map(Role::slug).join(", ")
}

impl Role {
    /// All of them: the seven of the three-phase workflow, then the fourteen of the eight-phase one.
    pub const ALL: [Self; 21] = [
        Self::SpecValidator,
        Self::SpecReviewer,
        Self::SecuritySpecialist,
        Self::Architect,
        Self::Qa,
        Self::Pm,
        Self::Orchestrator,
        Self::DeploymentOpsManager,
        Self::RiskManager,
        Self::ProjectPlanner,
        Self::StakeholderCommunicator,
        Self::CicdBuilder,
        Self::DependencyManager,
        Self::IacAutomationEngineer,
        Self::SecurityArchitect,
        Self::ResourceMonitor,
        Self::TestSuiteGenerator,
        Self::QaCoordinator,
        Self::PerformanceOptimizer,
        Self::DocumentationGenerator,
        Self::TrainingChangeManager,
    ];

    /// How plans and records name it.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::SpecValidator => "spec-validator",
            Self::SpecReviewer => "spec-reviewer",
            Self::SecuritySpecialist => "security-specialist",
            Self::Architect => "architect",
            Self::Qa => "qa",
            Self::Pm => "pm",
            Self::Orchestrator => "orchestrator",
            Self::DeploymentOpsManager => "deployment-ops-manager",
            Self::RiskManager => "risk-manager",
            Self::ProjectPlanner => "project-planner",
            Self::StakeholderCommunicator => "stakeholder-communicator",
            Self::CicdBuilder => "cicd-builder",
            Self::DependencyManager => "dependency-manager",
            Self::IacAutomationEngineer => "iac-automation-engineer",
            Self::SecurityArchitect => "security-architect",
            Self::ResourceMonitor => "resource-monitor",
            Self::TestSuiteGenerator => "test-suite-generator",
            Self::QaCoordinator => "qa-coordinator",
            Self::PerformanceOptimizer => "performance-optimizer",
            Self::DocumentationGenerator => "documentation-generator",
            Self::TrainingChangeManager => "training-change-manager",
        }
    }

    /// What it answers for, in a sentence.
    #[must_use]
    pub fn responsibility(self) -> &'static str {
        match self {
            Self::SpecValidator => "says whether what was asked for is there, tested and fit to run",
            Self::SpecReviewer => "reviews the code, and proves that the release is watched",
            Self::SecuritySpecialist => "holds the veto of security: audit, scans, compliance, access",
            Self::Architect => "answers for environment, resources, monitoring and backups as a whole",
            Self::Qa => "answers for quality: tests, requirements of quality, the gate file",
            Self::Pm => "says what the release means for users and the business",
            Self::Orchestrator => "keeps order, preconditions, and who answers for what",
            Self::DeploymentOpsManager => "provisions, deploys and operates, and knows the way back",
            Self::RiskManager => "keeps the register of risks, each with its mitigation and owner",
            Self::ProjectPlanner => "plans the work, its order and its time",
            Self::StakeholderCommunicator => "sees to it that everybody knows who must, and keeps the receipts",
            Self::CicdBuilder => "builds artifacts that can be traced back to their commit",
            Self::DependencyManager => "knows what is in it, under which licence and with which known faults",
            Self::IacAutomationEngineer => "provisions environments as code, and applies what was approved",
            Self::SecurityArchitect => "has evidence for every control: policies, hardening, access",
            Self::ResourceMonitor => "keeps metrics and alerts live, and shows that they are",
            Self::TestSuiteGenerator => "covers every critical function with a smoke test that really ran",
            Self::QaCoordinator => "holds the release to its exit criteria: integration, acceptance, defects",
            Self::PerformanceOptimizer => "measures speed before and after, and says what changed",
            Self::DocumentationGenerator => "tells each audience what changed, and leaves nothing out",
            Self::TrainingChangeManager => "sees to it that everything new can be learnt, and was",
        }
    }

    /// What it may decide.
    #[must_use]
    pub fn decides(self) -> &'static str {
        match self {
            Self::SpecValidator => "go, conditional, no-go or hold",
            Self::SpecReviewer => "accept or reopen",
            Self::SecuritySpecialist => "veto",
            Self::Architect => "accept or block",
            Self::Qa => "advises; decides where a criterion is mandatory",
            Self::Pm => "accept for the business or halt",
            Self::Orchestrator => "the next step only",
            Self::DeploymentOpsManager => "promote, pause or roll back within policy",
            Self::RiskManager => "block, or require a level of approval",
            Self::ProjectPlanner => "feasible or not",
            Self::StakeholderCommunicator => "nothing; it reports",
            Self::CicdBuilder => "the build is good or not",
            Self::DependencyManager | Self::IacAutomationEngineer | Self::SecurityArchitect => "block or let through",
            Self::ResourceMonitor => "the monitors are good or not",
            Self::TestSuiteGenerator | Self::QaCoordinator => "pass or fail",
            Self::PerformanceOptimizer => "within its service level or not",
            Self::DocumentationGenerator => "complete or not",
            Self::TrainingChangeManager => "ready or not",
        }
    }

    /// Whether it belongs to the three-phase workflow; the others belong to the eight-phase one.
    #[must_use]
    pub fn is_of_three_phases(self) -> bool {
        Self::ALL.iter().position(|role| *role == self).is_some_and(|place| place < 7)
    }

    /// Its seat in a phase, from 1.
    #[must_use]
    pub fn in_phase(self, phase: u8) -> Seat {
        Seat { role: self, phase }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.slug())
    }
}

/// Reads a slug, with or without the slash that people put before it, or a longer name such as `deployment operations manager`.
impl FromStr for Role {
    type Err = UnknownRole;
    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let plain = text.trim().trim_start_matches('/').trim_start_matches("gd:").to_lowercase();
        let plain = plain.replace([' ', '_'], "-").replace("ops-manager", "operations-manager");
        let plain = plain.strip_prefix("bmad-").unwrap_or(&plain);
        let same = |role: &Self| role.slug().replace("ops-manager", "operations-manager") == plain;
        Self::ALL.into_iter().find(same).ok_or_else(|| UnknownRole { text: text.to_owned() })
    }
}

/// A role in a phase: what a step is given to. A role may have a seat in several phases, with other work in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Seat {
    /// The role.
    pub role: Role,
    /// The phase of its workflow, from 1.
    pub phase: u8,
}

/// `risk-manager-1`: what its verifications are named after.
impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.role.slug(), self.phase)
    }
}

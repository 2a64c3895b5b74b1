//! One file for each role: its type, its seats, and what it does in each of them.

use super::deliverables::*;
use super::duty::Duty;
use super::role::{Role, Seat};
use super::seat::role;
use crate::checks::Document as _;
use crate::checks::ValidationLevel::Standard;
use crate::checks::kind;
use crate::checks::steps::VerifiedStep;

mod architect;
mod cicd_builder;
mod dependency_manager;
mod deployment_ops_manager;
mod documentation_generator;
mod iac_automation_engineer;
mod orchestrator;
mod performance_optimizer;
mod pm;
mod project_planner;
mod qa;
mod qa_coordinator;
mod resource_monitor;
mod risk_manager;
mod security_architect;
mod security_specialist;
mod spec_reviewer;
mod spec_validator;
mod stakeholder_communicator;
mod test_suite_generator;
mod training_change_manager;

pub use self::architect::Architect;
pub use self::cicd_builder::CicdBuilder;
pub use self::dependency_manager::DependencyManager;
pub use self::deployment_ops_manager::DeploymentOpsManager;
pub use self::documentation_generator::DocumentationGenerator;
pub use self::iac_automation_engineer::IacAutomationEngineer;
pub use self::orchestrator::Orchestrator;
pub use self::performance_optimizer::PerformanceOptimizer;
pub use self::pm::Pm;
pub use self::project_planner::ProjectPlanner;
pub use self::qa::Qa;
pub use self::qa_coordinator::QaCoordinator;
pub use self::resource_monitor::ResourceMonitor;
pub use self::risk_manager::RiskManager;
pub use self::security_architect::SecurityArchitect;
pub use self::security_specialist::SecuritySpecialist;
pub use self::spec_reviewer::SpecReviewer;
pub use self::spec_validator::SpecValidator;
pub use self::stakeholder_communicator::StakeholderCommunicator;
pub use self::test_suite_generator::TestSuiteGenerator;
pub use self::training_change_manager::TrainingChangeManager;

const SCANS: &[&str] = &[kind::TRIVY, kind::GRYPE, kind::OSV, kind::CARGO_AUDIT];
const BACKUPS: &[&str] = &[kind::PGBACKREST, kind::RESTIC];
const POLICIES: &[&str] = &[kind::CONFTEST, kind::OPA];
const LOADS: &[&str] = &[kind::K6, kind::OHA, kind::WRK];
const COVERAGE: &[&str] = &[kind::LCOV, kind::COBERTURA, kind::LLVM_COV];

/// Every seat of the workflows, phase by phase: first the three-phase one, then the eight-phase one, and at last the answer to an
/// incident ([`INCIDENT_SEATS`]).
pub const SEATS: [Seat; 39] = [
    seat(Role::SpecValidator, 1),
    seat(Role::SpecReviewer, 1),
    seat(Role::SecuritySpecialist, 1),
    seat(Role::Architect, 1),
    seat(Role::Qa, 1),
    seat(Role::Orchestrator, 1),
    seat(Role::Orchestrator, 2),
    seat(Role::Qa, 2),
    seat(Role::SecuritySpecialist, 2),
    seat(Role::Architect, 2),
    seat(Role::SpecReviewer, 3),
    seat(Role::SecuritySpecialist, 3),
    seat(Role::Qa, 3),
    seat(Role::Pm, 3),
    seat(Role::SpecValidator, 3),
    seat(Role::DeploymentOpsManager, 1),
    seat(Role::RiskManager, 1),
    seat(Role::ProjectPlanner, 2),
    seat(Role::StakeholderCommunicator, 2),
    seat(Role::CicdBuilder, 3),
    seat(Role::DependencyManager, 3),
    seat(Role::QaCoordinator, 3),
    seat(Role::IacAutomationEngineer, 4),
    seat(Role::DeploymentOpsManager, 4),
    seat(Role::SecurityArchitect, 4),
    seat(Role::ResourceMonitor, 4),
    seat(Role::DeploymentOpsManager, 5),
    seat(Role::ResourceMonitor, 5),
    seat(Role::TestSuiteGenerator, 6),
    seat(Role::QaCoordinator, 6),
    seat(Role::PerformanceOptimizer, 6),
    seat(Role::SecurityArchitect, 6),
    seat(Role::ResourceMonitor, 7),
    seat(Role::PerformanceOptimizer, 7),
    seat(Role::Pm, 7),
    seat(Role::DocumentationGenerator, 8),
    seat(Role::TrainingChangeManager, 8),
    INCIDENT_SEATS[0],
    INCIDENT_SEATS[1],
];

/// The seats in the review of an incident.
pub const INCIDENT_SEATS: [Seat; 2] = [seat(Role::Qa, 4), seat(Role::Pm, 4)];

const fn seat(role: Role, phase: u8) -> Seat {
    Seat { role, phase }
}

/// What a role does in a phase, where it has a seat there.
#[must_use]
pub fn duty(seat: Seat) -> Option<Duty> {
    let of = match seat.role {
        Role::SpecValidator => spec_validator::duty,
        Role::SpecReviewer => spec_reviewer::duty,
        Role::SecuritySpecialist => security_specialist::duty,
        Role::Architect => architect::duty,
        Role::Qa => qa::duty,
        Role::Pm => pm::duty,
        Role::Orchestrator => orchestrator::duty,
        Role::DeploymentOpsManager => deployment_ops_manager::duty,
        Role::RiskManager => risk_manager::duty,
        Role::ProjectPlanner => project_planner::duty,
        Role::StakeholderCommunicator => stakeholder_communicator::duty,
        Role::CicdBuilder => cicd_builder::duty,
        Role::DependencyManager => dependency_manager::duty,
        Role::IacAutomationEngineer => iac_automation_engineer::duty,
        Role::SecurityArchitect => security_architect::duty,
        Role::ResourceMonitor => resource_monitor::duty,
        Role::TestSuiteGenerator => test_suite_generator::duty,
        Role::QaCoordinator => qa_coordinator::duty,
        Role::PerformanceOptimizer => performance_optimizer::duty,
        Role::DocumentationGenerator => documentation_generator::duty,
        Role::TrainingChangeManager => training_change_manager::duty,
    };
    of(seat.phase)
}

//! Which kind of release goes through what.

use std::collections::BTreeSet;

use deploy_core::release::ReleaseKind;

use crate::crew::{Role, Seat, duty};

/// The checks that no release goes without that brings a new binary, however urgent: they have a veto, and the fast profile keeps
/// them all.
pub const VETOES: [&str; 7] =
    ["build-success", "tests-pass", "no-critical-vulnerability", "rollback-drill", "smoke", "health", "service-level"];

/// The kinds of release that a seat works for.
///
/// | kind | profile |
/// |---|---|
/// | production | everything |
/// | hotfix | the fast one: readiness, build, security, smoke, health, service level stay |
/// | feature rollout | no build and no infrastructure: the binary is the one that runs |
/// | infrastructure | no build and no rollout: a plan is applied |
/// | configuration | no build and no infrastructure: the schema is checked, one instance tries it first |
/// | emergency patch | everything; what cannot wait is waived by a person, and checked afterwards |
///
/// ```
/// use deploy_agents::crew::Role;
/// use deploy_agents::workflows::profile;
/// use deploy_core::release::ReleaseKind;
///
/// let training = profile::kinds_of(Role::TrainingChangeManager.in_phase(8));
/// assert!(training.contains(&ReleaseKind::Production) && !training.contains(&ReleaseKind::Hotfix));
/// ```
#[must_use]
pub fn kinds_of(seat: Seat) -> BTreeSet<ReleaseKind> {
    use ReleaseKind::{Configuration, EmergencyPatch, FeatureRollout, Hotfix, Infrastructure, Production};
    let kinds: &[ReleaseKind] = match (seat.role, seat.phase) {
        // Whether it is ready, and whether anybody knows, is asked of all.
        (Role::DeploymentOpsManager, 1) | (Role::Architect, 1) | (Role::Orchestrator, 1) => &ReleaseKind::ALL,
        (Role::RiskManager | Role::ProjectPlanner | Role::StakeholderCommunicator, _) => {
            &[Production, FeatureRollout, Infrastructure, Configuration, EmergencyPatch]
        }
        // Builds are for what brings a new binary.
        (Role::CicdBuilder, _) | (Role::QaCoordinator, 3) => &[Production, Hotfix, EmergencyPatch],
        (Role::SpecReviewer | Role::SpecValidator, 1) => &[Production, Hotfix, EmergencyPatch],
        (Role::Qa, 1) => &[Production, Hotfix, EmergencyPatch],
        (Role::DependencyManager, _) => &[Production, Hotfix, FeatureRollout, Configuration, EmergencyPatch],
        (Role::IacAutomationEngineer, _) => &[Production, Infrastructure, EmergencyPatch],
        (Role::SecurityArchitect, 4) => &[Production, Infrastructure, EmergencyPatch],
        (Role::SecuritySpecialist, 1) => &ReleaseKind::ALL,
        // The way back and the configuration concern whatever is rolled out.
        (Role::DeploymentOpsManager, 4) => &[Production, Hotfix, FeatureRollout, Configuration, EmergencyPatch],
        (Role::ResourceMonitor, 4 | 5) => &ReleaseKind::ALL,
        (Role::DeploymentOpsManager, _) => &ReleaseKind::ALL,
        // What was tried out first is a binary.
        (Role::Orchestrator, 2) => &[Production, Hotfix, EmergencyPatch],
        // Health, smoke, service level and what runs are looked at whatever was changed.
        (Role::TestSuiteGenerator, _) | (Role::PerformanceOptimizer, 6) | (Role::SecurityArchitect, 6) => {
            &ReleaseKind::ALL
        }
        (Role::Qa | Role::SecuritySpecialist | Role::Architect, 2) => &ReleaseKind::ALL,
        (Role::SpecReviewer | Role::Qa, 3) => &ReleaseKind::ALL,
        // The rest is for releases that have the time.
        _ => &[Production, FeatureRollout, Infrastructure, Configuration, EmergencyPatch],
    };
    kinds.iter().copied().collect()
}

/// The checks that seats ask of a kind of release.
#[must_use]
pub fn checks_of(seats: &[Seat], kind: ReleaseKind) -> BTreeSet<&'static str> {
    let mine = seats.iter().filter(|seat| kinds_of(**seat).contains(&kind));
    mine.filter_map(|seat| duty(*seat)).flat_map(|duty| duty.step().checks.iter().copied()).collect()
}

//! The eight-phase workflow: from readiness to training.

use super::assembly::{Assembly, Miss};
use super::builder::Hook;
use super::error::WorkflowError;
use crate::crew::{Role, Seat};

/// Its seats, phase by phase: the sixteen verified steps, and those that its quality gates need besides.
pub(super) const SEATS: &[Seat] = &[
    Seat { role: Role::DeploymentOpsManager, phase: 1 },
    Seat { role: Role::RiskManager, phase: 1 },
    Seat { role: Role::ProjectPlanner, phase: 2 },
    Seat { role: Role::StakeholderCommunicator, phase: 2 },
    Seat { role: Role::CicdBuilder, phase: 3 },
    Seat { role: Role::DependencyManager, phase: 3 },
    Seat { role: Role::QaCoordinator, phase: 3 },
    Seat { role: Role::IacAutomationEngineer, phase: 4 },
    Seat { role: Role::SecurityArchitect, phase: 4 },
    Seat { role: Role::DeploymentOpsManager, phase: 4 },
    Seat { role: Role::ResourceMonitor, phase: 4 },
    Seat { role: Role::Orchestrator, phase: 2 },
    Seat { role: Role::DeploymentOpsManager, phase: 5 },
    Seat { role: Role::ResourceMonitor, phase: 5 },
    Seat { role: Role::TestSuiteGenerator, phase: 6 },
    Seat { role: Role::QaCoordinator, phase: 6 },
    Seat { role: Role::PerformanceOptimizer, phase: 6 },
    Seat { role: Role::SecurityArchitect, phase: 6 },
    Seat { role: Role::ResourceMonitor, phase: 7 },
    Seat { role: Role::PerformanceOptimizer, phase: 7 },
    Seat { role: Role::Pm, phase: 7 },
    Seat { role: Role::DocumentationGenerator, phase: 8 },
    Seat { role: Role::TrainingChangeManager, phase: 8 },
];

/// The seats that the rollout itself takes.
const IN_ROLLOUT: [Seat; 2] =
    [Seat { role: Role::ResourceMonitor, phase: 4 }, Seat { role: Role::Orchestrator, phase: 2 }];

/// The phases, each with the role that answers for it.
const PHASES: [(&str, Role); 8] = [
    ("readiness", Role::DeploymentOpsManager),
    ("planning", Role::ProjectPlanner),
    ("build", Role::CicdBuilder),
    ("infrastructure", Role::IacAutomationEngineer),
    ("deployment", Role::DeploymentOpsManager),
    ("validation", Role::TestSuiteGenerator),
    ("monitoring", Role::ResourceMonitor),
    ("documentation", Role::DocumentationGenerator),
];

pub(super) fn assemble(a: &mut Assembly<'_>) -> Result<(), WorkflowError> {
    for (number, (name, lead)) in (1_u8..).zip(PHASES) {
        let seats = || SEATS.iter().copied().filter(move |s| s.phase == number && !IN_ROLLOUT.contains(s));
        // A phase that no kind of release has a step in is none of theirs.
        let mut kinds = a.supported.clone();
        kinds.retain(|kind| {
            let works = |seat: Seat| !a.of.without.contains_key(&seat) && super::profile::kinds_of(seat).contains(kind);
            number == 1 || number == 5 || seats().any(works)
        });
        if kinds.is_empty() {
            continue;
        }
        let room = a.phase(name, lead, &kinds);
        let mut begun = Vec::new();
        match number {
            1 => {
                a.open(room)?;
                begun = a.hook(room, Hook::BeforeWork, Vec::new());
            }
            5 => begun = a.rollout(room)?,
            _ => {}
        }
        let mut done = Vec::new();
        for seat in seats() {
            done.extend(a.seat(room, seat, Miss::Weigh, &begun)?);
        }
        match number {
            1 => a.preconditions(room)?,
            8 => {
                a.hook(room, Hook::BeforeClose, done);
            }
            _ => {}
        }
        a.close(room)?;
    }
    Ok(())
}

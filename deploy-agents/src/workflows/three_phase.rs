//! The three-phase workflow: before, during, after.

use std::collections::BTreeMap;

use deploy_core::name::CheckName;

use super::assembly::{Assembly, Miss};
use super::builder::Hook;
use super::error::WorkflowError;
use crate::crew::{Role, Seat};
use crate::gates::Criterion;

/// Its seats, phase by phase. Those of other workflows sit in where a kind of release needs them.
pub(super) const SEATS: &[Seat] = &[
    Seat { role: Role::SpecValidator, phase: 1 },
    Seat { role: Role::SpecReviewer, phase: 1 },
    Seat { role: Role::SecuritySpecialist, phase: 1 },
    Seat { role: Role::Architect, phase: 1 },
    Seat { role: Role::Qa, phase: 1 },
    Seat { role: Role::Orchestrator, phase: 1 },
    Seat { role: Role::ResourceMonitor, phase: 4 },
    Seat { role: Role::Orchestrator, phase: 2 },
    Seat { role: Role::DeploymentOpsManager, phase: 4 },
    Seat { role: Role::IacAutomationEngineer, phase: 4 },
    Seat { role: Role::Architect, phase: 2 },
    Seat { role: Role::Qa, phase: 2 },
    Seat { role: Role::SecuritySpecialist, phase: 2 },
    Seat { role: Role::SpecReviewer, phase: 3 },
    Seat { role: Role::SecuritySpecialist, phase: 3 },
    Seat { role: Role::Qa, phase: 3 },
    Seat { role: Role::Pm, phase: 3 },
    Seat { role: Role::SpecValidator, phase: 3 },
];

/// Which check speaks for which criterion of the readiness matrix.
const MATRIX: [(&str, Criterion); 22] = [
    ("build-success", Criterion::CodeQuality),
    ("tests-pass", Criterion::CodeQuality),
    ("coverage", Criterion::CodeQuality),
    ("lint-clean", Criterion::CodeQuality),
    ("requirements-traced", Criterion::CodeQuality),
    ("nfr", Criterion::CodeQuality),
    ("security-audit", Criterion::Security),
    ("no-critical-vulnerability", Criterion::Security),
    ("compliance", Criterion::Security),
    ("access", Criterion::Security),
    ("no-slowdown", Criterion::Performance),
    ("service-level", Criterion::Performance),
    ("environment", Criterion::Infrastructure),
    ("no-drift", Criterion::Infrastructure),
    ("capacity", Criterion::Infrastructure),
    ("monitoring-up", Criterion::Infrastructure),
    ("alerts-delivered", Criterion::Infrastructure),
    ("backup", Criterion::Infrastructure),
    ("rollback-drill", Criterion::Infrastructure),
    ("docs-complete", Criterion::Documentation),
    ("on-call", Criterion::TeamReadiness),
    ("stakeholders-notified", Criterion::TeamReadiness),
];

pub(super) fn assemble(a: &mut Assembly<'_>) -> Result<(), WorkflowError> {
    let all = a.supported.clone();
    let before = a.phase("pre-deployment", Role::SpecValidator, &all);
    a.open(before)?;
    let begun = a.hook(before, Hook::BeforeWork, Vec::new());
    for seat in SEATS.iter().filter(|seat| seat.phase == 1) {
        a.seat(before, *seat, Miss::Weigh, &begun)?;
    }
    a.preconditions(before)?;
    let named = MATRIX.iter().filter_map(|(check, criterion)| Some((CheckName::new(check).ok()?, *criterion)));
    let matrix: BTreeMap<CheckName, Criterion> = named.collect();
    a.close_with(before, matrix)?;

    let during = a.phase("deployment", Role::Orchestrator, &all);
    let rolled_out = a.rollout(during)?;
    for seat in [
        Role::DeploymentOpsManager.in_phase(4),
        Role::IacAutomationEngineer.in_phase(4),
        Role::Architect.in_phase(2),
        Role::Qa.in_phase(2),
        Role::SecuritySpecialist.in_phase(2),
    ] {
        a.seat(during, seat, Miss::Weigh, &rolled_out)?;
    }
    a.close(during)?;

    let works = |seat: &&Seat| seat.phase == 3 && !a.of.without.contains_key(seat);
    if !SEATS.iter().any(|seat| works(&seat)) && !a.of.tasks.contains_key(&Hook::BeforeClose) {
        return Ok(());
    }
    let after = a.phase("post-deployment", Role::SpecReviewer, &all);
    let mut done = Vec::new();
    for seat in SEATS.iter().filter(|seat| seat.phase == 3) {
        done.extend(a.seat(after, *seat, Miss::Weigh, [])?);
    }
    a.hook(after, Hook::BeforeClose, done);
    a.close(after)
}

//! Whoever takes a seat, with what must be shown there.

use std::collections::BTreeMap;
use std::sync::Arc;

use deploy_core::agent::Agent;
use deploy_core::evidence::{Check, Verification};
use deploy_core::name::CheckName;

use crate::crew::{Crew, Duty, Member, Seat};

/// Whoever takes a seat: the host's own agent, or the member of the crew.
pub(super) struct Sitting {
    pub(super) agent: Arc<dyn Agent>,
    /// What the step must have verified, whoever does it.
    pub(super) verifications: Vec<Verification>,
    /// The four checks of its own work, for the pipeline to know.
    pub(super) lines: Vec<Check>,
    /// The checks of the catalogue that it asks.
    pub(super) checks: Vec<CheckName>,
}

impl Sitting {
    pub(super) fn of(duty: Duty, crew: &Crew, own: &BTreeMap<Seat, Arc<dyn Agent>>) -> Self {
        let (seat, step, catalogue) = (duty.seat(), *duty.step(), crew.catalogue());
        let checks = step.asked_of(catalogue).into_iter().map(|check| check.name().clone()).collect();
        let member = Member::new(duty, crew);
        let verifications = member.verifications();
        let agent = own.get(&seat).cloned().unwrap_or_else(|| Arc::new(member));
        Self { agent, verifications, lines: step.checks(catalogue), checks }
    }

    /// The names of the four checks of its own work.
    pub(super) fn line_names(&self) -> Vec<CheckName> {
        self.lines.iter().map(|line| line.name().clone()).collect()
    }
}

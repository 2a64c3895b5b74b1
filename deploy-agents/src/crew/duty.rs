//! What a role does in one phase, as data.

use deploy_core::deliverable::{DeliverableKey, Slot};

use super::issued::{Content, Issued, Maker};
use super::role::Seat;
use crate::checks::ValidationLevel;
use crate::checks::steps::VerifiedStep;

/// What a role does in one phase: the documents that it reads and the checks that must pass ([`VerifiedStep`]), the deliverables
/// that it takes from earlier steps, and those that it makes.
///
/// ```
/// use deploy_agents::crew::{self, Role};
///
/// let duty = crew::duty(Role::RiskManager.in_phase(1)).expect("a seat of the eight-phase workflow");
/// assert_eq!(duty.step().checks, ["risks", "dependencies", "backup"]);
/// assert!(duty.provides().any(|key| key.name == "risk-register"));
/// ```
#[derive(Debug, Clone)]
pub struct Duty {
    seat: Seat,
    step: VerifiedStep,
    takes: Vec<DeliverableKey>,
    makers: Vec<Maker>,
    also_reads: Vec<&'static str>,
}

impl Duty {
    /// A duty that makes nothing yet. The agent and the phase of `step` are those of the seat.
    #[must_use]
    pub fn new(seat: Seat, step: VerifiedStep) -> Self {
        let step = VerifiedStep { agent: seat.role.slug(), phase: seat.phase, ..step };

        Self { seat, step, takes: Vec::new(), makers: Vec::new(), also_reads: Vec::new() }
    }

    /// The same duty, which makes this deliverable too.
    #[must_use]
    pub fn makes<C: Content>(mut self) -> Self {
        self.makers.push(Maker::of::<C>());
        self
    }

    /// The same duty, which takes this deliverable from an earlier step.
    #[must_use]
    pub fn takes<C: Content>(mut self) -> Self {
        self.takes.push(Slot::<Issued<C>>::new().key());
        self
    }

    /// The same duty, whose deliverables are made of this kind of evidence too, although no check of it asks for it.
    #[must_use]
    pub fn also_reads(mut self, kinds: &[&'static str]) -> Self {
        self.also_reads.extend(kinds);
        self
    }

    /// The same duty at another level: more checks, or fewer, beside the listed ones.
    #[must_use]
    pub fn at_level(mut self, level: ValidationLevel) -> Self {
        self.step = self.step.at_level(level);
        self
    }

    /// Whose it is, and in which phase.
    #[must_use]
    pub fn seat(&self) -> Seat {
        self.seat
    }

    /// The documents, checks and verifications of its step.
    #[must_use]
    pub fn step(&self) -> &VerifiedStep {
        &self.step
    }

    /// The deliverables that it makes.
    pub fn provides(&self) -> impl Iterator<Item = &DeliverableKey> {
        self.makers.iter().map(|maker| &maker.key)
    }

    /// The deliverables that it takes.
    #[must_use]
    pub fn needs(&self) -> &[DeliverableKey] {
        &self.takes
    }

    pub(super) fn makers(&self) -> &[Maker] {
        &self.makers
    }

    pub(super) fn kinds_beside(&self) -> &[&'static str] {
        &self.also_reads
    }
}

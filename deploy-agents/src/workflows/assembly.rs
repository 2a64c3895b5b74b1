//! What both workflows are put together with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deploy_core::agent::Agent;
use deploy_core::gate::Gate;
use deploy_core::name::{BlockName, CheckName};
use deploy_core::pipeline::{Phase, PipelineBuilder, StepRef};
use deploy_core::plan::{OnFailure, StepPath};
use deploy_core::release::ReleaseKind;

use super::backfill::{BackfillGate, WaiverGate};
use super::builder::{Extra, Hook, WorkflowBuilder};
use super::claimer::Claimer;
use super::error::WorkflowError;
use super::make_good::{MakesGood, report_check};
use super::phase_gate::{PhaseGate, Shown};
use super::sitting::Sitting;
use super::{kind_checks, profile};
use crate::checks::CatalogueCheck;
use crate::crew::{Crew, Role, Seat, duty};
use crate::gates::{ChangeWindowGate, Criterion, WhenShut};

/// What the steps of an assessing phase say of a check that is not met: all of it is to be known before anybody decides.
const WEIGHED: &str = "the gate at the end of the phase weighs it with the rest";

/// What happens when a seat does not show what it must.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Miss {
    /// The gate at the end of the phase weighs it with the rest.
    Weigh,
    /// The run turns back at once.
    TurnBack,
}

/// A pipeline in the making.
pub(super) struct Assembly<'b> {
    pub(super) p: &'b PipelineBuilder,
    pub(super) of: &'b WorkflowBuilder,
    pub(super) crew: Crew,
    pub(super) supported: BTreeSet<ReleaseKind>,
    /// The seats that are taken, each with its step.
    pub(super) taken: BTreeMap<Seat, StepPath>,
    /// Who sits there.
    pub(super) agents: BTreeMap<Seat, Arc<dyn Agent>>,
    shown: Vec<Shown>,
    /// Asked at the end of every phase: a waiver may be given at any of them.
    written_down: Arc<dyn Gate>,
}

/// Where the steps of a phase go.
#[derive(Clone, Copy)]
pub(super) struct Room<'p> {
    pub(super) phase: Phase<'p>,
    pub(super) name: &'static str,
    /// Whose seat answers for the phase; the others support it.
    pub(super) lead: Role,
}

impl<'b> Assembly<'b> {
    pub(super) fn new(of: &'b WorkflowBuilder, p: &'b PipelineBuilder) -> Result<Self, WorkflowError> {
        p.rollback(of.rollback.clone());
        if let Some(width) = of.width {
            p.width(width);
        }
        let mut catalogue = of.crew.catalogue().clone();
        for check in [kind_checks::same_digest_check()?, kind_checks::hotfix_check()?] {
            if catalogue.check(check.name().as_str()).is_none() {
                catalogue = catalogue.with(check);
            }
        }
        for prerequisite in &of.prerequisites {
            catalogue = catalogue.with(prerequisite.check(&of.crew)?);
        }
        for check in catalogue.checks() {
            p.check(check.check());
        }
        let crew = of.crew.clone().with_catalogue(catalogue);
        let supported = of.kinds();
        let name = BlockName::new("waivers-written-down")?;
        let written_down = Arc::new(WaiverGate { name, backfills: of.backfills.clone() });
        let (taken, agents) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { p, of, crew, supported, taken, agents, shown: Vec::new(), written_down })
    }

    /// The kinds of a list that the workflow takes.
    pub(super) fn only(&self, kinds: impl IntoIterator<Item = ReleaseKind>) -> BTreeSet<ReleaseKind> {
        kinds.into_iter().filter(|kind| self.supported.contains(kind)).collect()
    }

    /// Gives a step to whoever has the seat. Nothing where the seat is left out, or no supported kind of release needs it.
    pub(super) fn seat<'s>(
        &mut self,
        room: Room<'_>,
        seat: Seat,
        miss: Miss,
        after: impl IntoIterator<Item = &'s StepRef>,
    ) -> Result<Option<StepRef>, WorkflowError> {
        let kinds = self.only(profile::kinds_of(seat));
        if self.of.without.contains_key(&seat) || kinds.is_empty() {
            return Ok(None);
        }
        let Some(mut duty) = duty(seat) else { return Ok(None) };
        if let Some(level) = self.of.level {
            duty = duty.at_level(level);
        }
        let sitting = Sitting::of(duty, &self.crew, &self.of.agents);
        let (agent, lines) = (Arc::clone(&sitting.agent), sitting.line_names());
        self.agents.insert(seat, Arc::clone(&agent));
        let step_name = self.free_name(room.name, seat);
        let path = StepPath::new(format!("{}/{step_name}", room.name)).ok();
        if seat.role == room.lead {
            room.phase.lead(Arc::clone(&agent));
        } else {
            room.phase.supporting(Arc::clone(&agent));
        }
        let mut step = room.phase.task(&step_name, agent).only_for(kinds.clone()).retry(self.of.issues.retry());
        for wanted in sitting.verifications {
            step = step.verify(wanted);
        }
        if miss == Miss::Weigh {
            step = step.on_failure(OnFailure::Continue { reason: WEIGHED.to_owned() });
        }
        let added = step.after_all(after).add();
        if let Some(path) = path {
            self.taken.insert(seat, path.clone());
            self.shown.push(Shown { step: path, kinds, lines, checks: sitting.checks });
        }
        for line in sitting.lines {
            self.p.check(line);
        }
        Ok(Some(added))
    }

    /// A step is called after its role; where the role has another one in the phase, after the seat.
    fn free_name(&self, phase: &str, seat: Seat) -> String {
        let path = format!("{phase}/{}", seat.role);
        if self.taken.values().any(|there| there.as_str() == path) { seat.to_string() } else { seat.role.to_string() }
    }

    /// A step that claims one check of the catalogue, for these kinds of release.
    pub(super) fn claim(
        &mut self,
        room: Room<'_>,
        name: &str,
        responsibility: &str,
        checks: Vec<CatalogueCheck>,
        kinds: BTreeSet<ReleaseKind>,
    ) -> Result<(), WorkflowError> {
        if kinds.is_empty() || checks.is_empty() {
            return Ok(());
        }
        let names = checks.iter().map(|check| check.name().clone()).collect();
        let claimer = Claimer::new(BlockName::new(name)?, responsibility, checks, &self.crew);
        let verifications = claimer.verifications();
        let mut step = room.phase.task(name, claimer).only_for(kinds.clone()).retry(self.of.issues.retry());
        for wanted in verifications {
            step = step.verify(wanted);
        }
        step.on_failure(OnFailure::Continue { reason: WEIGHED.to_owned() }).add();
        if let Ok(step) = StepPath::new(format!("{}/{name}", room.name)) {
            self.shown.push(Shown { step, kinds, lines: Vec::new(), checks: names });
        }
        Ok(())
    }

    /// What every workflow asks at its beginning: that a release is what its kind says, and what came before it.
    pub(super) fn preconditions(&mut self, room: Room<'_>) -> Result<(), WorkflowError> {
        use ReleaseKind::{EmergencyPatch, FeatureRollout, Hotfix, Production};
        let check = |crew: &Crew, name: &str| crew.catalogue().check(name).cloned().into_iter().collect::<Vec<_>>();
        let same = check(&self.crew, "same-digest");
        let kinds = self.only([FeatureRollout]);
        self.claim(room, "same-digest", "shows that no binary changes", same, kinds)?;
        let small = check(&self.crew, "hotfix-small");
        let kinds = self.only([Hotfix]);
        self.claim(room, "hotfix-small", "shows that the change is small, and of what runs", small, kinds)?;
        for prerequisite in self.of.prerequisites.clone() {
            let name = format!("prerequisite-{}", prerequisite.workflow);
            let says = format!("shows that {} ended well for the same commit", prerequisite.workflow);
            let kinds = self.only([Production, Hotfix, EmergencyPatch]);
            let checks = check(&self.crew, &prerequisite.check_name());
            self.claim(room, &name, &says, checks, kinds)?;
        }
        Ok(())
    }

    /// Begins a phase for every kind that the workflow takes.
    pub(super) fn phase(&self, name: &'static str, lead: Role, kinds: &BTreeSet<ReleaseKind>) -> Room<'b> {
        Room { phase: self.p.phase(name).only_for(kinds.iter().copied()), name, lead }
    }

    /// Ends a phase with the gate that weighs everything that its seats had to show.
    pub(super) fn close(&mut self, room: Room<'_>) -> Result<(), WorkflowError> {
        self.close_with(room, BTreeMap::new())
    }

    /// The same, with the checks read into the readiness matrix.
    pub(super) fn close_with(
        &mut self,
        room: Room<'_>,
        matrix: BTreeMap<CheckName, Criterion>,
    ) -> Result<(), WorkflowError> {
        let name = BlockName::new(format!("{}-gate", room.name))?;
        let gate = PhaseGate::new(name, std::mem::take(&mut self.shown)).matrix(matrix, self.of.strict.clone());
        room.phase.exit(gate).exit(Arc::clone(&self.written_down));
        Ok(())
    }

    /// What must be so before the first phase begins.
    pub(super) fn open(&self, room: Room<'_>) -> Result<(), WorkflowError> {
        if let Some(backfills) = &self.of.backfills {
            room.phase.entry(BackfillGate::new(BlockName::new("backfills-settled")?, backfills.clone()));
        }
        Ok(())
    }

    /// The steps and gates that the host put at a place, one after the other; what follows waits for what is returned.
    pub(super) fn hook(&self, room: Room<'_>, at: Hook, after: Vec<StepRef>) -> Vec<StepRef> {
        let mut after = after;
        for Extra { name, agent, undo } in self.of.tasks.get(&at).into_iter().flatten() {
            let mut step = room.phase.task(name, Arc::clone(agent)).after_all(&after);
            if let Some(undo) = undo {
                step = step.undo(Arc::clone(undo));
            }
            after = vec![step.add()];
        }
        for (name, gate) in self.of.gates.get(&at).into_iter().flatten() {
            after = vec![room.phase.gate(name, Arc::clone(gate)).after_all(&after).add()];
        }
        after
    }

    /// The rollout, from the calendar to the end of its bake time: staging and monitoring beside each other, then whoever is
    /// asked, then traffic. Returns what the judgement of the rollout waits for.
    ///
    /// Rows: M30, M34, M230.
    pub(super) fn rollout(&mut self, room: Room<'_>) -> Result<Vec<StepRef>, WorkflowError> {
        use ReleaseKind::{Configuration, EmergencyPatch, FeatureRollout, Hotfix, Infrastructure, Production};
        if let Some(calendar) = &self.of.calendar {
            let gate = ChangeWindowGate::new(BlockName::new("change-window")?, calendar.clone());
            room.phase.entry(gate);
        }
        let binary = self.only([Production, Hotfix, EmergencyPatch]);
        let mut ready = Vec::new();
        let monitors = Role::ResourceMonitor.in_phase(4);
        if self.of.seats().contains(&monitors) {
            ready.extend(self.seat(room, monitors, Miss::TurnBack, [])?);
        }
        let mut staged = self.hook(room, Hook::BeforeStaging, Vec::new());
        if let Some(staging) = &self.of.staging {
            let deployed = staging.step(room.phase, "staging").only_for(binary.clone()).after_all(&staged).add();
            staged = self.hook(room, Hook::OnStaging, vec![deployed]);
            let same = Role::Orchestrator.in_phase(2);
            if self.of.seats().contains(&same)
                && let Some(same) = self.seat(room, same, Miss::TurnBack, &staged)?
            {
                staged = vec![same];
            }
        } else {
            staged = self.hook(room, Hook::OnStaging, staged);
        }
        ready.extend(staged);
        if let Some(request) = &self.of.approval {
            ready = vec![room.phase.approval("approve", request.clone()).after_all(&ready).add()];
        }
        let mut ready = self.hook(room, Hook::BeforeTraffic, ready);
        if self.of.calendar.is_some() && self.of.approval.is_some() {
            // People may have taken their time.
            let calendar = self.of.calendar.clone().unwrap_or_default();
            let gate = ChangeWindowGate::new(BlockName::new("still-in-window")?, calendar)
                .under_way(WhenShut::HoldAtNextSafePoint);
            ready = vec![room.phase.gate("still-in-window", gate).after_all(&ready).add()];
        }
        let mut done = Vec::new();
        done.push(self.of.production.step(room.phase, "production").only_for(binary).after_all(&ready).add());
        if let Some(site) = &self.of.feature {
            done.push(site.step(room.phase, "feature").only_for([FeatureRollout]).after_all(&ready).add());
        }
        if let Some(site) = &self.of.configuration {
            done.push(site.step(room.phase, "configuration").only_for([Configuration]).after_all(&ready).add());
        }
        if let Some((apply, undo)) = &self.of.infrastructure {
            let mut step = room.phase.task("apply", Arc::clone(apply)).only_for([Infrastructure]).after_all(&ready);
            if let Some(undo) = undo {
                step = step.undo(Arc::clone(undo));
            }
            done.push(step.add());
        }
        if !self.of.bake.is_zero() {
            done = vec![room.phase.soak("bake", self.of.bake).after_all(&done).add()];
        }
        Ok(self.hook(room, Hook::AfterTraffic, done))
    }

    /// The last phase of an emergency: what was waived is carried out after all, and can still turn the release back.
    ///
    /// Rows: M137.
    pub(super) fn make_good(&self) -> Result<(), WorkflowError> {
        let kinds = self.only([ReleaseKind::EmergencyPatch]);
        let Some(backfills) = self.of.backfills.clone().filter(|_| !kinds.is_empty()) else { return Ok(()) };
        let room = self.phase("back-fill", Role::SpecValidator, &kinds);
        let agent: Arc<dyn Agent> = Arc::new(MakesGood { crew: self.crew.clone(), backfills: backfills.clone() });
        room.phase.lead(Arc::clone(&agent));
        let reports = report_check()?;
        room.phase.task("waived-checks", agent).retry(self.of.issues.retry()).verify(reports.verification()).add();
        self.p.check(reports);
        room.phase.exit(BackfillGate::new(BlockName::new("backfills-in-time")?, backfills));
        Ok(())
    }
}

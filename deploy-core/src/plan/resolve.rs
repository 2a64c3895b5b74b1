//! Lowers a pipeline and a release to a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{
    InFlightPolicy, OnFailure, Plan, PlannedPhase, PlannedStep, RetryPolicy, RollbackOf, RollbackTo, StepId, Work,
};
use crate::journal::QueuePolicy;
use crate::name::{BlockName, PipelineName, TargetName};
use crate::operator::Principal;
use crate::pipeline::{PhaseGate, PhaseSpec, Pipeline, StepSpec};
use crate::release::{Release, ReleaseKind};
use crate::time::Timestamp;

/// A release that a pipeline cannot plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Every phase is limited to other kinds of release: release it as another kind, or lift a limit.
    #[error("pipeline {pipeline} does nothing for {kind} releases; lift an `only_for`, or release it as another kind")]
    Nothing {
        /// The pipeline.
        pipeline: PipelineName,
        /// The kind of the release.
        kind: ReleaseKind,
    },
    /// The target lost an ability since the pipeline was built: bring it back, or build the pipeline anew.
    #[error("strategy {strategy} needs {} of target {target}, which cannot do that any more", .missing.join(", "))]
    Lacks {
        /// Who needs it.
        strategy: BlockName,
        /// Who lacks it.
        target: TargetName,
        /// What is lacking, by name.
        missing: Vec<&'static str>,
    },
    /// A strategy cannot begin now: do what it says.
    #[error("strategy {strategy} cannot begin: {reason}")]
    Objection {
        /// Who objects.
        strategy: BlockName,
        /// Why.
        reason: String,
    },
    /// A plan holds at most 2³² steps: split the pipeline.
    #[error("the plan would have more than {} steps; split the pipeline", u32::MAX)]
    TooManySteps,
}

/// How long a gate may take to answer; gates answer at once.
const ASK_TIMEOUT: Duration = Duration::from_secs(60);

/// How often a phase's gate that could not find out is asked before its phase fails.
const ASK_ATTEMPTS: u32 = 5;

impl Pipeline {
    /// Fixes every step, block and limit of one run of this release.
    ///
    /// A phase begins with a step `phase/entry` and ends with a step `phase/exit`, through which all its other steps hang
    /// together with the phases around it. A point of no return gets an approval `…/ask` before it. What the host limited to
    /// other kinds of release is left out ([`left_out`](Self::left_out)).
    ///
    /// # Errors
    ///
    /// [`PlanError`] if nothing is left to do, or a target can no longer do what a strategy needs.
    ///
    /// ```
    /// use deploy_core::name::{EnvironmentName, RevisionName, ServiceName};
    /// use deploy_core::operator::Principal;
    /// use deploy_core::pipeline::Pipeline;
    /// use deploy_core::plan::{PlanError, RollbackTo};
    /// use deploy_core::release::{Release, ReleaseKind};
    /// use std::time::Duration;
    ///
    /// let p = Pipeline::builder("urgent");
    /// p.rollback(RollbackTo::Previous);
    /// p.phase("wait").only_for([ReleaseKind::Hotfix]).soak("bake", Duration::from_secs(60)).add();
    /// let pipeline = p.build()?;
    ///
    /// let release = Release::new(ServiceName::new("api")?, EnvironmentName::new("test")?, RevisionName::new("v2")?);
    /// let ada = Principal::new("ada", "example.org");
    /// assert!(matches!(pipeline.plan(release.clone(), ada.clone()), Err(PlanError::Nothing { .. })));
    /// assert!(pipeline.plan(release.kind(ReleaseKind::Hotfix), ada).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn plan(&self, release: Release, started_by: Principal) -> Result<Plan, PlanError> {
        let spec = &self.spec;
        let mut lowering = Lowering { kind: release.kind, spec_steps: &spec.steps, ..Lowering::default() };
        for phase in spec.phases.iter().filter(|p| p.kinds.contains(&release.kind)) {
            lowering.phase(phase)?;
        }
        if lowering.phases.is_empty() {
            return Err(PlanError::Nothing { pipeline: spec.name.clone(), kind: release.kind });
        }
        let Lowering { phases, mut steps, .. } = lowering;
        mirror(&mut steps);
        let mut plan = Plan {
            pipeline: spec.name.clone(),
            release,
            started_by,
            rollback: spec.rollback.clone(),
            rollback_of: None,
            queue: spec.queue,
            in_flight: spec.in_flight,
            width: spec.width,
            phases,
            steps,
            blocks: BTreeMap::new(),
            targets: BTreeMap::new(),
        };
        let mut names: BTreeSet<BlockName> =
            plan.phases.iter().flat_map(|p| p.lead.iter().chain(&p.supporting)).cloned().collect();
        for step in &plan.steps {
            names.extend(step.work.blocks().cloned());
        }
        let pin = |name: BlockName| self.blocks().pinned(&name).map(|pinned| (name, pinned));
        plan.blocks = names.into_iter().filter_map(pin).collect();
        plan.targets = self.targets(&plan.steps)?;
        Ok(plan)
    }

    /// Fixes a run that takes back one that has ended, by releasing what served before it.
    ///
    /// It is an ordinary plan of `release`, except that it is the last word: it has no way back of its own, since that would
    /// lead to what it takes back; it waits [before every release](QueuePolicy::Priority); and it lets a run in flight finish.
    /// [`Engine::roll_back`](crate::driver::Engine::roll_back) finds out what served before, and starts it.
    ///
    /// # Errors
    ///
    /// [`PlanError`] as for any plan.
    pub fn plan_rollback(&self, release: Release, started_by: Principal, of: RollbackOf) -> Result<Plan, PlanError> {
        let reason = format!("this run takes back run {}, and a rollback starts no other", of.run);
        Ok(Plan {
            rollback: RollbackTo::None { reason },
            rollback_of: Some(of),
            queue: QueuePolicy::Priority,
            in_flight: InFlightPolicy::Finish,
            ..self.plan(release, started_by)?
        })
    }

    /// Whether every strategy of a plan can begin at this time. The engine asks before it starts a run.
    ///
    /// # Errors
    ///
    /// [`PlanError::Objection`] of the first that cannot.
    pub fn may_begin(&self, plan: &Plan, wall: Timestamp) -> Result<(), PlanError> {
        for step in &plan.steps {
            let Work::Rollout(work) = &step.work else { continue };
            let Some(strategy) = self.blocks().strategy(&work.strategy) else { continue };
            if let Some(reason) = strategy.objection(&plan.release, wall) {
                return Err(PlanError::Objection { strategy: work.strategy.clone(), reason });
            }
        }
        Ok(())
    }

    /// The targets of these steps with what they can do now, which must be enough.
    fn targets(&self, steps: &[PlannedStep]) -> Result<BTreeMap<TargetName, crate::target::Capabilities>, PlanError> {
        let mut targets = BTreeMap::new();
        for step in steps {
            let Work::Rollout(work) = &step.work else { continue };
            let blocks = self.blocks();
            let (Some(strategy), Some(target)) = (blocks.strategy(&work.strategy), blocks.target(&work.target)) else {
                continue;
            };
            let can = *targets.entry(work.target.clone()).or_insert_with(|| target.capabilities());
            let missing = strategy.needs().missing_from(can);
            if !missing.is_empty() {
                let (strategy, target) = (work.strategy.clone(), work.target.clone());
                return Err(PlanError::Lacks { strategy, target, missing });
            }
        }
        Ok(targets)
    }
}

/// A plan in the making.
struct Lowering<'s> {
    kind: ReleaseKind,
    spec_steps: &'s [StepSpec],
    phases: Vec<PlannedPhase>,
    steps: Vec<PlannedStep>,
    /// Where the steps of the pipeline went.
    ids: BTreeMap<usize, StepId>,
    /// What a step that is left out waited for, for those that wait for it.
    instead: BTreeMap<usize, BTreeSet<StepId>>,
    /// The exit of the phase before.
    barrier: Option<StepId>,
}

impl Default for Lowering<'_> {
    fn default() -> Self {
        Self {
            kind: ReleaseKind::Production,
            spec_steps: &[],
            phases: Vec::new(),
            steps: Vec::new(),
            ids: BTreeMap::new(),
            instead: BTreeMap::new(),
            barrier: None,
        }
    }
}

impl Lowering<'_> {
    fn push(&mut self, step: PlannedStep) -> Result<StepId, PlanError> {
        let id = StepId(u32::try_from(self.steps.len()).map_err(|_| PlanError::TooManySteps)?);
        self.steps.push(step);
        Ok(id)
    }

    fn phase(&mut self, phase: &PhaseSpec) -> Result<(), PlanError> {
        let index = u32::try_from(self.phases.len()).map_err(|_| PlanError::TooManySteps)?;
        let entry = self.push(gate_step(&phase.entry, index, self.barrier.into_iter().collect()))?;
        // What nothing else waits for, the exit waits for.
        let mut last = BTreeSet::from([entry]);
        for number in &phase.steps {
            let step = &self.spec_steps[*number];
            let mut after = BTreeSet::new();
            for on in &step.after {
                match self.ids.get(on) {
                    Some(id) => {
                        after.insert(*id);
                    }
                    None => after.extend(self.instead.get(on).into_iter().flatten()),
                }
            }
            if !step.kinds.contains(&self.kind) {
                self.instead.insert(*number, after);
                continue;
            }
            if after.is_empty() {
                after.insert(entry);
            }
            if let Some(no_return) = &step.no_return {
                let request = no_return.request.clone();
                let ask = self.push(PlannedStep {
                    path: no_return.ask.clone(),
                    phase: index,
                    timeout: request.expires_after,
                    work: Work::Approval(request),
                    after: after.iter().copied().collect(),
                    dependents: Vec::new(),
                    retry: RetryPolicy::once(),
                    on_failure: OnFailure::RollBack,
                    verifications: Vec::new(),
                    point_of_no_return: None,
                })?;
                after.iter().for_each(|id| _ = last.remove(id));
                after = BTreeSet::from([ask]);
            }
            after.iter().for_each(|id| _ = last.remove(id));
            let id = self.push(self.lower(step, index, after))?;
            self.ids.insert(*number, id);
            last.insert(id);
        }
        let exit = self.push(gate_step(&phase.exit, index, last))?;
        self.barrier = Some(exit);
        let kept = |s: &usize| self.spec_steps[*s].kinds.contains(&self.kind);
        let promises = phase.promises.iter().filter(|p| p.providers.iter().any(kept)).map(|p| p.key.clone()).collect();
        self.phases.push(PlannedPhase {
            name: phase.name.clone(),
            lead: phase.lead.clone(),
            supporting: phase.supporting.clone(),
            promises,
            entry,
            exit,
        });
        Ok(())
    }

    fn lower(&self, step: &StepSpec, phase: u32, after: BTreeSet<StepId>) -> PlannedStep {
        let mut work = step.work.clone();
        if let Work::Task { inputs, .. } = &mut work {
            let from = |(name, from): (&String, &usize)| Some((name.clone(), *self.ids.get(from)?));
            *inputs = step.inputs.iter().filter_map(from).collect();
        }
        PlannedStep {
            path: step.path.clone(),
            phase,
            work,
            after: after.into_iter().collect(),
            dependents: Vec::new(),
            timeout: step.timeout,
            retry: step.retry.clone(),
            on_failure: step.on_failure.clone(),
            verifications: step.verifications.clone(),
            point_of_no_return: step.no_return.as_ref().map(|n| n.reason.clone()),
        }
    }
}

fn gate_step(gate: &PhaseGate, phase: u32, after: BTreeSet<StepId>) -> PlannedStep {
    PlannedStep {
        path: gate.path.clone(),
        phase,
        work: Work::Gate {
            gate: gate.gate.clone(),
            criterion: gate.criterion.clone(),
            hold_at_most: gate.hold_at_most,
        },
        after: after.into_iter().collect(),
        dependents: Vec::new(),
        timeout: ASK_TIMEOUT,
        retry: RetryPolicy::attempts(ASK_ATTEMPTS),
        on_failure: OnFailure::RollBack,
        verifications: Vec::new(),
        point_of_no_return: None,
    }
}

/// Fills in `dependents` from `after`. Steps are visited in order, so that both are ascending.
fn mirror(steps: &mut [PlannedStep]) {
    let edges: Vec<(StepId, StepId)> = (0_u32..)
        .zip(steps.iter())
        .flat_map(|(index, step)| step.after.iter().map(move |on| (*on, StepId(index))))
        .collect();
    for (on, dependent) in edges {
        steps[on.index()].dependents.push(dependent);
    }
}

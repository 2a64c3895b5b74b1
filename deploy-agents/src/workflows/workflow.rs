//! A workflow that was put together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deploy_core::agent::Agent;
use deploy_core::evidence::{Receipt, Waiver};
use deploy_core::name::{BlockName, CheckName, PhaseName};
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{Plan, StepPath, Work};
use deploy_core::release::{Release, ReleaseKind};
use deploy_core::time::Timestamp;

use super::assembly::Assembly;
use super::builder::{Shape, WorkflowBuilder};
use super::error::WorkflowError;
use super::{eight_phase, three_phase};
use crate::checks::{Checklist, EvidenceSet};
use crate::crew::{Crew, Seat, SourceError, Wanted};

/// One of the two workflows, put together: a pipeline, and what belongs to it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Workflow {
    /// The pipeline, for the engine.
    pub pipeline: Pipeline,
    /// What its agents share: the checks among it.
    pub crew: Crew,
    /// The seats that are taken, each with its step.
    pub seats: BTreeMap<Seat, StepPath>,
    /// The seats that are left out, and why.
    pub without: BTreeMap<Seat, String>,
    /// The kinds of release that it takes.
    pub kinds: BTreeSet<ReleaseKind>,
    pub(super) agents: BTreeMap<Seat, Arc<dyn Agent>>,
    pub(super) checklist: Checklist,
}

impl Workflow {
    pub(super) fn of(builder: &WorkflowBuilder) -> Result<Self, WorkflowError> {
        let p = Pipeline::builder(&builder.name);
        let mut assembly = Assembly::new(builder, &p)?;
        match builder.shape {
            Shape::ThreePhase => three_phase::assemble(&mut assembly)?,
            Shape::EightPhase => eight_phase::assemble(&mut assembly)?,
        }
        assembly.make_good()?;
        let Assembly { crew, taken, agents, .. } = assembly;
        Ok(Self {
            pipeline: p.build()?,
            crew,
            seats: taken,
            without: builder.without.clone(),
            kinds: builder.kinds(),
            agents,
            checklist: match builder.shape {
                Shape::ThreePhase => Checklist::pre_deployment(),
                Shape::EightPhase => Checklist::deployment(),
            },
        })
    }

    /// The checklist of the workflow: twelve items before the deployment, or eighteen of it, each computed from checks.
    #[must_use]
    pub fn checklist(&self) -> &Checklist {
        &self.checklist
    }

    /// Judges every check of the checklist anew, on the evidence that there is now. Read the checklist with the receipts.
    ///
    /// `waivers` are those of the run; a check that somebody answers for shows as waived.
    ///
    /// # Errors
    ///
    /// [`SourceError`] where the evidence could not be collected.
    ///
    /// # Cancel safety
    ///
    /// It only reads.
    pub async fn receipts(
        &self,
        release: &Release,
        waivers: &BTreeMap<CheckName, Waiver>,
        now: Timestamp,
    ) -> Result<Vec<Receipt>, SourceError> {
        let names = self.checklist.items().iter().flat_map(|item| &item.checks);
        let checks: Vec<_> = names.filter_map(|name| self.crew.catalogue().check(name.as_str())).collect();
        let kinds: Vec<&'static str> = checks.iter().flat_map(|check| check.kinds()).copied().collect();
        let (step, by) = (StepPath::new("checklist/read"), BlockName::new("checklist"));
        let (Ok(step), Ok(by)) = (step, by) else { return Ok(Vec::new()) };
        let pieces = self.crew.collect(&Wanted::new(release, &step, &kinds, now)).await?;
        let set = pieces.into_iter().fold(EvidenceSet::new(), EvidenceSet::with);
        let judge = |check: &&crate::checks::CatalogueCheck| {
            set.judge(check, release, &by, waivers.get(check.name()), now).receipt
        };
        Ok(checks.iter().map(judge).collect())
    }
}

/// The phases of a plan that end without a gate: nobody weighs what was done in them.
///
/// Rows: M121, M238.
#[must_use]
pub fn without_exit_gate(plan: &Plan) -> Vec<PhaseName> {
    let open = plan
        .phases
        .iter()
        .filter(|phase| plan.step(phase.exit).is_none_or(|step| matches!(step.work, Work::Gate { gate: None, .. })));
    open.map(|phase| phase.name.clone()).collect()
}

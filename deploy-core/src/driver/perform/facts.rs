//! What a call is shown of the run.

use std::collections::BTreeMap;

use crate::deliverable::Payload;
use crate::evidence::Waiver;
use crate::gate::StepFacts;
use crate::machine::{Call, Command, Machine, Reported, StepState};
use crate::name::{BlockName, CheckName};
use crate::plan::{PlannedStep, StepId, StepPath, Work};

/// The part of the machine's state that some calls are shown.
#[derive(Debug)]
pub(super) enum Facts {
    None,
    Inputs(BTreeMap<String, Payload>),
    Verify {
        report: Box<Reported>,
        agent: BlockName,
        waivers: BTreeMap<CheckName, Waiver>,
    },
    Gate {
        reports: BTreeMap<StepPath, StepFacts>,
        failed: BTreeMap<StepPath, String>,
        waivers: BTreeMap<CheckName, Waiver>,
    },
}

impl Facts {
    pub(super) fn gather(command: &Command, step: &PlannedStep, machine: &Machine) -> Self {
        let state = machine.state();
        match (&command.call, &step.work) {
            (Call::Perform, Work::Task { inputs, .. }) => {
                let found = inputs.iter().filter_map(|(name, from)| {
                    let payload = state.outputs.get(from)?.get(name)?;
                    Some((name.clone(), payload.clone()))
                });
                Self::Inputs(found.collect())
            }
            (Call::Verify, Work::Task { agent, .. }) => {
                let report = match state.steps.get(command.of.step.index()).map(|s| &s.state) {
                    Some(StepState::Verifying { report, .. }) => report.clone(),
                    _ => Box::default(),
                };
                let mine = state.waivers.iter().filter(|((id, _), _)| *id == command.of.step);
                let waivers = mine.map(|((_, check), waiver)| (check.clone(), waiver.clone())).collect();
                Self::Verify { report, agent: agent.clone(), waivers }
            }
            (Call::Evaluate, _) => {
                let path = |id: &StepId| machine.plan().step(*id).map(|s| s.path.clone());
                let reports = state.facts.iter().filter_map(|(id, facts)| Some((path(id)?, facts.clone())));
                let waivers = state.waivers.iter().map(|((_, check), waiver)| (check.clone(), waiver.clone()));
                let failed =
                    machine.plan().steps.iter().zip(&state.steps).filter_map(|(planned, step)| match &step.state {
                        StepState::Failed { reason } => Some((planned.path.clone(), reason.clone())),
                        _ => None,
                    });
                Self::Gate { reports: reports.collect(), failed: failed.collect(), waivers: waivers.collect() }
            }
            _ => Self::None,
        }
    }
}

//! How many targets may fail before everything stops.

use std::collections::{BTreeMap, BTreeSet};

use deploy_core::gate::{Gate, GateDecision, gate_fn};
use deploy_core::plan::StepPath;

use crate::named::named;

/// How many rollouts may fail before everything stops and goes back.
///
/// A target whose rollout fails within the budget goes back by itself (see [`Contained`](super::Contained)), the others go on, and its
/// failure stands in the report. One that could not be seen or changed any more stays as it is, since nobody can reach it. The budget is
/// asked before each further target and at the end of each wave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureBudget {
    at_most: u32,
    /// The rollouts, without the phase that they stand in.
    of: BTreeSet<StepPath>,
}

impl FailureBudget {
    pub(super) fn new(at_most: u32, of: BTreeSet<StepPath>) -> Self {
        Self { at_most, of }
    }

    /// Whether it may go on after these steps have failed, each with why; their paths begin with the phase.
    #[must_use]
    pub fn judge(&self, failed: &BTreeMap<StepPath, String>) -> GateDecision {
        let ours = |path: &StepPath| {
            let local = path.as_str().split_once('/').and_then(|(_, local)| StepPath::new(local).ok());
            local.is_some_and(|local| self.of.contains(&local))
        };
        let told: Vec<String> =
            failed.iter().filter(|(path, _)| ours(path)).map(|(path, why)| format!("{path}: {why}")).collect();
        let count = u32::try_from(told.len()).unwrap_or(u32::MAX);
        if count > self.at_most {
            let reason =
                format!("{count} of {} targets failed, {} may; {}", self.of.len(), self.at_most, told.join("; "));
            return GateDecision::no_go("failure-budget", reason);
        }
        if told.is_empty() { GateDecision::Go } else { GateDecision::Conditional { conditions: told } }
    }

    /// The gate that asks.
    #[must_use]
    pub fn gate(self) -> impl Gate {
        let criterion = format!("at most {} of {} targets failed", self.at_most, self.of.len());
        gate_fn(named("failure-budget"), criterion, move |cx| std::future::ready(Ok(self.judge(&cx.failed))))
    }
}

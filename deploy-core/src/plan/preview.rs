//! What a run would do to the targets as they are now, and how long it would take at least.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::page::entry;
use super::render::Page;
use super::{Plan, StepId, StepPath, Work};
use crate::name::TargetName;
use crate::pipeline::Pipeline;
use crate::strategy::Outline;
use crate::target::TargetState;
use crate::time::Spell;

/// A plan beside the stages that its strategies foresee, given what is there now. Data; shown as text with `to_string`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Preview {
    /// The plan.
    pub plan: Plan,
    /// The stages of each rollout whose target was observed.
    pub outlines: BTreeMap<StepId, Outline>,
    /// Rollouts whose target was not observed: their stages are not known.
    pub unobserved: Vec<StepPath>,
    /// What releases of this kind go without.
    pub left_out: Vec<StepPath>,
    /// How long the run takes at least: along the longest chain of steps that wait for each other, counting soaks and stages
    /// alone.
    #[serde(with = "crate::time::duration_ms")]
    pub at_least: Duration,
    /// On what that rests, a sentence each.
    pub basis: Vec<String>,
}

impl Pipeline {
    /// Foresees a run of `plan`, given what was observed at its targets.
    #[must_use]
    pub fn preview(&self, plan: &Plan, observed: &BTreeMap<TargetName, TargetState>) -> Preview {
        let mut outlines = BTreeMap::new();
        let mut unobserved = Vec::new();
        for (id, step) in (0_u32..).map(StepId).zip(&plan.steps) {
            let Work::Rollout(work) = &step.work else { continue };
            match (self.blocks().strategy(&work.strategy), observed.get(&work.target)) {
                (Some(strategy), Some(from)) => {
                    outlines.insert(id, strategy.outline(&plan.release, from));
                }
                _ => unobserved.push(step.path.clone()),
            }
        }
        let at_least = longest(plan, &outlines);
        let basis = basis(plan, &outlines, &unobserved);
        let left_out = self.left_out(plan.release.kind);
        Preview { plan: plan.clone(), outlines, unobserved, left_out, at_least, basis }
    }
}

/// The longest chain. Steps stand in an order that respects `after`, so that one pass is enough.
fn longest(plan: &Plan, outlines: &BTreeMap<StepId, Outline>) -> Duration {
    let mut ends: Vec<Duration> = Vec::with_capacity(plan.steps.len());
    for (id, step) in (0_u32..).map(StepId).zip(&plan.steps) {
        let begins = step.after.iter().filter_map(|on| ends.get(on.index())).max().copied().unwrap_or_default();
        let takes = match &step.work {
            Work::Soak { span } => *span,
            Work::Rollout(_) => outlines.get(&id).map(Outline::at_least).unwrap_or_default(),
            Work::Task { .. } | Work::Gate { .. } | Work::Approval(_) => Duration::ZERO,
        };
        ends.push(begins.saturating_add(takes));
    }
    ends.into_iter().max().unwrap_or_default()
}

fn basis(plan: &Plan, outlines: &BTreeMap<StepId, Outline>, unobserved: &[StepPath]) -> Vec<String> {
    let mut basis = vec!["tasks, gates and waits for people are counted as nothing".to_owned()];
    if plan.steps.iter().any(|s| matches!(s.work, Work::Soak { .. })) {
        basis.push("soaks as declared".to_owned());
    }
    for (id, outline) in outlines {
        let Some(step) = plan.step(*id) else { continue };
        let path = &step.path;
        if outline.basis.trim().is_empty() {
            basis.push(format!("{path} as its strategy outlines it"));
        } else {
            basis.push(format!("{path}: {}", outline.basis));
        }
    }
    basis.extend(unobserved.iter().map(|path| format!("{path} is counted as nothing: its target was not observed")));
    basis
}

/// Shows the plan with the stages of its rollouts and the time that it takes at least.
impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Page { plan: &self.plan, outlines: &self.outlines }.write(f)?;
        if !self.left_out.is_empty() {
            writeln!(f, "\nleft out of {} releases", self.plan.release.kind)?;
            self.left_out.iter().try_for_each(|path| writeln!(f, "  {path}"))?;
        }
        writeln!(f, "\ntakes at least {}", Spell(self.at_least))?;
        self.basis.iter().try_for_each(|line| entry(f, " ", 2, line))
    }
}

//! A world made up: it does what it is asked, once for each key, and counts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::agent::{Certainty, Handle};
use crate::deliverable::Payload;
use crate::digest::Digest;
use crate::effect::{EffectKey, Fence};
use crate::evidence::{Receipt, Verdict};
use crate::machine::{Fault, Found, Look, Machine, Progress, Reported};
use crate::monitor::{MeasureRequest, Measured, Measurement};
use crate::name::TargetName;
use crate::plan::{StepId, StepPath, Work};
use crate::target::{DesiredState, RevisionState, TargetState};
use crate::time::RunTime;

/// What became of one effect key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EffectCount {
    /// How often it was asked for.
    pub asked: u32,
    /// How often it happened. A receiver that knows the key does it once, however often it is asked.
    pub happened: u32,
    /// The newest fence that came with it.
    pub fence: Fence,
    /// Whether it was recorded as failed for good.
    pub failed: bool,
}

/// The world: what runs at each target, which effects have happened, which fences were seen.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// What is at each target.
    pub targets: BTreeMap<TargetName, TargetState>,
    /// Every effect that was ever asked for.
    pub effects: BTreeMap<EffectKey, EffectCount>,
    /// How many calls were refused because their fence was older than one seen before.
    pub refused: u32,
    /// How many polls the work of a step takes; absent: it is done at once.
    pub polls: BTreeMap<StepPath, u32>,
    /// How many attempts of a step fail for good before one succeeds.
    pub failing: BTreeMap<StepPath, u32>,
    /// What monitors answer.
    pub answers: Answers,
    fences: BTreeMap<StepPath, Fence>,
    polled: BTreeMap<EffectKey, u32>,
}

/// What monitors answer in a simulation: a function of the question, of the time and of what is at the target. Nothing by default: an
/// empty answer to every question.
#[derive(Clone, Default)]
pub struct Answers(Option<Arc<Answering>>);

type Answering = dyn Fn(&MeasureRequest, RunTime, &TargetState) -> Result<Vec<Measurement>, String> + Send + Sync;

impl Answers {
    /// These answers. To the same question they have to be the same: a seed gives the same run only then.
    #[must_use]
    pub fn new(
        answers: impl Fn(&MeasureRequest, RunTime, &TargetState) -> Result<Vec<Measurement>, String> + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(answers)))
    }

    fn to(&self, request: &MeasureRequest, at: RunTime, there: &TargetState) -> Result<Vec<Measurement>, String> {
        self.0.as_ref().map_or_else(|| Ok(Vec::new()), |answers| answers(request, at, there))
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Answers(given)" } else { "Answers(none)" })
    }
}

impl World {
    /// Whether the receiver takes a call with this fence: it has seen no newer one.
    pub(super) fn admits(&mut self, key: &EffectKey, fence: Fence) -> Result<(), Fault> {
        let newest = self.fences.entry(key.step.clone()).or_default();
        if fence < *newest {
            self.refused += 1;
            let message = format!("fence {fence} is older than {newest}");
            return Err(Fault { stale_fence: true, ..Fault::new(Certainty::Definitive, message) });
        }
        *newest = fence;
        Ok(())
    }

    /// Asks for an effect and lets it happen, unless it has.
    pub(super) fn perform(&mut self, machine: &Machine, key: &EffectKey, fence: Fence) -> Result<Progress, Fault> {
        self.admits(key, fence)?;
        let polls = self.polls.get(&key.step).copied().unwrap_or(0);
        let fails = self.failing.get(&key.step).copied().unwrap_or(0);
        let count = self.effects.entry(key.clone()).or_default();
        count.asked += 1;
        count.fence = count.fence.max(fence);
        if !key.undo && key.attempt <= fails {
            count.failed = true;
            return Err(Fault::new(Certainty::Definitive, "the work does not succeed"));
        }
        if polls > 0 && count.happened == 0 {
            self.polled.entry(key.clone()).or_insert(0);
            return Ok(running());
        }
        if count.happened == 0 {
            count.happened = 1;
        }
        Ok(Progress::Done(report(machine, &key.step)))
    }

    /// Asks about work under way; the last poll finds it done.
    pub(super) fn poll(&mut self, machine: &Machine, key: &EffectKey) -> Result<Progress, Fault> {
        let wanted = self.polls.get(&key.step).copied().unwrap_or(0);
        let polled = self.polled.entry(key.clone()).or_insert(0);
        *polled += 1;
        if *polled < wanted {
            return Ok(running());
        }
        let count = self.effects.entry(key.clone()).or_default();
        if count.happened == 0 {
            count.happened = 1;
        }
        Ok(Progress::Done(report(machine, &key.step)))
    }

    /// What became of a key.
    pub(super) fn lookup(&self, machine: &Machine, key: &EffectKey) -> Found {
        match self.effects.get(key) {
            Some(count) if count.happened > 0 => Found::Finished(report(machine, &key.step)),
            Some(count) if count.failed => Found::Failed("the work did not succeed".to_owned()),
            _ if self.polled.contains_key(key) => {
                Found::Running { handle: handle(), poll_after: super::driver::POLL_AFTER }
            }
            Some(_) | None => Found::NeverStarted,
        }
    }

    /// Stops work; what has happened has happened.
    pub(super) fn cancel(&mut self, machine: &Machine, key: &EffectKey) -> Option<Result<Progress, Fault>> {
        if self.effects.get(key).is_some_and(|c| c.happened > 0) {
            return Some(Ok(Progress::Done(report(machine, &key.step))));
        }
        self.polled.remove(key);
        None
    }

    /// The receipts of a verifier that finds everything in order.
    pub(super) fn verify(machine: &Machine, step: StepId) -> Vec<Receipt> {
        let Some(planned) = machine.plan().step(step) else { return Vec::new() };
        let receipt = |v: &crate::evidence::Verification| Receipt {
            check: v.check.clone(),
            read: vec![Digest::of(v.check.as_str().as_bytes())],
            verdict: Verdict::Pass,
        };
        planned.verifications.iter().map(receipt).collect()
    }

    /// What is at the target of a rollout.
    pub(super) fn look(&self, machine: &Machine, step: StepId, asked: &[MeasureRequest], at: RunTime) -> Look {
        let there = target(machine, step).and_then(|t| self.targets.get(t)).cloned().unwrap_or_default();
        let measured = |request: &MeasureRequest| Measured {
            request: request.clone(),
            at,
            result: self.answers.to(request, at, &there),
        };
        let measured = asked.iter().map(measured).collect();
        Look { observed: there, measured }
    }

    /// Makes a target as it is wanted.
    pub(super) fn apply(
        &mut self,
        machine: &Machine,
        key: &EffectKey,
        fence: Fence,
        step: StepId,
        want: &DesiredState,
    ) -> Result<(), Fault> {
        self.admits(key, fence)?;
        let count = self.effects.entry(key.clone()).or_default();
        count.asked += 1;
        count.happened = 1;
        count.fence = count.fence.max(fence);
        if let Some(target) = target(machine, step) {
            let there = self.targets.entry(target.clone()).or_default();
            let ready = |n: &u32| RevisionState { desired: *n, ready: *n, terminating: 0 };
            there.revisions =
                want.capacity.iter().filter(|(_, n)| **n > 0).map(|(r, n)| (r.clone(), ready(n))).collect();
            there.weights.clone_from(&want.weights);
            there.max_weight = want.max_weight;
            there.routes.clone_from(&want.routes);
            there.mirror.clone_from(&want.mirror);
            there.preview.clone_from(&want.preview);
            there.flags.clone_from(&want.flags);
        }
        Ok(())
    }
}

fn target(machine: &Machine, step: StepId) -> Option<&TargetName> {
    match &machine.plan().step(step)?.work {
        Work::Rollout(work) => Some(&work.target),
        Work::Task { .. } | Work::Gate { .. } | Work::Approval(_) | Work::Soak { .. } => None,
    }
}

fn handle() -> Handle {
    Handle("simulated".to_owned())
}

fn running() -> Progress {
    Progress::Running { handle: handle(), poll_after: super::driver::POLL_AFTER }
}

/// A report that hands over all that later steps take.
fn report(machine: &Machine, path: &StepPath) -> Reported {
    let mut report = Reported::default();
    let Some(id) = machine.plan().find(path) else { return report };
    for planned in &machine.plan().steps {
        if let Work::Task { inputs, .. } = &planned.work {
            let taken = inputs.iter().filter(|(_, from)| **from == id);
            report.outputs.extend(taken.map(|(name, _)| (name.clone(), Payload::Inline("null".to_owned()))));
        }
    }
    report
}

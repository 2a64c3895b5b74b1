//! Rollouts: a look, a decision, a change, and what can go wrong with each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::agent::Certainty;
use crate::machine::event::{AfterLook, Applied, Drifted, Event, Looked, Parked, PutOff, StepFailed, Stumbled};
use crate::machine::input::{Fault, Look};
use crate::machine::state::{Mode, Park, Rolling, TURNED_BACK};
use crate::machine::{Machine, Strategies};
use crate::plan::{RollbackTo, RolloutWork, Work};
use crate::strategy::{Decision, Next, Reason, ReasonCode, Situation};
use crate::target::{DesiredState, TargetState};
use crate::time::{Now, RunTime, Spell, millis};

/// A gap between two looks counts as observed up to this many intervals: one late look is no gap, a stopped engine is.
const CONTINUOUS_INTERVALS: u32 = 3;

impl Machine {
    pub(super) fn looked_at(
        &self,
        rolling: &Rolling,
        result: &Result<Look, Fault>,
        at: Now,
        strategies: &dyn Strategies,
    ) -> Vec<Event> {
        let now = at.run;
        let Some(work) = self.rollout_work(rolling) else { return Vec::new() };
        let look = match result {
            Ok(look) => look,
            Err(fault) => return self.stumbled(rolling, work, fault, now),
        };
        if self.state.paused.is_some() {
            return vec![PutOff { of: rolling.of, at: self.active(now) }.into()];
        }
        if let Some(event) = drift(rolling, work, &look.observed) {
            return vec![event];
        }
        self.decided(rolling, work, look, at, strategies)
    }

    fn decided(
        &self,
        rolling: &Rolling,
        work: &RolloutWork,
        look: &Look,
        at: Now,
        strategies: &dyn Strategies,
    ) -> Vec<Event> {
        let now = at.run;
        let observed_ms = observed_ms(rolling, work, now);
        let from = self.way_back(rolling, &look.observed);
        // The way back goes on from the last statement of the way out, which nobody may have seen yet.
        let out = self.state.left_at.get(&rolling.of.step).filter(|_| rolling.of.undo && rolling.want.is_none());
        let (wanted, memory) = match out {
            Some(out) => (Some(&out.want), &out.memory),
            None => (rolling.want.as_ref(), &rolling.memory),
        };
        let situation = Situation::first(&self.plan.release, &look.observed)
            .from(&from)
            .memory(memory)
            .measured(&look.measured)
            .promotion(rolling.promotion)
            .observe_every(work.observe_every)
            .at(now, Duration::from_millis(observed_ms))
            .wall(at.wall)
            .wanted(wanted);
        let Some(strategy) = strategies.strategy(&work.strategy) else {
            return broken(rolling, format!("strategy {} is not here", work.strategy));
        };
        let undo = rolling.of.undo;
        let decide = || if undo { strategy.revert(&situation) } else { strategy.decide(&situation) };
        let Ok(mut decision) = catch_unwind(AssertUnwindSafe(decide)) else {
            return broken(rolling, format!("strategy {} panicked while it decided", work.strategy));
        };
        if let Some(reason) = unsafe_decision(&decision, &look.observed, rolling.want.as_ref()) {
            return broken(rolling, format!("strategy {} asked for what must not be: {reason}", work.strategy));
        }
        if decision.memory.len() > crate::strategy::Memory::LONGEST {
            return broken(rolling, format!("strategy {} wants to remember too much", work.strategy));
        }
        if let Some(most) = work.blast_radius.filter(|most| !undo && decision.exposure.of_everything() > *most) {
            beyond(&mut decision, most);
        }
        if matches!(decision.next, Next::RollBack) {
            // What it wants is what is there: the way back is decided by the run, not in passing.
            decision.want = rolling.want.clone().unwrap_or_else(|| look.observed.as_desired());
        }
        let then = after(rolling, work, &decision, &look.observed, now);
        if matches!(then, AfterLook::Apply) {
            // Where the place compares, it refuses what rests on an observation that is no longer so.
            decision.want.based_on = look.observed.version;
        }
        if undo && matches!(then, AfterLook::Fail) {
            let reason = decision.reason.to_string();
            return vec![Parked { of: rolling.of, why: Park::UndoFailed { reason } }.into()];
        }
        let observed = (rolling.observed.as_ref() != Some(&look.observed)).then(|| look.observed.clone());
        vec![
            Looked {
                of: rolling.of,
                observed,
                measured: look.measured.clone(),
                decision: Box::new(decision),
                observed_ms,
                then,
            }
            .into(),
        ]
    }

    pub(super) fn applied(&self, rolling: &Rolling, result: &Result<(), Fault>, now: RunTime) -> Vec<Event> {
        let Some(work) = self.rollout_work(rolling) else { return Vec::new() };
        if !rolling.of.undo && self.state.mode != Mode::Forward {
            // The run turned back while the change was under way. It has returned: now it can be undone.
            return vec![StepFailed { step: rolling.of.step, reason: TURNED_BACK.to_owned() }.into()];
        }
        match result {
            Ok(()) => vec![Applied { of: rolling.of, at: self.active(now) }.into()],
            Err(fault) if fault.stale_fence => {
                vec![Parked { of: rolling.of, why: Park::Overridden { reason: fault.message.clone() } }.into()]
            }
            Err(fault) if fault.certainty == Certainty::Definitive => {
                broken(rolling, format!("target {} refused the change: {}", work.target, fault.message))
            }
            Err(fault) => self.stumbled(rolling, work, fault, now),
        }
    }

    fn stumbled(&self, rolling: &Rolling, work: &RolloutWork, fault: &Fault, now: RunTime) -> Vec<Event> {
        let errors = rolling.errors.saturating_add(1);
        if errors > work.errors_at_most {
            let text = format!("target {} failed {errors} times in a row: {}", work.target, fault.message);
            return broken(rolling, text);
        }
        vec![
            Stumbled { of: rolling.of, fault: fault.clone(), errors, at: self.active(now) + work.observe_every }.into(),
        ]
    }

    pub(in crate::machine) fn rollout_work(&self, rolling: &Rolling) -> Option<&RolloutWork> {
        match &self.planned(rolling.of.step)?.work {
            Work::Rollout(work) => Some(work),
            Work::Task { .. } | Work::Gate { .. } | Work::Approval(_) | Work::Soak { .. } => None,
        }
    }

    /// Where the way back leads: what was there when the rollout began, without the new revision where the plan says so.
    fn way_back(&self, rolling: &Rolling, observed: &TargetState) -> TargetState {
        let mut from = self.state.from.get(&rolling.of.step).unwrap_or(observed).clone();
        if rolling.of.undo && matches!(self.plan.rollback, RollbackTo::Remove) {
            let revision = &self.plan.release.revision;
            from.revisions.remove(revision);
            if from.weights.remove(revision).is_some_and(|w| w > 0) {
                from.weights.clear();
            }
        }
        from
    }
}

/// How long the stage was observed when this look is counted in. A gap in which nobody looked does not count.
fn observed_ms(rolling: &Rolling, work: &RolloutWork, now: RunTime) -> u64 {
    let gap = now.since(rolling.looked_at);
    let counts = rolling.continuous
        && gap <= work.observe_every.saturating_mul(CONTINUOUS_INTERVALS).max(Duration::from_secs(1));
    rolling.observed_ms.saturating_add(if counts { millis(gap) } else { 0 })
}

/// The rollout cannot go on: forward it fails, on the way back it parks.
fn broken(rolling: &Rolling, reason: String) -> Vec<Event> {
    if rolling.of.undo {
        vec![Parked { of: rolling.of, why: Park::UndoFailed { reason } }.into()]
    } else {
        vec![StepFailed { step: rolling.of.step, reason }.into()]
    }
}

/// Somebody else changed what we had settled: put it back a few times, then ask a person.
fn drift(rolling: &Rolling, work: &RolloutWork, observed: &TargetState) -> Option<Event> {
    let want = rolling.want.as_ref().filter(|_| rolling.settled)?;
    // Somebody who turns a flag off in a hurry means it: the strategy is shown that, and decides.
    let without_flags = DesiredState { flags: observed.flags.clone(), ..want.clone() };
    if observed.routes_as(&without_flags) {
        return None;
    }
    let reasserted = rolling.reasserted.saturating_add(1);
    Some(if reasserted > work.reassert_at_most {
        let found = format!("wanted {:?}, found {:?}", want.weights, observed.weights);
        Parked { of: rolling.of, why: Park::Drift { found } }.into()
    } else {
        Drifted { of: rolling.of, observed: observed.clone(), reasserted }.into()
    })
}

fn after(
    rolling: &Rolling,
    work: &RolloutWork,
    decision: &Decision,
    observed: &TargetState,
    now: RunTime,
) -> AfterLook {
    if matches!(decision.next, Next::RollBack) {
        return AfterLook::Fail;
    }
    let changed = !rolling.want.as_ref().is_some_and(|want| want.says_as(&decision.want));
    let satisfied = observed.satisfies(&decision.want);
    // Somebody else changed how many there are, and the strategy stands by what it said: it is said again.
    let otherwise = !observed.counts_as(&decision.want);
    if (changed || !rolling.applied || otherwise) && !satisfied {
        return AfterLook::Apply;
    }
    let look = now + work.observe_every;
    match &decision.next {
        Next::Complete if satisfied => AfterLook::Complete,
        Next::Complete | Next::RollBack => AfterLook::Rest { at: look },
        Next::WakeAt(at) => AfterLook::Rest { at: (*at).clamp(now, look) },
        Next::Await(request) => AfterLook::Ask { at: look, expires: now + request.expires_after },
    }
}

/// More users met the new revision before it was proven than the plan allows: it goes back, unless it goes back already or is proven.
fn beyond(decision: &mut Decision, most: Duration) {
    if matches!(decision.next, Next::Complete | Next::RollBack) {
        return;
    }
    let text = format!("before it was proven users met {}; the plan allows {}", decision.exposure, Spell(most));
    decision.next = Next::RollBack;
    decision.reason = Reason::new(ReasonCode::BlastRadius, text)
        .otherwise("a smaller share, a shorter wait or an earlier proof would have kept within it");
}

/// What no strategy may ask for, whatever its reasons.
fn unsafe_decision(decision: &Decision, observed: &TargetState, before: Option<&DesiredState>) -> Option<String> {
    let want: &DesiredState = &decision.want;
    if !want.weights_are_whole() {
        let sum: u64 = want.weights.values().map(|w| u64::from(*w)).sum();
        return Some(format!("weights that sum to {sum} instead of {}", want.max_weight));
    }
    // What was asked for before is not raised by asking for it again, though nobody has seen it yet.
    let before = |name| before.and_then(|before| before.weights.get(name)).copied().unwrap_or(0);
    let raised = want.weights.iter().find(|(name, weight)| {
        **weight > observed.weight(name).max(before(name)) && observed.revision(name).ready == 0
    });
    raised.map(|(name, weight)| format!("weight {weight} for {name}, which has no ready instance"))
}

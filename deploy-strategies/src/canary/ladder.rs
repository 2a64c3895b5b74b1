//! The steps: instances first, then the weight, then whatever the step holds for.

use std::collections::BTreeMap;
use std::time::Duration;

use deploy_core::monitor::Judgement;
use deploy_core::strategy::{Decision, Exposure, Memory, Next, Promotion, Reason, ReasonCode, Stage};
use deploy_core::target::{DesiredState, Experiment, Mirror, Route};
use deploy_core::time::Spell;

use super::capacity::StableCapacity;
use super::finish;
use super::memory::Remembered;
use super::step::Step;
use super::{Canary, by_instances};
use crate::analysis::{Analysis, AnalysisState, Standing};
use crate::field::Field;
use crate::hold::{Hold, Then};
use crate::said::Said;
use crate::share::part_up;

pub(super) fn decide(canary: &Canary, field: &Field<'_>, mut memory: Remembered) -> Decision {
    let tick = memory.watch.tick(field.s);
    let last = finish::stage(canary).index;
    if field.s.promotion == Promotion::Full && !memory.full {
        memory.enter(last);
        memory.full = true;
        let decision = finish::decide(canary, field, memory, tick);
        let text = format!("an operator skipped every further step; {}", decision.reason.sentence);
        return with_reason(decision, ReasonCode::PromotedFullyByOperator, text);
    }
    match canary.spec().steps.get(memory.step as usize) {
        Some(step) if field.stable.is_some() => on_step(canary, field, memory, step, tick),
        _ => {
            if memory.step < last {
                memory.enter(last);
            }
            finish::decide(canary, field, memory, tick)
        }
    }
}

fn on_step(canary: &Canary, field: &Field<'_>, mut memory: Remembered, step: &Step, tick: Duration) -> Decision {
    let (spec, s) = (canary.spec(), field.s);
    let fresh = step.experiment.and_then(|_| field.fresh_name());
    let field = &field.against(fresh);
    let plan = Placement::of(canary, field, step);
    let lost = field.new_now().ready == 0 || (plan.weight > 0 && field.whole() > 0 && field.weight_now() == 0);
    memory.held.look(plan.in_place, lost, tick);
    let inline = Said::all(field, &step.analysis, &mut memory.inline, plan.in_place);
    let said = inline.and(background(canary, field, &mut memory));
    if let Some(decision) = refused(canary, field, &memory, &said) {
        return decision;
    }
    if let Some(most) = spec.blast_radius.filter(|most| field.met.of_everything() > *most) {
        let text = format!("{} has met {} before it was proven, limit {}", field.new, field.met, Spell(most));
        let reason = Reason::new(ReasonCode::BlastRadius, text)
            .otherwise("a smaller weight or a shorter wait would have kept within it");
        return back(canary, field, reason, said.judgements);
    }
    if !plan.in_place {
        let progress = u64::from(field.new_now().ready.min(plan.instances)) + 1 + u64::from(field.routed(plan.weight));
        let waited = memory.watch.wait(tick, progress);
        if waited >= spec.progress_deadline {
            let text = format!(
                "{}; nothing has moved for {}, limit {}",
                plan.sentence(field),
                Spell(waited),
                Spell(spec.progress_deadline)
            );
            let reason = Reason::new(ReasonCode::ProgressDeadline, text)
                .otherwise("one more ready instance would have started the time again");
            return back(canary, field, reason, said.judgements);
        }
        let code = if field.new_now().ready < plan.instances {
            ReasonCode::WaitingForInstances
        } else {
            ReasonCode::WaitingForTarget
        };
        let mut text = format!(
            "{}; nothing has moved for {} of {}",
            plan.sentence(field),
            Spell(waited),
            Spell(spec.progress_deadline)
        );
        if s.promotion == Promotion::Skip {
            text.push_str("; an operator's skip cannot make an instance ready");
        }
        let reason =
            Reason::new(code, text).otherwise("with all of them ready and the weight read back, the step holds");
        let next = said.sooner(Next::WakeAt(s.now + s.observe_every), s.now);
        return stay(canary, step, memory, plan.want, next, reason, said);
    }
    memory.watch.rest();
    let title = step.title(spec.weights_of);
    let hold = Hold {
        title: &title,
        soak: step.soak,
        approval: step.approval.as_ref(),
        on_inconclusive: &spec.on_inconclusive,
        patience: spec.progress_deadline + step.analysis.iter().map(Analysis::at_least).max().unwrap_or_default(),
    };
    match memory.held.decide(&hold, s, &said, tick) {
        Then::Stay(next, reason) => stay(canary, step, memory, plan.want, next, reason, said),
        Then::Back(reason) => back(canary, field, reason, said.judgements),
        Then::Go(code, text) => {
            if code == ReasonCode::PromotedByOperator {
                // Whoever went past it knows of its doubts; what comes now is judged afresh.
                memory.background.fill(AnalysisState::default());
            }
            advance(canary, field, memory, code, text, said.judgements)
        }
    }
}

/// Enters the next step, and already asks for what it needs.
fn advance(
    canary: &Canary,
    field: &Field<'_>,
    mut memory: Remembered,
    code: ReasonCode,
    because: String,
    judgements: Vec<Judgement>,
) -> Decision {
    memory.enter(memory.step.saturating_add(1));
    let decision = match canary.spec().steps.get(memory.step as usize) {
        None => finish::decide(canary, field, memory, Duration::ZERO),
        Some(step) => {
            let plan = Placement::of(canary, field, step);
            let said = background(canary, field, &mut memory);
            let next = said.sooner(Next::WakeAt(field.s.now + field.s.observe_every), field.s.now);
            let reason = Reason::new(code, "").otherwise("a soak, an analysis or a person would have held it");
            stay(canary, step, memory, plan.want, next, reason, said)
        }
    };
    if matches!(decision.next, Next::RollBack | Next::Complete) {
        return decision;
    }
    let text = format!("{because}; next: {}", decision.stage.name);
    let decision = with_reason(decision, code, text);
    let more: Vec<Judgement> = judgements.into_iter().filter(|j| !decision.judgements.contains(j)).collect();
    Decision { judgements: more.into_iter().chain(decision.judgements).collect(), ..decision }
}

/// Instances and weights of a step, as far as they may be now.
struct Placement {
    want: DesiredState,
    instances: u32,
    weight: u32,
    in_place: bool,
}

impl Placement {
    fn of(canary: &Canary, field: &Field<'_>, step: &Step) -> Self {
        let spec = canary.spec();
        let (of, whole, now) = (spec.weights_of, field.whole(), field.new_now());
        if let Some(allowance) = spec.traffic.allowance(field.size) {
            let split = by_instances::split(field, allowance, step.weight, of);
            let weight = split.want.weights.get(field.new).copied().unwrap_or(0);
            return Self { want: split.want, instances: split.target.canary, weight, in_place: split.in_place };
        }
        let instances = step.instances(spec.capacity, of, field.size, spec.min_instances);
        let weight = scaled(step.weight, of, whole);
        let settled = field.routed(weight);
        let stable_size = field.stable_size();
        let needed_by_stable = |weight: u32| match spec.stable {
            StableCapacity::Full => stable_size,
            StableCapacity::MatchWeight if whole == 0 => stable_size,
            StableCapacity::MatchWeight => part_up(whole - weight, stable_size, whole).max(1),
        };
        // Raised only when every instance of the step is ready; lowered only when the stable side can take what comes back.
        let raising = weight > field.weight_now();
        let able = if raising {
            now.ready >= instances
        } else {
            field.stable_now().ready >= needed_by_stable(weight).min(stable_size)
        };
        let wished = if able { weight } else { field.weight_now().min(if raising { weight } else { whole }) };
        let weights = field.split(wished);
        let given = weights.get(field.new).copied().unwrap_or(0);
        // Nothing is taken away before the traffic has moved off it and the other side can carry what it got.
        let keep = |spare: bool, count: u32, have: u32| if settled && spare { count } else { count.max(have) };
        let mut capacity: BTreeMap<_, _> = field.others_now();
        if let Some(stable) = field.stable {
            let need = needed_by_stable(weight).max(needed_by_stable(given.min(whole)));
            capacity.insert(stable.clone(), keep(now.ready >= instances, need, field.stable_now().desired));
        }
        let spare = field.stable_now().ready >= needed_by_stable(weight).min(stable_size);
        capacity.insert(field.new.clone(), keep(spare, instances, now.desired));
        let mut want = field.statement(capacity, weights);
        requests(&mut want, field, step, now.ready >= instances);
        let compared = fresh_baseline(&mut want, field, step, of);
        let observed = field.s.observed;
        let routed = observed.routes == want.routes && observed.mirror == want.mirror;
        let in_place = settled && routed && compared && now.ready >= instances;
        Self { want, instances, weight, in_place }
    }

    fn sentence(&self, field: &Field<'_>) -> String {
        format!(
            "{} of {} instances of {} are ready, its weight is {} of {} and should be {}",
            field.new_now().ready,
            self.instances,
            field.new,
            field.weight_now(),
            field.whole(),
            self.weight
        )
    }
}

/// No routes and copies to the new revision any more; other people's stay.
pub(super) fn no_requests(want: &mut DesiredState, field: &Field<'_>) {
    want.routes.retain(|route| route.to != *field.new);
    want.mirror = want.mirror.take().filter(|mirror| mirror.to != *field.new);
}

/// Routes and copies to the new revision: those of the step while its instances are ready, and none while none is; other
/// people's routes stay.
fn requests(want: &mut DesiredState, field: &Field<'_>, step: &Step, ready: bool) {
    let able = ready || (field.new_now().ready > 0 && field.s.observed.routes.iter().any(|r| r.to == *field.new));
    no_requests(want, field);
    if able {
        let ours = step.routes.iter().map(|matches| Route { matches: matches.clone(), to: field.new.clone() });
        want.routes = ours.chain(want.routes.drain(..)).collect();
    }
    if let Some(share) = step.mirror.filter(|_| field.new_now().ready > 0) {
        want.mirror = Some(Mirror { to: field.new.clone(), percent: share.get() });
    }
}

/// The fresh baseline of a step: first its instances, then its part of the stable side's traffic. Answers whether it is in place.
fn fresh_baseline(want: &mut DesiredState, field: &Field<'_>, step: &Step, of: u32) -> bool {
    want.experiment = None;
    let (Some(fresh), Some(stable), Some(name)) = (step.experiment, field.stable, field.fresh_name()) else {
        return true;
    };
    let (whole, instances) = (field.whole(), fresh.instances.get());
    let weight = scaled(fresh.weight, of, whole);
    let ready = field.s.observed.revision(&name).ready;
    let left = want.weights.get(stable).copied().unwrap_or(0);
    // Its traffic comes with that of the new revision, and only as long as something is left to the rest of the stable side.
    let serves = ready >= instances && want.weights.contains_key(field.new) && left > weight;
    if serves {
        want.weights.insert(stable.clone(), left - weight);
        want.weights.insert(name.clone(), weight);
    }
    want.experiment = Some(Experiment { baseline: stable.clone(), instances, weight: if serves { weight } else { 0 } });
    serves && field.s.observed.weight(&name) == weight
}

/// A weight in the parts of the place: the nearest, but never nothing for something, and never everything for less.
fn scaled(weight: u32, of: u32, whole: u32) -> u32 {
    if weight == 0 || whole == 0 {
        return 0;
    }
    if weight >= of {
        return whole;
    }
    let twice = u64::from(weight) * u64::from(whole) * 2 + u64::from(of);
    let nearest = u32::try_from(twice / (u64::from(of) * 2)).unwrap_or(whole);
    nearest.clamp(1, whole.saturating_sub(1).max(1))
}

pub(super) fn background(canary: &Canary, field: &Field<'_>, memory: &mut Remembered) -> Said {
    let all = &canary.spec().background;
    memory.background.resize(all.len(), AnalysisState::default());
    let mut said = Said::nothing();
    let live = field.weight_now() > 0 || (field.whole() == 0 && field.new_now().ready > 0);
    let at = memory.step;
    let steps = u32::try_from(canary.spec().steps.len()).unwrap_or(u32::MAX);
    let mut proof = false;
    for (background, state) in all.iter().zip(&mut memory.background).filter(|(b, _)| b.from_step <= at) {
        // With all traffic on one side there is nothing to compare: what the last step showed stands.
        let over = at >= steps && background.analysis.judge.compares_sides();
        if !over {
            state.enter(at);
        }
        said.take(field, &background.analysis, state, live && !over);
        proof |= background.analysis.judge.compares_sides();
    }
    // Between the steps it only has to be free of doubt; at the end it has to have been measured. A comparison ends with the
    // last step that has two sides.
    let end = if proof { steps.saturating_sub(1) } else { steps };
    if said.standing == Standing::NotYet && at < end {
        said.standing = Standing::Good;
    }
    said
}

/// The roll-back that the analyses ask for, if they do.
pub(super) fn refused(canary: &Canary, field: &Field<'_>, memory: &Remembered, said: &Said) -> Option<Decision> {
    let Standing::Bad(code) = said.standing else { return None };
    let title = match canary.spec().steps.get(memory.step as usize) {
        Some(step) => step.title(canary.spec().weights_of),
        None => "all traffic".to_owned(),
    };
    let reason = Reason::new(code, format!("{title}: {}", said.because)).otherwise(said.otherwise.clone());
    Some(back(canary, field, reason, said.judgements.clone()))
}

/// Goes back; the statement is already the first of the way back.
pub(super) fn back(canary: &Canary, field: &Field<'_>, reason: Reason, judgements: Vec<Judgement>) -> Decision {
    Decision { next: Next::RollBack, reason, judgements, ..canary.back(field) }
}

fn with_reason(decision: Decision, code: ReasonCode, text: impl Into<String>) -> Decision {
    if matches!(decision.next, Next::RollBack | Next::Complete) {
        return decision;
    }
    let reason = Reason { code, sentence: text.into(), ..decision.reason };
    Decision { reason, ..decision }
}

fn stay(
    canary: &Canary,
    step: &Step,
    memory: Remembered,
    want: DesiredState,
    next: Next,
    reason: Reason,
    said: Said,
) -> Decision {
    let stage = Stage { index: memory.step, of: finish::stage(canary).of, name: step.title(canary.spec().weights_of) };
    let memory = Memory::of(&memory).unwrap_or_default();
    Decision {
        want,
        measure: said.measure,
        next,
        memory,
        stage,
        reason,
        judgements: said.judgements,
        exposure: Exposure::NONE,
    }
}

//! The steps: instances first, then the weight, then whatever the step holds for.

use std::collections::BTreeMap;
use std::time::Duration;

use deploy_core::monitor::{Judgement, MeasureRequest};
use deploy_core::operator::ApprovalRequest;
use deploy_core::strategy::{Decision, Memory, Next, Promotion, Reason, ReasonCode, Stage, Strategy};
use deploy_core::target::DesiredState;
use deploy_core::time::{RunTime, Spell, millis};

use super::Canary;
use super::capacity::StableCapacity;
use super::finish;
use super::memory::Remembered;
use super::step::{OnInconclusive, Step};
use crate::analysis::{Analysis, AnalysisState, Standing};
use crate::field::Field;
use crate::share::part_up;

/// What the analyses say together.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) standing: Standing,
    pub(super) judgements: Vec<Judgement>,
    pub(super) measure: Vec<MeasureRequest>,
    /// When the next question is due.
    pub(super) wake: Option<RunTime>,
    /// Of the worst metric.
    pub(super) because: String,
    pub(super) otherwise: String,
}

impl Said {
    pub(super) fn nothing() -> Self {
        Self {
            standing: Standing::Good,
            judgements: Vec::new(),
            measure: Vec::new(),
            wake: None,
            because: String::new(),
            otherwise: String::new(),
        }
    }

    /// Takes over what one analysis says.
    fn take(&mut self, field: &Field<'_>, analysis: &Analysis, state: &mut AnalysisState, live: bool) {
        let verdict = analysis.look(state, field.s, field.stable, live);
        if verdict.standing > self.standing || (self.because.is_empty() && verdict.standing == self.standing) {
            self.standing = verdict.standing;
            let worst = verdict.judgements.iter().max_by_key(|j| (j.advice, j.result));
            (self.because, self.otherwise) =
                worst.map(|j| (j.because.clone(), j.otherwise.clone())).unwrap_or_default();
        }
        self.judgements.extend(verdict.judgements);
        if let Some(due) = analysis.due(state) {
            if due <= field.s.now + field.s.observe_every {
                self.measure.push(analysis.request(field.new, field.stable));
            }
            self.wake = Some(self.wake.map_or(due, |wake| wake.min(due)));
        }
    }

    fn and(mut self, other: Self) -> Self {
        if other.standing > self.standing || self.because.is_empty() {
            self.standing = self.standing.max(other.standing);
            (self.because, self.otherwise) = (other.because, other.otherwise);
        }
        self.judgements.extend(other.judgements);
        self.measure.extend(other.measure);
        self.wake = self.wake.into_iter().chain(other.wake).min();
        self
    }
}

pub(super) fn decide(canary: &Canary, field: &Field<'_>) -> Decision {
    let mut memory = Remembered::of(field.s.memory);
    let tick = memory.watch.tick(field.s);
    let last = finish::stage(canary).index;
    if field.s.promotion == Promotion::Full && !memory.full {
        memory.enter(last);
        memory.full = true;
        let text = "an operator skipped every further step";
        return with_reason(finish::decide(canary, field, memory, tick), ReasonCode::PromotedFullyByOperator, text);
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
    let plan = Placement::of(canary, field, step);
    if plan.in_place && memory.in_place {
        memory.soaked = memory.soaked.saturating_add(millis(tick));
    } else if field.new_now().ready == 0 || (plan.weight > 0 && field.whole() > 0 && field.weight_now() == 0) {
        memory.soaked = 0;
    }
    memory.in_place = plan.in_place;
    let said = inline(field, &mut memory, step, plan.in_place).and(background(canary, field, &mut memory));
    if let Some(decision) = refused(canary, field, &memory, &said) {
        return decision;
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
        let next = sooner(Next::WakeAt(s.now + s.observe_every), said.wake);
        return stay(canary, field, step, memory, plan.want, next, reason, said);
    }
    memory.watch.rest();
    hold(canary, field, memory, step, tick, plan, said)
}

/// The step is in place: wait for the soak, for the analysis, for a person; then go on.
fn hold(
    canary: &Canary,
    field: &Field<'_>,
    mut memory: Remembered,
    step: &Step,
    tick: Duration,
    plan: Placement,
    said: Said,
) -> Decision {
    let (spec, s) = (canary.spec(), field.s);
    let title = step.title(spec.weights_of);
    if s.promotion == Promotion::Skip {
        for state in &mut memory.background {
            *state = AnalysisState::default();
        }
        if memory.asked || step.approval.is_none() {
            let text = format!("an operator went past {title}");
            return advance(canary, field, memory, ReasonCode::PromotedByOperator, text, said.judgements);
        }
        // Going past a soak is not the yes of the person whom the step asks.
        memory.accepted = true;
    }
    let look = Next::WakeAt(s.now + s.observe_every);
    let soaked = Duration::from_millis(memory.soaked);
    let judged = if memory.accepted { Standing::Good } else { said.standing };
    if let Standing::Unclear(code) = judged {
        memory.asked = false;
        return doubt(canary, field, step, memory, plan.want, code, said);
    }
    if soaked < step.soak && !memory.accepted {
        let left = step.soak - soaked;
        let text = format!("{title} is in place for {} of {}{}", Spell(soaked), Spell(step.soak), also(&said));
        let reason =
            Reason::new(ReasonCode::Soaking, text).otherwise(otherwise(&said, "a lost instance would stop the soak"));
        let next = sooner(Next::WakeAt(s.now + left), said.wake);
        return stay(canary, field, step, memory, plan.want, next, reason, said);
    }
    if let Standing::Holding(code) = judged {
        let reason = Reason::new(code, format!("{title} holds: {}", said.because)).otherwise(said.otherwise.clone());
        return stay(canary, field, step, memory, plan.want, sooner(look, said.wake), reason, said);
    }
    if judged == Standing::NotYet {
        memory.unmeasured = memory.unmeasured.saturating_add(millis(tick));
        let patience = spec.progress_deadline + step.analysis.iter().map(Analysis::at_least).max().unwrap_or_default();
        let over = Duration::from_millis(memory.unmeasured);
        if over >= patience {
            return doubt(canary, field, step, memory, plan.want, ReasonCode::WaitingForMeasurements, said);
        }
        let text =
            format!("{title} waits for measurements for {} of {}: {}", Spell(over), Spell(patience), said.because);
        let reason = Reason::new(ReasonCode::WaitingForMeasurements, text).otherwise(said.otherwise.clone());
        return stay(canary, field, step, memory, plan.want, sooner(look, said.wake), reason, said);
    }
    if let Some(request) = &step.approval {
        memory.asked = true;
        let reason =
            Reason::new(ReasonCode::WaitingForApproval, format!("{title} asks: {}{}", request.question, also(&said)))
                .otherwise("a yes goes on; a no, or no answer in time, goes back");
        return stay(canary, field, step, memory, plan.want, Next::Await(request.clone()), reason, said);
    }
    let text = format!("{title} was in place for {}{}", Spell(soaked), also(&said));
    advance(canary, field, memory, ReasonCode::Advanced, text, said.judgements)
}

/// It cannot be told: what the author said to doubt.
fn doubt(
    canary: &Canary,
    field: &Field<'_>,
    step: &Step,
    memory: Remembered,
    want: DesiredState,
    code: ReasonCode,
    said: Said,
) -> Decision {
    let text = format!("{} cannot be judged: {}", step.title(canary.spec().weights_of), said.because);
    let reason = Reason::new(code, text).otherwise(said.otherwise.clone());
    match question(canary) {
        Some(request) => stay(canary, field, step, memory, want, Next::Await(request), reason, said),
        None => back(canary, field, reason, said.judgements),
    }
}

pub(super) fn question(canary: &Canary) -> Option<ApprovalRequest> {
    match &canary.spec().on_inconclusive {
        OnInconclusive::Ask(request) => Some(request.clone()),
        OnInconclusive::RollBack => None,
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
            let next = sooner(Next::WakeAt(field.s.now + field.s.observe_every), said.wake);
            let reason = Reason::new(code, "");
            stay(canary, field, step, memory, plan.want, next, reason, said)
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
        let in_place = settled && now.ready >= instances;
        Self { want: field.statement(capacity, weights), instances, weight, in_place }
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

fn inline(field: &Field<'_>, memory: &mut Remembered, step: &Step, live: bool) -> Said {
    memory.inline.resize(step.analysis.len(), AnalysisState::default());
    let mut said = Said::nothing();
    for (analysis, state) in step.analysis.iter().zip(&mut memory.inline) {
        said.take(field, analysis, state, live);
    }
    said
}

pub(super) fn background(canary: &Canary, field: &Field<'_>, memory: &mut Remembered) -> Said {
    let all = &canary.spec().background;
    memory.background.resize(all.len(), AnalysisState::default());
    let mut said = Said::nothing();
    let live = field.weight_now() > 0 || (field.whole() == 0 && field.new_now().ready > 0);
    let at = memory.step;
    for (background, state) in all.iter().zip(&mut memory.background).filter(|(b, _)| b.from_step <= at) {
        said.take(field, &background.analysis, state, live);
    }
    // Between the steps it only has to be free of doubt; at the end it has to have been measured.
    if said.standing == Standing::NotYet && (at as usize) < canary.spec().steps.len() {
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
    Decision { next: Next::RollBack, reason, judgements, ..canary.revert(field.s) }
}

/// The earlier of a wake and a due question.
pub(super) fn sooner(next: Next, due: Option<RunTime>) -> Next {
    match (next, due) {
        (Next::WakeAt(at), Some(due)) => Next::WakeAt(at.min(due)),
        (next, _) => next,
    }
}

fn with_reason(decision: Decision, code: ReasonCode, text: impl Into<String>) -> Decision {
    if matches!(decision.next, Next::RollBack | Next::Complete) {
        return decision;
    }
    let reason = Reason { code, sentence: text.into(), ..decision.reason };
    Decision { reason, ..decision }
}

fn also(said: &Said) -> String {
    if said.because.is_empty() { String::new() } else { format!("; {}", said.because) }
}

fn otherwise(said: &Said, text: &str) -> String {
    if said.otherwise.is_empty() { text.to_owned() } else { said.otherwise.clone() }
}

#[expect(clippy::too_many_arguments, reason = "everything that a decision is made of, each once")]
fn stay(
    canary: &Canary,
    field: &Field<'_>,
    step: &Step,
    memory: Remembered,
    want: DesiredState,
    next: Next,
    reason: Reason,
    said: Said,
) -> Decision {
    let next = match next {
        // Never in the past, so that the engine is not asked in a circle.
        Next::WakeAt(at) => Next::WakeAt(at.max(field.s.now + Duration::from_millis(1))),
        next => next,
    };
    let stage = Stage { index: memory.step, of: finish::stage(canary).of, name: step.title(canary.spec().weights_of) };
    let memory = Memory::of(&memory).unwrap_or_default();
    Decision { want, measure: said.measure, next, memory, stage, reason, judgements: said.judgements }
}

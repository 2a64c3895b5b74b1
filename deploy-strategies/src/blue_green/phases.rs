//! The preview, then the switch.

use std::time::Duration;

use deploy_core::strategy::{Decision, Exposure, Memory, Next, Promotion, Reason, ReasonCode, Stage};
use deploy_core::target::DesiredState;
use deploy_core::time::{Spell, millis};
use serde::{Deserialize, Serialize};

use super::BlueGreen;
use crate::analysis::{Analysis, AnalysisState, Standing};
use crate::field::Field;
use crate::handover::{Handover, HandoverLimits};
use crate::hold::{Held, Hold, Then};
use crate::retreat::Retreat;
use crate::said::Said;
use crate::watch::Watch;

/// What a blue-green switch asks to be shown again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Remembered {
    /// Whether the preview is over.
    switching: bool,
    /// Whether an operator went past every check.
    full: bool,
    watch: Watch,
    held: Held,
    /// How long the switch has waited for measurements; milliseconds.
    unmeasured: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checks: Vec<AnalysisState>,
    handover: Handover,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retreat: Option<Retreat>,
}

impl Remembered {
    /// Only the way back.
    pub(super) fn back(retreat: &Retreat) -> Self {
        Self { retreat: Some(retreat.clone()), ..Self::default() }
    }

    fn switch(&mut self) {
        *self = Self { switching: true, full: self.full, ..Self::default() };
    }
}

pub(super) fn decide(strategy: &BlueGreen, field: &Field<'_>, mut memory: Remembered) -> Decision {
    let tick = memory.watch.tick(field.s);
    if field.s.promotion == Promotion::Full && !memory.full {
        memory.full = true;
        memory.switch();
    }
    if field.stable.is_none() {
        memory.switching = true;
    }
    if memory.switching { switch(strategy, field, memory, tick) } else { preview(strategy, field, memory, tick) }
}

fn preview(strategy: &BlueGreen, field: &Field<'_>, mut memory: Remembered, tick: Duration) -> Decision {
    let (spec, s, new) = (strategy.spec(), field.s, field.new_now());
    let size = spec.preview_size(field.size);
    let mut capacity = field.others_now();
    if let Some(stable) = field.stable {
        capacity.insert(stable.clone(), field.stable_size());
    }
    // Somebody may already have more of it; what is ready is not taken away before the switch.
    capacity.insert(field.new.clone(), size.max(new.desired.min(field.size)));
    // Nobody but those who use the second address meets it.
    let want = DesiredState { preview: Some(field.new.clone()), ..field.statement(capacity, field.split(0)) };
    let shown = s.observed.preview.as_ref() == Some(field.new);
    let in_place = new.ready >= size && shown && field.routed(0);
    memory.held.look(in_place, new.ready == 0, tick);
    let said = Said::all(field, &spec.before, &mut memory.checks, in_place);
    if let Standing::Bad(code) = said.standing {
        let reason = Reason::new(code, format!("preview: {}", said.because)).otherwise(said.otherwise.clone());
        return back(strategy, field, reason, said);
    }
    if !in_place {
        let moved = u64::from(new.ready.min(size)) + 1 + u64::from(shown);
        let waited = memory.watch.wait(tick, moved);
        let text = format!(
            "{} of {size} instances of {} are ready for the preview; nothing has moved for {} of {}",
            new.ready,
            field.new,
            Spell(waited),
            Spell(spec.progress_deadline)
        );
        if waited >= spec.progress_deadline {
            let reason = Reason::new(ReasonCode::ProgressDeadline, text)
                .otherwise("one more ready instance would have started the time again");
            return back(strategy, field, reason, said);
        }
        let code = if new.ready < size { ReasonCode::WaitingForInstances } else { ReasonCode::WaitingForTarget };
        let reason = Reason::new(code, text).otherwise("with all of them ready and shown, the checks begin");
        let next = said.sooner(Next::WakeAt(s.now + s.observe_every), s.now);
        return give(want, said, next, &memory, 0, reason);
    }
    memory.watch.rest();
    let hold = Hold {
        title: "the preview",
        soak: spec.promote.delay(),
        approval: spec.promote.request(),
        on_inconclusive: &spec.on_inconclusive,
        patience: spec.progress_deadline + spec.before.iter().map(Analysis::at_least).max().unwrap_or_default(),
    };
    match memory.held.decide(&hold, s, &said, tick) {
        Then::Stay(next, reason) => give(want, said, next, &memory, 0, reason),
        Then::Back(reason) => back(strategy, field, reason, said),
        Then::Go(code, text) => {
            memory.switch();
            let mut decision = switch(strategy, field, memory, Duration::ZERO);
            if matches!(decision.next, Next::WakeAt(_)) {
                decision.reason = Reason { code, sentence: format!("{text}; next: all traffic"), ..decision.reason };
                decision.judgements = said.judgements;
            }
            decision
        }
    }
}

fn switch(strategy: &BlueGreen, field: &Field<'_>, mut memory: Remembered, tick: Duration) -> Decision {
    let (spec, s) = (strategy.spec(), field.s);
    memory.full |= s.promotion == Promotion::Skip;
    let live = field.whole() > 0 && field.weight_now() == field.whole();
    let judged = field.stable.is_some() && !memory.full;
    let said = if judged { Said::all(field, &spec.after, &mut memory.checks, live) } else { Said::nothing() };
    if let Standing::Bad(code) = said.standing {
        let reason = Reason::new(code, format!("after the switch: {}", said.because)).otherwise(said.otherwise.clone());
        return back(strategy, field, reason, said);
    }
    let patience = spec.progress_deadline + spec.after.iter().map(Analysis::at_least).max().unwrap_or_default();
    let over = |memory: &Remembered| Duration::from_millis(memory.unmeasured) >= patience;
    let limits = HandoverLimits {
        scale_down_delay: spec.scale_down_delay,
        progress_deadline: spec.progress_deadline,
        may_release: said.standing == Standing::Good || said.despite(&spec.on_inconclusive, over(&memory)).is_some(),
    };
    let answer = memory.handover.decide(field, &mut memory.watch, tick, limits);
    if answer.next == Next::RollBack {
        return back(strategy, field, answer.reason, said);
    }
    let (mut next, mut reason) = (said.sooner(answer.next, s.now), answer.reason);
    if reason.code == ReasonCode::Soaking && said.standing != Standing::Good {
        memory.unmeasured = memory.unmeasured.saturating_add(millis(tick));
        let over = over(&memory);
        reason.code = match said.standing {
            Standing::Unclear(code) | Standing::Holding(code) => code,
            _ => ReasonCode::WaitingForMeasurements,
        };
        reason.sentence.push_str(&said.also());
        if matches!(said.standing, Standing::Unclear(_)) || (said.standing == Standing::NotYet && over) {
            match spec.on_inconclusive.asks() {
                // At the next look it goes on.
                _ if said.despite(&spec.on_inconclusive, over).is_some() => {}
                Some(request) => next = Next::Await(request),
                None => return back(strategy, field, reason, said),
            }
        }
    }
    // The second address is not needed once the first one leads there.
    let want = DesiredState { preview: s.observed.preview.clone().filter(|_| !live), ..answer.want };
    give(want, said, next, &memory, 1, reason)
}

/// Goes back; the statement is already the first of the way back.
fn back(strategy: &BlueGreen, field: &Field<'_>, reason: Reason, said: Said) -> Decision {
    Decision { next: Next::RollBack, reason, judgements: said.judgements, ..strategy.back(field) }
}

fn give(want: DesiredState, said: Said, next: Next, memory: &Remembered, index: u32, reason: Reason) -> Decision {
    let name = if index == 0 { "preview" } else { "all traffic" };
    Decision {
        want,
        measure: said.measure,
        next,
        memory: Memory::of(memory).unwrap_or_default(),
        stage: Stage { index, of: 2, name: name.to_owned() },
        reason,
        judgements: said.judgements,
        exposure: Exposure::NONE,
    }
}

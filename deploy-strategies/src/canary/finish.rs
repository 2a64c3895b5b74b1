//! After the last step: full size, all the traffic, and the old side goes.

use std::time::Duration;

use deploy_core::strategy::{Decision, Memory, Next, Promotion, ReasonCode, Stage};
use deploy_core::time::millis;

use super::Canary;
use super::ladder;
use super::memory::Remembered;
use crate::analysis::Standing;
use crate::field::Field;
use crate::handover::HandoverLimits;
use crate::hold::OnInconclusive;
use crate::said::Said;

/// One decision of the last stage. What goes on in the background can still send it back, and keeps the old side until it
/// has said yes.
pub(super) fn decide(canary: &Canary, field: &Field<'_>, mut memory: Remembered, tick: Duration) -> Decision {
    let spec = canary.spec();
    // Whoever goes past the last wait goes past what is still measured.
    memory.full |= field.s.promotion == Promotion::Skip;
    let judged = field.stable.is_some() && !memory.full;
    let said = if judged { ladder::background(canary, field, &mut memory) } else { Said::nothing() };
    if let Some(decision) = ladder::refused(canary, field, &memory, &said) {
        return decision;
    }
    let mut handover = memory.handover.take().unwrap_or_default();
    let limits = HandoverLimits {
        scale_down_delay: spec.scale_down_delay,
        progress_deadline: spec.progress_deadline,
        may_release: said.standing == Standing::Good,
    };
    let answer = handover.decide(field, &mut memory.watch, tick, limits);
    memory.handover = Some(handover);
    if answer.next == Next::RollBack {
        return ladder::back(canary, field, answer.reason, said.judgements);
    }
    let (mut next, mut reason) = (said.sooner(answer.next, field.s.now), answer.reason);
    if reason.code == ReasonCode::Soaking && said.standing != Standing::Good {
        memory.unmeasured = memory.unmeasured.saturating_add(millis(tick));
        let over = Duration::from_millis(memory.unmeasured) >= spec.progress_deadline;
        reason.code = match said.standing {
            Standing::Unclear(code) | Standing::Holding(code) => code,
            _ => ReasonCode::WaitingForMeasurements,
        };
        reason.sentence = format!("{}; {}", reason.sentence, said.because);
        if matches!(said.standing, Standing::Unclear(_)) || (said.standing == Standing::NotYet && over) {
            match &spec.on_inconclusive {
                OnInconclusive::Ask(request) => next = Next::Await(request.clone()),
                OnInconclusive::RollBack => return ladder::back(canary, field, reason, said.judgements),
            }
        }
    }
    Decision {
        want: answer.want,
        measure: said.measure,
        next,
        memory: Memory::of(&memory).unwrap_or_default(),
        stage: stage(canary),
        reason,
        judgements: said.judgements,
    }
}

pub(super) fn stage(canary: &Canary) -> Stage {
    let steps = u32::try_from(canary.spec().steps.len()).unwrap_or(u32::MAX);
    Stage { index: steps, of: steps.saturating_add(1), name: "all traffic".to_owned() }
}

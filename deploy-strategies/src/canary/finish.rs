//! After the last step: full size, all the traffic, and the old side goes.

use std::time::Duration;

use deploy_core::strategy::{Decision, Exposure, Memory, Next, Promotion, Reason, ReasonCode, Stage};
use deploy_core::time::{Spell, millis};

use super::Canary;
use super::memory::Remembered;
use super::{by_instances, ladder};
use crate::analysis::Standing;
use crate::field::Field;
use crate::handover::HandoverLimits;
use crate::rolling::Allowance;
use crate::said::Said;

/// Whether nothing more is waited for of what has not said anything yet.
fn waited_out(memory: &Remembered, canary: &Canary) -> bool {
    Duration::from_millis(memory.unmeasured) >= canary.spec().progress_deadline
}

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
    if let Some(allowance) = spec.traffic.allowance(field.size).filter(|_| field.stable.is_some()) {
        return finish_by_instances(canary, field, memory, tick, allowance, said);
    }
    let mut handover = memory.handover.take().unwrap_or_default();
    let limits = HandoverLimits {
        scale_down_delay: spec.scale_down_delay,
        progress_deadline: spec.progress_deadline,
        may_release: said.standing == Standing::Good
            || said.despite(&spec.on_inconclusive, waited_out(&memory, canary)).is_some(),
    };
    let answer = handover.decide(field, &mut memory.watch, tick, limits);
    memory.handover = Some(handover);
    if answer.next == Next::RollBack {
        return ladder::back(canary, field, answer.reason, said.judgements);
    }
    let (mut next, mut reason) = (said.sooner(answer.next, field.s.now), answer.reason);
    if reason.code == ReasonCode::Soaking && said.standing != Standing::Good {
        memory.unmeasured = memory.unmeasured.saturating_add(millis(tick));
        let over = waited_out(&memory, canary);
        reason.code = match said.standing {
            Standing::Unclear(code) | Standing::Holding(code) => code,
            _ => ReasonCode::WaitingForMeasurements,
        };
        reason.sentence = format!("{}; {}", reason.sentence, said.because);
        if matches!(said.standing, Standing::Unclear(_)) || (said.standing == Standing::NotYet && over) {
            match spec.on_inconclusive.asks() {
                // At the next look it goes on.
                _ if said.despite(&spec.on_inconclusive, over).is_some() => {}
                Some(request) => next = Next::Await(request),
                None => return ladder::back(canary, field, reason, said.judgements),
            }
        }
    }
    let mut want = answer.want;
    ladder::no_requests(&mut want, field);
    Decision {
        want,
        measure: said.measure,
        next,
        memory: Memory::of(&memory).unwrap_or_default(),
        stage: stage(canary),
        reason,
        judgements: said.judgements,
        exposure: Exposure::NONE,
    }
}

/// The last stage where instances carry the weight: all of them of the new revision, within the same two limits. The old
/// ones are gone by then, so what goes on in the background has to have said yes before the last of them goes.
fn finish_by_instances(
    canary: &Canary,
    field: &Field<'_>,
    mut memory: Remembered,
    tick: Duration,
    allowance: Allowance,
    said: Said,
) -> Decision {
    let (spec, s) = (canary.spec(), field.s);
    let of = spec.weights_of;
    let despite = said.despite(&spec.on_inconclusive, waited_out(&memory, canary));
    let good = said.standing == Standing::Good || despite.is_some();
    // Without a yes one old instance stays: the largest weight that is not everything.
    let whole = by_instances::split(field, allowance, if good { of } else { of.saturating_sub(1) }, of);
    let (new, size, name) = (field.new_now(), field.size, field.new);
    let give = |memory: &Remembered, next: Next, reason: Reason| Decision {
        want: whole.want.clone(),
        measure: said.measure.clone(),
        next: said.sooner(next, s.now),
        memory: Memory::of(memory).unwrap_or_default(),
        stage: stage(canary),
        reason,
        judgements: said.judgements.clone(),
        exposure: Exposure::NONE,
    };
    if good && whole.in_place && s.observed.satisfies(&whole.want) {
        let text = format!("{name} is out: {size} instances ready, nothing of the old side left");
        let reason =
            Reason::new(ReasonCode::RolledOut, text).otherwise("an old instance that is left would have kept it open");
        return give(&memory, Next::Complete, reason);
    }
    let look = Next::WakeAt(s.now + s.observe_every);
    if whole.in_place && !good {
        memory.unmeasured = memory.unmeasured.saturating_add(millis(tick));
        let over = waited_out(&memory, canary);
        let code = match said.standing {
            Standing::Unclear(code) | Standing::Holding(code) => code,
            _ => ReasonCode::WaitingForMeasurements,
        };
        let reason =
            Reason::new(code, format!("the last old instances stay{}", said.also())).otherwise(said.otherwise.clone());
        if matches!(said.standing, Standing::Unclear(_)) || (said.standing == Standing::NotYet && over) {
            return match spec.on_inconclusive.asks() {
                // At the next look it goes on.
                _ if said.despite(&spec.on_inconclusive, over).is_some() => give(&memory, look, reason),
                Some(request) => give(&memory, Next::Await(request), reason),
                None => ladder::back(canary, field, reason, said.judgements),
            };
        }
        return give(&memory, look, reason);
    }
    let old: u32 = field.others_now().values().sum();
    let moved = u64::from(new.desired.min(size)) + u64::from(new.ready.min(size)) + u64::from(u32::MAX - old);
    let waited = memory.watch.wait(tick, moved);
    let text = format!(
        "{} of {size} instances of {name} are ready, {old} old ones left; nothing has moved for {} of {}",
        new.ready,
        Spell(waited),
        Spell(spec.progress_deadline)
    );
    if waited >= spec.progress_deadline {
        let reason = Reason::new(ReasonCode::ProgressDeadline, text)
            .otherwise("one more ready instance would have started the time again");
        return ladder::back(canary, field, reason, said.judgements);
    }
    let reason = Reason::new(ReasonCode::WaitingForInstances, text).otherwise("ready instances let the old ones go");
    give(&memory, look, reason)
}

pub(super) fn stage(canary: &Canary) -> Stage {
    let steps = u32::try_from(canary.spec().steps.len()).unwrap_or(u32::MAX);
    Stage { index: steps, of: steps.saturating_add(1), name: "all traffic".to_owned() }
}

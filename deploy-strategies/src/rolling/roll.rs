//! One step of a rolling update, forward or back.

use std::collections::BTreeMap;

use deploy_core::name::RevisionName;
use deploy_core::strategy::{Decision, Exposure, Memory, Next, Promotion, Reason, ReasonCode, Stage};
use deploy_core::target::DesiredState;
use deploy_core::time::Spell;

use super::Rolling;
use super::arithmetic::{Allowance, Set, new_size, shrink_old};
use super::memory::{Back, Healthy, Remembered};
use super::proportional::{Sharing, proportional};
use crate::analysis::{Analysis, Standing};
use crate::field::{Field, without_zeros};
use crate::hold::{Hold, Then};
use crate::said::Said;

pub(super) fn decide(rolling: &Rolling, field: &Field<'_>, mut memory: Remembered) -> Decision {
    let (spec, s) = (rolling.spec(), field.s);
    let tick = memory.watch.tick(s);
    if s.wanted.is_none() {
        memory.new = Healthy::already(field.new_now().ready);
    }
    let healthy = memory.new.see(field.new_now().ready, tick, spec.min_healthy);
    memory.full |= s.promotion == Promotion::Full || field.stable.is_none();
    let last = spec.batches.len().saturating_sub(1);
    if memory.full && (memory.batch as usize) < last {
        memory.enter(u32::try_from(last).unwrap_or(0));
    }
    let batch = memory.batch as usize;
    let size = field.size;
    let goal = if field.stable.is_none() { size } else { spec.batch_goal(batch, size) };
    let roll = Roll { field, to: field.new, healthy, size, goal, allowance: spec.allowance(size) };
    let before = std::mem::replace(&mut memory.size, size);
    let capacity =
        if before == 0 || before == size { roll.step() } else { roll.rescale(before, spec.allowance(before)) };
    let want = field.shared_out(capacity);
    let (new, old) = (field.new_now(), roll.old_asked());
    let tolerated =
        if spec.may_fail.is_zero() { 0 } else { spec.may_fail.rounded_up(goal).min(goal.saturating_sub(1)) };
    let whole =
        new.desired == goal && healthy.saturating_add(tolerated) >= goal && old == size - goal && roll.routed(&want);
    memory.held.look(whole, !whole, tick);
    let stage = Stage {
        index: memory.batch,
        of: u32::try_from(spec.batches.len()).unwrap_or(u32::MAX),
        name: format!("batch {} of {}", batch + 1, spec.batches.len()),
    };
    let said = format!(
        "{} of {goal} instances of {} are ready for {}, {old} old ones left",
        healthy,
        field.new,
        Spell(spec.min_healthy)
    );
    let look = Next::WakeAt(s.now + s.observe_every);
    let judged = said_by(rolling, field, &mut memory, whole);
    let give = |memory: &Remembered, next: Next, reason: Reason| Decision {
        want: want.clone(),
        measure: judged.measure.clone(),
        next: judged.sooner(next, s.now),
        memory: Memory::of(memory).unwrap_or_default(),
        stage: stage.clone(),
        reason,
        judgements: judged.judgements.clone(),
        exposure: Exposure::NONE,
    };
    let back = |reason: Reason| Decision {
        next: Next::RollBack,
        reason,
        judgements: judged.judgements.clone(),
        ..revert(rolling, field)
    };
    if let Standing::Bad(code) = judged.standing {
        let text = format!("{}: {}", stage.name, judged.because);
        return back(Reason::new(code, text).otherwise(judged.otherwise.clone()));
    }
    if !whole {
        let moved = u64::from(new.desired.min(goal))
            + u64::from(healthy)
            + u64::from(new.ready.min(goal))
            + u64::from(u32::MAX - old);
        let waited = memory.watch.wait(tick, moved);
        let over = waited >= spec.progress_deadline;
        let (waited, limit) = (Spell(waited), Spell(spec.progress_deadline));
        if over {
            let text = format!("{said}; nothing has moved for {waited}, limit {limit}");
            let reason = Reason::new(ReasonCode::ProgressDeadline, text);
            return back(reason.otherwise("one more ready instance would have started the time again"));
        }
        let text = format!("{said}; nothing has moved for {waited} of {limit}");
        let reason = Reason::new(ReasonCode::WaitingForInstances, text)
            .otherwise("ready instances let the next ones be replaced");
        return give(&memory, look, reason);
    }
    memory.watch.rest();
    if let Some(this) = spec.batches.get(batch).filter(|_| field.stable.is_some() && !memory.full) {
        let longest = this.analysis.iter().chain(&spec.background).map(Analysis::at_least).max();
        let hold = Hold {
            title: &stage.name,
            soak: this.soak,
            approval: this.approval.as_ref(),
            on_inconclusive: &spec.on_inconclusive,
            patience: spec.progress_deadline + longest.unwrap_or_default(),
        };
        match memory.held.decide(&hold, s, &judged, tick) {
            Then::Stay(next, reason) => return give(&memory, next, reason),
            Then::Back(reason) => return back(reason),
            Then::Go(code, text) if batch < last => return onward(rolling, &roll, memory, judged, code, &text),
            // What was held for is over: only the last old instances are still to go.
            Then::Go(..) => memory.full = true,
        }
    }
    if s.observed.satisfies(&want) {
        let code = match (s.wanted.is_none(), field.stable.is_none()) {
            (true, _) => ReasonCode::AlreadyThere,
            (false, true) => ReasonCode::FirstInstall,
            (false, false) => ReasonCode::RolledOut,
        };
        let reason = Reason::new(code, said).otherwise("an old instance that is left would have kept it open");
        return give(&memory, Next::Complete, reason);
    }
    let reason = Reason::new(ReasonCode::WaitingForTarget, format!("{said}; the last ones are on their way out"))
        .otherwise("it is complete when they are gone");
    give(&memory, look, reason)
}

/// What the analyses of this batch and of all of them say.
fn said_by(rolling: &Rolling, field: &Field<'_>, memory: &mut Remembered, whole: bool) -> Said {
    let spec = rolling.spec();
    if field.stable.is_none() || memory.full {
        return Said::nothing();
    }
    let here: &[Analysis] = spec.batches.get(memory.batch as usize).map_or(&[], |batch| &batch.analysis);
    let inline = Said::all(field, here, &mut memory.inline, whole);
    let mut background = Said::all(field, &spec.background, &mut memory.background, field.new_now().ready > 0);
    // Between batches it only has to be free of doubt; at the end it has to have been measured.
    if background.standing == Standing::NotYet && (memory.batch as usize) + 1 < spec.batches.len() {
        background.standing = Standing::Good;
    }
    inline.and(background)
}

/// Enters the next batch, and already asks for what it needs.
fn onward(
    rolling: &Rolling,
    roll: &Roll<'_>,
    mut memory: Remembered,
    judged: Said,
    code: ReasonCode,
    because: &str,
) -> Decision {
    let (spec, field) = (rolling.spec(), roll.field);
    memory.enter(memory.batch.saturating_add(1));
    let goal = spec.batch_goal(memory.batch as usize, roll.size);
    let want = field.shared_out(Roll { goal, ..*roll }.step());
    let of = u32::try_from(spec.batches.len()).unwrap_or(u32::MAX);
    let stage = Stage { index: memory.batch, of, name: format!("batch {} of {of}", memory.batch + 1) };
    let text = format!("{because}; next: {goal} instances of {}", field.new);
    let reason = Reason::new(code, text).otherwise("a soak, an analysis or a person would have held it");
    let memory = Memory::of(&memory).unwrap_or_default();
    let next = judged.sooner(Next::WakeAt(field.s.now + field.s.observe_every), field.s.now);
    Decision {
        want,
        measure: judged.measure,
        next,
        memory,
        stage,
        reason,
        judgements: judged.judgements,
        exposure: Exposure::NONE,
    }
}

/// The way back: the same roll towards what served before, within the same limits.
pub(super) fn revert(rolling: &Rolling, field: &Field<'_>) -> Decision {
    let s = field.s;
    let Some(stable) = field.stable else { return s.restore() };
    let mut memory: Remembered = s.memory.read().ok().flatten().unwrap_or_default();
    let begins = memory.back.is_none();
    let mut back = memory.back.take().unwrap_or_default();
    if begins {
        back = Back { stable: Healthy::already(field.stable_now().ready), ..back };
    }
    let tick = back.watch.tick(s);
    let healthy = back.stable.see(field.stable_now().ready, tick, rolling.spec().min_healthy);
    let size = field.stable_size();
    let roll = Roll { field, to: stable, healthy, size, goal: size, allowance: rolling.spec().allowance(size) };
    let mut capacity = roll.step();
    // Whatever else was there before stays.
    for (name, count) in s.from.as_desired().capacity {
        if name != *field.new && name != *stable {
            capacity.insert(name, count);
        }
    }
    let want = field.shared_out(capacity);
    let done = s.observed.revision(field.new).desired == 0 && s.observed.satisfies(&want);
    let text = format!(
        "{healthy} of {size} instances of {stable} are ready, {} of {} are left",
        field.new_now().desired,
        field.new
    );
    let (next, code) = if done {
        (Next::Complete, ReasonCode::Restored)
    } else {
        (Next::WakeAt(s.now + s.observe_every), ReasonCode::Restoring)
    };
    memory.back = Some(back);
    Decision {
        want,
        measure: Vec::new(),
        next,
        memory: Memory::of(&memory).unwrap_or_default(),
        stage: Stage { index: u32::from(done), of: 1, name: "restore".to_owned() },
        reason: Reason::new(code, text).otherwise("it is complete when nothing of the new side is left"),
        judgements: Vec::new(),
        exposure: Exposure::NONE,
    }
}

/// A roll towards one revision.
#[derive(Clone, Copy)]
struct Roll<'a> {
    field: &'a Field<'a>,
    to: &'a RevisionName,
    /// How many of it have been ready for long enough.
    healthy: u32,
    size: u32,
    /// How many of it there should be in the end.
    goal: u32,
    allowance: Allowance,
}

impl Roll<'_> {
    fn asked(&self) -> u32 {
        self.field.s.observed.revision(self.to).desired
    }

    /// The other revisions, oldest first as far as one can tell: whoever is neither side before the one that is replaced.
    fn others(&self) -> Vec<(&RevisionName, Set)> {
        let sides = [Some(self.field.new), self.field.stable];
        let observed = &self.field.s.observed.revisions;
        let mut others: Vec<_> = observed
            .iter()
            .filter(|(name, r)| *name != self.to && r.desired > 0)
            .map(|(name, r)| (name, Set { asked: r.desired, ready: r.ready.min(r.desired) }))
            .collect();
        others.sort_by_key(|(name, _)| sides.contains(&Some(*name)));
        others
    }

    fn old_asked(&self) -> u32 {
        self.others().iter().map(|(_, set)| set.asked).sum()
    }

    /// The capacity that one step brings.
    fn step(&self) -> BTreeMap<RevisionName, u32> {
        let observed = self.field.s.observed;
        let asked = self.asked();
        let taken: u32 =
            observed.revisions.values().map(|r| r.desired.max(r.ready).saturating_add(r.terminating)).sum();
        // Instances beyond the goal, which somebody else asked for, go like old ones: only as far as they are spare.
        let size = if asked > self.goal { asked } else { new_size(asked, taken, self.goal, self.room()) };
        let others = self.others();
        let mut sets: Vec<Set> = others.iter().map(|(_, set)| *set).collect();
        // Where traffic is routed, an instance stands in for another one only once traffic has been seen to reach its side.
        let reached = self.field.whole() == 0 || observed.weight(self.to) > 0;
        let to = Set { asked, ready: if reached { self.healthy.min(asked) } else { 0 } };
        let floor = self.size.saturating_sub(self.goal);
        shrink_old(&mut sets, to, self.size, self.allowance, floor);
        let cut = if asked > self.goal {
            let ready_now = if reached { observed.revision(self.to).ready.min(asked) } else { 0 };
            let serving = |name: &RevisionName| self.field.whole() == 0 || observed.weight(name) > 0;
            let old: u32 =
                others.iter().zip(&sets).filter(|((name, _), _)| serving(name)).map(|(_, set)| set.ready).sum();
            let ready = old + ready_now;
            // Whoever serves nobody may always go. In doubt an instance that was seen to be ready serves.
            let serve = if reached { ready_now.max(self.field.ready_seen(self.to).min(asked)) } else { 0 };
            let spare = ready.saturating_sub(self.allowance.least(self.size)).max(asked - serve);
            (asked - self.goal).min(spare)
        } else {
            0
        };
        let size = size - cut;
        // Old instances that somebody took away come back, as far as there is room, where the goal does not replace them.
        let left: u32 = sets.iter().map(|set| set.asked).sum();
        let room = self.allowance.most(self.size).saturating_sub(taken).saturating_sub(size.saturating_sub(asked));
        let back = floor.saturating_sub(left).min(room);
        let sizes = others.iter().zip(sets).map(|((name, _), set)| ((*name).clone(), set.asked));
        let mut capacity: BTreeMap<RevisionName, u32> = sizes.collect();
        if let Some(stable) = self.field.stable.filter(|stable| *stable != self.to) {
            *capacity.entry(stable.clone()).or_insert(0) += back;
        }
        capacity.insert(self.to.clone(), size);
        without_zeros(capacity)
    }

    /// The surge on top of the whole, seen from the goal of this batch.
    fn room(&self) -> Allowance {
        let most = self.allowance.most(self.size);
        Allowance { surge: most.saturating_sub(self.goal), ..self.allowance }
    }

    /// The wanted number grew: every revision gets its share.
    fn rescale(&self, before: u32, allowance: Allowance) -> BTreeMap<RevisionName, u32> {
        let others = self.others();
        let most_before = allowance.most(before);
        let mut names: Vec<&RevisionName> = others.iter().map(|(name, _)| *name).collect();
        names.push(self.to);
        let asked = |name: &RevisionName| self.field.s.observed.revision(name).desired;
        let sets: Vec<Sharing> =
            names.iter().zip(0..).map(|(name, created)| Sharing { asked: asked(name), most_before, created }).collect();
        // Those on their way out still take room.
        let ending: u32 = self.field.s.observed.revisions.values().map(|r| r.terminating).sum();
        let room = self.allowance.most(self.size).saturating_sub(ending);
        if room <= sets.iter().map(|set| set.asked).sum() {
            return self.step();
        }
        let sizes = proportional(&sets, room, 0);
        without_zeros(names.into_iter().cloned().zip(sizes).collect())
    }

    /// Whether traffic is as this statement says.
    fn routed(&self, want: &DesiredState) -> bool {
        self.field.s.observed.routes_as(want)
    }
}

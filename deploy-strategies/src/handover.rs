//! The last stretch of a rollout: the new revision at full size, then all the traffic, then the old side goes.

use std::time::Duration;

use deploy_core::strategy::{Next, Reason, ReasonCode};
use deploy_core::target::DesiredState;
use deploy_core::time::{Spell, millis};
use serde::{Deserialize, Serialize};

use crate::field::Field;
use crate::watch::Watch;

/// What is remembered of a handover.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Handover {
    /// For how long the new revision has carried everything, as far as it was seen; milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quiet: Option<u64>,
    /// Whether the old side has been let go.
    #[serde(default)]
    released: bool,
}

/// What a handover is given beside the field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HandoverLimits {
    /// How long the old side stays after the new one carries everything.
    pub(crate) scale_down_delay: Duration,
    /// How long nothing may move.
    pub(crate) progress_deadline: Duration,
    /// Whether the old side may go, as far as others are asked.
    pub(crate) may_release: bool,
}

/// One answer: what should be there, when to look again, why.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) want: DesiredState,
    pub(crate) next: Next,
    pub(crate) reason: Reason,
}

impl Handover {
    /// Goes on. `tick` is the observed time since the last look, `watch` counts how long nothing has moved.
    pub(crate) fn decide(
        &mut self,
        field: &Field<'_>,
        watch: &mut Watch,
        tick: Duration,
        limits: HandoverLimits,
    ) -> Answer {
        let (new, whole, size) = (field.new_now(), field.whole(), field.size);
        if self.released && !field.answers(field.new) && field.stable.is_some_and(|stable| field.answers(stable)) {
            // The new side is gone while some of the old one still lives: hold on to that.
            *self = Self::default();
        }
        let covered = new.ready >= size;
        let carries = covered && field.routed(whole);
        if !self.released {
            self.quiet = carries.then(|| self.quiet.map_or(0, |quiet| quiet.saturating_add(millis(tick))));
            let first = field.stable.is_none() && field.others_now().is_empty();
            let quiet = self.quiet.map(Duration::from_millis);
            let long_enough = quiet.is_some_and(|quiet| first || quiet >= limits.scale_down_delay);
            self.released = limits.may_release && long_enough;
        }
        let want = self.want(field, covered);
        let (next, reason) = self.next(field, watch, tick, limits, &want, carries);
        Answer { want, next, reason }
    }

    fn want(&self, field: &Field<'_>, covered: bool) -> DesiredState {
        if self.released {
            let weights = field.split(field.whole());
            return DesiredState { weights, ..field.goal() };
        }
        let mut capacity = field.others_now();
        if let Some(stable) = field.stable {
            // Full size until the new side carries everything, also if somebody else took instances away.
            let before = field.s.from.revision(stable).desired;
            capacity.insert(stable.clone(), field.s.observed.wanted_by_others.unwrap_or(before));
        }
        capacity.insert(field.new.clone(), field.size);
        let wished = if covered { field.whole() } else { field.weight_now() };
        field.statement(capacity, field.split(wished))
    }

    fn next(
        &self,
        field: &Field<'_>,
        watch: &mut Watch,
        tick: Duration,
        limits: HandoverLimits,
        want: &DesiredState,
        carries: bool,
    ) -> (Next, Reason) {
        let (s, new, name, size) = (field.s, field.new_now(), field.new, field.size);
        if self.released && carries {
            if s.observed.satisfies(&field.goal()) {
                return (Next::Complete, Self::done(field));
            }
            let left: u32 = field
                .s
                .observed
                .revisions
                .iter()
                .filter(|(n, _)| *n != name)
                .map(|(_, r)| r.desired.max(r.ready) + r.terminating)
                .sum();
            let waited = watch.wait(tick, u64::from(u32::MAX - left));
            if waited >= limits.progress_deadline {
                let text = format!(
                    "{name} carries everything; {left} old instances are still on their way out after {}",
                    Spell(waited)
                );
                return (
                    Next::Complete,
                    Reason::new(ReasonCode::RolledOut, text)
                        .otherwise("with no old instance left it would be complete without remainder"),
                );
            }
            let text = format!("{name} carries everything; {left} old instances are on their way out");
            let reason = Reason::new(ReasonCode::WaitingForTarget, text).otherwise("it is complete when none is left");
            return (Next::WakeAt(s.now + s.observe_every), reason);
        }
        if carries {
            watch.rest();
            let quiet = Duration::from_millis(self.quiet.unwrap_or(0));
            let left = limits.scale_down_delay.saturating_sub(quiet);
            let text = format!(
                "{name} carries everything since {}; the old side stays for another {}",
                Spell(quiet),
                Spell(left)
            );
            let reason = Reason::new(ReasonCode::Soaking, text).otherwise("if it fails now, traffic goes back at once");
            let wake = if left.is_zero() { s.observe_every } else { left };
            return (Next::WakeAt(s.now + wake), reason);
        }
        let waited = watch.wait(tick, u64::from(new.ready.min(size)) + 1 + u64::from(field.routed(field.whole())));
        if waited >= limits.progress_deadline {
            let text = format!(
                "{} of {size} instances of {name} are ready and nothing has moved for {}, limit {}",
                new.ready,
                Spell(waited),
                Spell(limits.progress_deadline)
            );
            let reason = Reason::new(ReasonCode::ProgressDeadline, text)
                .otherwise("one more ready instance would have started the time again");
            return (Next::RollBack, reason);
        }
        let reason = if new.ready < size {
            let text = format!(
                "{} of {size} instances of {name} are ready; nothing has moved for {} of {}",
                new.ready,
                Spell(waited),
                Spell(limits.progress_deadline)
            );
            Reason::new(ReasonCode::WaitingForInstances, text)
                .otherwise("with all of them ready it would get all the traffic")
        } else {
            let text = format!(
                "all {size} instances of {name} are ready; traffic is {} of {} and goes to {}",
                field.weight_now(),
                field.whole(),
                want.weights.get(name).copied().unwrap_or(0)
            );
            Reason::new(ReasonCode::WaitingForTarget, text)
                .otherwise("when the place reads back so, the old side may go")
        };
        (Next::WakeAt(s.now + s.observe_every), reason)
    }

    fn done(field: &Field<'_>) -> Reason {
        let (name, size) = (field.new, field.size);
        let (code, text) = if field.s.wanted.is_none() {
            (ReasonCode::AlreadyThere, format!("{name} is there already, {size} instances ready"))
        } else if field.s.from.revisions.values().all(|r| r.desired == 0) {
            (ReasonCode::FirstInstall, format!("{name} is the first revision here, {size} instances ready"))
        } else {
            (ReasonCode::RolledOut, format!("{name} is out: {size} instances ready, nothing of the old side left"))
        };
        Reason::new(code, text)
            .otherwise("an instance that is not ready, or one of the old side, would have kept it open")
    }
}

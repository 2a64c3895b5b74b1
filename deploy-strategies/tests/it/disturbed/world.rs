//! A place under a strategy, and what the next look makes of it. Only what decides how it goes on is kept, in one form for each way
//! of saying it: instances as sorted ticks, times as distances, the statements that were made only as far as they may still be unseen.

use std::collections::VecDeque;
use std::rc::Rc;

use deploy_core::release::Release;
use deploy_core::strategy::{Decision, Memory, Next, Situation, Strategy};
use deploy_core::target::{DesiredState, TargetState};
use deploy_core::time::RunTime;

use crate::bar::{Bar, Shown};
use crate::exploration::{EVERY, timeless};
use crate::model::{Place, revision};

use super::print::Print;

/// How old what is shown may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// Always so many looks old.
    Always(usize),
    /// At each look anything from fresh to so many looks old, but never older than what was shown before.
    Upto(usize),
}

/// One place to explore.
#[derive(Clone)]
pub(super) struct Course<'a> {
    pub(super) name: String,
    pub(super) strategy: &'a dyn Strategy,
    pub(super) release: Release,
    pub(super) from: TargetState,
    /// How many fewer than wanted may be ready, and how many more than wanted there may be.
    pub(super) fewer: u32,
    pub(super) more: u32,
    pub(super) with_ending: bool,
    pub(super) age: Age,
    /// How many looks an instance takes to start, and to end.
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) disturbances: u8,
}

/// What was there at an earlier look, with what was asked for right then.
type Past = (TargetState, Option<Rc<DesiredState>>);

/// Everything that decides how it goes on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) place: Place,
    /// What was there at earlier looks that may still be shown, oldest first.
    past: VecDeque<Rc<Past>>,
    last: Option<(Rc<DesiredState>, Rc<Memory>)>,
    going_back: bool,
    pub(super) left: u8,
    /// The fewest and the most that were ever wanted.
    wanted: (u32, u32),
}

/// What happens to the place between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disturbance {
    Dies(bool),
    Wanted(i64),
    Scaled(bool, i64),
    Lingers,
    Abort,
}

pub(super) const DISTURBANCES: [Disturbance; 9] = [
    Disturbance::Dies(false),
    Disturbance::Dies(true),
    Disturbance::Wanted(-1),
    Disturbance::Wanted(2),
    Disturbance::Scaled(false, -1),
    Disturbance::Scaled(true, -1),
    Disturbance::Scaled(true, 1),
    Disturbance::Lingers,
    Disturbance::Abort,
];

/// All that a decision rests on beside what is the same in a whole course.
#[derive(Debug, Hash)]
pub(super) struct Question<'a> {
    observed: &'a TargetState,
    last: Option<&'a (Rc<DesiredState>, Rc<Memory>)>,
    going_back: bool,
}

/// A decision, whose memory has its times as distances.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) decision: Decision,
    want: Rc<DesiredState>,
    memory: Rc<Memory>,
}

impl Question<'_> {
    pub(super) fn print(&self) -> Print {
        Print::of(self)
    }

    pub(super) fn ask(&self, course: &Course<'_>) -> Answer {
        let nothing = Memory::empty();
        let (wanted, memory) = match self.last {
            Some((want, memory)) => (Some(&**want), &**memory),
            None => (None, &nothing),
        };
        // Time is told as distances alone, so that the same place at another hour is the same world.
        let situation = Situation::first(&course.release, self.observed)
            .from(&course.from)
            .wanted(wanted)
            .memory(memory)
            .at(RunTime(0), if self.last.is_some() { EVERY } else { std::time::Duration::ZERO })
            .observe_every(EVERY);
        let decision =
            if self.going_back { course.strategy.revert(&situation) } else { course.strategy.decide(&situation) };
        let memory = Rc::new(timeless(&decision.memory));
        Answer { want: Rc::new(decision.want.clone()), memory, decision }
    }
}

impl World {
    pub(super) fn beginning(course: &Course<'_>) -> Self {
        let size = course.from.revisions.values().map(|r| r.desired).sum();
        Self {
            place: Place::new(&course.from, course.start, course.end),
            past: VecDeque::new(),
            last: None,
            going_back: false,
            left: course.disturbances,
            wanted: (size, size),
        }
    }

    /// The same world disturbed; nothing where there is nothing to disturb. Somebody who scales one revision by hand is believed at
    /// once, so that is explored only where what is shown is fresh.
    pub(super) fn disturbed(&self, course: &Course<'_>, disturbance: Disturbance) -> Option<Self> {
        let mut world = Self { left: self.left.checked_sub(1)?, ..self.clone() };
        let side = |new: bool| revision(if new { "v2" } else { "v1" });
        match disturbance {
            Disturbance::Dies(new) => world.place.kill(&side(new)),
            Disturbance::Wanted(by) => {
                let size = course.from.revisions.values().map(|r| r.desired).sum::<u32>();
                let wanted = u32::try_from(i64::from(size) + by).ok().filter(|wanted| *wanted > 0)?;
                world.place.state.wanted_by_others = Some(wanted);
                world.wanted = (self.wanted.0.min(wanted), self.wanted.1.max(wanted));
            }
            Disturbance::Scaled(..) if course.age != Age::Always(0) => return None,
            Disturbance::Scaled(new, by) => {
                let desired = world.place.instances.get(&side(new))?.desired;
                world.place.scale(&side(new), u32::try_from(i64::from(desired) + by).ok()?);
            }
            Disturbance::Lingers => {
                world.place.instances.values_mut().flat_map(|i| &mut i.ending).for_each(|t| *t += 2)
            }
            Disturbance::Abort => world.going_back = self.last.is_some(),
        }
        (world.place != self.place || world.going_back != self.going_back).then_some(world)
    }

    /// How old what is shown now may be.
    pub(super) fn ages(&self, age: Age) -> std::ops::RangeInclusive<usize> {
        match age {
            Age::Always(age) => self.past.len().min(age)..=self.past.len().min(age),
            Age::Upto(oldest) => 0..=self.past.len().min(oldest),
        }
    }

    /// What is shown if it is so old.
    pub(super) fn shown(&self, age: usize) -> TargetState {
        let at = self.past.len() - age;
        self.past.get(at).map_or_else(|| self.place.observe(), |past| past.0.clone())
    }

    pub(super) fn question<'a>(&'a self, observed: &'a TargetState) -> Question<'a> {
        Question { observed, last: self.last.as_ref(), going_back: self.going_back }
    }

    /// Takes one look, shown what was there `age` looks ago, with this answer: the next world, or nothing at the end.
    pub(super) fn look(
        &self,
        course: &Course<'_>,
        age: usize,
        observed: &TargetState,
        answer: &Answer,
    ) -> Option<Self> {
        let at = self.past.len() - age;
        let decision = &answer.decision;
        let size = self.wanted;
        let bar = Bar {
            least: size.0.saturating_sub(course.fewer),
            most: size.1 + course.more,
            with_ending: course.with_ending,
        };
        let mut next = self.clone();
        if decision.next == Next::RollBack {
            // What it wants is not asked for: the way back is decided by the run.
            assert!(!self.going_back, "{}: a way back that goes back: {self:?}", course.name);
            let want = self.last.as_ref().map_or_else(|| Rc::new(observed.as_desired()), |(want, _)| Rc::clone(want));
            next.last = Some((want, Rc::clone(&answer.memory)));
            next.going_back = true;
            if matches!(course.age, Age::Upto(_)) {
                next.past.drain(..at);
            }
            return Some(next);
        }
        let since: Vec<&DesiredState> = self.past.iter().skip(at).filter_map(|past| past.1.as_deref()).collect();
        let shown = Shown {
            observed,
            since: &since,
            last: self.last.as_ref().map(|(want, _)| &**want),
            from: &course.from,
            release: &course.release,
        };
        let story = || format!("{}\n{self:?}\n{decision:?}", course.name);
        bar.hold_traffic(&shown, &decision.want, &story);
        // The engine states again only what is new, or seen to be otherwise.
        let stated = self.last.as_ref().is_none_or(|(want, _)| **want != decision.want)
            || !observed.counts_as(&decision.want)
            || !observed.routes_as(&decision.want);
        if stated {
            bar.hold_capacity(&shown, &decision.want, &story);
        }
        match &decision.next {
            // The engine believes that it is complete only when it sees so.
            Next::Complete if !observed.satisfies(&decision.want) => {}
            Next::Complete => {
                let alone = revision(if self.going_back { "v1" } else { "v2" });
                let left = observed.revisions.iter().filter(|(_, r)| r.desired > 0).map(|(name, _)| name);
                assert_eq!(left.collect::<Vec<_>>(), [&alone], "{}: {self:?}", course.name);
                return None;
            }
            Next::WakeAt(at) => assert!(*at > RunTime(0), "{}: {self:?}", course.name),
            Next::RollBack | Next::Await(_) => panic!("{}: nobody is there to be asked: {self:?}", course.name),
        }
        let (Age::Always(oldest) | Age::Upto(oldest)) = course.age;
        if oldest > 0 {
            next.past.push_back(Rc::new((self.place.observe(), stated.then(|| Rc::clone(&answer.want)))));
        }
        // Never older than what was shown, and never older than may be.
        let forget = match course.age {
            Age::Always(_) => next.past.len().saturating_sub(oldest),
            Age::Upto(_) => at.max(next.past.len().saturating_sub(oldest)),
        };
        next.past.drain(..forget.min(next.past.len()));
        if stated {
            next.place.apply(&decision.want);
        }
        next.place.tick();
        next.last = Some((Rc::clone(&answer.want), Rc::clone(&answer.memory)));
        Some(next)
    }
}

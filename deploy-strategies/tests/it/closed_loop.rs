//! A strategy and a place in a closed loop: what a strategy must never do, whatever happens to the place.

use std::time::Duration;

use deploy_core::monitor::{MeasureRequest, Measured, Measurement};
use deploy_core::name::RevisionName;
use deploy_core::release::Release;
use deploy_core::strategy::{Decision, Memory, Next, Promotion, Situation, Strategy};
use deploy_core::target::{DesiredState, TargetState};
use deploy_core::time::RunTime;

use crate::model::Place;

/// How often the loop looks.
pub(crate) const EVERY: Duration = Duration::from_secs(10);

/// How a run in the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Complete,
    RolledBack,
    Unfinished,
}

/// What is held against every statement.
#[derive(Debug, Clone)]
pub(crate) struct Bar {
    /// The fewest ready instances that our own action may leave.
    pub(crate) least: u32,
    /// The most instances that we may ask for in all.
    pub(crate) most: u32,
    /// Whether instances on their way out count among them when more are asked for.
    pub(crate) with_ending: bool,
}

/// What a monitor answers at a time.
pub(crate) type Answers = fn(&MeasureRequest, RunTime) -> Result<Vec<Measurement>, String>;

/// A strategy at work on a place.
#[derive(Debug)]
pub(crate) struct Loop<'a, S: ?Sized> {
    pub(crate) strategy: &'a S,
    pub(crate) release: Release,
    pub(crate) from: TargetState,
    pub(crate) place: Place,
    pub(crate) now: RunTime,
    pub(crate) bar: Bar,
    stage: Option<u32>,
    observed_for: Duration,
    last: Option<Decision>,
    pub(crate) going_back: bool,
    pub(crate) log: Vec<String>,
    pub(crate) monitor: Answers,
}

impl<'a, S: Strategy + ?Sized> Loop<'a, S> {
    pub(crate) fn new(strategy: &'a S, release: Release, place: Place, bar: Bar) -> Self {
        let from = place.observe();
        Self {
            strategy,
            release,
            from,
            place,
            now: RunTime::START,
            bar,
            stage: None,
            observed_for: Duration::ZERO,
            last: None,
            going_back: false,
            log: Vec::new(),
            monitor: |_, _| Err("nobody measures here".to_owned()),
        }
    }

    /// One look: observe, decide, hold the statement against the bar, apply. `yes` answers every question that is asked.
    pub(crate) fn look(&mut self, promotion: Promotion) -> Option<End> {
        let observed = self.place.observe();
        let asked = self.last.iter().flat_map(|last| &last.measure);
        let measured: Vec<Measured> = asked
            .map(|request| Measured {
                request: request.clone(),
                at: self.now,
                result: (self.monitor)(request, self.now),
            })
            .collect();
        let empty = Memory::empty();
        let first = Situation::first(&self.release, &observed).from(&self.from).observe_every(EVERY).memory(&empty);
        let situation = match &self.last {
            None => first,
            Some(last) => first.later(&observed, last, self.now, self.observed_for),
        }
        .promotion(promotion)
        .measured(&measured);
        let decision =
            if self.going_back { self.strategy.revert(&situation) } else { self.strategy.decide(&situation) };
        self.log
            .push(format!("{} {} {:?} {:?}", self.now, decision.reason, decision.want.capacity, decision.want.weights));
        self.check(&observed, &decision.want);
        self.place.apply(&decision.want);
        if self.stage != Some(decision.stage.index) {
            self.stage = Some(decision.stage.index);
            self.observed_for = Duration::ZERO;
        }
        let end = match (&decision.next, self.going_back) {
            (Next::Complete, false) => Some(End::Complete),
            (Next::Complete, true) => Some(End::RolledBack),
            (Next::RollBack, _) => {
                self.going_back = true;
                None
            }
            (Next::WakeAt(at), _) => {
                assert!(*at > self.now, "a wake in the past: {}", self.story());
                None
            }
            (Next::Await(_), _) => None,
        };
        self.last = Some(decision);
        end
    }

    pub(crate) fn last(&self) -> &Decision {
        self.last.as_ref().unwrap()
    }

    pub(crate) fn asks(&self) -> bool {
        matches!(self.last.as_ref().map(|d| &d.next), Some(Next::Await(_)))
    }

    /// Time goes on by one interval of looks.
    pub(crate) fn tick(&mut self) {
        self.place.tick();
        self.now = self.now + EVERY;
        self.observed_for += EVERY;
    }

    /// Looks and ticks until it ends, answering questions with yes.
    pub(crate) fn run(&mut self, most_looks: u32) -> End {
        for _ in 0..most_looks {
            let promotion = if self.asks() { Promotion::Skip } else { Promotion::None };
            if let Some(end) = self.look(promotion) {
                return end;
            }
            self.tick();
        }
        End::Unfinished
    }

    pub(crate) fn story(&self) -> String {
        self.log.join("\n")
    }

    fn check(&self, observed: &TargetState, want: &DesiredState) {
        let story = || format!("{observed:?}\n{want:?}\n{}", self.story());
        // I10
        assert!(want.weights_are_whole(), "weights are not whole: {}", story());
        let ready = |name: &RevisionName| observed.revision(name).ready;
        let alive = want.capacity.keys().chain(observed.weights.keys()).any(|name| ready(name) > 0);
        for (name, weight) in &want.weights {
            // I9
            let raised = *weight > observed.weight(name);
            assert!(!raised || ready(name) > 0, "traffic raised to {name} without a ready instance: {}", story());
            assert!(
                !alive || ready(name) > 0 || self.nobody_else(observed, want, name),
                "traffic stays on {name}: {}",
                story()
            );
        }
        // I8, lower side: what serves keeps as many ready instances as there were, or the declared least; and whatever
        // serves or not, the last healthy copy stays.
        let serves = |name: &RevisionName| observed.max_weight == 0 || observed.weight(name) > 0;
        let stays = |name: &RevisionName, ready: u32| ready.min(want.capacity.get(name).copied().unwrap_or(0));
        let serving = || observed.revisions.iter().filter(|(name, _)| serves(name));
        let kept: u32 = serving().map(|(name, r)| stays(name, r.ready)).sum();
        let before: u32 = serving().map(|(_, r)| r.ready).sum();
        assert!(
            kept >= before.min(self.bar.least),
            "{kept} of {before} serving instances are kept, the least is {}: {}",
            self.bar.least,
            story()
        );
        let copies: u32 = observed.revisions.iter().map(|(name, r)| stays(name, r.ready)).sum();
        assert!(copies > 0 || !alive || self.bar.least == 0, "the last healthy copy goes: {}", story());
        // I8, upper side.
        let asked: u32 = want.capacity.values().sum();
        let there: u32 = observed.revisions.values().map(|r| r.desired).sum();
        let ending: u32 = observed.revisions.values().map(|r| r.terminating).sum();
        let grows = want.capacity.iter().any(|(name, count)| *count > observed.revision(name).desired);
        assert!(
            !self.bar.with_ending || !grows || asked + ending <= self.bar.most.max(there + ending),
            "{asked} instances are asked for while {ending} still take room, the most is {}: {}",
            self.bar.most,
            story()
        );
        assert!(
            asked <= self.bar.most.max(there),
            "{asked} instances are asked for, the most is {}: {}",
            self.bar.most,
            story()
        );
    }

    /// Whether none of the sides that could carry traffic has a ready instance.
    fn nobody_else(&self, observed: &TargetState, want: &DesiredState, but: &RevisionName) -> bool {
        want.weights
            .keys()
            .chain(self.from.weights.keys())
            .chain([&self.release.revision])
            .all(|name| name == but || observed.revision(name).ready == 0)
    }
}

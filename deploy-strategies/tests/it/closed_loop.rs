//! A strategy and a place in a closed loop: what a strategy must never do, whatever happens to the place.

use std::time::Duration;

use deploy_core::monitor::{MeasureRequest, Measured, Measurement};
use deploy_core::release::Release;
use deploy_core::strategy::{Decision, Memory, Next, Promotion, Situation, Strategy};
use deploy_core::target::TargetState;
use deploy_core::time::{RunTime, Timestamp};

use crate::bar::{Bar, Shown};
use crate::model::Place;

/// How often the loop looks.
pub(crate) const EVERY: Duration = Duration::from_secs(10);

/// How many random runs each strategy is put through. None may break a promise or fail to end.
pub(crate) const RUNS: u32 = 100_000;

/// Every pair of limits, surge and unavailable, within which something can move.
pub(crate) fn limits() -> Vec<(u32, u32)> {
    let pairs = (0..=3).flat_map(|surge| (0..=3).map(move |unavailable| (surge, unavailable)));
    pairs.filter(|(surge, unavailable)| surge + unavailable > 0).collect()
}

/// How a run in the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Complete,
    RolledBack,
    Unfinished,
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
    /// Wall time, which stands still.
    pub(crate) wall: Timestamp,
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
            wall: Timestamp::default(),
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
        .wall(self.wall)
        .measured(&measured);
        let mut decision =
            if self.going_back { self.strategy.revert(&situation) } else { self.strategy.decide(&situation) };
        crate::told::hold(&decision, self.now, &|| format!("{decision:?}\n{}", self.story()));
        if decision.next == Next::RollBack {
            // What it wants is not asked for: the way back is decided by the run.
            self.log.push(format!("{} {}", self.now, decision.reason));
            let want = self.last.take().map_or_else(|| observed.as_desired(), |last| last.want);
            let (reason, judgements) = (decision.reason.clone(), decision.judgements.clone());
            self.last = Some(Decision { want, ..decision });
            self.going_back = true;
            // The engine begins the way back at once; what is told of this look is why.
            let end = self.look(Promotion::None);
            let last = self.last.take().map(|last| Decision { reason, judgements, next: Next::RollBack, ..last });
            self.last = last;
            return end;
        }
        self.log
            .push(format!("{} {} {:?} {:?}", self.now, decision.reason, decision.want.capacity, decision.want.weights));
        let shown = Shown {
            observed: &observed,
            since: &[],
            last: self.last.as_ref().map(|last| &last.want),
            from: &self.from,
            release: &self.release,
        };
        self.bar.hold(&shown, &decision.want, &|| format!("{observed:?}\n{:?}\n{}", decision.want, self.story()));
        self.place.apply(&decision.want);
        decision.want.based_on = observed.version;
        if self.stage != Some(decision.stage.index) {
            self.stage = Some(decision.stage.index);
            self.observed_for = Duration::ZERO;
        }
        let end = match (&decision.next, self.going_back) {
            (Next::Complete, false) => Some(End::Complete),
            (Next::Complete, true) => Some(End::RolledBack),
            (Next::RollBack, _) => None,
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
}

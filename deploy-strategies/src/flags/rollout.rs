//! Raises the percentage of a flag step by step.

use deploy_core::name::BlockName;
use deploy_core::real::Real;
use deploy_core::release::Release;
use deploy_core::strategy::{
    Decision, Exposure, Memory, Next, Outline, OutlineStage, Promotion, Reason, ReasonCode, Situation, Stage, Strategy,
};
use deploy_core::target::{Capabilities, DesiredState, TargetState};
use deploy_core::time::{Spell, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::build::{FlagRolloutBuilder, FlagStep};
use crate::analysis::{Analysis, AnalysisState, Standing, monitors_of};
use crate::exposure::Met;
use crate::field::Field;
use crate::hold::{Held, Hold, Then};
use crate::said::Said;
use crate::watch::Watch;

/// Raises the percentage of a feature flag step by step, guarded by monitors. Instances and traffic stay as they are.
///
/// A raised percentage only adds users: whoever has the flag keeps it until it goes back. If somebody lowers it meanwhile, that is
/// the kill switch: the rollout goes back, and never raises the flag above what that person left.
///
/// Before each step the flags that it [requires](FlagRolloutBuilder::requires) have to be on. A flag past the date at which it
/// [expires](FlagRolloutBuilder::expires) is refused before the run begins; a rollout under way says so in every decision.
///
/// [`Decision::exposure`] counts the users that the rollout added, over all of its steps.
///
/// ```
/// use std::time::Duration;
/// use deploy_core::name::FlagName;
/// use deploy_strategies::flags::{FlagRollout, FlagStep};
/// use deploy_strategies::share::Percent;
///
/// let day = Duration::from_secs(86_400);
/// let rollout = FlagRollout::builder(FlagName::new("new-search")?)
///     .step(FlagStep::percent(Percent::new(1)?).soak(day))
///     .step(FlagStep::percent(Percent::new(25)?).soak(day))
///     .step(FlagStep::percent(Percent::new(100)?))
///     .build()?;
/// assert_eq!(rollout.spec().steps.len(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "FlagRolloutBuilder", into = "FlagRolloutBuilder")]
pub struct FlagRollout {
    spec: FlagRolloutBuilder,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Remembered {
    step: u32,
    /// Whether the step has not begun, since another flag is not on.
    lacks: bool,
    watch: Watch,
    held: Held,
    /// Whether this step's percentage has been seen in place.
    seen: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    analysis: Vec<AnalysisState>,
    met: Met,
    /// The highest percentage that the way back may leave.
    #[serde(skip_serializing_if = "Option::is_none")]
    ceiling: Option<Real>,
}

impl FlagRollout {
    /// A rollout of a flag, to which steps are added.
    #[must_use]
    pub fn builder(flag: deploy_core::name::FlagName) -> FlagRolloutBuilder {
        FlagRolloutBuilder::of(flag)
    }

    pub(super) fn of(spec: FlagRolloutBuilder) -> Self {
        Self { spec }
    }

    pub(super) fn into_spec(self) -> FlagRolloutBuilder {
        self.spec
    }

    /// Its description.
    #[must_use]
    pub fn spec(&self) -> &FlagRolloutBuilder {
        &self.spec
    }

    fn percent_in(&self, state: &TargetState) -> Real {
        state.flags.get(&self.spec.flag).copied().unwrap_or(Real::ZERO)
    }

    fn with(&self, observed: &TargetState, percent: Real) -> DesiredState {
        let mut want = observed.as_desired();
        want.flags.insert(self.spec.flag.clone(), percent);
        want
    }

    fn stage(&self, step: u32) -> Stage {
        let of = u32::try_from(self.spec.steps.len()).unwrap_or(u32::MAX);
        let name = self.spec.steps.get(step as usize).map_or_else(|| "out".to_owned(), |step| step.percent.to_string());
        Stage { index: step, of, name }
    }

    /// The part of the users that the rollout has added, of the whole.
    fn added(&self, s: &Situation<'_>) -> (u32, u32) {
        let percent = |state| f64::from(self.percent_in(state)).clamp(0.0, 100.0) * 100.0;
        // Percentages are told to the hundredth.
        ((percent(s.observed) - percent(s.from)).max(0.0).round() as u32, 10_000)
    }

    fn has_expired(&self, wall: Timestamp) -> Option<Timestamp> {
        self.spec.expires.filter(|date| *date <= wall)
    }

    /// The flags that are not on for as many users as they have to be, in a sentence.
    fn lacking(&self, observed: &TargetState) -> Option<String> {
        let now = |flag: &deploy_core::name::FlagName| observed.flags.get(flag).copied().unwrap_or(Real::ZERO);
        let lacking = self.spec.requires.iter().filter(|required| now(&required.flag) < required.at_least.get().into());
        let told = |required: &super::Prerequisite| {
            format!("{} is at {} % and has to be at {}", required.flag, now(&required.flag), required.at_least)
        };
        let told: Vec<String> = lacking.map(told).collect();
        (!told.is_empty()).then(|| told.join(", "))
    }

    fn give(
        &self,
        s: &Situation<'_>,
        want: DesiredState,
        next: Next,
        mut memory: Remembered,
        mut reason: Reason,
        said: Said,
    ) -> Decision {
        if let Some(date) = self.has_expired(s.wall) {
            let flag = &self.spec.flag;
            reason.sentence.push_str(&format!("; {flag} expired at {date}: take it out of the code"));
        }
        let stage = self.stage(memory.step);
        let mut decision = Decision {
            want,
            measure: said.measure,
            next,
            memory: Memory::empty(),
            stage,
            reason,
            judgements: said.judgements,
            exposure: Exposure::NONE,
        };
        memory.met.tell(&mut decision, false);
        Decision { memory: Memory::of(&memory).unwrap_or_default(), ..decision }
    }

    fn back(&self, s: &Situation<'_>, mut memory: Remembered, reason: Reason, said: Said) -> Decision {
        let back = Decision { next: Next::RollBack, reason, judgements: said.judgements, ..self.revert(s) };
        let mut decision = back;
        memory.met.tell(&mut decision, false);
        decision
    }

    /// Goes on to the next step, waits until it may, or is done.
    fn enter(
        &self,
        s: &Situation<'_>,
        memory: Remembered,
        step: usize,
        code: ReasonCode,
        because: &str,
        said: Said,
    ) -> Decision {
        let waited = if memory.lacks { memory.watch.clone() } else { Watch::default() };
        let index = u32::try_from(step).unwrap_or(u32::MAX);
        let mut memory = Remembered { step: index, met: memory.met, ..Remembered::default() };
        let name = &self.spec.flag;
        let now = self.percent_in(s.observed);
        let Some(next) = self.spec.steps.get(step) else {
            let code = if s.wanted.is_none() { ReasonCode::AlreadyThere } else { ReasonCode::RolledOut };
            let reason = Reason::new(code, format!("{because}{name} is at {now} %"))
                .otherwise("a further step would have raised it");
            return self.give(s, self.with(s.observed, now), Next::Complete, memory, reason, said);
        };
        let look = Next::WakeAt(s.now + s.observe_every);
        if let Some(lacking) = self.lacking(s.observed) {
            (memory.lacks, memory.watch) = (true, waited);
            return self.wait(s, memory, &format!("{because}{name} stays at {now} %: {lacking}"));
        }
        let want = self.with(s.observed, Real::from(next.percent.get()).max(now));
        let reason = Reason::new(code, format!("{because}{name} goes from {now} % to {}", next.percent))
            .otherwise("a soak, an analysis, a person or another flag would have held it");
        let said = Said { measure: Vec::new(), ..said };
        self.give(s, want, look, memory, reason, said)
    }

    /// The place does not read back what was asked for.
    fn unread(
        &self,
        s: &Situation<'_>,
        mut memory: Remembered,
        step: &FlagStep,
        want: DesiredState,
        said: Said,
        tick: Duration,
    ) -> Decision {
        let (spec, now) = (&self.spec, self.percent_in(s.observed));
        let waited = memory.watch.wait(tick, 1);
        let text = format!(
            "{} is at {now} % and should be at {}; nothing has moved for {} of {}",
            spec.flag,
            step.percent,
            Spell(waited),
            Spell(spec.progress_deadline)
        );
        if waited >= spec.progress_deadline {
            let reason = Reason::new(ReasonCode::ProgressDeadline, text)
                .otherwise("read back so in time, the step would have held");
            return self.back(s, memory, reason, said);
        }
        let next = said.sooner(Next::WakeAt(s.now + s.observe_every), s.now);
        let reason =
            Reason::new(ReasonCode::WaitingForTarget, text).otherwise("when the place reads back so, the step holds");
        self.give(s, want, next, memory, reason, said)
    }

    /// Another flag has to be on first.
    fn wait(&self, s: &Situation<'_>, mut memory: Remembered, text: &str) -> Decision {
        let tick = memory.watch.tick(s);
        let (waited, limit) = (memory.watch.wait(tick, 1), self.spec.progress_deadline);
        let text = format!("{text}; waits for {} of {}", Spell(waited), Spell(limit));
        if waited >= limit {
            let reason =
                Reason::new(ReasonCode::ProgressDeadline, text).otherwise("the other flag on would have let it go on");
            return self.back(s, memory, reason, Said::nothing());
        }
        let mut text = text;
        if s.promotion == Promotion::Skip {
            text.push_str("; an operator's skip cannot turn another flag on");
        }
        let reason =
            Reason::new(ReasonCode::WaitingForPrerequisite, text).otherwise("with the other flag on it is raised");
        let want = self.with(s.observed, self.percent_in(s.observed));
        self.give(s, want, Next::WakeAt(s.now + s.observe_every), memory, reason, Said::nothing())
    }
}

impl Strategy for FlagRollout {
    fn name(&self) -> BlockName {
        self.spec.name.clone()
    }

    fn needs(&self) -> Capabilities {
        Capabilities { flags: true, ..Capabilities::default() }
    }

    fn monitors(&self) -> Vec<BlockName> {
        monitors_of(self.spec.steps.iter().flat_map(|step| &step.analysis))
    }

    fn outline(&self, _release: &Release, from: &TargetState) -> Outline {
        let now = self.percent_in(from);
        let stage = |step: &FlagStep| {
            let measured = step.analysis.iter().map(Analysis::at_least).max().unwrap_or_default();
            let required = |required: &super::Prerequisite| format!("{} at {}", required.flag, required.at_least);
            let person = step.approval.as_ref().map(|request| format!("a person: {}", request.question));
            let waits: Vec<String> = self.spec.requires.iter().map(required).chain(person).collect();
            OutlineStage {
                name: format!("{} at {}", self.spec.flag, step.percent),
                percent: Some(step.percent.get()),
                at_least: step.soak.max(measured),
                waits_for: waits.join("; "),
            }
        };
        let ahead = self.spec.steps.iter().filter(|step| Real::from(step.percent.get()) > now);
        let expires = self.spec.expires.map(|date| format!("; it should be gone from the code by {date}"));
        Outline {
            stages: ahead.map(stage).collect(),
            basis: format!(
                "the longer of soak and analysis in each step, from {now} % on; people and other flags take as long as they take{}",
                expires.unwrap_or_default()
            ),
        }
    }

    fn objection(&self, _release: &Release, wall: Timestamp) -> Option<String> {
        let date = self.has_expired(wall)?;
        Some(format!("flag {} expired at {date}; take it out of the code, or give it a later date", self.spec.flag))
    }

    fn decide(&self, situation: &Situation<'_>) -> Decision {
        let (spec, s) = (&self.spec, situation);
        let field = Field::of(s, None);
        let now = self.percent_in(s.observed);
        let mut memory: Remembered = s.memory.read().ok().flatten().unwrap_or_default();
        memory.met.look(s, self.added(s));
        if s.wanted.is_none() {
            if let Some(date) = self.has_expired(s.wall) {
                let reason =
                    Reason::new(ReasonCode::Expired, format!("{} expired at {date} and is not raised", spec.flag))
                        .otherwise("a later date would have let it begin");
                return self.back(s, memory, reason, Said::nothing());
            }
            let first = spec.steps.iter().position(|step| Real::from(step.percent.get()) > now);
            let first = first.unwrap_or(spec.steps.len());
            return self.enter(s, memory, first, ReasonCode::Advanced, "", Said::nothing());
        }
        let last = spec.steps.len() - 1;
        if s.promotion == Promotion::Full && (memory.step as usize) < last {
            let because = "an operator skipped every further step; ";
            return self.enter(s, memory, last, ReasonCode::PromotedFullyByOperator, because, Said::nothing());
        }
        if memory.lacks {
            let step = memory.step as usize;
            return self.enter(s, memory, step, ReasonCode::Advanced, "", Said::nothing());
        }
        let tick = memory.watch.tick(s);
        let Some(step) = spec.steps.get(memory.step as usize) else {
            return self.enter(s, memory, spec.steps.len(), ReasonCode::RolledOut, "", Said::nothing());
        };
        let wanted = Real::from(step.percent.get());
        if memory.seen && now < wanted {
            let text = format!("somebody lowered {} from {} to {now} %", spec.flag, step.percent);
            let reason = Reason::new(ReasonCode::KillSwitch, text).otherwise("left alone it would have gone on");
            return self.back(s, memory, reason, Said::nothing());
        }
        let in_place = now >= wanted;
        memory.seen |= in_place;
        memory.held.look(in_place, !in_place, tick);
        let said = Said::all(&field, &step.analysis, &mut memory.analysis, in_place);
        if let Standing::Bad(code) = said.standing {
            let reason = Reason::new(code, format!("{} at {}: {}", spec.flag, step.percent, said.because));
            return self.back(s, memory, reason.otherwise(said.otherwise.clone()), said);
        }
        let want = self.with(s.observed, wanted.max(now));
        if !in_place {
            return self.unread(s, memory, step, want, said, tick);
        }
        memory.watch.rest();
        let title = format!("{} at {}", spec.flag, step.percent);
        let hold = Hold {
            title: &title,
            soak: step.soak,
            approval: step.approval.as_ref(),
            on_inconclusive: &spec.on_inconclusive,
            patience: spec.progress_deadline + step.analysis.iter().map(Analysis::at_least).max().unwrap_or_default(),
        };
        match memory.held.decide(&hold, s, &said, tick) {
            Then::Stay(next, reason) => self.give(s, want, next, memory, reason, said),
            Then::Back(reason) => self.back(s, memory, reason, said),
            Then::Go(code, text) => {
                let next = memory.step as usize + 1;
                self.enter(s, memory, next, code, &format!("{text}; "), said)
            }
        }
    }

    fn revert(&self, situation: &Situation<'_>) -> Decision {
        let s = situation;
        let before: Remembered = s.memory.read().ok().flatten().unwrap_or_default();
        let now = self.percent_in(s.observed);
        // Never above what was there before, and never above what somebody left who threw the kill switch meanwhile.
        let ceiling = before.ceiling.unwrap_or(now).min(now).min(self.percent_in(s.from));
        let done = now == ceiling;
        let text = format!("{} is at {now} % and goes back to {ceiling} %", self.spec.flag);
        let (next, code) = if done {
            (Next::Complete, ReasonCode::Restored)
        } else {
            (Next::WakeAt(s.now + s.observe_every), ReasonCode::Restoring)
        };
        let mut memory = Remembered { ceiling: Some(ceiling), met: before.met, ..Remembered::default() };
        memory.met.look(s, self.added(s));
        let want = self.with(s.observed, ceiling);
        let stage = Stage { index: u32::from(done), of: 1, name: "restore".to_owned() };
        let reason = Reason::new(code, text).otherwise("a lower percentage that somebody sets meanwhile stays");
        let mut decision = Decision {
            want,
            measure: Vec::new(),
            next,
            memory: Memory::empty(),
            stage,
            reason,
            judgements: Vec::new(),
            exposure: Exposure::NONE,
        };
        memory.met.tell(&mut decision, false);
        Decision { memory: Memory::of(&memory).unwrap_or_default(), ..decision }
    }
}

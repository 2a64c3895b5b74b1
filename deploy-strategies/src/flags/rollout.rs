//! Raises the percentage of a flag step by step.

use std::time::Duration;

use deploy_core::name::{BlockName, FlagName};
use deploy_core::operator::ApprovalRequest;
use deploy_core::real::Real;
use deploy_core::release::Release;
use deploy_core::strategy::{
    Decision, Exposure, Memory, Next, Outline, OutlineStage, Promotion, Reason, ReasonCode, Situation, Stage, Strategy,
};
use deploy_core::target::{Capabilities, DesiredState, TargetState};
use deploy_core::time::Spell;
use serde::{Deserialize, Serialize};

use crate::analysis::{Analysis, AnalysisState, Standing, monitors_of};
use crate::field::Field;
use crate::hold::{Held, Hold, OnInconclusive, Then};
use crate::named::named;
use crate::refusal::{Problems, Refused};
use crate::said::Said;
use crate::share::Percent;
use crate::span;
use crate::watch::Watch;

/// One step of a flag's rollout.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlagStep {
    /// How many users have the flag then.
    pub percent: Percent,
    /// For how long it is observed. Default: not at all.
    #[serde(default, with = "span", skip_serializing_if = "Duration::is_zero")]
    pub soak: Duration,
    /// Who is asked at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalRequest>,
    /// What is measured in it; all of it has to be good before the next one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub analysis: Vec<Analysis>,
}

impl FlagStep {
    /// A step to this percentage, followed by the next one at once.
    #[must_use]
    pub fn percent(percent: Percent) -> Self {
        Self { percent, soak: Duration::ZERO, approval: None, analysis: Vec::new() }
    }

    /// The same step, observed for this long.
    #[must_use]
    pub fn soak(mut self, soak: Duration) -> Self {
        self.soak = soak;
        self
    }

    /// The same step; a person is asked this at its end.
    #[must_use]
    pub fn approval(mut self, question: impl Into<String>) -> Self {
        self.approval = Some(ApprovalRequest::new(question));
        self
    }

    /// The same step with one more analysis.
    #[must_use]
    pub fn analysis(mut self, analysis: Analysis) -> Self {
        self.analysis.push(analysis);
        self
    }
}

/// The description of a flag's rollout, as it stands in a file. [`build`](Self::build) checks it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlagRolloutBuilder {
    /// How plans and records name it. Default: `flag-rollout`.
    #[serde(default = "default_name")]
    pub name: BlockName,
    /// The flag.
    pub flag: FlagName,
    /// In order, each larger than the one before. Those that do not exceed what is there at the beginning are passed over.
    pub steps: Vec<FlagStep>,
    /// What happens when an analysis cannot tell. Default: a person is asked, for 24 h.
    #[serde(default)]
    pub on_inconclusive: OnInconclusive,
    /// How long nothing may move while the place or measurements are waited for. Default: 10 min.
    #[serde(default = "ten_minutes", with = "span")]
    pub progress_deadline: Duration,
}

fn default_name() -> BlockName {
    named("flag-rollout")
}

fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

impl FlagRolloutBuilder {
    /// The same rollout under another name.
    #[must_use]
    pub fn name(mut self, name: BlockName) -> Self {
        self.name = name;
        self
    }

    /// The same rollout with one more step.
    #[must_use]
    pub fn step(mut self, step: FlagStep) -> Self {
        self.steps.push(step);
        self
    }

    /// The same rollout with another answer to doubt.
    #[must_use]
    pub fn on_inconclusive(mut self, then: OnInconclusive) -> Self {
        self.on_inconclusive = then;
        self
    }

    /// Checks the description.
    ///
    /// # Errors
    ///
    /// [`Refused`] with every problem: its place, what is wrong, what is allowed.
    pub fn build(self) -> Result<FlagRollout, Refused> {
        let mut problems = Problems::default();
        problems.require(!self.steps.is_empty(), "steps", "there is none", "at least one");
        let moving = !self.progress_deadline.is_zero();
        problems.require(moving, "progress_deadline", "it is 0, so nothing could ever be waited for", "more than 0s");
        for (i, step) in self.steps.iter().enumerate() {
            let before = i.checked_sub(1).map_or(0, |i| self.steps[i].percent.get());
            let at = format!("steps[{i}].percent");
            let wrong = format!("{} does not exceed {before}", step.percent);
            problems.require(step.percent.get() > before, at, wrong, format!("{} to 100", (before + 1).min(100)));
            for (k, analysis) in step.analysis.iter().enumerate() {
                analysis.check(&mut problems, &format!("steps[{i}].analysis[{k}]"));
            }
            Analysis::check_all(&mut problems, &format!("steps[{i}].analysis"), step.analysis.iter());
        }
        problems.finish("a flag rollout")?;
        Ok(FlagRollout { spec: self })
    }
}

/// Raises the percentage of a feature flag step by step, guarded by monitors. Instances and traffic stay as they are.
///
/// A raised percentage only adds users: whoever has the flag keeps it until it goes back. If somebody lowers it meanwhile, that is
/// the kill switch: the rollout goes back, and never raises the flag above what that person left.
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
    watch: Watch,
    held: Held,
    /// Whether this step's percentage has been seen in place.
    seen: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    analysis: Vec<AnalysisState>,
    /// The highest percentage that the way back may leave.
    #[serde(skip_serializing_if = "Option::is_none")]
    ceiling: Option<Real>,
}

impl FlagRollout {
    /// A rollout of a flag, to which steps are added.
    #[must_use]
    pub fn builder(flag: FlagName) -> FlagRolloutBuilder {
        FlagRolloutBuilder {
            name: default_name(),
            flag,
            steps: Vec::new(),
            on_inconclusive: OnInconclusive::default(),
            progress_deadline: ten_minutes(),
        }
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

    fn give(&self, want: DesiredState, next: Next, memory: &Remembered, reason: Reason, said: Said) -> Decision {
        let kept = Memory::of(memory).unwrap_or_default();
        let stage = self.stage(memory.step);
        Decision {
            want,
            measure: said.measure,
            next,
            memory: kept,
            stage,
            reason,
            judgements: said.judgements,
            exposure: Exposure::NONE,
        }
    }

    fn back(&self, s: &Situation<'_>, reason: Reason, said: Said) -> Decision {
        Decision { next: Next::RollBack, reason, judgements: said.judgements, ..self.revert(s) }
    }

    /// Goes on to the next step, or is done.
    fn enter(
        &self,
        s: &Situation<'_>,
        memory: &mut Remembered,
        step: usize,
        code: ReasonCode,
        because: &str,
        said: Said,
    ) -> Decision {
        *memory = Remembered { step: u32::try_from(step).unwrap_or(u32::MAX), ..Remembered::default() };
        let name = &self.spec.flag;
        let now = self.percent_in(s.observed);
        let Some(next) = self.spec.steps.get(step) else {
            let code = if s.wanted.is_none() { ReasonCode::AlreadyThere } else { ReasonCode::RolledOut };
            let reason = Reason::new(code, format!("{because}{name} is at {now} %"));
            return self.give(self.with(s.observed, now), Next::Complete, memory, reason, said);
        };
        let want = self.with(s.observed, Real::from(next.percent.get()).max(now));
        let reason = Reason::new(code, format!("{because}{name} goes from {now} % to {}", next.percent));
        let said = Said { measure: Vec::new(), ..said };
        self.give(want, Next::WakeAt(s.now + s.observe_every), memory, reason, said)
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
            let person = step.approval.as_ref().map(|request| format!("a person: {}", request.question));
            OutlineStage {
                name: format!("{} at {}", self.spec.flag, step.percent),
                percent: Some(step.percent.get()),
                at_least: step.soak.max(measured),
                waits_for: person.unwrap_or_default(),
            }
        };
        let ahead = self.spec.steps.iter().filter(|step| Real::from(step.percent.get()) > now);
        Outline {
            stages: ahead.map(stage).collect(),
            basis: format!(
                "the longer of soak and analysis in each step, from {now} % on; people take as long as they take"
            ),
        }
    }

    fn decide(&self, situation: &Situation<'_>) -> Decision {
        let (spec, s) = (&self.spec, situation);
        let field = Field::of(s, None);
        let now = self.percent_in(s.observed);
        let mut memory: Remembered = s.memory.read().ok().flatten().unwrap_or_default();
        if s.wanted.is_none() {
            let first = spec.steps.iter().position(|step| Real::from(step.percent.get()) > now);
            let first = first.unwrap_or(spec.steps.len());
            return self.enter(s, &mut memory, first, ReasonCode::Advanced, "", Said::nothing());
        }
        let tick = memory.watch.tick(s);
        let last = spec.steps.len() - 1;
        if s.promotion == Promotion::Full && (memory.step as usize) < last {
            let because = "an operator skipped every further step; ";
            return self.enter(s, &mut memory, last, ReasonCode::PromotedFullyByOperator, because, Said::nothing());
        }
        let Some(step) = spec.steps.get(memory.step as usize) else {
            return self.enter(s, &mut memory, spec.steps.len(), ReasonCode::RolledOut, "", Said::nothing());
        };
        let wanted = Real::from(step.percent.get());
        if memory.seen && now < wanted {
            let text = format!("somebody lowered {} from {} to {now} %", spec.flag, step.percent);
            let reason = Reason::new(ReasonCode::KillSwitch, text).otherwise("left alone it would have gone on");
            return self.back(s, reason, Said::nothing());
        }
        let in_place = now >= wanted;
        memory.seen |= in_place;
        memory.held.look(in_place, !in_place, tick);
        let said = Said::all(&field, &step.analysis, &mut memory.analysis, in_place);
        if let Standing::Bad(code) = said.standing {
            let reason = Reason::new(code, format!("{} at {}: {}", spec.flag, step.percent, said.because));
            return self.back(s, reason.otherwise(said.otherwise.clone()), said);
        }
        let want = self.with(s.observed, wanted.max(now));
        if !in_place {
            let waited = memory.watch.wait(tick, 1);
            let text = format!(
                "{} is at {now} % and should be at {}; nothing has moved for {} of {}",
                spec.flag,
                step.percent,
                Spell(waited),
                Spell(spec.progress_deadline)
            );
            if waited >= spec.progress_deadline {
                return self.back(s, Reason::new(ReasonCode::ProgressDeadline, text), said);
            }
            let next = said.sooner(Next::WakeAt(s.now + s.observe_every), s.now);
            let reason = Reason::new(ReasonCode::WaitingForTarget, text)
                .otherwise("when the place reads back so, the step holds");
            return self.give(want, next, &memory, reason, said);
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
            Then::Stay(next, reason) => self.give(want, next, &memory, reason, said),
            Then::Back(reason) => self.back(s, reason, said),
            Then::Go(code, text) => {
                let next = memory.step as usize + 1;
                self.enter(s, &mut memory, next, code, &format!("{text}; "), said)
            }
        }
    }

    fn revert(&self, situation: &Situation<'_>) -> Decision {
        let s = situation;
        let memory: Remembered = s.memory.read().ok().flatten().unwrap_or_default();
        let now = self.percent_in(s.observed);
        // Never above what was there before, and never above what somebody left who threw the kill switch meanwhile.
        let ceiling = memory.ceiling.unwrap_or(now).min(now).min(self.percent_in(s.from));
        let done = now == ceiling;
        let text = format!("{} is at {now} % and goes back to {ceiling} %", self.spec.flag);
        let (next, code) = if done {
            (Next::Complete, ReasonCode::Restored)
        } else {
            (Next::WakeAt(s.now + s.observe_every), ReasonCode::Restoring)
        };
        let memory = Remembered { ceiling: Some(ceiling), ..Remembered::default() };
        let want = self.with(s.observed, ceiling);
        let stage = Stage { index: u32::from(done), of: 1, name: "restore".to_owned() };
        let memory = Memory::of(&memory).unwrap_or_default();
        let reason = Reason::new(code, text);
        Decision {
            want,
            measure: Vec::new(),
            next,
            memory,
            stage,
            reason,
            judgements: Vec::new(),
            exposure: Exposure::NONE,
        }
    }
}

impl TryFrom<FlagRolloutBuilder> for FlagRollout {
    type Error = Refused;
    fn try_from(spec: FlagRolloutBuilder) -> Result<Self, Refused> {
        spec.build()
    }
}

impl From<FlagRollout> for FlagRolloutBuilder {
    fn from(rollout: FlagRollout) -> Self {
        rollout.spec
    }
}

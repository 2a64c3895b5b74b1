//! Where a run stands, as a value.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::effect::EffectKey;
use crate::machine::{Call, Doing, Machine, Mode, Outcome, Rolling, StepState};
use crate::monitor::Judgement;
use crate::name::{PhaseName, PipelineName, RevisionName, RunId};
use crate::operator::ApprovalRequest;
use crate::plan::{StepId, StepPath, Work};
use crate::release::Release;
use crate::strategy::{Exposure, Next, Reason, Stage};
use crate::time::{Now, RunTime, Spell};

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RunStatus {
    /// The run.
    pub run: RunId,
    /// Its pipeline.
    pub pipeline: PipelineName,
    /// What is released.
    pub release: Release,
    /// Where it stands.
    pub mode: Mode,
    /// How long it has been under way, in run time.
    #[serde(with = "crate::time::duration_ms")]
    pub elapsed: Duration,
    /// How many records it has.
    pub records: u64,
    /// The phase it is in.
    pub phase: Option<PhaseProgress>,
    /// How many steps are settled, of how many.
    pub settled: (u32, u32),
    /// The steps that are open.
    pub open: Vec<StepStatus>,
    /// The steps that wait for a person to find a way out.
    pub parked: Vec<ParkedStatus>,
    /// Since when it is paused.
    #[serde(with = "crate::time::option_duration_ms")]
    pub paused_for: Option<Duration>,
    /// The run whose lock it waits for.
    pub queued_behind: Option<RunId>,
    /// What comes next by itself, if nothing happens before.
    pub next: Option<NextAction>,
}

/// A phase, and where it stands among the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PhaseProgress {
    /// Which, from 1.
    pub index: u32,
    /// Of how many.
    pub of: u32,
    /// Its name.
    pub name: PhaseName,
}

/// An open step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StepStatus {
    /// The step.
    pub step: StepPath,
    /// The name of what is under way: another one after an operator's retry, and the same after a crash or a takeover.
    pub key: EffectKey,
    /// What it does, as a phrase.
    pub doing: String,
    /// What it waits for.
    pub waits: Waits,
    /// The rollout, if it is one.
    pub rollout: Option<RolloutStatus>,
}

/// What a step waits for. There is no wait without an end or a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Waits {
    /// For time to pass.
    Until {
        /// How long from now.
        #[serde(with = "crate::time::duration_ms")]
        span: Duration,
    },
    /// For a building block to answer; it is cut off after this time at the latest.
    Answer {
        /// What was asked.
        call: String,
        /// How long from now, where the step itself says so; every call is bounded by the engine.
        #[serde(with = "crate::time::option_duration_ms")]
        at_most: Option<Duration>,
    },
    /// For people.
    People {
        /// What they are asked.
        request: ApprovalRequest,
        /// Who has said yes.
        yes: Vec<String>,
        /// How long from now they are asked.
        #[serde(with = "crate::time::duration_ms")]
        span: Duration,
    },
    /// For a person to find a way out.
    Operator {
        /// What they can do.
        exits: Vec<String>,
    },
}

/// A step that is parked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParkedStatus {
    /// The step.
    pub step: StepPath,
    /// Why, in a sentence.
    pub why: String,
    /// What an operator can do about it.
    pub exits: Vec<String>,
    /// Who looks after it.
    pub acknowledged_by: Option<String>,
}

/// A rollout under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RolloutStatus {
    /// Whether it goes back.
    pub back: bool,
    /// Where on the ladder it is.
    pub stage: Stage,
    /// Who should get how much traffic.
    pub wanted: BTreeMap<RevisionName, u32>,
    /// Who gets how much, as last seen.
    pub actual: BTreeMap<RevisionName, u32>,
    /// The whole that both are parts of.
    pub max_weight: u32,
    /// What was judged last.
    pub judgements: Vec<Judgement>,
    /// The blast radius so far: what users have met of the new revision before it was proven.
    pub exposure: Exposure,
    /// How long ago the target was seen.
    #[serde(with = "crate::time::duration_ms")]
    pub looked_ago: Duration,
    /// How long this stage was observed.
    #[serde(with = "crate::time::duration_ms")]
    pub observed_for: Duration,
    /// Why it is where it is.
    pub reason: Option<Reason>,
    /// When the strategy is asked again at the latest.
    #[serde(with = "crate::time::option_duration_ms")]
    pub decides_in: Option<Duration>,
}

/// What comes next by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NextAction {
    /// How long from now.
    #[serde(rename = "in", with = "crate::time::duration_ms")]
    pub after: Duration,
    /// What.
    pub what: String,
}

impl RunStatus {
    /// Where the run of `machine` stands at `now`.
    #[must_use]
    pub fn of(machine: &Machine, now: Now) -> Self {
        let (plan, state) = (machine.plan(), machine.state());
        let path = |id: StepId| plan.step(id).map(|s| s.path.clone());
        let total = u32::try_from(plan.steps.len()).unwrap_or(u32::MAX);
        let acknowledged_by = state.acknowledged.as_ref().map(ToString::to_string);
        let parked = state.parked.iter().filter_map(|id| match &state.steps.get(id.index())?.state {
            StepState::Parked { why, .. } => Some(ParkedStatus {
                step: path(*id)?,
                why: why.sentence(),
                exits: why.exits().iter().map(|e| (*e).to_owned()).collect(),
                acknowledged_by: acknowledged_by.clone(),
            }),
            _ => None,
        });
        let open = state.open.iter().filter_map(|id| step_status(machine, *id, now.run));
        Self {
            run: state.run.clone(),
            pipeline: plan.pipeline.clone(),
            release: plan.release.clone(),
            mode: state.mode.clone(),
            elapsed: Duration::from_millis(match state.mode {
                Mode::Ended { .. } => state.at.run.0,
                Mode::Forward | Mode::Undoing { .. } => now.run.0,
            }),
            records: state.position,
            phase: phase(machine),
            settled: (total.saturating_sub(state.left), total),
            open: open.collect(),
            parked: parked.collect(),
            paused_for: state.paused.map(|since| now.run.since(since)),
            queued_behind: None,
            next: next(machine, now.run),
        }
    }

    /// The same status of a run that waits for its lock.
    #[must_use]
    pub(crate) fn queued(mut self, behind: RunId) -> Self {
        self.queued_behind = Some(behind);
        self
    }

    /// How and why it ended, if it has.
    #[must_use]
    pub fn end(&self) -> Option<(Outcome, &str)> {
        match &self.mode {
            Mode::Ended { outcome, because } => Some((*outcome, because)),
            Mode::Forward | Mode::Undoing { .. } => None,
        }
    }
}

fn phase(machine: &Machine) -> Option<PhaseProgress> {
    let (plan, state) = (machine.plan(), machine.state());
    let first = state.open.first().or_else(|| state.started.last()).copied();
    let index = match first {
        Some(id) => plan.step(id)?.phase,
        None => 0,
    };
    let name = plan.phases.get(index as usize)?.name.clone();
    Some(PhaseProgress { index: index + 1, of: u32::try_from(plan.phases.len()).ok()?, name })
}

fn step_status(machine: &Machine, id: StepId, now: RunTime) -> Option<StepStatus> {
    let planned = machine.plan().step(id)?;
    let step = machine.state().steps.get(id.index())?;
    let key = machine.effect_key(step.state.of()?)?;
    let rollout = match &step.state {
        StepState::Rolling(rolling) => Some(rollout_status(rolling, now)),
        _ => None,
    };
    let mut doing = doing(&step.state);
    if key.undo {
        doing = format!("undoing: {doing}");
    }
    Some(StepStatus { step: planned.path.clone(), key, doing, waits: waits(machine, id, now)?, rollout })
}

fn doing(state: &StepState) -> String {
    match state {
        StepState::Backoff { of, .. } => format!("waits before attempt {}", of.attempt),
        StepState::Trying { of, .. } => format!("attempt {} is under way", of.attempt),
        StepState::Polling { handle, .. } => format!("long work is under way ({handle})"),
        StepState::Cancelling { .. } => "is being cancelled".to_owned(),
        StepState::Unsure { last, .. } => format!("looks up what became of it ({last})"),
        StepState::Verifying { .. } => "verifies its evidence".to_owned(),
        StepState::Evaluating { holds_for, .. } if holds_for.is_empty() => "asks its gate".to_owned(),
        StepState::Evaluating { holds_for, .. } => format!("its gate holds: {holds_for}"),
        StepState::Approving { .. } => "asks people".to_owned(),
        StepState::Soaking { .. } => "soaks".to_owned(),
        StepState::Rolling(rolling) => {
            rolling.reason.as_ref().map_or_else(|| "takes its first look".to_owned(), |r| r.sentence.clone())
        }
        StepState::Parked { why, .. } => format!("is parked: {}", why.sentence()),
        StepState::Waiting { .. } => "waits for other steps".to_owned(),
        StepState::Done => "is done".to_owned(),
        StepState::Failed { reason } => format!("failed: {reason}"),
        StepState::Withdrawn => "was withdrawn".to_owned(),
        StepState::Undone => "is undone".to_owned(),
    }
}

fn waits(machine: &Machine, id: StepId, now: RunTime) -> Option<Waits> {
    let state = &machine.state().steps.get(id.index())?.state;
    let until = |at: RunTime| Waits::Until { span: at.since(now) };
    Some(match state {
        StepState::Backoff { due, .. } | StepState::Soaking { due, .. } => until(*due),
        StepState::Polling { at, .. } | StepState::Unsure { at, .. } if *at > now => until(*at),
        StepState::Evaluating { at, .. } if *at > now => until(*at),
        StepState::Approving { yes, expires, .. } => match &machine.plan().step(id)?.work {
            Work::Approval(request) => Waits::People {
                request: request.clone(),
                yes: yes.iter().map(ToString::to_string).collect(),
                span: expires.since(now),
            },
            Work::Task { .. } | Work::Gate { .. } | Work::Soak { .. } | Work::Rollout(_) => until(*expires),
        },
        StepState::Rolling(rolling) => match (&rolling.asking, rolling.doing) {
            (Some(asking), _) => Waits::People {
                request: asking.request.clone(),
                yes: asking.yes.iter().map(ToString::to_string).collect(),
                span: asking.expires.since(now),
            },
            (None, Doing::Looking { at }) if at > now => until(at),
            (None, Doing::Looking { .. } | Doing::Applying) => answer(machine, id, now),
        },
        StepState::Parked { why, .. } => {
            Waits::Operator { exits: why.exits().iter().map(|e| (*e).to_owned()).collect() }
        }
        StepState::Trying { .. }
        | StepState::Polling { .. }
        | StepState::Cancelling { .. }
        | StepState::Unsure { .. }
        | StepState::Verifying { .. }
        | StepState::Evaluating { .. } => answer(machine, id, now),
        StepState::Waiting { .. }
        | StepState::Done
        | StepState::Failed { .. }
        | StepState::Withdrawn
        | StepState::Undone => return None,
    })
}

fn answer(machine: &Machine, id: StepId, now: RunTime) -> Waits {
    let call = machine.command(id).map_or("nothing while it is paused", |command| command.call.name()).to_owned();
    let due = machine.state().steps.get(id.index()).and_then(|step| step.state.due());
    Waits::Answer { call, at_most: due.map(|due| due.since(now)) }
}

fn rollout_status(rolling: &Rolling, now: RunTime) -> RolloutStatus {
    let decides_in = match &rolling.next {
        Some(Next::WakeAt(at)) => Some(at.since(now)),
        Some(Next::Await(_) | Next::Complete | Next::RollBack) | None => None,
    };
    let want = rolling.want.as_ref();
    let observed = rolling.observed.as_ref();
    RolloutStatus {
        back: rolling.of.undo,
        stage: rolling.stage.clone(),
        wanted: want.map(|w| w.weights.clone()).unwrap_or_default(),
        actual: observed.map(|o| o.weights.clone()).unwrap_or_default(),
        max_weight: want.map(|w| w.max_weight).or_else(|| observed.map(|o| o.max_weight)).unwrap_or_default(),
        judgements: rolling.judgements.clone(),
        exposure: rolling.exposure,
        looked_ago: now.since(rolling.looked_at),
        observed_for: Duration::from_millis(rolling.observed_ms),
        reason: rolling.reason.clone(),
        decides_in,
    }
}

/// The soonest thing that happens without anybody doing anything.
fn next(machine: &Machine, now: RunTime) -> Option<NextAction> {
    let state = machine.state();
    if state.paused.is_some() {
        return None;
    }
    let due = state.due.first().map(|(at, id)| (*at, *id, None));
    let planned = state.open.iter().filter_map(|id| {
        let command = machine.command(*id).filter(|command| command.not_before > now)?;
        Some((command.not_before, *id, Some(command.call)))
    });
    let (at, id, call) = planned.chain(due).min_by_key(|(at, id, _)| (*at, *id))?;
    let path = &machine.plan().step(id)?.path;
    let what = match call {
        Some(Call::Look(_)) => format!("look at {path}"),
        Some(Call::Poll(_)) => format!("ask how {path} is doing"),
        Some(Call::Evaluate) => format!("ask the gate of {path} again"),
        Some(Call::Lookup) => format!("look up what became of {path}"),
        Some(Call::Perform | Call::Cancel(_) | Call::Verify | Call::Apply(_)) => format!("go on with {path}"),
        None => match &state.steps.get(id.index())?.state {
            StepState::Backoff { of, .. } => format!("attempt {} of {path}", of.attempt),
            StepState::Soaking { .. } => format!("{path} has soaked"),
            StepState::Approving { .. } => format!("{path} expires"),
            StepState::Trying { .. } | StepState::Polling { .. } => {
                format!("{path} is cancelled, if no answer comes before")
            }
            _ => format!("{path} fails, if it is not done before"),
        },
    };
    Some(NextAction { after: at.since(now), what })
}

/// What a run waits for, in a short line, at the cost of one step: kept beside the run for lists. Does not name every step it
/// passes, so that a journal which keeps the line has nothing to write while it stays the same.
pub(crate) fn headline(machine: &Machine) -> String {
    let state = machine.state();
    let first = state.parked.first().or_else(|| state.open.first());
    let at = first.and_then(|id| Some((machine.plan().step(*id)?, &state.steps.get(id.index())?.state)));
    let step = |verb: &str| at.map_or_else(|| verb.to_owned(), |(planned, _)| format!("{verb} {}", planned.path));
    match &state.mode {
        Mode::Ended { outcome, .. } => outcome.as_str().to_owned(),
        _ if state.epoch.is_none() => "waits for its lock".to_owned(),
        _ if state.paused.is_some() => "paused by an operator".to_owned(),
        _ if !state.parked.is_empty() => step("parked at"),
        Mode::Undoing { .. } => "going back".to_owned(),
        Mode::Forward => match at {
            Some((planned, StepState::Approving { .. })) => format!("asks people at {}", planned.path),
            Some((planned, StepState::Soaking { .. })) => format!("soaks at {}", planned.path),
            Some((planned, _)) => {
                let phase = machine.plan().phases.get(planned.phase as usize);
                phase.map_or_else(|| "under way".to_owned(), |phase| format!("in phase {}", phase.name))
            }
            None => "under way".to_owned(),
        },
    }
}

impl fmt::Display for RunStatus {
    /// A few lines for a person: where it stands, what each open step waits for, what comes next.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} · ", self.release)?;
        if let Some(phase) = &self.phase {
            write!(f, "phase {} of {} ({}) · ", phase.index, phase.of, phase.name)?;
        }
        writeln!(f, "{} of {} steps · {}", self.settled.0, self.settled.1, Spell(self.elapsed))?;
        match &self.mode {
            Mode::Forward => {}
            Mode::Undoing { because, .. } => writeln!(f, "  going back: {because}")?,
            Mode::Ended { outcome, because } => writeln!(f, "  {outcome}: {because}")?,
        }
        if let Some(behind) = &self.queued_behind {
            writeln!(f, "  waits for the lock that run {behind} holds")?;
        }
        if let Some(span) = self.paused_for {
            writeln!(f, "  paused for {}; waits for an operator to resume it", Spell(span))?;
        }
        for step in &self.open {
            writeln!(f, "  {}: {} ({})", step.step, step.doing, step.waits)?;
        }
        if let Some(next) = &self.next {
            writeln!(f, "  next by itself, in {}: {}", Spell(next.after), next.what)?;
        }
        Ok(())
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Until { span } => write!(f, "for {} more", Spell(*span)),
            Self::Answer { call, at_most: Some(span) } => {
                write!(f, "for an answer to {call}, at most {}", Spell(*span))
            }
            Self::Answer { call, at_most: None } => write!(f, "for an answer to {call}"),
            Self::People { request, yes, span } => {
                write!(f, "{:?}: {} of {} said yes", request.question, yes.len(), request.quorum)?;
                let asked: Vec<_> = request.roles.iter().chain(&request.people).map(String::as_str).collect();
                if !asked.is_empty() {
                    write!(f, ", asks {}", asked.join(" or "))?;
                }
                write!(f, ", for {} more", Spell(*span))
            }
            Self::Operator { exits } => write!(f, "for an operator: {}", exits.join(", ")),
        }
    }
}

//! Where a run stands, as it is shown.

use std::time::Duration;

use deploy_core::machine::Mode;
use deploy_core::monitor::{Judgement, JudgementResult};
use deploy_core::name::RunId;
use deploy_core::report::{RolloutStatus, RunStatus, StepStatus};
use deploy_core::time::{Spell, millis};
use serde::Serialize;

use crate::code::is_held;
use crate::estimate::{Estimate, Usually};

/// Where a run stands, for people and for programs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct View {
    /// Whether nothing more happens before somebody does something.
    held: bool,
    /// The run whose lock it waits for, and which process drives that one, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    behind: Option<(RunId, Option<String>)>,
    /// Which process drives it now; nothing if none does.
    driven_by: Option<String>,
    /// How long it usually takes, by those before it; nothing without any, and once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    usually: Option<Usually>,
    #[serde(flatten)]
    status: RunStatus,
}

impl View {
    pub(crate) fn of(
        status: RunStatus,
        driven_by: Option<String>,
        behind: Option<(RunId, Option<String>)>,
        estimate: Option<Estimate>,
    ) -> Self {
        let usually = estimate.filter(|_| status.end().is_none()).map(|estimate| estimate.after(status.elapsed));
        Self { held: is_held(&status), behind, driven_by, usually, status }
    }

    /// What of it makes a new line when it changes; ages and remaining times do not.
    pub(crate) fn change(&self) -> String {
        let status = &self.status;
        let steps = status.open.iter().map(|step| match &step.rollout {
            Some(r) => {
                let why = r.reason.as_ref().map(|reason| reason.code);
                format!("{:?} {:?} {:?} {why:?} {:?}", r.stage, r.wanted, r.actual, numbers(r))
            }
            None => format!("{} {}", step.step, step.doing),
        });
        let steps: Vec<_> = steps.collect();
        let (phase, parked, behind) = (&status.phase, &status.parked, &self.behind);
        format!("{phase:?} {:?} {parked:?} {behind:?} {} {steps:?}", self.driven_by, status.paused_for.is_some())
    }

    /// On one line.
    pub(crate) fn line(&self) -> String {
        self.block().into_iter().map(|line| line.trim().to_owned()).collect::<Vec<_>>().join(" · ")
    }

    /// As a block for a terminal.
    pub(crate) fn block(&self) -> Vec<String> {
        let status = &self.status;
        let mut lines = vec![self.heading()];
        match &status.mode {
            Mode::Forward => {}
            Mode::Undoing { because, .. } => lines.push(format!("    going back: {because}")),
            Mode::Ended { outcome, because } => lines.push(format!("    {outcome}: {because}")),
        }
        match &self.behind {
            Some((run, Some(_))) => lines.push(format!("    waits for the lock that run {run} holds")),
            Some((run, None)) => {
                lines.push(format!(
                    "    waits for the lock of run {run}, which nobody drives: deployctl run --run {run}"
                ));
            }
            None => {}
        }
        if let Some(span) = status.paused_for {
            lines.push(format!("    paused for {}, until somebody says: deployctl resume {}", Spell(span), status.run));
        }
        // Those that are parked follow, with their ways out.
        let parked = |step: &&StepStatus| status.parked.iter().any(|parked| parked.step == step.step);
        for step in status.open.iter().filter(|step| !parked(step)) {
            lines.extend(step_lines(step, status));
        }
        for parked in &status.parked {
            let whose = parked.acknowledged_by.as_ref().map(|who| format!("; {who} looks after it"));
            let exits = parked.exits.join(", ");
            lines.push(format!(
                "    {} is parked: {}; ways out: {exits}{}",
                parked.step,
                parked.why,
                whose.unwrap_or_default()
            ));
        }
        if let Some(Usually { takes_ms, runs, left_ms }) = &self.usually {
            let (takes, left) = (spell(*takes_ms), spell(*left_ms));
            lines.push(format!("    usually takes {takes}, by {runs} before it: about {left} are left"));
        }
        if let Some(next) = &status.next {
            lines.push(format!("    next by itself, in {}: {}", spell(millis(next.after)), next.what));
        }
        if status.end().is_none() && self.driven_by.is_none() {
            lines.push(format!("    nobody drives it now: deployctl run --run {}", status.run));
        }
        lines
    }

    fn heading(&self) -> String {
        let RunStatus { run, release, phase, settled, records, elapsed, .. } = &self.status;
        let phase = phase.as_ref().map(|phase| format!(" · phase {} of {} ({})", phase.index, phase.of, phase.name));
        let (settled, of, after) = (settled.0, settled.1, spell(millis(*elapsed)));
        let phase = phase.unwrap_or_default();
        format!("  {run} · {release}{phase} · {settled} of {of} steps · {records} records · {after}")
    }
}

fn step_lines(step: &StepStatus, status: &RunStatus) -> Vec<String> {
    let Some(rollout) = &step.rollout else {
        return vec![format!("    {} {}; waits {}", step.step, step.doing, step.waits)];
    };
    let weight = |of: &std::collections::BTreeMap<_, u32>| of.get(&status.release.revision).copied().unwrap_or(0);
    let RolloutStatus { stage, wanted, actual, max_weight, looked_ago, .. } = rollout;
    let mut lines = vec![format!(
        "    {}: stage {} of {} ({}){}: {} is to have {} of {max_weight}, has {} (seen {} ago)",
        step.step,
        stage.index + 1,
        stage.of,
        stage.name,
        if rollout.back { ", going back" } else { "" },
        status.release.revision,
        weight(wanted),
        weight(actual),
        spell(millis(*looked_ago)),
    )];
    lines.extend(rollout.judgements.iter().map(|judgement| format!("      {}", measured(judgement, status.elapsed))));
    let why = rollout.reason.as_ref().map_or("first look", |reason| reason.sentence.as_str());
    let until = rollout.decides_in.map(|span| format!("; decides again within {}", spell(millis(span))));
    lines.push(format!("      {why}{}; waits {}", until.unwrap_or_default(), step.waits));
    lines
}

fn numbers(rollout: &RolloutStatus) -> Vec<(Option<f64>, JudgementResult)> {
    rollout.judgements.iter().map(|j| (j.measured.map(deploy_core::real::Real::get), j.result)).collect()
}

/// The number against its limit, and how old it is.
fn measured(judgement: &Judgement, elapsed: Duration) -> String {
    let Judgement { metric, measured, limit, result, at, .. } = judgement;
    let limit_text = limit.map(|(how, limit)| format!("{how} {limit}")).unwrap_or_default();
    let verdict = match result {
        JudgementResult::Pass => "good",
        JudgementResult::Fail => "bad",
        JudgementResult::Inconclusive => "undecided",
        JudgementResult::Error => "could not be asked",
    };
    let Some(number) = measured else { return format!("{metric} not measured yet, limit {limit_text}") };
    let kept = limit.is_none_or(|(how, limit)| how.holds(number.get(), limit.get()));
    let kept = if kept { "keeps" } else { "BREAKS" };
    let age = spell(millis(elapsed).saturating_sub(at.0));
    format!("{metric} {:.3} {kept} {limit_text} ({age} ago; {verdict})", number.get())
}

/// To a tenth of a second: more would flicker.
pub(crate) fn spell(ms: u64) -> String {
    if ms < 60_000 {
        format!("{}.{}s", ms / 1000, ms % 1000 / 100)
    } else {
        Spell(Duration::from_secs(ms / 1000)).to_string()
    }
}

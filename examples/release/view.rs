//! Where a run stands, as it is shown.

use std::time::Duration;

use deploy_core::machine::Mode;
use deploy_core::monitor::JudgementResult;
use deploy_core::report::{RunStatus, StepStatus};
use deploy_core::time::{Spell, millis};
use serde::Serialize;

use crate::tally::Counts;

/// Where a run stands, with what its users meet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct View {
    version: String,
    elapsed_ms: u64,
    records: u64,
    /// Which phase, of how many, and its name.
    phase: Option<(u32, u32, String)>,
    /// Why it goes back, if it does.
    going_back: Option<String>,
    steps: Vec<StepView>,
    /// What comes next by itself, and in how many milliseconds.
    next: Option<(String, u64)>,
    requests: u64,
    lost: u64,
    /// How many users met the version, and how many requests of theirs it refused.
    users: u64,
    refused: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct StepView {
    step: String,
    doing: String,
    waits: String,
    rollout: Option<RolloutView>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct RolloutView {
    back: bool,
    stage: String,
    /// From 1.
    index: u32,
    of: u32,
    reason: String,
    wanted: u32,
    actual: u32,
    whole: u32,
    measured: Vec<MeasuredView>,
    decides_in_ms: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct MeasuredView {
    metric: String,
    measured: Option<f64>,
    limit: String,
    /// Whether the newest number keeps the limit. One that does not may not be enough to go back.
    kept: Option<bool>,
    result: JudgementResult,
    age_ms: u64,
}

impl View {
    /// Puts a status and a tally together.
    pub(crate) fn of(status: &RunStatus, counts: &Counts) -> Self {
        let version = status.release.revision.to_string();
        let met = counts.versions.get(&version).cloned().unwrap_or_default();
        Self {
            elapsed_ms: millis(status.elapsed),
            records: status.records,
            phase: status.phase.as_ref().map(|phase| (phase.index, phase.of, phase.name.to_string())),
            going_back: match &status.mode {
                Mode::Undoing { because, .. } => Some(because.clone()),
                Mode::Forward | Mode::Ended { .. } => None,
            },
            steps: status.open.iter().map(|step| StepView::of(step, status)).collect(),
            next: status.next.as_ref().map(|next| (next.what.clone(), millis(next.after))),
            requests: counts.requests,
            lost: counts.lost,
            users: met.users,
            refused: met.refused,
            version,
        }
    }

    /// What of it makes a new line when it changes.
    pub(crate) fn change(&self) -> String {
        let step = |step: &StepView| match &step.rollout {
            Some(r) => format!(
                "{} {} {} {} {} {:?}",
                r.back,
                r.index,
                r.reason,
                r.wanted,
                r.actual,
                r.measured.iter().map(|m| (m.measured, m.result)).collect::<Vec<_>>()
            ),
            None => format!("{} {}", step.step, step.doing),
        };
        let steps: Vec<_> = self.steps.iter().map(step).collect();
        format!("{:?} {} {steps:?}", self.phase, self.going_back.is_some())
    }

    /// On one line.
    pub(crate) fn line(&self) -> String {
        let steps: Vec<_> = self.steps.iter().map(|step| step.on_one_line(&self.version)).collect();
        let next = self.next.as_ref().map(|next| format!("; next by itself: {}", spell_next(next)));
        format!("{}{}{}", self.heading(), steps.join(", "), next.unwrap_or_default())
    }

    /// As a block for a terminal.
    pub(crate) fn block(&self) -> Vec<String> {
        let mut lines = vec![format!("  {}{} records", self.heading(), self.records)];
        for step in &self.steps {
            lines.extend(step.lines(&self.version));
        }
        lines.extend(self.next.as_ref().map(|next| format!("    next by itself: {}", spell_next(next))));
        lines.push(format!(
            "    users: {} requests answered, {} lost on the way; {} users met {}, which refused {} requests",
            self.requests, self.lost, self.users, self.version, self.refused
        ));
        lines
    }

    fn heading(&self) -> String {
        let phase = self.phase.as_ref().map(|(index, of, name)| format!("phase {index} of {of} ({name}) · "));
        let way = if self.going_back.is_some() { "going back · " } else { "" };
        format!("{} · {}{way}", heading(self.elapsed_ms, &self.version), phase.unwrap_or_default())
    }
}

impl StepView {
    fn of(step: &StepStatus, status: &RunStatus) -> Self {
        let rollout = step.rollout.as_ref().map(|rollout| {
            let weight =
                |of: &std::collections::BTreeMap<_, u32>| of.get(&status.release.revision).copied().unwrap_or(0);
            let measured = rollout.judgements.iter().map(|judgement| MeasuredView {
                metric: judgement.metric.to_string(),
                measured: judgement.measured.map(deploy_core::real::Real::get),
                limit: judgement.limit.map(|(how, limit)| format!("{how} {limit}")).unwrap_or_default(),
                kept: judgement
                    .measured
                    .zip(judgement.limit)
                    .map(|(number, (how, limit))| how.holds(number.get(), limit.get())),
                result: judgement.result,
                age_ms: millis(status.elapsed).saturating_sub(judgement.at.0),
            });
            RolloutView {
                back: rollout.back,
                stage: rollout.stage.name.clone(),
                index: rollout.stage.index + 1,
                of: rollout.stage.of,
                reason: rollout.reason.as_ref().map(|reason| reason.code.to_string()).unwrap_or_default(),
                wanted: weight(&rollout.wanted),
                actual: weight(&rollout.actual),
                whole: rollout.max_weight,
                measured: measured.collect(),
                decides_in_ms: rollout.decides_in.map(millis),
            }
        });
        Self { step: step.step.to_string(), doing: step.doing.clone(), waits: step.waits.to_string(), rollout }
    }

    fn on_one_line(&self, version: &str) -> String {
        match &self.rollout {
            Some(rollout) => {
                let measured: Vec<_> = rollout.measured.iter().map(MeasuredView::text).collect();
                let measured = if measured.is_empty() { String::new() } else { format!(" · {}", measured.join(", ")) };
                format!("{}{measured} · {}", rollout.weights(version), rollout.reason())
            }
            None => format!("{} {}, waits {}", self.step, self.doing, self.waits),
        }
    }

    fn lines(&self, version: &str) -> Vec<String> {
        match &self.rollout {
            Some(rollout) => {
                let mut lines = vec![format!("    {}: {}", self.step, rollout.weights(version))];
                lines.extend(rollout.measured.iter().map(|measured| format!("      {}", measured.text())));
                lines.push(format!("      {}; waits {}", rollout.reason(), self.waits));
                lines
            }
            None => vec![format!("    {} {}; waits {}", self.step, self.doing, self.waits)],
        }
    }
}

impl RolloutView {
    fn weights(&self, version: &str) -> String {
        let Self { stage, index, of, wanted, actual, whole, .. } = self;
        format!("stage {index} of {of} ({stage}): {version} is to have {wanted} of {whole}, has {actual}")
    }

    fn reason(&self) -> String {
        let until = self.decides_in_ms.map(|ms| format!(", decides again within {}", spell(ms)));
        format!("{}{}", if self.reason.is_empty() { "first look" } else { &self.reason }, until.unwrap_or_default())
    }
}

impl MeasuredView {
    fn text(&self) -> String {
        let Self { metric, limit, .. } = self;
        let verdict = match self.result {
            JudgementResult::Pass => "good",
            JudgementResult::Fail => "bad",
            JudgementResult::Inconclusive => "undecided",
            JudgementResult::Error => "could not be asked",
        };
        let Some(number) = self.measured else { return format!("{metric} not measured yet, limit {limit}") };
        let kept = if self.kept == Some(false) { "BREAKS" } else { "keeps" };
        format!("{metric} {number:.3} {kept} {limit} ({} ago; {verdict})", spell(self.age_ms))
    }
}

/// How every line about a run begins.
pub(crate) fn heading(elapsed_ms: u64, version: &str) -> String {
    format!("[{:>6}] {version}", spell(elapsed_ms))
}

fn spell_next((what, ms): &(String, u64)) -> String {
    format!("{what} in {}", spell(*ms))
}

/// To a tenth of a second: more would flicker.
fn spell(ms: u64) -> String {
    if ms < 60_000 {
        format!("{}.{}s", ms / 1000, ms % 1000 / 100)
    } else {
        Spell(Duration::from_secs(ms / 1000)).to_string()
    }
}

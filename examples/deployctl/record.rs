//! One line about each record of a run.

use deploy_core::machine::{AfterFailure, AfterLook, Event, Record};
use deploy_core::plan::{Plan, StepId, StepPath};
use deploy_core::time::Spell;
use serde::Serialize;
use serde_json::value::RawValue;

/// A record, as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct RecordView {
    /// Its number in the run: where a reader that comes back goes on.
    pub(crate) position: u64,
    /// When, by the clock on the wall.
    at: String,
    /// When, in milliseconds since the run began.
    run_ms: u64,
    event: &'static str,
    step: Option<StepPath>,
    pub(crate) text: String,
    /// The record as the journal holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Box<RawValue>>,
}

impl RecordView {
    pub(crate) fn of(record: &Record, plan: &Plan) -> Self {
        let step = step(&record.event).and_then(|id| plan.step(id)).map(|step| step.path.clone());
        Self {
            position: record.position,
            at: record.at.wall.to_string(),
            run_ms: record.at.run.0,
            event: record.event.kind(),
            text: match &step {
                Some(path) => format!("{path}: {}", sentence(&record.event)),
                None => sentence(&record.event),
            },
            step,
            body: record.seal().ok().map(|envelope| envelope.body),
        }
    }

    /// The same without what only programs read.
    pub(crate) fn without_body(self) -> Self {
        Self { body: None, ..self }
    }

    /// On one line, with its number in front.
    pub(crate) fn line(&self) -> String {
        format!(
            "{:>5} {:>8} {}",
            self.position,
            format!("{}.{}s", self.run_ms / 1000, self.run_ms % 1000 / 100),
            self.text
        )
    }
}

/// The step that an event is about.
fn step(event: &Event) -> Option<StepId> {
    Some(match event {
        Event::Opened(e) => e.step,
        Event::Joined(e) => e.step,
        Event::Running(e) => e.of.step,
        Event::Completed(e) => e.of.step,
        Event::Verified(e) => e.of.step,
        Event::Passed(e) => e.of.step,
        Event::Held(e) => e.of.step,
        Event::AttemptFailed(e) => e.of.step,
        Event::BecameUnsure(e) => e.of.step,
        Event::TimedOut(e) => e.of.step,
        Event::Retried(e) => e.of.step,
        Event::Soaked(e) => e.of.step,
        Event::Granted(e) => e.of.step,
        Event::Looked(e) => e.of.step,
        Event::PutOff(e) => e.of.step,
        Event::Stumbled(e) => e.of.step,
        Event::Applied(e) => e.of.step,
        Event::Drifted(e) => e.of.step,
        Event::Promoted(e) => e.of.step,
        Event::StepFailed(e) => e.step,
        Event::UndoOpened(e) => e.of.step,
        Event::UndoPassed(e) => e.step,
        Event::Parked(e) => e.of.step,
        Event::Started(_)
        | Event::Admitted(_)
        | Event::Attached(_)
        | Event::Took(_)
        | Event::Kept(_)
        | Event::Dropped(_)
        | Event::TurnedBack(_)
        | Event::Ended(_) => return None,
    })
}

fn sentence(event: &Event) -> String {
    match event {
        Event::Started(e) => format!("the run begins, asked for by {}: {}", e.plan.started_by, e.plan.release),
        Event::Admitted(_) => "the run has its lock".to_owned(),
        Event::Attached(e) => format!("a host takes the run up, after {} without one", Spell(e.absent)),
        Event::Opened(_) => "begins".to_owned(),
        Event::Joined(_) => "is passed".to_owned(),
        Event::Running(e) => format!("is under way as {}", e.handle),
        Event::Completed(e) => {
            let notes = e.report.findings.iter().map(|finding| finding.text.as_str()).collect::<Vec<_>>().join("; ");
            if notes.is_empty() { "is done".to_owned() } else { format!("is done: {notes}") }
        }
        Event::Verified(e) => {
            let checks = e.receipts.iter().map(|receipt| {
                let met = if receipt.verdict.is_met() { "met" } else { "NOT met" };
                format!("{} is {met}", receipt.check)
            });
            format!("evidence read again: {}", checks.collect::<Vec<_>>().join(", "))
        }
        Event::Passed(e) if e.conditions.is_empty() => "go".to_owned(),
        Event::Passed(e) => format!("go, on conditions: {}", e.conditions.join("; ")),
        Event::Held(e) => format!("hold: {}", e.reason),
        Event::AttemptFailed(e) => match &e.then {
            AfterFailure::Retry { of, .. } => format!("failed: {}; attempt {} follows", e.reason, of.attempt),
            AfterFailure::Fail => format!("failed: {}", e.reason),
        },
        Event::BecameUnsure(e) => format!("nobody knows what became of it, it is looked up: {}", e.reason),
        Event::TimedOut(_) => "took too long and is stopped".to_owned(),
        Event::Retried(e) => format!("attempt {} begins", e.of.attempt),
        Event::Soaked(_) => "has soaked".to_owned(),
        Event::Granted(_) => "people said yes".to_owned(),
        Event::Looked(e) => {
            let then = match &e.then {
                AfterLook::Apply => "; the target is changed",
                AfterLook::Rest { .. } => "",
                AfterLook::Ask { .. } => "; people are asked",
                AfterLook::Complete => "; the rollout is done",
                AfterLook::Fail => "; the rollout fails",
            };
            format!("{} ({}){then}", e.decision.reason.sentence, e.decision.reason.code)
        }
        Event::PutOff(_) => "a look was not judged".to_owned(),
        Event::Stumbled(e) => format!("could not look or change, {} in a row: {}", e.errors, e.fault.message),
        Event::Applied(_) => "the target took what is wanted".to_owned(),
        Event::Drifted(e) => format!("somebody else changed the target; put back for the {}. time", e.reasserted),
        Event::Promoted(_) => "a wait is skipped".to_owned(),
        Event::StepFailed(e) => format!("failed: {}", e.reason),
        Event::Took(e) => said(&e.input, ""),
        Event::Kept(e) => said(&e.input, " early; it is kept until somebody waits for it"),
        Event::Dropped(e) => format!("what was said early cannot be taken after all: {}", e.reason),
        Event::TurnedBack(e) => format!("the run goes back: {}", e.because),
        Event::UndoOpened(_) => "is being undone".to_owned(),
        Event::UndoPassed(e) => format!("is passed on the way back: {}", e.reason),
        Event::Parked(e) => format!("is parked: {}", e.why.sentence()),
        Event::Ended(e) => format!("the run {}: {}", e.outcome, e.because),
    }
}

fn said(input: &deploy_core::operator::OperatorInput, how: &str) -> String {
    let about = input.act.step().map(|step| format!(" {step}")).unwrap_or_default();
    format!("{} says {}{about}{how}: {}", input.who, input.act.name(), input.why)
}

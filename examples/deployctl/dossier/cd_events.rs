//! A dossier as CDEvents: one event a line, in the order of the records, for whatever collects them.
//!
//! The events are those of version 0.4.1 of the specification: `pipelinerun` and `taskrun` for the run and its steps, `service` for
//! what is out or back. Where the specification asks for a URL of a run and there is no page of it, its name as a URN stands there; where it
//! asks for an artifact and none was built, the service at its revision does.

use deploy_agents::dossier::Dossier;
use deploy_core::machine::{Event, Machine, Outcome, Record, StepState};
use deploy_core::plan::{PlannedStep, Work};
use serde_json::{Value, json};

const VERSION: &str = "0.4.1";

/// All events of a run.
pub(super) fn write(dossier: &Dossier) -> String {
    let mut machine = Machine::new(std::sync::Arc::clone(&dossier.plan), &dossier.run);
    let mut lines = String::new();
    for record in &dossier.records {
        let before: Vec<StepState> = machine.state().steps.iter().map(|step| step.state.clone()).collect();
        machine.apply(record);
        let mut events = of_run(dossier, record);
        for ((planned, before), after) in dossier.plan.steps.iter().zip(&before).zip(&machine.state().steps) {
            // Where nobody decides anything, nothing is worth an event.
            if !matches!(planned.work, Work::Gate { gate: None, .. }) {
                events.extend(of_step(dossier, planned, before, &after.state));
            }
        }
        for (index, (subject, event)) in events.into_iter().enumerate() {
            lines.push_str(&line(dossier, record, index, subject, event).to_string());
            lines.push('\n');
        }
    }
    lines
}

/// What an event is about, and its predicate.
type Said = ((&'static str, String, Value), &'static str);

fn of_run(dossier: &Dossier, record: &Record) -> Vec<Said> {
    let name = &dossier.plan.pipeline;
    let url = format!("urn:deployctl:run:{}", dossier.run);
    let about = |content: Value| ("pipelineRun", dossier.run.to_string(), content);
    match &record.event {
        Event::Started(_) => vec![(about(json!({ "pipelineName": name, "url": url })), "queued")],
        Event::Admitted(_) => vec![(about(json!({ "pipelineName": name, "url": url })), "started")],
        Event::Ended(ended) => {
            let content = match ended.outcome {
                Outcome::Succeeded => json!({ "pipelineName": name, "url": url, "outcome": "success" }),
                Outcome::RolledBack | Outcome::Failed | Outcome::Aborted => {
                    json!({ "pipelineName": name, "url": url, "outcome": "failure", "errors": ended.because })
                }
            };
            vec![(about(content), "finished")]
        }
        _ => Vec::new(),
    }
}

fn of_step(dossier: &Dossier, planned: &PlannedStep, before: &StepState, after: &StepState) -> Vec<Said> {
    let waits = |state: &StepState| matches!(state, StepState::Waiting { .. } | StepState::Withdrawn);
    let ended = |state: &StepState| matches!(state, StepState::Done | StepState::Failed { .. });
    let undone = |state: &StepState| matches!(state, StepState::Undone);
    let id = format!("{}/{}", dossier.run, planned.path);
    let run = json!({ "id": dossier.run });
    let about = |content: Value| ("taskRun", id.clone(), content);
    let mut said = Vec::new();
    if waits(before) && !waits(after) && !undone(after) {
        said.push((about(json!({ "taskName": planned.path, "pipelineRun": run })), "started"));
    }
    if !ended(before) && ended(after) && !waits(after) {
        let content = match after {
            StepState::Failed { .. } => json!({ "taskName": planned.path, "pipelineRun": run, "outcome": "failure" }),
            _ => json!({ "taskName": planned.path, "pipelineRun": run, "outcome": "success" }),
        };
        said.push((about(content), "finished"));
    }
    let (went_out, came_back) = (matches!(after, StepState::Done) && !ended(before), undone(after) && !undone(before));
    if matches!(planned.work, Work::Rollout(_)) && (went_out || came_back) {
        let release = &dossier.plan.release;
        let checksum = release.artifacts.first().map(|artifact| format!("?checksum={}", artifact.digest));
        let (service, revision) = (&release.service, &release.revision);
        let artifact = format!("pkg:generic/{service}@{revision}{}", checksum.unwrap_or_default());
        let content = json!({ "environment": { "id": release.environment }, "artifactId": artifact });
        let service = ("service", release.service.to_string(), content);
        said.push((service, if went_out { "deployed" } else { "rolledback" }));
    }
    said
}

fn line(
    dossier: &Dossier,
    record: &Record,
    index: usize,
    subject: (&'static str, String, Value),
    event: &'static str,
) -> Value {
    let release = &dossier.plan.release;
    let (kind, id, content) = subject;
    let source = format!("/{}/{}", release.service, release.environment);
    json!({
        "context": {
            "version": VERSION,
            "id": format!("{}/{}/{index}", dossier.run, record.position),
            "source": source,
            "type": format!("dev.cdevents.{}.{event}.0.2.0", kind.to_lowercase()),
            "timestamp": record.at.wall.to_string(),
        },
        "subject": { "id": id, "source": source, "type": kind, "content": content },
    })
}

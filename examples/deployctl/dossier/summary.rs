//! A dossier as a short page, for the summary of a CI job.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use deploy_agents::dossier::Dossier;
use deploy_core::machine::{AfterFailure, AfterLook, Event};
use deploy_core::plan::{StepPath, Work};

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    Done,
    Failed(String),
    NotReached,
}

/// What became of each step on its way out, by the records.
pub(super) fn fates(dossier: &Dossier) -> BTreeMap<StepPath, Fate> {
    let mut fates = BTreeMap::new();
    for record in &dossier.records {
        let (id, fate) = match &record.event {
            Event::Completed(e) if !e.of.undo => (e.of.step, Fate::Done),
            Event::Passed(e) if !e.of.undo => (e.of.step, Fate::Done),
            Event::Soaked(e) if !e.of.undo => (e.of.step, Fate::Done),
            Event::Granted(e) if !e.of.undo => (e.of.step, Fate::Done),
            Event::Looked(e) if !e.of.undo && e.then == AfterLook::Complete => (e.of.step, Fate::Done),
            Event::Looked(e) if !e.of.undo && e.then == AfterLook::Fail => {
                (e.of.step, Fate::Failed(e.decision.reason.sentence.clone()))
            }
            Event::AttemptFailed(e) if !e.of.undo && e.then == AfterFailure::Fail => {
                (e.of.step, Fate::Failed(e.reason.clone()))
            }
            Event::StepFailed(e) => (e.step, Fate::Failed(e.reason.clone())),
            _ => continue,
        };
        if let Some(step) = dossier.plan.step(id) {
            fates.insert(step.path.clone(), fate);
        }
    }
    fates
}

pub(super) fn write(dossier: &Dossier) -> String {
    let mut page = String::new();
    let plan = &dossier.plan;
    let end = dossier.outcome().map(|(outcome, because)| format!("**{outcome}**: {}", cell(because)));
    let _ = writeln!(page, "### {} of {}\n", plan.release.revision, plan.release.service);
    let _ = writeln!(page, "{}\n", end.unwrap_or_else(|| "still under way".to_owned()));
    let _ = writeln!(page, "| step | | |\n|---|---|---|");
    let fates = fates(dossier);
    for step in plan.steps.iter().filter(|step| !matches!(step.work, Work::Gate { gate: None, .. })) {
        let (mark, text) = match fates.get(&step.path) {
            Some(Fate::Done) => ("✔", ""),
            Some(Fate::Failed(why)) => ("✘", why.as_str()),
            Some(Fate::NotReached) | None => ("–", "not reached"),
        };
        let _ = writeln!(page, "| {} | {mark} | {} |", step.path, cell(text));
    }
    let [verified, waived, claimed, missing] = dossier.counts();
    let _ =
        writeln!(page, "\nchecks: {verified} verified, {waived} waived, {claimed} only claimed, {missing} missing.");
    let _ = writeln!(page, "Run `{}`, head `{}:{}`.", dossier.run, dossier.head.next, dossier.head.hash);
    page
}

/// A text that stays within its cell of a table.
fn cell(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;").replace(['\n', '\r'], " ")
}

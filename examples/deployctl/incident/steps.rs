//! The steps of the answer to an incident: which of them are here, and by which command.
//!
//! What is here is a command of this program, and named as one. What is not here is never pretended: the list says so, and the
//! command ends with a code of its own.

use serde::Serialize;

use crate::Failure;
use crate::code::Code;
use crate::select::select;
use crate::shared::Shared;
use crate::show::Screen;
use crate::trouble::Trouble;

/// One step of the answer to an incident.
struct Step {
    name: &'static str,
    /// Whose turn it is.
    level: &'static str,
    what: &'static str,
    here: Here,
}

/// What of a step is here.
enum Here {
    /// A command; `RUN` stands for the run.
    Command(&'static str),
    /// The run does it by itself.
    ByItself(&'static str),
    /// Nothing; the host has to do it in another way.
    Nothing,
}

const STEPS: [Step; 17] = [
    here(
        "answer",
        "everybody",
        "have one run answer to it, from the event to the review of what it cost",
        "deployctl workflow incident-response --event FILE --serving REVISION --respond NAME=COMMAND --recovered NAME=COMMAND --evidence FOLDER",
    ),
    here("status", "everybody", "see where the run stands", "deployctl status RUN"),
    by_itself(
        "automatic-rollback",
        "take back a rollout that measures badly",
        "the judge of the rollout does it, while the run is under way",
    ),
    nothing("self-healing", "1, by itself", "restart or replace what is broken, within a budget"),
    nothing("auto-scaling", "1, by itself", "add capacity, within limits"),
    nothing("restore-configuration", "1, by itself", "put back the configuration from before"),
    nothing("page-on-call", "2, on call", "call somebody, and the next one if nobody answers"),
    here("take-note", "2, on call", "say that you look after a parked run", "deployctl acknowledge RUN --why WHY"),
    here("stop", "2, on call", "open and decide nothing more while people look", "deployctl pause RUN --why WHY"),
    here(
        "rollback",
        "2, on call",
        "take back a release while its run is under way",
        "deployctl rollback RUN --why WHY",
    ),
    here(
        "linked-rollback",
        "2, on call",
        "take back a release whose run has ended, by a run that names it and waits before every release",
        "deployctl rollback RUN --why WHY",
    ),
    here(
        "hotfix",
        "2, on call",
        "release a small repair; no gate that has a veto is left out",
        "deployctl workflow deployment --kind hotfix --link INCIDENT --revision FIX --evidence FOLDER",
    ),
    nothing("coordination", "3, orchestrator", "one commander, the teams, and a freeze of what depends on it"),
    by_itself(
        "verified-recovery",
        "close it only when recovery is shown",
        "the run that answers to it does, by the programs of --recovered",
    ),
    here(
        "impact",
        "4, business",
        "have what it cost added up from its measurements, in users, requests, money and budget",
        "deployctl agent run qa --phase 4 --evidence FOLDER",
    ),
    nothing("customers", "4, business", "tell customers, in words that somebody approved"),
    here(
        "records",
        "4, business",
        "hand over all that was claimed, shown and decided, for the review",
        "deployctl dossier RUN",
    ),
];

const fn here(name: &'static str, level: &'static str, what: &'static str, command: &'static str) -> Step {
    Step { name, level, what, here: Here::Command(command) }
}

const fn by_itself(name: &'static str, what: &'static str, how: &'static str) -> Step {
    Step { name, level: "1, by itself", what, here: Here::ByItself(how) }
}

const fn nothing(name: &'static str, level: &'static str, what: &'static str) -> Step {
    Step { name, level, what, here: Here::Nothing }
}

/// A step, as programs read it.
#[derive(Serialize)]
struct Line<'a> {
    step: &'a str,
    level: &'a str,
    what: &'a str,
    here: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    how: Option<String>,
}

/// Lists them. The commands are spelt for a run, if one is meant.
pub(super) async fn list(run: Option<&str>, shared: &Shared) -> Result<Code, Failure> {
    let run = match run {
        Some(word) => {
            let journal = shared.journal()?.read()?;
            Some(select(&*journal, Some(word)).await?.run.to_string())
        }
        None => None,
    };
    let mut screen = Screen::new(shared.json);
    let mut missing = Vec::new();
    for Step { name, level, what, here } in &STEPS {
        let how = match here {
            Here::Command(command) => Some(command.replace("RUN", run.as_deref().unwrap_or("RUN"))),
            Here::ByItself(how) => Some((*how).to_owned()),
            Here::Nothing => None,
        };
        let text = match &how {
            Some(how) => format!("here      {name} (level {level}): {what}\n          {how}"),
            None => {
                missing.push(*name);
                format!("NOT HERE  {name} (level {level}): {what}")
            }
        };
        screen.say("incident_step", &text, &Line { step: name, level, what, here: how.is_some(), how });
    }
    let text = format!(
        "nothing was done: {} of {} steps of incident-response are not here ({}); the others are the commands above",
        missing.len(),
        STEPS.len(),
        missing.join(", ")
    );
    Err(Trouble::ends(Code::NotHere, text))
}

//! `deployctl workflow incident-response`: what answers to an incident, as far as it is here.
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

/// What is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run that the incident is about: its id, how its id begins, or `last`. The commands are then spelt for it.
    run: Option<String>,
}

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

const STEPS: [Step; 16] = [
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
    nothing("verified-recovery", "3, orchestrator", "close it only when the service level has held again"),
    nothing("impact", "4, business", "count users, requests and budget that it cost"),
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

pub(crate) async fn run(args: &Args, shared: &Shared) -> Result<Code, Failure> {
    let run = match &args.run {
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

//! A run that answers to an incident.

use std::path::{Path, PathBuf};
use std::time::Duration;

use deploy_agents::agents::Program;
use deploy_agents::crew::{EventFolder, EvidenceFolder, Sources};
use deploy_agents::evidence::{Source, cdevents};
use deploy_agents::process::CommandLine;
use deploy_agents::workflows::{IncidentResponse, IncidentTrigger, TriggerError, Triggered};
use deploy_core::agent::AgentCard;
use deploy_core::gate::{Gate, GateDecision, gate_fn};
use deploy_core::name::RevisionName;
use deploy_core::operator::ApprovalRequest;
use deploy_core::pipeline::Pipeline;
use deploy_core::report::chain;

use crate::Failure;
use crate::code::Code;
use crate::drive::{About, Pipelines, host, wait_for_owner};
use crate::follow::Until;
use crate::journal::JournalFile;
use crate::registry::{NamedProgram, program};
use crate::shared::Shared;
use crate::trouble::Trouble;
use crate::who::Who;

/// How long until a program is asked again whether the service is well, and until somebody looks again what it cost.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// How an incident is answered to.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Answer {
    /// The revision that serves where it happens.
    #[arg(long, value_name = "REVISION", requires = "event")]
    serving: Option<RevisionName>,

    /// What is done about it: a program, which succeeds with exit code 0. May be given several times; they run one after the other, and
    /// must bear to run twice.
    #[arg(long = "respond", value_name = "NAME=COMMAND", value_parser = program, requires = "event")]
    responses: Vec<NamedProgram>,

    /// What shows that the service is well again: a program, asked until its exit code is 0. May be given several times.
    #[arg(long = "recovered", value_name = "NAME=COMMAND", value_parser = program, requires = "event")]
    recovered: Vec<NamedProgram>,

    /// A folder with a `manifest.json` and the `impact` of the incident, once somebody has written it: the run waits for it.
    #[arg(long, value_name = "FOLDER", requires = "event")]
    evidence: Option<PathBuf>,

    /// Ask a person before anything is done.
    #[arg(long, requires = "event")]
    ask: bool,

    /// Hand the run back, with exit code 4, as soon as nothing more happens before somebody does something.
    #[arg(long, requires = "event")]
    until_held: bool,

    #[command(flatten)]
    who: Who,
}

impl Answer {
    /// Answers to the incident of an event, and shows the run to its end.
    pub(super) async fn to(&self, event: &Path, shared: &Shared) -> Result<Code, Failure> {
        let place = event.display();
        let bytes =
            std::fs::read(event).map_err(|e| Trouble::usage(format!("the event {place} cannot be read: {e}")))?;
        let facts =
            cdevents::read(&Source::new(&place.to_string(), &bytes)).map_err(|e| Trouble::usage(e.to_string()))?;
        let serving = self.serving.clone();
        let serving =
            serving.ok_or_else(|| Trouble::usage("say which revision serves there, with --serving REVISION"))?;
        let (run, who) = (IncidentTrigger::run_id(&facts).map_err(|e| refused(&e))?, self.who.principal()?);
        let until = if self.until_held { Until::Held } else { Until::End };
        host(self, shared, until, async |host, screen| {
            let there = host.journal.entry(&run).await?;
            if let Some(there) = &there {
                wait_for_owner(&host.journal, &host.engine, there, screen).await?;
            }
            let trigger = IncidentTrigger::new(host.pipeline.clone(), events(&host.file));
            let received = trigger.receive(&host.engine, &bytes, serving, who).await.map_err(|e| refused(&e))?;
            let Triggered::Answered(run) = received else {
                let incident = &facts.incident.value;
                let text =
                    format!("incident {incident} is said to be over, and no run answered to it: nothing was started");
                return Err(Trouble::ends(Code::Refused, text));
            };
            let incident = &facts.incident.value;
            let (does, did) = (format!("answers to incident {incident}"), format!("answered to incident {incident}"));
            let about = About { does, did, fact: ("incident", incident.clone()) };
            Ok(about.begun(run, there.as_ref(), screen))
        })
        .await
    }

    fn pipeline(&self, file: &JournalFile) -> Result<Pipeline, Failure> {
        let mut evidence = Sources::new().with(events(file));
        if let Some(folder) = &self.evidence {
            if !folder.is_dir() {
                return Err(Trouble::usage(format!("there is no folder of evidence at {}", folder.display())));
            }
            evidence = evidence.with(EvidenceFolder::new(folder));
        }
        let mut response = IncidentResponse::new("answer-incident", evidence).look_again(ASK_AGAIN);
        if self.ask {
            response = response.ask(ApprovalRequest::new("Shall this be done about the incident?"));
        }
        for NamedProgram { name, words } in &self.responses {
            let card = AgentCard::new(name.clone(), format!("runs {}", words.join(" "))).repeatable();
            let line = CommandLine::new(&words[0]).args(&words[1..]).inherit_env();
            response = response.respond(name.as_str(), Program::new(card, line));
        }
        for named in &self.recovered {
            response = response.recovered(named.name.as_str(), shown_by(named));
        }
        let built = response.build().map_err(|error| {
            let text = "the answer cannot be put together; it needs --respond and --recovered";
            Trouble::usage(format!("{text}: {}", chain(&error)))
        })?;
        Ok(built.pipeline)
    }
}

impl Pipelines for Answer {
    fn check(&self, file: &JournalFile) -> Result<(), Failure> {
        self.pipeline(file).map(drop)
    }

    async fn ready(&self, file: &JournalFile) -> Result<Pipeline, Failure> {
        self.pipeline(file)
    }
}

/// The events that were received lie beside the journal.
fn events(file: &JournalFile) -> EventFolder {
    EventFolder::new(file.path().with_file_name("incidents"))
}

/// Opens when a program says so.
fn shown_by(NamedProgram { name, words }: &NamedProgram) -> impl Gate {
    let (line, words) = (words.join(" "), words.clone());
    let criterion = format!("{line} succeeds");
    gate_fn(name.clone(), criterion, move |_| {
        let mut command = tokio::process::Command::new(&words[0]);
        command.args(&words[1..]).kill_on_drop(true).stdin(std::process::Stdio::null());
        let line = line.clone();
        async move {
            Ok(match command.output().await {
                Ok(output) if output.status.success() => GateDecision::Go,
                Ok(output) => GateDecision::hold(format!("{line} ended with {}", output.status), ASK_AGAIN),
                Err(error) => GateDecision::hold(format!("{line} could not be run: {error}"), ASK_AGAIN),
            })
        }
    })
}

/// What was wrong with an event is for whoever gave it to mend; the rest is a part that could not be used.
fn refused(error: &TriggerError) -> Failure {
    match error {
        TriggerError::Unreadable { .. } | TriggerError::Start { .. } => {
            Trouble::because("the incident cannot be answered to", error)
        }
        _ => Trouble::usage(chain(error)),
    }
}

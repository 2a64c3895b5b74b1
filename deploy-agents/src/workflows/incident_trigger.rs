//! An event about an incident starts the run that answers to it.

use deploy_core::digest::Digest;
use deploy_core::driver::{Engine, RunHandle, StartError, StatusError};
use deploy_core::journal::{CreateError, JournalError};
use deploy_core::name::{EnvironmentName, NameError, RevisionName, RunId, ServiceName};
use deploy_core::operator::Principal;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::PlanError;
use deploy_core::release::{Change, Release};

use crate::checks::incident::answering_service;
use crate::crew::{EventFolder, KeepError};
use crate::evidence::facts::{IncidentFacts, IncidentPredicate};

/// Starts the run of a pipeline that answers to an incident, once for each incident, whatever is told of it how often and by whom.
///
/// An event is first kept, then answered to: after a crash the same event again does what is still to be done. That an incident is said
/// to be over is kept beside the rest and ends nothing: the run ends when recovery is shown.
///
/// Hand [`receive`](Self::receive) what a webhook or a broker brings, after whoever sent it was identified; say to the sender that it
/// was taken only when it returns.
///
/// Rows: M232.
#[derive(Debug, Clone)]
pub struct IncidentTrigger {
    pipeline: Pipeline,
    events: EventFolder,
}

/// What became of an event.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Triggered {
    /// The run that answers to the incident; it began with this event, or had begun before.
    Answered(RunHandle),
    /// Nothing answers to it: it is said to be over, and no run ever answered to it.
    Nothing(Box<IncidentFacts>),
}

/// An event that nothing was started for. It may be handed over again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TriggerError {
    /// The event was not kept.
    #[error("the event was not kept")]
    Keep(#[from] KeepError),
    /// It does not say what it happens to: let the monitoring say it.
    #[error("incident {0} happens to no service that is named, so that nobody can tell who answers to it")]
    NoService(String),
    /// It names the service or the environment by a text that is no name here: translate it on the way.
    #[error("incident {incident} cannot be answered to")]
    Name {
        /// The incident.
        incident: String,
        /// The text, and why it is no name.
        #[source]
        source: NameError,
    },
    /// The pipeline makes no plan of it.
    #[error("there is no plan for incident {incident}")]
    Plan {
        /// The incident.
        incident: String,
        /// Why not.
        #[source]
        source: PlanError,
    },
    /// The run could not be started.
    #[error("the run {run} that answers to incident {incident} could not be started")]
    Start {
        /// The incident.
        incident: String,
        /// The run.
        run: RunId,
        /// Why.
        #[source]
        source: StartError,
    },
    /// It could not be seen whether a run answers to it.
    #[error("it could not be seen whether a run answers to incident {incident}")]
    Unreadable {
        /// The incident.
        incident: String,
        /// Why.
        #[source]
        source: StatusError,
    },
}

impl IncidentTrigger {
    /// A trigger of this pipeline, which the engine must know. `events` is where the pipeline's source looks for events.
    #[must_use]
    pub fn new(pipeline: Pipeline, events: EventFolder) -> Self {
        Self { pipeline, events }
    }

    /// The run that answers to an incident. Its id follows from what the incident is called, what it happens to and where, whoever tells
    /// of it: a ticket about what the monitoring noticed is about the same incident.
    ///
    /// # Errors
    ///
    /// [`TriggerError`] where the event does not name them.
    pub fn run_id(event: &IncidentFacts) -> Result<RunId, TriggerError> {
        let (service, environment) = (Self::service(event)?, &event.environment.value);
        let short = || Digest::of(format!("{service} {environment}").as_bytes()).short();
        let run =
            RunId::new(format!("{service}-{environment}")).or_else(|_| RunId::new(format!("incident-{}", short())));
        run.map_err(|source| TriggerError::Name { incident: event.incident.value.clone(), source })
    }

    /// The service that the run is of.
    fn service(event: &IncidentFacts) -> Result<ServiceName, TriggerError> {
        let incident = || event.incident.value.clone();
        let service = event.service.as_ref().ok_or_else(|| TriggerError::NoService(incident()))?;
        let answers = answering_service(&service.value, &event.incident.value);
        answers.map_err(|source| TriggerError::Name { incident: incident(), source })
    }

    /// What the run is about: the service and environment of the incident, and the revision that serves there.
    ///
    /// # Errors
    ///
    /// [`TriggerError`] where the event does not name them.
    pub fn release(event: &IncidentFacts, serving: RevisionName) -> Result<Release, TriggerError> {
        let named = |source| TriggerError::Name { incident: event.incident.value.clone(), source };
        let environment = EnvironmentName::new(&event.environment.value).map_err(named)?;
        let change = Change { links: event.ticket.iter().cloned().collect(), ..Change::default() };
        Ok(Release::new(Self::service(event)?, environment, serving).change(change))
    }

    /// Keeps an event, and starts the run that answers to its incident, if none does yet.
    ///
    /// `serving` is the revision that serves where it happens; `who` is whoever sent the event, as the host has identified them.
    ///
    /// # Errors
    ///
    /// [`TriggerError`]. The event is kept unless it is [`TriggerError::Keep`].
    ///
    /// # Cancel safety
    ///
    /// May be called again with the same event.
    pub async fn receive(
        &self,
        engine: &Engine,
        event: &[u8],
        serving: RevisionName,
        who: Principal,
    ) -> Result<Triggered, TriggerError> {
        let event = self.events.keep(event).await?;
        let incident = || event.incident.value.clone();
        let run = Self::run_id(&event)?;
        if let Some(there) = self.there(engine, &run, &event).await? {
            return Ok(Triggered::Answered(there));
        }
        let release = Self::release(&event, serving)?;
        if event.said == IncidentPredicate::Resolved {
            return Ok(Triggered::Nothing(Box::new(event)));
        }
        let planned = self.pipeline.plan(release, who);
        let plan = planned.map_err(|source| TriggerError::Plan { incident: incident(), source })?;
        match engine.start_plan(run.clone(), plan).await {
            Ok(handle) => Ok(Triggered::Answered(handle)),
            Err(source) => match (&source, self.there(engine, &run, &event).await?) {
                // Another event about it was quicker.
                (StartError::Create(CreateError::Taken(_)), Some(there)) => Ok(Triggered::Answered(there)),
                _ => Err(TriggerError::Start { incident: incident(), run, source }),
            },
        }
    }

    /// The run, if it is there.
    async fn there(
        &self,
        engine: &Engine,
        run: &RunId,
        event: &IncidentFacts,
    ) -> Result<Option<RunHandle>, TriggerError> {
        match engine.run(run).await {
            Ok(handle) => Ok(Some(handle)),
            Err(StatusError::Journal(JournalError::NoSuchRun(_))) => Ok(None),
            Err(source) => Err(TriggerError::Unreadable { incident: event.incident.value.clone(), source }),
        }
    }
}

//! The answer to an incident: triage, response, verified recovery, review.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use deploy_core::agent::Agent;
use deploy_core::gate::Gate;
use deploy_core::name::{BlockName, CheckName};
use deploy_core::operator::ApprovalRequest;
use deploy_core::pipeline::{Pipeline, PipelineBuilder, StepRef};
use deploy_core::plan::{RetryPolicy, RollbackTo, StepPath};
use deploy_core::release::ReleaseKind;

use super::claimer::Claimer;
use super::error::WorkflowError;
use super::issue::IssuePolicy;
use super::phase_gate::{PhaseGate, Shown};
use super::sitting::Sitting;
use super::workflow::Workflow;
use crate::checks::{Checklist, Thresholds};
use crate::crew::{Crew, EvidenceSource, INCIDENT_SEATS, Role, Seat, duty};
use crate::gates::EvidenceGate;

/// How long a service may take to be shown well again, unless said otherwise: until the next working day.
const RECOVERS_WITHIN: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the impact may take to be stated, unless said otherwise: two weeks, while people remember.
const REVIEWED_WITHIN: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// How long until somebody looks again whether the impact is stated, unless said otherwise.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// The workflow that answers to an incident.
///
/// | phase | what happens | it ends when |
/// |---|---|---|
/// | triage | the event is read: one incident, of this service in this environment | `incident-known` passes |
/// | response | what the host does about it, step by step; a person may be asked before | every step is done |
/// | recovery | nothing; the gates of the host are asked until they open | the service is shown to be well again |
/// | review | `/qa` states what it cost the service, `/pm` what it cost users and the business | `impact-stated` passes |
///
/// What was done about an incident is never undone by the run, and the event that it is over ends nothing: recovery is shown. The run is
/// of a service of [its own](crate::checks::incident::answering_service), so that it never waits for a release that is stuck; a response
/// that takes back a release does so by [`Engine::roll_back`](deploy_core::driver::Engine::roll_back) or by an operator's input, which
/// keep the order of the service. Who is called, and who commands, is the host's.
///
/// ```
/// use deploy_agents::crew::EvidenceFolder;
/// use deploy_agents::workflows::IncidentResponse;
/// use deploy_core::agent::{AgentCard, Report, agent_fn};
/// use deploy_core::gate::{GateDecision, gate_fn};
/// use deploy_core::name::BlockName;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let restart = agent_fn(AgentCard::new(BlockName::new("restart")?, "restarts what hangs").repeatable(), |_, _| async { Ok(Report::new()) });
/// // A real host asks its monitors here.
/// let well = gate_fn(BlockName::new("well")?, "the service level is kept", |_| async { Ok(GateDecision::Go) });
/// let workflow = IncidentResponse::new("answer-shop", EvidenceFolder::new("incidents"))
///     .respond("restart", restart)
///     .recovered("service-level", well)
///     .build()?;
/// let phases: Vec<String> = workflow.pipeline.phases().iter().map(|phase| phase.name.to_string()).collect();
/// assert_eq!(phases, ["triage", "response", "recovery", "review"]);
/// # Ok(())
/// # }
/// ```
///
/// Rows: M116, M118, M232.
#[derive(Debug, Clone)]
pub struct IncidentResponse {
    name: String,
    crew: Crew,
    question: Option<ApprovalRequest>,
    responses: Vec<(String, Arc<dyn Agent>)>,
    recovered: Vec<(String, Arc<dyn Gate>)>,
    agents: BTreeMap<Seat, Arc<dyn Agent>>,
    without: BTreeMap<Seat, String>,
    issues: IssuePolicy,
    recovers_within: Duration,
    reviewed_within: Duration,
    look_again: Duration,
}

impl IncidentResponse {
    /// An answer that does nothing yet. The source has the events about incidents, such as an
    /// [`EventFolder`](crate::crew::EventFolder), and what is measured of them.
    pub fn new(name: impl Into<String>, evidence: impl EvidenceSource) -> Self {
        Self {
            name: name.into(),
            crew: Crew::new(evidence, Thresholds::default()),
            question: None,
            responses: Vec::new(),
            recovered: Vec::new(),
            agents: BTreeMap::new(),
            without: BTreeMap::new(),
            issues: IssuePolicy::default(),
            recovers_within: RECOVERS_WITHIN,
            reviewed_within: REVIEWED_WITHIN,
            look_again: LOOK_AGAIN,
        }
    }

    /// The same with a crew of the host's own: with other thresholds or checks.
    #[must_use]
    pub fn crew(mut self, crew: Crew) -> Self {
        self.crew = crew;
        self
    }

    /// Asks a person before anything is done. Default: nobody is asked.
    #[must_use]
    pub fn ask(mut self, request: ApprovalRequest) -> Self {
        self.question = Some(request);
        self
    }

    /// One more step of the response, after those before it. At least one is needed.
    #[must_use]
    pub fn respond(mut self, name: impl Into<String>, agent: impl Agent) -> Self {
        self.responses.push((name.into(), Arc::new(agent)));
        self
    }

    /// One more gate that must open before the service counts as recovered. At least one is needed.
    #[must_use]
    pub fn recovered(mut self, name: impl Into<String>, gate: impl Gate) -> Self {
        self.recovered.push((name.into(), Arc::new(gate)));
        self
    }

    /// Gives a seat of the review to an agent of the host's own. It must claim what the seat verifies.
    #[must_use]
    pub fn with_agent(mut self, seat: Seat, agent: impl Agent) -> Self {
        self.agents.insert(seat, Arc::new(agent));
        self
    }

    /// Leaves a seat of the review out, for a reason that the workflow shows.
    #[must_use]
    pub fn without(mut self, seat: Seat, reason: impl Into<String>) -> Self {
        self.without.insert(seat, reason.into());
        self
    }

    /// How issues are answered. Default: [`IssuePolicy::default`].
    #[must_use]
    pub fn issues(mut self, policy: IssuePolicy) -> Self {
        self.issues = policy;
        self
    }

    /// How long each gate of the recovery may hold; then the run fails. Default 24 hours.
    #[must_use]
    pub fn recovers_within(mut self, span: Duration) -> Self {
        self.recovers_within = span;
        self
    }

    /// How long the impact may take to be stated; then the run fails. Default 14 days.
    #[must_use]
    pub fn reviewed_within(mut self, span: Duration) -> Self {
        self.reviewed_within = span;
        self
    }

    /// How long until somebody looks again whether the impact is stated. Default 1 minute.
    #[must_use]
    pub fn look_again(mut self, after: Duration) -> Self {
        self.look_again = after;
        self
    }

    /// Checks everything, and puts the workflow together.
    ///
    /// # Errors
    ///
    /// [`WorkflowError`] says what is wrong, and what to do: a phase without a step lacks a response or a gate of the recovery.
    pub fn build(self) -> Result<Workflow, WorkflowError> {
        for seat in self.agents.keys().chain(self.without.keys()) {
            if !INCIDENT_SEATS.contains(seat) {
                let seats = INCIDENT_SEATS.map(|seat| seat.to_string()).join(", ");
                return Err(WorkflowError::NoSeat { seat: *seat, seats });
            }
        }
        if let Some((seat, _)) = self.without.iter().find(|(_, reason)| reason.trim().is_empty()) {
            return Err(WorkflowError::NoReason(seat.to_string()));
        }
        let p = Pipeline::builder(&self.name);
        let reason = "what was done about an incident is not undone because something else about it failed".to_owned();
        p.rollback(RollbackTo::None { reason });
        for check in self.crew.catalogue().checks() {
            p.check(check.check());
        }
        let retry = self.issues.retry();
        self.triage(&p, retry.clone())?;
        self.response(&p, &retry)?;
        self.recovery(&p);
        let (seats, agents) = self.review(&p, &retry)?;
        Ok(Workflow {
            pipeline: p.build()?,
            crew: self.crew,
            seats,
            without: self.without,
            kinds: BTreeSet::from(ReleaseKind::ALL),
            agents,
            checklist: checklist(),
        })
    }

    fn triage(&self, p: &PipelineBuilder, retry: RetryPolicy) -> Result<(), WorkflowError> {
        let phase = p.phase("triage");
        let known = CheckName::new("incident-known")?;
        let checks = self.crew.catalogue().check(known.as_str()).cloned();
        let says = "shows which incident is answered to";
        let claimer = Claimer::new(BlockName::new("incident-event")?, says, checks.into_iter().collect(), &self.crew);
        let verifications = claimer.verifications();
        let mut step = phase.task("event", claimer).retry(retry);
        for wanted in verifications {
            step = step.verify(wanted);
        }
        step.add();
        let shown = shown("triage/event", Vec::new(), vec![known]);
        phase.exit(PhaseGate::new(BlockName::new("triage-gate")?, shown.into_iter().collect()));
        Ok(())
    }

    fn response(&self, p: &PipelineBuilder, retry: &RetryPolicy) -> Result<(), WorkflowError> {
        let phase = p.phase("response");
        let mut after: Vec<StepRef> = Vec::new();
        if let Some(request) = self.question.clone().filter(|_| !self.responses.is_empty()) {
            after = vec![phase.approval("approve", request).add()];
        }
        for (name, agent) in &self.responses {
            after = vec![phase.task(name, Arc::clone(agent)).retry(retry.clone()).after_all(&after).add()];
        }
        // A name that is none is told by the pipeline, with every other problem.
        let done =
            self.responses.iter().filter_map(|(name, _)| shown(&format!("response/{name}"), Vec::new(), Vec::new()));
        phase.exit(PhaseGate::new(BlockName::new("response-gate")?, done.collect()));
        Ok(())
    }

    fn recovery(&self, p: &PipelineBuilder) {
        let phase = p.phase("recovery").hold_at_most(self.recovers_within);
        let mut after: Vec<StepRef> = Vec::new();
        for (name, gate) in &self.recovered {
            let step = phase.gate(name, Arc::clone(gate)).hold_at_most(self.recovers_within);
            after = vec![step.after_all(&after).add()];
        }
        // Asked once more at the end, together: what was well an hour ago need not be.
        for (_, gate) in &self.recovered {
            phase.exit(Arc::clone(gate));
        }
    }

    #[expect(clippy::type_complexity, reason = "what a workflow keeps of its seats")]
    fn review(
        &self,
        p: &PipelineBuilder,
        retry: &RetryPolicy,
    ) -> Result<(BTreeMap<Seat, StepPath>, BTreeMap<Seat, Arc<dyn Agent>>), WorkflowError> {
        let stated =
            EvidenceGate::new(BlockName::new("impact-is-stated")?, &self.crew, [CheckName::new("impact-stated")?]);
        let stated = stated.look_again(self.look_again);
        let phase = p.phase("review").hold_at_most(self.reviewed_within).entry(stated.clone());
        let (mut seats, mut agents, mut weighed) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for seat in INCIDENT_SEATS.into_iter().filter(|seat| !self.without.contains_key(seat)) {
            let Some(duty) = duty(seat) else { continue };
            let sitting = Sitting::of(duty, &self.crew, &self.agents);
            match seat.role {
                Role::Qa => phase.lead(Arc::clone(&sitting.agent)),
                _ => phase.supporting(Arc::clone(&sitting.agent)),
            };
            if let Some(shown) = shown(&format!("review/{}", seat.role), sitting.line_names(), sitting.checks) {
                seats.insert(seat, shown.step.clone());
                weighed.push(shown);
            }
            let mut step = phase.task(seat.role.slug(), Arc::clone(&sitting.agent)).retry(retry.clone());
            for wanted in sitting.verifications {
                step = step.verify(wanted);
            }
            step.add();
            agents.insert(seat, sitting.agent);
            for line in sitting.lines {
                p.check(line);
            }
        }
        phase.exit(PhaseGate::new(BlockName::new("review-gate")?, weighed)).exit(stated);
        Ok((seats, agents))
    }
}

/// What a step must have shown, whatever kind of release the run is of.
fn shown(path: &str, lines: Vec<CheckName>, checks: Vec<CheckName>) -> Option<Shown> {
    Some(Shown { step: StepPath::new(path).ok()?, kinds: BTreeSet::from(ReleaseKind::ALL), lines, checks })
}

/// What must be so before an incident is closed.
fn checklist() -> Checklist {
    Checklist::new("Before an incident is closed")
        .item(116, "One incident is known, of this service in this environment", &["incident-known"])
        .item(118, "What it cost is stated, and adds up", &["impact-stated"])
}

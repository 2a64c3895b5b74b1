//! What happens when somebody seems to have broken in.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::agent::{Agent, AgentCard, AgentError, Performed, StepContext, Task};
use deploy_core::digest::Digest;
use deploy_core::evidence::Collected;
use deploy_core::monitor::{Arm, Comparison, MeasureContext, MeasureRequest, Monitor, Reading};
use deploy_core::name::{BlockName, MetricName};
use deploy_core::operator::ApprovalRequest;
use deploy_core::pipeline::{Pipeline, PipelineErrors};
use deploy_core::plan::RollbackTo;
use deploy_core::real::Real;
use serde::{Deserialize, Serialize};

use super::{PreserveEvidence, of_all_traffic};
use crate::agents::subject;

/// The path of a security incident: what was noticed is measured once more, what it left behind is kept, and a record says both,
/// before anybody cleans up.
///
/// | what is measured | what it does |
/// |---|---|
/// | beyond the limit | keeps everything, and writes the [`IncidentRecord`]: evidence of kind `incident-record` |
/// | within the limit | fails definitively: there is no incident, and nothing is kept |
/// | nothing, or an error | fails: silence neither opens an incident nor closes one; it is tried again by the step's own policy |
///
/// Of counts it is the share of bad ones that is held against the limit. As an agent it stands in a pipeline of the host;
/// [`pipeline`](Self::pipeline) is the shortest one. Who is called, and how the team works, is the host's.
///
/// Rows: M79.
#[derive(Debug, Clone)]
pub struct SecurityIncident {
    preserve: PreserveEvidence,
    monitor: Arc<dyn Monitor>,
    metric: MetricName,
    beyond: (Comparison, Real),
    lookback: Duration,
    owner: String,
    runbook: String,
}

/// What is known of an incident from its beginning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct IncidentRecord {
    /// The version of this format: 1.
    pub format: u32,
    /// The run that the incident is.
    pub run: String,
    /// When it was opened, in RFC 3339.
    pub opened_at: String,
    /// Who looks after it.
    pub owner: String,
    /// What is to be done: a link.
    pub runbook: String,
    /// Who noticed.
    pub monitor: BlockName,
    /// What was noticed.
    pub metric: MetricName,
    /// What was measured when it was opened.
    pub reading: Reading,
    /// The limit that it was beyond.
    pub limit: (Comparison, Real),
    /// The lists of what was kept and what could not be, by digest; the bytes are evidence of the same step.
    pub preserved: Vec<Digest>,
    /// How many pieces were kept.
    pub kept: usize,
}

impl SecurityIncident {
    /// The path for this metric of this monitor beyond this limit, keeping that, looked after by `owner` according to `runbook`. It asks
    /// about the last minute.
    #[must_use]
    pub fn new(
        monitor: impl Monitor,
        metric: MetricName,
        beyond: (Comparison, Real),
        preserve: PreserveEvidence,
        owner: impl Into<String>,
        runbook: impl Into<String>,
    ) -> Self {
        let (monitor, owner, runbook) = (Arc::new(monitor), owner.into(), runbook.into());
        Self { preserve, monitor, metric, beyond, lookback: Duration::from_secs(60), owner, runbook }
    }

    /// The same about another span of time.
    #[must_use]
    pub fn lookback(mut self, lookback: Duration) -> Self {
        self.lookback = lookback;
        self
    }

    /// A pipeline of this path: first everything is kept, then `contain` stops the harm, and last of all a person says that it is over.
    ///
    /// A run of it is of a service and an environment, and waits for a release that holds them: give incidents an environment of their
    /// own where they must not wait.
    ///
    /// # Errors
    ///
    /// [`PipelineErrors`] if the name is none, or `contain` does not say how it is repeated.
    pub fn pipeline(
        self,
        name: impl AsRef<str>,
        contain: impl Agent,
        over: ApprovalRequest,
    ) -> Result<Pipeline, PipelineErrors> {
        let p = Pipeline::builder(name);
        let reason = "what an intruder touched is not put back by going back to a revision".to_owned();
        p.rollback(RollbackTo::None { reason });
        let preserved = p.phase("preserve").task("preserve", self).add();
        let contained = p.phase("contain").task("contain", contain).after(&preserved).add();
        p.phase("close").approval("over", over).after(&contained).add();
        p.build()
    }

    /// What is measured now, if it is beyond the limit.
    async fn noticed(&self, task: &Task, cx: &StepContext) -> Result<Reading, AgentError> {
        let request = MeasureRequest {
            monitor: self.monitor.name(),
            metrics: vec![self.metric.clone()],
            candidate: task.release.revision.clone(),
            baseline: None,
            lookback: self.lookback,
        };
        let about = MeasureContext::new(Arc::clone(&task.release), cx.now);
        let asked = |why: &str| format!("{} of {} {why}", self.metric, request.monitor);
        let all = of_all_traffic(self.monitor.as_ref(), &request, &about).await;
        let all = all.map_err(|error| AgentError::transient(asked("could not be measured")).because(error))?;
        let own = all.into_iter().find(|m| m.metric == self.metric && m.arm == Arm::Candidate);
        let reading = own.map_or(Reading::NoData, |m| m.reading);
        let Some(number) = reading.number() else {
            return Err(AgentError::transient(asked("is not known: silence is no safety")));
        };
        let (comparison, limit) = self.beyond;
        if comparison.holds(number, limit.get()) {
            Ok(reading)
        } else {
            Err(AgentError::definitive(asked(&format!("is {number}, not {comparison} {limit}: there is no incident"))))
        }
    }
}

#[async_trait]
impl Agent for SecurityIncident {
    fn card(&self) -> AgentCard {
        self.preserve.card()
    }

    async fn perform(&self, task: &Task, cx: &StepContext) -> Result<Performed, AgentError> {
        let reading = self.noticed(task, cx).await?;
        let report = self.preserve.keep(task, cx).await?;
        let of_kind =
            |list: bool| report.evidence.iter().filter(move |one| (one.evidence.kind == "preserved-list") == list);
        let record = IncidentRecord {
            format: 1,
            run: cx.key.run.to_string(),
            opened_at: cx.now.wall.to_string(),
            owner: self.owner.clone(),
            runbook: self.runbook.clone(),
            monitor: self.monitor.name(),
            metric: self.metric.clone(),
            reading,
            limit: self.beyond,
            preserved: of_kind(true).map(|list| list.evidence.digest).collect(),
            kept: of_kind(false).count(),
        };
        let bytes = serde_json::to_vec_pretty(&record)
            .map_err(|error| AgentError::definitive("the record cannot be written as JSON").because(error))?;
        let whole = Collected::new("incident-record", self.owner.as_str(), subject(task), cx.now.wall, bytes);
        let summary = format!("{} was beyond its limit; {} pieces were kept", self.metric, record.kept);
        Ok(report.evidence(whole.summary(summary.clone())).note(summary).into())
    }
}

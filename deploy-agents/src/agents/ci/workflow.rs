//! Has a CI system run a workflow, and hands over what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::agent::{Agent, AgentCard, AgentError, Handle, Lookup, Performed, Report, StepContext, Task};
use deploy_core::effect::EffectKey;
use deploy_core::evidence::{Claim, Collected, EvidenceSubject};
use deploy_core::name::CheckName;
use deploy_core::time::{Clock, SystemClock};

#[cfg(feature = "zip")]
use super::archive::{ArchiveLimits, Files};
use super::{CiArtifact, CiError, CiOrder, CiPort, CiRun, CiRunId, CiState};

/// How a handle begins that names the mark and no run yet.
const BY_MARK: &str = "mark:";
const BY_RUN: &str = "run:";
/// The kind of evidence that an artifact is whose files were taken out of it.
#[cfg(feature = "zip")]
const ARCHIVE: &str = "ci-archive";

/// Has a CI system run a workflow, waits for its end, and hands over the run and its artifacts as evidence.
///
/// The attempt's [`EffectKey`] is the mark of the run: before a run is ordered it is looked for, so that an engine that crashed
/// in between orders none twice. Where a system shows a new run only after a while, that leaves a gap: say on the card whether
/// the workflow may run twice with the same key, or have it refuse that itself.
///
/// | what happened | certainty |
/// |---|---|
/// | the run succeeded | done |
/// | it failed, or was cancelled | definitive |
/// | the order was refused | definitive; after too many requests transient |
/// | nobody was reached | transient |
/// | the order was sent, and no answer came | unknown: looked up by the mark |
/// | nobody can be asked how it is doing | it goes on; the step's timeout ends it |
///
/// The report holds a `ci-run` as evidence, made by the system, about the commit that it ran on; and the bytes of each
/// [artifact](Self::artifact) that was asked for, as the system keeps them. With the feature `zip` also single files of artifacts that
/// are packed (`file`): then the packed artifact is evidence too, so that receipts have the digest of the whole and of each file. A run
/// on another commit than the release's is foreign evidence, and meets no check.
///
/// ```
/// use std::sync::Arc;
/// use deploy_agents::agents::{CiWorkflow, GithubActions};
/// use deploy_core::agent::{Agent, AgentCard};
/// use deploy_core::name::{BlockName, CheckName};
///
/// let actions = Arc::new(GithubActions::new("http://127.0.0.1:8080/api/v3", "acme/orders"));
/// let build = CiWorkflow::new(AgentCard::new(BlockName::new("build")?, "builds the release"), actions, "build.yml")
///     .on("main")
///     .artifact("junit.xml", "junit")
///     .claims(CheckName::new("build-succeeded")?);
/// assert_eq!(build.card().name.as_str(), "build");
/// # Ok::<(), deploy_core::name::NameError>(())
/// ```
///
/// Rows: M234.
#[derive(Debug, Clone)]
pub struct CiWorkflow {
    card: AgentCard,
    port: Arc<dyn CiPort>,
    workflow: String,
    reference: Option<String>,
    inputs: BTreeMap<String, String>,
    artifacts: Vec<(String, String)>,
    #[cfg(feature = "zip")]
    files: BTreeMap<String, Vec<(String, String)>>,
    #[cfg(feature = "zip")]
    archives: ArchiveLimits,
    claims: Option<CheckName>,
    poll_after: Duration,
    clock: Arc<dyn Clock>,
}

impl CiWorkflow {
    /// An agent that has `workflow` run on the release's commit.
    pub fn new(card: AgentCard, port: Arc<dyn CiPort>, workflow: impl Into<String>) -> Self {
        Self {
            card,
            port,
            workflow: workflow.into(),
            reference: None,
            inputs: BTreeMap::new(),
            artifacts: Vec::new(),
            #[cfg(feature = "zip")]
            files: BTreeMap::new(),
            #[cfg(feature = "zip")]
            archives: ArchiveLimits::default(),
            claims: None,
            poll_after: Duration::from_secs(10),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// The same, run on this branch or tag. Where a system runs workflows of branches and tags alone, as GitHub does, this is
    /// needed; that the run was on the release's commit is checked all the same.
    #[must_use]
    pub fn on(mut self, reference: impl Into<String>) -> Self {
        self.reference = Some(reference.into());
        self
    }

    /// The same, telling the workflow one more thing.
    #[must_use]
    pub fn input(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.inputs.insert(name.into(), value.into());
        self
    }

    /// The same, with the artifact of this name as evidence of this kind. A run without it has failed.
    #[must_use]
    pub fn artifact(mut self, name: impl Into<String>, kind: impl Into<String>) -> Self {
        self.artifacts.push((name.into(), kind.into()));
        self
    }

    /// The same, with the file of this name in the artifact of that name as evidence of this kind: the artifact is unpacked. A run
    /// without the artifact has failed, and so has one whose artifact lacks the file or cannot be unpacked whole.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use deploy_agents::agents::{ArchiveLimits, CiWorkflow, GithubActions};
    /// use deploy_core::agent::AgentCard;
    /// use deploy_core::name::BlockName;
    ///
    /// let actions = Arc::new(GithubActions::new("http://127.0.0.1:8080/api/v3", "acme/orders"));
    /// let build = CiWorkflow::new(AgentCard::new(BlockName::new("build")?, "builds the release"), actions, "build.yml")
    ///     .file("reports", "unit/junit.xml", "junit")
    ///     .file("reports", "lcov.info", "lcov")
    ///     .unpacks_at_most(ArchiveLimits::default().total(16 * 1024 * 1024));
    /// # let _ = build;
    /// # Ok::<(), deploy_core::name::NameError>(())
    /// ```
    #[cfg(feature = "zip")]
    #[must_use]
    pub fn file(mut self, artifact: impl Into<String>, name: impl Into<String>, kind: impl Into<String>) -> Self {
        self.files.entry(artifact.into()).or_default().push((name.into(), kind.into()));
        self
    }

    /// The same, unpacking artifacts of at most this much.
    #[cfg(feature = "zip")]
    #[must_use]
    pub fn unpacks_at_most(mut self, limits: ArchiveLimits) -> Self {
        self.archives = limits;
        self
    }

    /// The same, claiming this check on all of its evidence.
    #[must_use]
    pub fn claims(mut self, check: CheckName) -> Self {
        self.claims = Some(check);
        self
    }

    /// The same, asking this often how the run is doing. Default 10 s: a run takes minutes, and systems count questions.
    #[must_use]
    pub fn poll_after(mut self, span: Duration) -> Self {
        self.poll_after = span;
        self
    }

    /// The same with another clock, which dates the evidence.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn running(&self, handle: String) -> Performed {
        Performed::Running { handle: Handle(handle), poll_after: self.poll_after }
    }

    fn under_way(&self, run: &CiRun) -> Performed {
        self.running(format!("{BY_RUN}{}", run.id))
    }

    async fn found(&self, handle: &Handle) -> Result<Option<CiRun>, CiError> {
        match (handle.0.strip_prefix(BY_RUN), handle.0.strip_prefix(BY_MARK)) {
            (Some(run), _) => self.port.status(&CiRunId(run.to_owned())).await.map(Some),
            (None, mark) => self.port.find(&self.workflow, mark.unwrap_or_default()).await,
        }
    }

    /// What a run has come to: a report, or why it failed for good; nothing while it is under way.
    async fn ended(&self, run: &CiRun) -> Result<Option<Result<Report, String>>, CiError> {
        let told = |how: &str| format!("run {} of {} {how}{}", run.id, self.workflow, shown_at(run));
        match &run.state {
            CiState::Queued | CiState::Running => Ok(None),
            CiState::Failed(how) => Ok(Some(Err(told(&format!("ended with {how}"))))),
            CiState::Cancelled => Ok(Some(Err(told("was cancelled")))),
            CiState::Succeeded => match self.collected(run).await {
                Ok(collected) => Ok(Some(Ok(self.report(run, collected)))),
                Err(error) if error.is_retryable() => Err(error),
                Err(error) => Ok(Some(Err(told(&format!("succeeded, but: {}", deploy_core::report::chain(&error)))))),
            },
        }
    }

    async fn collected(&self, run: &CiRun) -> Result<Vec<Collected>, CiError> {
        // What it says is about the commit that it ran on, not about the one that we wish for.
        let subject = EvidenceSubject { commit: run.commit.clone(), ..EvidenceSubject::default() };
        let now = self.clock.wall();
        let name = self.port.name();
        let document = serde_json::to_vec_pretty(run).map_err(|source| CiError::Unreadable {
            system: name.clone(),
            what: format!("run {}", run.id),
            source,
        })?;
        let mut said = Collected::new("ci-run", &name, subject.clone(), now, document);
        said.evidence.producer.run = Some(run.id.to_string());
        let mut collected = vec![said.summary(format!("{} succeeded, attempt {}", run.title, run.attempt))];
        let left = if self.wants_none() { Vec::new() } else { self.port.artifacts(&run.id).await? };
        let of_run = |kind: &str, summary: String, bytes: Vec<u8>| {
            let mut piece = Collected::new(kind, &name, subject.clone(), now, bytes);
            piece.evidence.producer.run = Some(run.id.to_string());
            piece.summary(summary)
        };
        for (wanted, kind) in &self.artifacts {
            let bytes = self.port.download(self.among(&left, wanted, run)?).await?;
            collected.push(of_run(kind, format!("artifact {wanted} of run {}", run.id), bytes.to_vec()));
        }
        #[cfg(feature = "zip")]
        for (wanted, files) in &self.files {
            let bytes = self.port.download(self.among(&left, wanted, run)?).await?;
            let packed = |source| CiError::Packed { system: name.clone(), name: wanted.clone(), source };
            let unpacked = Files::unpack(&bytes, &self.archives).map_err(packed)?;
            collected.push(of_run(ARCHIVE, format!("artifact {wanted} of run {}, packed", run.id), bytes.to_vec()));
            for (file, kind) in files {
                let bytes = unpacked.file(file).map_err(packed)?.to_vec();
                // By this name every figure that is read from it says where it stood.
                collected.push(of_run(kind, format!("{wanted}/{file}"), bytes));
            }
        }
        Ok(collected)
    }

    fn wants_none(&self) -> bool {
        #[cfg(feature = "zip")]
        if !self.files.is_empty() {
            return false;
        }
        self.artifacts.is_empty()
    }

    /// The artifact of this name, of those that the run left.
    fn among<'a>(&self, left: &'a [CiArtifact], wanted: &str, run: &CiRun) -> Result<&'a CiArtifact, CiError> {
        let gone = || CiError::Gone { system: self.port.name(), name: wanted.to_owned(), run: run.id.to_string() };
        left.iter().find(|artifact| artifact.name == wanted).ok_or_else(gone)
    }

    fn report(&self, run: &CiRun, collected: Vec<Collected>) -> Report {
        let value = format!("{} succeeded as run {}", self.workflow, run.id);
        let mut report = Report::new().note(format!("{value}{}", shown_at(run)));
        if let Some(check) = &self.claims {
            let evidence = collected.iter().map(|piece| piece.evidence.digest).collect();
            report = report.claim(Claim { check: check.clone(), evidence, value });
        }
        collected.into_iter().fold(report, Report::evidence)
    }
}

fn shown_at(run: &CiRun) -> String {
    run.url.as_ref().map(|url| format!(", see {url}")).unwrap_or_default()
}

fn ordered(error: CiError) -> AgentError {
    let text = "the run could not be ordered";
    match (error.did_nothing(), error.is_retryable()) {
        (true, true) => AgentError::transient(text).because(error),
        (true, false) => AgentError::definitive(text).because(error),
        (false, _) => AgentError::unknown(text).because(error),
    }
}

#[async_trait]
impl Agent for CiWorkflow {
    fn card(&self) -> AgentCard {
        self.card.clone()
    }

    async fn perform(&self, task: &Task, cx: &StepContext) -> Result<Performed, AgentError> {
        let mark = cx.key.to_string();
        let there = self.port.find(&self.workflow, &mark).await;
        let there = there.map_err(|error| match error.is_retryable() {
            true => AgentError::transient("it could not be seen whether the run is there").because(error),
            false => AgentError::definitive("it could not be seen whether the run is there").because(error),
        })?;
        if let Some(run) = there {
            return Ok(self.under_way(&run));
        }
        if cx.cancellation.is_cancelled() {
            return Err(AgentError::definitive("it was cancelled before the run was ordered"));
        }
        let Some(reference) = self.reference.clone().or_else(|| task.release.change.commit.clone()) else {
            return Err(AgentError::definitive("neither a branch nor the release's commit says what to run on"));
        };
        let order =
            CiOrder { workflow: self.workflow.clone(), reference, mark: mark.clone(), inputs: self.inputs.clone() };
        self.port.dispatch(&order).await.map_err(ordered)?;
        Ok(self.running(format!("{BY_MARK}{mark}")))
    }

    async fn poll(&self, handle: &Handle, _cx: &StepContext) -> Result<Performed, AgentError> {
        let again = || self.running(handle.0.clone());
        let ended = match self.found(handle).await {
            Ok(Some(run)) => self.ended(&run).await.map(|ended| (ended, self.under_way(&run))),
            Ok(None) => return Ok(again()),
            Err(error) => Err(error),
        };
        match ended {
            Ok((None, under_way)) => Ok(under_way),
            Ok((Some(Ok(report)), _)) => Ok(Performed::Done(report)),
            Ok((Some(Err(why)), _)) => Err(AgentError::definitive(why)),
            // A question that nobody answered changes nothing: the run goes on.
            Err(error) if error.is_retryable() => Ok(again()),
            Err(error) => Err(AgentError::unknown("the run could not be seen").because(error)),
        }
    }

    async fn lookup(&self, key: &EffectKey, _cx: &StepContext) -> Result<Lookup, AgentError> {
        let unseen = |error: CiError| AgentError::transient("the run could not be seen").because(error);
        // A run that was just ordered may not be shown yet: that none is there does not say that none was ordered.
        let found = self.port.find(&self.workflow, &key.to_string()).await.map_err(unseen)?;
        let Some(run) = found else { return Ok(Lookup::Unknown) };
        Ok(match self.ended(&run).await.map_err(unseen)? {
            None => Lookup::Running { handle: Handle(format!("{BY_RUN}{}", run.id)), poll_after: self.poll_after },
            Some(Ok(report)) => Lookup::Finished(report),
            Some(Err(why)) => Lookup::Failed(why),
        })
    }

    async fn cancel(&self, key: &EffectKey, handle: Option<&Handle>, _cx: &StepContext) -> Result<(), AgentError> {
        let mark = Handle(format!("{BY_MARK}{key}"));
        let not_stopped = |error: CiError| AgentError::unknown("the run could not be stopped").because(error);
        let Some(run) = self.found(handle.unwrap_or(&mark)).await.map_err(not_stopped)? else {
            return Err(AgentError::unknown("there is no run of this mark yet that could be stopped"));
        };
        self.port.cancel(&run.id).await.map_err(not_stopped)
    }
}

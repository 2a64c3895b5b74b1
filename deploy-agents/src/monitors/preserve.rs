//! Keeps what an incident leaves behind, before anybody cleans up.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use deploy_core::agent::{Agent, AgentCard, AgentError, Performed, Report, StepContext, Task};
use deploy_core::digest::Digest;
use deploy_core::evidence::{Claim, Collected, Finding};
use deploy_core::name::{BlockName, CheckName};
use serde_json::json;
use tokio::io::AsyncReadExt as _;

use crate::agents::subject;
use crate::http::{Draft, HttpClient, HttpLimits, PlainHttp, shown};

/// How much of each source is kept by default, in bytes.
const MOST: usize = 16 * 1024 * 1024;

/// Copies files and pages into the journal as evidence, each by its digest, with a list of them all: what a security incident left behind
/// cannot be changed afterwards without being found out.
///
/// The evidence is of kind `preserved`; the list, of kind `preserved-list`, names every source with size and digest, and whether it
/// was cut off at the limit. A source that cannot be read is named there and in a finding, and the attempt succeeds all the same as long as
/// one could be read: whoever breaks in also deletes. The sources are the host's; it reads, and changes nothing.
///
/// Rows: M79.
#[derive(Debug, Clone)]
pub struct PreserveEvidence {
    card: AgentCard,
    sources: Vec<Preserved>,
    most: usize,
    claims: Option<CheckName>,
    http: Arc<dyn HttpClient>,
}

#[derive(Debug, Clone)]
enum Preserved {
    File(PathBuf),
    Page(String),
}

impl Preserved {
    fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Page(url) => shown(url),
        }
    }
}

impl PreserveEvidence {
    /// One that keeps nothing yet.
    #[must_use]
    pub fn new(name: BlockName) -> Self {
        let card = AgentCard::new(name, "keeps what an incident leaves behind").repeatable();
        Self { card, sources: Vec::new(), most: MOST, claims: None, http: Arc::new(PlainHttp::new()) }
    }

    /// The same with one more file.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.sources.push(Preserved::File(path.into()));
        self
    }

    /// The same with one more page, by GET.
    #[must_use]
    pub fn page(mut self, url: impl Into<String>) -> Self {
        self.sources.push(Preserved::Page(url.into()));
        self
    }

    /// The same, keeping at most so many bytes of each source. Default 16 MiB.
    #[must_use]
    pub fn most_bytes(mut self, most: usize) -> Self {
        self.most = most.max(1);
        self
    }

    /// The same, claiming this check with all that was kept.
    #[must_use]
    pub fn claims(mut self, check: CheckName) -> Self {
        self.claims = Some(check);
        self
    }

    /// The same over another client, for example one that speaks TLS.
    #[must_use]
    pub fn over(mut self, http: Arc<dyn HttpClient>) -> Self {
        self.http = http;
        self
    }

    /// The bytes of a source, and whether there were more.
    async fn read(&self, source: &Preserved) -> Result<(Vec<u8>, bool), String> {
        match source {
            Preserved::File(path) => {
                let file = tokio::fs::File::open(path).await.map_err(|error| error.to_string())?;
                let mut bytes = Vec::new();
                let limit = (self.most as u64).saturating_add(1);
                file.take(limit).read_to_end(&mut bytes).await.map_err(|error| error.to_string())?;
                let more = bytes.len() > self.most;
                bytes.truncate(self.most);
                Ok((bytes, more))
            }
            Preserved::Page(url) => {
                let limits = HttpLimits { max_body: self.most, ..HttpLimits::default() };
                let answer = Draft::get(url).send(self.http.as_ref(), limits).await;
                let answer = answer.map_err(|error| deploy_core::report::chain(&error))?;
                if !answer.status().is_success() {
                    return Err(format!("it answers {}", answer.status()));
                }
                Ok((answer.into_body().to_vec(), false))
            }
        }
    }
}

#[async_trait]
impl Agent for PreserveEvidence {
    fn card(&self) -> AgentCard {
        self.card.clone()
    }

    async fn perform(&self, task: &Task, cx: &StepContext) -> Result<Performed, AgentError> {
        self.keep(task, cx).await.map(Performed::from)
    }
}

impl PreserveEvidence {
    /// Keeps what can be kept, and reports what cannot.
    pub(super) async fn keep(&self, task: &Task, cx: &StepContext) -> Result<Report, AgentError> {
        let about = subject(task);
        let (mut report, mut list, mut kept) = (Report::new(), Vec::new(), Vec::<Digest>::new());
        for source in &self.sources {
            if cx.cancellation.is_cancelled() {
                return Err(AgentError::definitive("keeping evidence was cancelled; nothing was changed"));
            }
            let name = source.name();
            match self.read(source).await {
                Err(why) => {
                    report = report.finding(Finding::warning(format!("{name} could not be kept: {why}")));
                    list.push(json!({ "source": name, "lost": why }));
                }
                Ok((bytes, cut_off)) => {
                    let size = bytes.len();
                    let piece = Collected::new("preserved", name.as_str(), about.clone(), cx.now.wall, bytes);
                    let digest = piece.evidence.digest;
                    list.push(
                        json!({ "source": name, "bytes": size, "digest": digest.to_string(), "cut_off": cut_off }),
                    );
                    // Two sources of the same bytes are one piece.
                    if !kept.contains(&digest) {
                        kept.push(digest);
                        report = report.evidence(piece.summary(name));
                    }
                }
            }
        }
        if kept.is_empty() {
            return Err(AgentError::definitive(format!("none of {} sources could be kept", self.sources.len())));
        }
        let document =
            json!({ "format": 1, "taken_at": cx.now.wall.to_string(), "run": cx.key.run.to_string(), "sources": list });
        let bytes = document.to_string().into_bytes();
        let whole =
            Collected::new("preserved-list", "the sources named in it", about, cx.now.wall, bytes).summary(format!(
                "{} of {} sources were kept",
                list.iter().filter(|one| one.get("lost").is_none()).count(),
                list.len()
            ));
        if let Some(check) = &self.claims {
            let mut evidence = vec![whole.evidence.digest];
            evidence.extend(kept);
            report = report.claim(Claim { check: check.clone(), evidence, value: String::new() });
        }
        let note = whole.evidence.summary.clone();
        Ok(report.evidence(whole).note(note))
    }
}

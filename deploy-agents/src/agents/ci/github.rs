//! GitHub Actions, over its REST interface.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use deploy_core::digest::Digest;
use http::{Method, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{CiArtifact, CiError, CiOrder, CiPort, CiRun, CiRunId, CiState};
use crate::http::{Draft, HttpClient, HttpLimits, PlainHttp, shown};
use crate::secret::Secret;

/// The release of the interface that is asked for, so that a newer one changes nothing.
const API_VERSION: &str = "2022-11-28";
/// How many runs are looked through for a mark: the newest, a page of the largest size.
const NEWEST: u32 = 100;
/// How much of a refusal is quoted.
const QUOTED: usize = 200;
/// How often an artifact may send us elsewhere before it is given up.
const REDIRECTS: u32 = 4;

/// The workflows of one repository.
///
/// A dispatched run is found again by its title. Have the workflow take the mark and call its runs by it:
///
/// ```yaml
/// on:
///   workflow_dispatch:
///     inputs:
///       deploy_effect_key: { required: true, type: string }
/// run-name: ${{ inputs.deploy_effect_key }}
/// ```
///
/// The client that is used by default speaks plain HTTP; give it one that speaks TLS with [`over`](Self::over).
///
/// ```
/// use deploy_agents::agents::GithubActions;
/// use deploy_agents::secret::Secret;
///
/// let actions = GithubActions::new("http://127.0.0.1:8080/api/v3", "acme/orders").token(Secret::new("ghp_secret"));
/// assert!(!format!("{actions:?}").contains("ghp_secret"));
/// ```
///
/// Rows: M234.
#[derive(Clone)]
pub struct GithubActions {
    base: String,
    repository: String,
    token: Option<Secret>,
    mark_input: String,
    limits: HttpLimits,
    largest: usize,
    http: Arc<dyn HttpClient>,
}

impl GithubActions {
    /// The workflows of `repository` (`owner/name`) at `base`: `https://api.github.com`, or a server of your own.
    #[must_use]
    pub fn new(base: impl Into<String>, repository: impl Into<String>) -> Self {
        let mut base = base.into();
        base.truncate(base.trim_end_matches('/').len());
        Self {
            base,
            repository: repository.into(),
            token: None,
            mark_input: "deploy_effect_key".to_owned(),
            // Longer than a probe: a list of a hundred runs is made anew for each question.
            limits: HttpLimits { timeout: Duration::from_secs(15), max_body: 4 * 1024 * 1024 },
            largest: 64 * 1024 * 1024,
            http: Arc::new(PlainHttp::new()),
        }
    }

    /// The same, showing this token.
    #[must_use]
    pub fn token(mut self, token: Secret) -> Self {
        self.token = Some(token);
        self
    }

    /// The same, telling workflows their mark in another input. Default `deploy_effect_key`.
    #[must_use]
    pub fn mark_input(mut self, name: impl Into<String>) -> Self {
        self.mark_input = name.into();
        self
    }

    /// The same, with artifacts of at most so many bytes. Default 64 MiB: reports, not images.
    #[must_use]
    pub fn largest_artifact(mut self, bytes: usize) -> Self {
        self.largest = bytes;
        self
    }

    /// The same, asking through another client.
    #[must_use]
    pub fn over(mut self, http: Arc<dyn HttpClient>) -> Self {
        self.http = http;
        self
    }

    /// A request to a whole URL. The token goes only where it belongs.
    async fn send(
        &self,
        method: Method,
        url: &str,
        body: Option<Vec<u8>>,
        ours: bool,
        limits: HttpLimits,
    ) -> Result<http::Response<Bytes>, CiError> {
        // Without a name it answers nobody.
        let name = concat!("deploy-agents/", env!("CARGO_PKG_VERSION"));
        let mut draft = Draft::new(method, url).header(header::USER_AGENT, name);
        if ours {
            draft = draft
                .accepts("application/vnd.github+json")
                .header("x-github-api-version", API_VERSION)
                .bearer(self.token.as_ref());
        }
        if let Some(body) = body {
            draft = draft.kind("application/json").body(body);
        }
        let sent = draft.send(self.http.as_ref(), limits).await;
        sent.map_err(|source| CiError::Http { system: self.name(), source })
    }

    async fn call(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<http::Response<Bytes>, CiError> {
        let url = format!("{}/repos/{}/actions/{path}", self.base, self.repository);
        let answer = self.send(method, &url, body, true, self.limits).await?;
        self.accepted(answer, path)
    }

    /// Tells an answer from a refusal, and a refusal from having asked too often.
    fn accepted(&self, answer: http::Response<Bytes>, what: &str) -> Result<http::Response<Bytes>, CiError> {
        let status = answer.status();
        if status.is_success() || status.is_redirection() {
            return Ok(answer);
        }
        let spent = answer.headers().get("x-ratelimit-remaining").is_some_and(|left| left == "0")
            || answer.headers().contains_key(header::RETRY_AFTER);
        let limited = status == StatusCode::TOO_MANY_REQUESTS || (status == StatusCode::FORBIDDEN && spent);
        if limited {
            return Err(CiError::Limited { system: self.name(), status: status.as_u16() });
        }
        let said: String = String::from_utf8_lossy(answer.body()).chars().take(QUOTED).collect();
        let what = shown(what);
        Err(CiError::Refused { system: self.name(), what, status: status.as_u16(), said })
    }

    async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, CiError> {
        let answer = self.call(Method::GET, path, None).await?;
        serde_json::from_slice(answer.body()).map_err(|source| CiError::Unreadable {
            system: self.name(),
            what: shown(path),
            source,
        })
    }
}

#[async_trait]
impl CiPort for GithubActions {
    async fn dispatch(&self, order: &CiOrder) -> Result<(), CiError> {
        let mut inputs = order.inputs.clone();
        inputs.insert(self.mark_input.clone(), order.mark.clone());
        let body = serde_json::json!({ "ref": order.reference, "inputs": inputs }).to_string().into_bytes();
        let path = format!("workflows/{}/dispatches", encoded(&order.workflow));
        self.call(Method::POST, &path, Some(body)).await.map(drop)
    }

    async fn find(&self, workflow: &str, mark: &str) -> Result<Option<CiRun>, CiError> {
        let path = format!("workflows/{}/runs?event=workflow_dispatch&per_page={NEWEST}", encoded(workflow));
        let found: Runs = self.read(&path).await?;
        // The newest come first.
        Ok(found.workflow_runs.into_iter().find(|run| run.display_title == mark).map(CiRun::from))
    }

    async fn status(&self, run: &CiRunId) -> Result<CiRun, CiError> {
        let found: Run = self.read(&format!("runs/{}", encoded(&run.0))).await?;
        Ok(found.into())
    }

    async fn artifacts(&self, run: &CiRunId) -> Result<Vec<CiArtifact>, CiError> {
        let found: Artifacts = self.read(&format!("runs/{}/artifacts?per_page={NEWEST}", encoded(&run.0))).await?;
        Ok(found.artifacts.into_iter().map(CiArtifact::from).collect())
    }

    async fn download(&self, artifact: &CiArtifact) -> Result<Bytes, CiError> {
        let path = format!("artifacts/{}/zip", encoded(&artifact.id));
        let gone = || CiError::Gone { system: self.name(), name: artifact.name.clone(), run: String::new() };
        if artifact.expired {
            return Err(gone());
        }
        let limits = HttpLimits { max_body: self.largest, ..self.limits };
        let url = format!("{}/repos/{}/actions/{path}", self.base, self.repository);
        let mut answer = self.send(Method::GET, &url, None, true, limits).await?;
        let mut redirects = 0;
        // It answers with an address that anybody may read for a minute: our token must not go there.
        while answer.status().is_redirection() && redirects < REDIRECTS {
            let elsewhere = answer.headers().get(header::LOCATION).and_then(|to| to.to_str().ok()).map(str::to_owned);
            let elsewhere =
                elsewhere.ok_or_else(|| CiError::Malformed(format!("where artifact {} is", artifact.name)))?;
            answer = self.send(Method::GET, &elsewhere, None, false, limits).await?;
            redirects += 1;
        }
        if matches!(answer.status(), StatusCode::GONE | StatusCode::NOT_FOUND) {
            return Err(gone());
        }
        let bytes = self.accepted(answer, &path)?.into_body();
        let found = Digest::of(&bytes);
        match artifact.digest {
            Some(stated) if stated != found => {
                Err(CiError::Changed { system: self.name(), name: artifact.name.clone(), found, stated })
            }
            _ => Ok(bytes),
        }
    }

    async fn cancel(&self, run: &CiRunId) -> Result<(), CiError> {
        match self.call(Method::POST, &format!("runs/{}/cancel", encoded(&run.0)), None).await {
            // It has ended already.
            Err(CiError::Refused { status: 409, .. }) => Ok(()),
            answer => answer.map(drop),
        }
    }

    fn name(&self) -> String {
        let base = shown(&self.base);
        let host = base.split_once("://").map_or(base.as_str(), |(_, rest)| rest);
        format!("{host}/{}", self.repository)
    }
}

impl std::fmt::Debug for GithubActions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { base, repository, mark_input, .. } = self;
        let base = shown(base);
        f.debug_struct("GithubActions")
            .field("base", &base)
            .field("repository", repository)
            .field("mark_input", mark_input)
            .finish_non_exhaustive()
    }
}

/// One segment of a path: whatever else is in it stays in it.
fn encoded(segment: &str) -> String {
    segment
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => char::from(byte).to_string(),
            // A dot is kept where it cannot make a segment that means another place.
            b'.' if !segment.bytes().all(|byte| byte == b'.') => ".".to_owned(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[derive(Deserialize)]
struct Runs {
    workflow_runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    id: u64,
    #[serde(default)]
    display_title: String,
    status: Option<String>,
    conclusion: Option<String>,
    head_sha: Option<String>,
    #[serde(default)]
    run_attempt: Option<u32>,
    html_url: Option<String>,
}

#[derive(Deserialize)]
struct Artifacts {
    artifacts: Vec<Artifact>,
}

#[derive(Deserialize)]
struct Artifact {
    id: u64,
    name: String,
    size_in_bytes: u64,
    #[serde(default)]
    expired: bool,
    digest: Option<String>,
}

impl From<Run> for CiRun {
    fn from(run: Run) -> Self {
        let state = match (run.status.as_deref(), run.conclusion) {
            (Some("completed"), Some(how)) if how == "success" => CiState::Succeeded,
            (Some("completed"), Some(how)) if how == "cancelled" => CiState::Cancelled,
            (Some("completed"), how) => CiState::Failed(how.unwrap_or_else(|| "no conclusion".to_owned())),
            (Some("in_progress"), _) => CiState::Running,
            // `queued`, `requested`, `waiting`, `pending`, and whatever comes to be: it has not ended.
            _ => CiState::Queued,
        };
        Self {
            id: CiRunId(run.id.to_string()),
            title: run.display_title,
            state,
            commit: run.head_sha,
            attempt: run.run_attempt.unwrap_or(1),
            url: run.html_url,
        }
    }
}

impl From<Artifact> for CiArtifact {
    fn from(artifact: Artifact) -> Self {
        Self {
            name: artifact.name,
            id: artifact.id.to_string(),
            size: artifact.size_in_bytes,
            digest: artifact.digest.and_then(|digest| digest.parse().ok()),
            expired: artifact.expired,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn a_name_stays_one_segment() {
        assert_eq!(encoded("ci.yml"), "ci.yml");
        assert_eq!(encoded("../../user"), "..%2F..%2Fuser");
        assert_eq!(encoded(".."), "%2E%2E");
        assert_eq!(encoded("a?b#c d"), "a%3Fb%23c%20d");
    }
}

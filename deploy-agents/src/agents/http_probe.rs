//! Asks over HTTP until the answers are as expected.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::agent::{Agent, AgentCard, AgentError, Performed, Report, StepContext, Task};
use deploy_core::evidence::{Claim, Collected};
use deploy_core::name::CheckName;
use deploy_core::time::{Clock, Spell, SystemClock};
use serde::Serialize;

use super::expectation::{Expectation, Expectations, quote};
use super::subject;
use crate::http::{Draft, HttpClient, HttpLimits, PlainHttp, shown};
use crate::wait::pause;

/// Asks with GET until the answers are as expected several times in a row, within the step's time.
///
/// It has no effect, so that it may be repeated at will. When the time is up it fails definitively and says what was wrong
/// last. The report holds the answers as evidence of kind `http-probe`, made by the host that was asked.
///
/// ```
/// use deploy_agents::agents::{Expectation, HttpProbe};
/// use deploy_core::name::BlockName;
///
/// let probe = HttpProbe::new(BlockName::new("smoke")?, "http://127.0.0.1:8080/healthz")
///     .expect(Expectation::BodyContains("ok".to_owned()))
///     .times(3);
/// # Ok::<(), deploy_core::name::NameError>(())
/// ```
#[derive(Clone)]
pub struct HttpProbe {
    card: AgentCard,
    url: String,
    expectations: Expectations,
    times: u32,
    every: Duration,
    each_within: Duration,
    claims: Option<CheckName>,
    http: Arc<dyn HttpClient>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for HttpProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpProbe")
            .field("url", &self.shown())
            .field("expectations", &self.expectations)
            .finish_non_exhaustive()
    }
}

/// One answer, as evidence records it.
#[derive(Debug, Serialize)]
struct Answered {
    at: String,
    took_ms: u64,
    status: u16,
    body_bytes: usize,
    body_begins: String,
}

impl HttpProbe {
    /// A probe that wants a status of 200 to 299, three times in a row, a second apart.
    #[must_use]
    pub fn new(name: deploy_core::name::BlockName, url: impl Into<String>) -> Self {
        let url = url.into();
        let shown = shown(&url);
        Self {
            card: AgentCard::new(name, format!("asks {shown} until it answers as expected")).repeatable(),
            url,
            expectations: Expectations::default(),
            times: 3,
            every: Duration::from_secs(1),
            each_within: Duration::from_secs(5),
            claims: None,
            http: Arc::new(PlainHttp::new()),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// The same with one more expectation. A status replaces the one that was expected before.
    #[must_use]
    pub fn expect(mut self, expectation: Expectation) -> Self {
        self.expectations.add(expectation);
        self
    }

    /// The same, satisfied after so many good answers in a row; at least one.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times.max(1);
        self
    }

    /// The same with another pause between two questions.
    #[must_use]
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// The same with another limit for one answer.
    #[must_use]
    pub fn each_within(mut self, bound: Duration) -> Self {
        self.each_within = bound;
        self
    }

    /// The same, claiming this check with the answers as evidence.
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

    /// The same with another clock, which dates the evidence.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The URL as it may be shown.
    fn shown(&self) -> String {
        shown(&self.url)
    }

    /// Asks once: a good answer, or what is wrong.
    async fn ask(&self) -> Result<Answered, String> {
        let asked = self.clock.monotonic();
        let limits = HttpLimits { timeout: self.each_within, ..HttpLimits::default() };
        let answer = Draft::get(&self.url).send(self.http.as_ref(), limits).await.map_err(|error| error.to_string())?;
        self.expectations.met(&answer)?;
        Ok(Answered {
            at: self.clock.wall().to_string(),
            took_ms: deploy_core::time::millis(self.clock.monotonic().saturating_sub(asked)),
            status: answer.status().as_u16(),
            body_bytes: answer.body().len(),
            body_begins: quote(&String::from_utf8_lossy(answer.body())),
        })
    }

    fn report(&self, task: &Task, good: &[Answered], asked: u64) -> Result<Report, AgentError> {
        let document = serde_json::json!({ "url": self.shown(), "asked": asked, "answers": good });
        let bytes = serde_json::to_vec_pretty(&document)
            .map_err(|e| AgentError::definitive("the answers cannot be written as JSON").because(e))?;
        let host = self.url.parse::<http::Uri>().ok().and_then(|uri| Some(uri.host()?.to_owned()));
        let producer = host.unwrap_or_else(|| self.shown());
        let summary =
            format!("{} answered as expected {} times in a row; asked {asked} times", self.shown(), good.len());
        let evidence =
            Collected::new("http-probe", producer, subject(task), self.clock.wall(), bytes).summary(summary.clone());
        let mut report = Report::new().note(summary);
        if let Some(check) = &self.claims {
            let value = format!("{} good answers in a row", good.len());
            report = report.claim(Claim { check: check.clone(), evidence: vec![evidence.evidence.digest], value });
        }
        Ok(report.evidence(evidence))
    }
}

#[async_trait]
impl Agent for HttpProbe {
    fn card(&self) -> AgentCard {
        self.card.clone()
    }

    async fn perform(&self, task: &Task, cx: &StepContext) -> Result<Performed, AgentError> {
        let (mut good, mut asked, mut wrong) = (Vec::new(), 0_u64, "no answer yet".to_owned());
        let probing = async {
            loop {
                asked += 1;
                match self.ask().await {
                    Ok(answer) => good.push(answer),
                    Err(unmet) => {
                        good.clear();
                        wrong = unmet;
                    }
                }
                if good.len() >= self.times as usize {
                    return;
                }
                pause(self.every).await;
            }
        };
        let satisfied = tokio::select! {
            () = probing => true,
            () = pause(cx.timeout) => false,
            () = cx.cancellation.cancelled() => {
                return Err(AgentError::definitive(format!("asking {} was cancelled; a question changes nothing", self.shown())));
            }
        };
        if satisfied {
            return self.report(task, &good, asked).map(Performed::from);
        }
        let within = Spell(cx.timeout);
        Err(AgentError::definitive(format!(
            "{} did not answer as expected within {within}, asked {asked} times; last: {wrong}",
            self.shown()
        )))
    }
}

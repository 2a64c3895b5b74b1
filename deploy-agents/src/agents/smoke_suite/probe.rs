//! One smoke test: a question over HTTP, or a program.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use deploy_core::agent::Cancellation;
use deploy_core::time::Spell;

use super::super::expectation::{Expectation, Expectations};
use crate::http::{Draft, HttpClient, HttpLimits, shown};
use crate::process::{CommandLine, Ended, run};

/// How much of what a program wrote is kept of each stream, in bytes: enough for the reason of a failure.
const KEPT: usize = 8 * 1024;

/// One smoke test: a name that the plan declares, and a question over HTTP or a program that answers it.
#[derive(Clone)]
pub struct SmokeProbe {
    name: String,
    ask: Ask,
    within: Duration,
    attempts: u32,
}

#[derive(Clone)]
enum Ask {
    Http { method: http::Method, url: String, body: Bytes, expectations: Expectations },
    Command(CommandLine),
}

impl fmt::Debug for SmokeProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmokeProbe").field("name", &self.name).field("asks", &self.whom()).finish_non_exhaustive()
    }
}

impl SmokeProbe {
    /// Asks with GET, and wants a status of 200 to 299 within 5 s.
    #[must_use]
    pub fn get(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self::http(name, http::Method::GET, url, Bytes::new())
    }

    /// Sends a body with POST, and wants a status of 200 to 299 within 5 s. A probe that changes something must be one that may
    /// be made any number of times.
    #[must_use]
    pub fn post(name: impl Into<String>, url: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self::http(name, http::Method::POST, url, body.into())
    }

    fn http(name: impl Into<String>, method: http::Method, url: impl Into<String>, body: Bytes) -> Self {
        let expectations = Expectations::default();
        Self::new(name.into(), Ask::Http { method, url: url.into(), body, expectations })
    }

    /// Runs a program, and wants exit code 0 within 30 s.
    #[must_use]
    pub fn command(name: impl Into<String>, line: CommandLine) -> Self {
        Self::new(name.into(), Ask::Command(line)).within(Duration::from_secs(30))
    }

    fn new(name: String, ask: Ask) -> Self {
        Self { name, ask, within: Duration::from_secs(5), attempts: 1 }
    }

    /// The same with one more expectation of the answer over HTTP; of no effect on a program. A status replaces the one that
    /// was expected before.
    #[must_use]
    pub fn expect(mut self, expectation: Expectation) -> Self {
        if let Ask::Http { expectations, .. } = &mut self.ask {
            expectations.add(expectation);
        }
        self
    }

    /// The same with another limit for one attempt.
    #[must_use]
    pub fn within(mut self, bound: Duration) -> Self {
        self.within = bound;
        self
    }

    /// The same, tried so many times at most. Default 1. A test that passes only after a failure is reported as flaky.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Which test it is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn tries(&self) -> u32 {
        self.attempts
    }

    /// Who answers: a host, or a program.
    pub(super) fn whom(&self) -> String {
        match &self.ask {
            Ask::Http { url, .. } => {
                let host = url.parse::<http::Uri>().ok().and_then(|uri| Some(uri.authority()?.host().to_owned()));
                host.unwrap_or_else(|| shown(url))
            }
            Ask::Command(line) => line.name(),
        }
    }

    /// Makes one attempt. The error is what was wrong.
    pub(super) async fn attempt(&self, http: &dyn HttpClient, cancellation: &Cancellation) -> Result<(), String> {
        match &self.ask {
            Ask::Http { method, url, body, expectations } => {
                let limits = HttpLimits { timeout: self.within, ..HttpLimits::default() };
                let answer = Draft::new(method.clone(), url).body(body.clone()).send(http, limits).await;
                let answer = answer.map_err(|error| deploy_core::report::chain(&error))?;
                expectations.met(&answer)
            }
            Ask::Command(line) => {
                let ran = run(line, &[], KEPT, self.within, cancellation).await;
                let ran = ran.map_err(|error| format!("{} could not be started: {error}", line.name()))?;
                let why = match ran.ended {
                    Ended::With(status) if status.success() => return Ok(()),
                    Ended::With(status) => format!("{} ended with {status}", line.name()),
                    Ended::TimedOut => format!("{} did not end within {}", line.name(), Spell(self.within)),
                    Ended::Cancelled => format!("{} was cancelled", line.name()),
                };
                let last = ran.last_line();
                Err(if last.is_empty() { why } else { format!("{why}; it said last: {last}") })
            }
        }
    }
}

//! What becomes of what goes wrong.

use std::time::Duration;

use deploy_core::agent::Certainty;
use deploy_core::plan::RetryPolicy;
use serde::{Deserialize, Serialize};

/// What went wrong, by how it must be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Issue {
    /// Something could not be reached, and certainly nothing was done.
    Unreachable,
    /// Nobody can tell what became of an attempt.
    OutcomeUnknown,
    /// An attempt failed and will not come to anything.
    Failed,
    /// A check is not met.
    CheckNotMet,
    /// Somebody else changed what we look after.
    Drifted,
}

impl Issue {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Unreachable, Self::OutcomeUnknown, Self::Failed, Self::CheckNotMet, Self::Drifted];

    /// The issue behind a failed attempt.
    #[must_use]
    pub fn of(certainty: Certainty) -> Self {
        match certainty {
            Certainty::Transient => Self::Unreachable,
            Certainty::Unknown => Self::OutcomeUnknown,
            Certainty::Definitive => Self::Failed,
        }
    }
}

/// What is done about an issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// It is tried again.
    Retry,
    /// The run stops where it is, until a person says how to go on.
    Pause,
    /// What was done is undone.
    RollBack,
    /// A person is called; the run goes on waiting.
    Escalate,
}

/// How issues are answered: how often work is tried again, and what follows when that was in vain.
///
/// The engine itself carries out the retries and the way back, by the plan; a host that watches its runs asks
/// [`respond`](Self::respond) whether to pause or to call somebody besides.
///
/// ```
/// use deploy_agents::workflows::{Issue, IssuePolicy, Response};
///
/// let policy = IssuePolicy::default();
/// assert_eq!(policy.respond(Issue::Unreachable, 1), Response::Retry);
/// assert_eq!(policy.respond(Issue::CheckNotMet, 3), Response::RollBack);
/// assert_eq!(policy.respond(Issue::OutcomeUnknown, 9), Response::Escalate);
/// ```
///
/// Rows: M29.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct IssuePolicy {
    /// How often an attempt is made in all. Default 3: evidence is read over networks, and a third failure is no accident.
    pub attempts: u32,
    /// How long to wait before the second attempt. Default 5 s.
    #[serde(with = "deploy_core::time::duration_ms")]
    pub backoff: Duration,
    /// What follows an attempt that failed for good. Default the way back.
    pub failed: Response,
    /// What follows when somebody else changes what we look after. Default a pause: two who correct each other never end.
    pub drifted: Response,
}

impl Default for IssuePolicy {
    fn default() -> Self {
        Self { attempts: 3, backoff: Duration::from_secs(5), failed: Response::RollBack, drifted: Response::Pause }
    }
}

impl IssuePolicy {
    /// What is done about an issue after so many attempts.
    #[must_use]
    pub fn respond(&self, issue: Issue, attempts: u32) -> Response {
        match issue {
            // A report may be late as well as a server.
            Issue::Unreachable | Issue::CheckNotMet if attempts < self.attempts => Response::Retry,
            Issue::Unreachable | Issue::Failed => self.failed,
            // It may have happened: only somebody who can look may say.
            Issue::OutcomeUnknown => Response::Escalate,
            Issue::CheckNotMet => Response::RollBack,
            Issue::Drifted => self.drifted,
        }
    }

    /// The retries, for the steps of a plan.
    #[must_use]
    pub fn retry(&self) -> RetryPolicy {
        RetryPolicy::attempts(self.attempts.max(1)).backoff(self.backoff, Duration::from_secs(60).max(self.backoff))
    }
}

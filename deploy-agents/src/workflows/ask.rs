//! One role asked on its own, outside of a run.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::agent::{Agent, AgentCard, AgentError, Cancellation, Performed, Report, StepContext, Task};
use deploy_core::effect::{EffectKey, Fence};
use deploy_core::evidence::{Evidence, Receipt, Refusal, Verdict, verify};
use deploy_core::name::{CheckName, RunId};
use deploy_core::plan::StepPath;
use deploy_core::release::Release;
use deploy_core::time::{Now, RunTime, Timestamp};

use super::workflow::Workflow;
use crate::crew::{Seat, duty};

/// How long a role may take that is asked on its own.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5 * 60);

/// What a role said outside of a run, and what the engine's verifier makes of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Asked {
    /// Who was asked.
    pub card: AgentCard,
    /// What it said.
    pub report: Report,
    /// Each of its claims, verified.
    pub receipts: Vec<Receipt>,
}

/// A role that could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// Nobody sits there: look at [`Workflow::seats`].
    #[error("nobody sits at {0} in this workflow")]
    NoSeat(Seat),
    /// The role does not claim this check: ask another, or leave the check out.
    #[error("{seat} does not claim {check}")]
    NotClaimed {
        /// The role.
        seat: Seat,
        /// The check.
        check: String,
    },
    /// The role failed.
    #[error("{0} could not do its work")]
    Agent(Seat, #[source] AgentError),
    /// The role began work that outlives the question: start a run instead.
    #[error("{0} began long work; start a run instead")]
    Long(Seat),
}

impl Asked {
    /// Whether every claim is met.
    #[must_use]
    pub fn is_met(&self) -> bool {
        !self.receipts.is_empty() && self.receipts.iter().all(|r| r.verdict.is_met() && !r.read.is_empty())
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.card.name, self.card.responsibility)?;
        for receipt in &self.receipts {
            let said = match &receipt.verdict {
                Verdict::Pass => "pass".to_owned(),
                Verdict::Concerns { remarks } => format!("concerns: {}", remarks.join("; ")),
                Verdict::Fail { reason } => format!("fail: {reason}"),
                Verdict::Inconclusive { refusal } => format!("refused, {refusal}"),
                Verdict::Waived(waiver) => format!("waived by {}", waiver.person),
                Verdict::NotApplicable { reason } => format!("not applicable: {reason}"),
            };
            writeln!(f, "  {}: {said}", receipt.check)?;
        }
        Ok(())
    }
}

impl Workflow {
    /// Asks whoever sits there, outside of a run, and verifies what they claim by the rules of the engine: all of it, or one check.
    ///
    /// # Errors
    ///
    /// [`AskError`].
    ///
    /// # Cancel safety
    ///
    /// Roles of this crate only read. An agent of the host's own may have begun something.
    ///
    /// Rows: M108, M109, M111, M113, M114, M115.
    pub async fn ask(
        &self,
        seat: Seat,
        release: &Release,
        check: Option<&str>,
        now: Timestamp,
    ) -> Result<Asked, AskError> {
        let agent: &Arc<dyn Agent> = self.agents.get(&seat).ok_or(AskError::NoSeat(seat))?;
        let path = self.seats.get(&seat).ok_or(AskError::NoSeat(seat))?;
        let task = Task::new(path.clone(), false, Arc::new(release.clone()), BTreeMap::new());
        let report = match agent.perform(&task, &context(path, now)).await {
            Ok(Performed::Done(report)) => report,
            Ok(Performed::Running { .. }) => return Err(AskError::Long(seat)),
            Err(error) => return Err(AskError::Agent(seat, error)),
        };
        let card = agent.card();
        let bytes: BTreeMap<_, _> = report.evidence.iter().map(|p| (p.evidence.digest, p.bytes.clone())).collect();
        let evidence: Vec<Evidence> = report.evidence.iter().map(|piece| piece.evidence.clone()).collect();
        let wanted = |name: &CheckName| check.is_none_or(|check| name.as_str() == check);
        let registered = duty(seat).map(|duty| duty.step().checks(self.crew.catalogue())).unwrap_or_default();
        let mut receipts = Vec::new();
        for claim in report.claims.iter().filter(|claim| wanted(&claim.check)) {
            let of_step = registered.iter().find(|check| *check.name() == claim.check).cloned();
            let of_catalogue = || self.crew.catalogue().check(claim.check.as_str()).map(|check| check.check());
            receipts.push(match of_step.or_else(of_catalogue) {
                Some(check) => {
                    let (of, by) = (check.verification(), &card.name);
                    verify(&of, by, release, &report.claims, &evidence, &bytes, Some(&check), None, now)
                }
                None => {
                    let refusal = Refusal::Missing("no check of this name is known".to_owned());
                    let verdict = Verdict::Inconclusive { refusal };
                    Receipt { check: claim.check.clone(), read: Vec::new(), verdict }
                }
            });
        }
        match check {
            Some(check) if receipts.is_empty() => Err(AskError::NotClaimed { seat, check: check.to_owned() }),
            _ => Ok(Asked { card, report, receipts }),
        }
    }
}

fn context(step: &StepPath, now: Timestamp) -> StepContext {
    let run = RunId::new("asked").expect("a literal of letters is a name");
    let key = EffectKey { run, step: step.clone(), undo: false, iteration: 0, attempt: 1 };
    let now = Now { wall: now, run: RunTime::START };
    StepContext::new(key, Fence::default(), now, ANSWERS_WITHIN, Cancellation::never())
}

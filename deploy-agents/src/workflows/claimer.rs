//! An agent that collects the evidence of some checks and claims them.

use std::sync::Arc;

use async_trait::async_trait;
use deploy_core::agent::{Agent, AgentCard, AgentError, Performed, Report, StepContext, Task};
use deploy_core::evidence::{Claim, Verification};
use deploy_core::name::BlockName;

use crate::checks::CatalogueCheck;
use crate::crew::{Crew, Wanted};

/// Collects the evidence that checks read, and claims each of them. What it says is the engine's verifier's to judge.
#[derive(Debug, Clone)]
pub(super) struct Claimer {
    card: AgentCard,
    checks: Arc<Vec<CatalogueCheck>>,
    crew: Crew,
}

impl Claimer {
    pub(super) fn new(name: BlockName, responsibility: &str, checks: Vec<CatalogueCheck>, crew: &Crew) -> Self {
        let card = AgentCard::new(name, responsibility).repeatable();
        Self { card, checks: Arc::new(checks), crew: crew.clone() }
    }

    pub(super) fn verifications(&self) -> Vec<Verification> {
        self.checks.iter().map(CatalogueCheck::verification).collect()
    }
}

#[async_trait]
impl Agent for Claimer {
    fn card(&self) -> AgentCard {
        self.card.clone()
    }

    /// # Cancel safety
    ///
    /// It only reads, and stops where it is told to.
    async fn perform(&self, task: &Task, cx: &StepContext) -> Result<Performed, AgentError> {
        let kinds: Vec<&'static str> = self.checks.iter().flat_map(CatalogueCheck::kinds).copied().collect();
        let wanted = Wanted::new(&task.release, &task.step, &kinds, cx.now.wall);
        let pieces = tokio::select! {
            () = cx.cancellation.cancelled() => return Err(AgentError::transient("it was told to stop while it read")),
            collected = self.crew.collect(&wanted) => collected,
        };
        let pieces = pieces.map_err(|e| match e.transient {
            true => AgentError::transient("its evidence could not be collected").because(e),
            false => AgentError::definitive("its evidence could not be collected").because(e),
        })?;
        let mut report = Report::new();
        for check in &*self.checks {
            let mine = pieces.iter().filter(|piece| check.kinds().contains(&piece.evidence.kind.as_str()));
            let evidence: Vec<_> = mine.map(|piece| piece.evidence.digest).collect();
            // Of what there is no evidence of, nothing is claimed: whoever weighs it says that it is missing.
            if evidence.is_empty() {
                continue;
            }
            report = report.claim(Claim { check: check.name().clone(), evidence, value: String::new() });
        }
        Ok(Performed::Done(pieces.into_iter().fold(report, Report::evidence)))
    }
}

//! Carries out what was waived, as soon as its evidence is there.

use async_trait::async_trait;
use deploy_core::agent::{Agent, AgentCard, AgentError, Performed, Report, StepContext, Task};
use deploy_core::deliverable::{Deliverable, Slot};
use deploy_core::evidence::{Check, CheckInput, Claim, Collected, EvidencePolicy, Finding, Receipt, Refusal, Verdict};
use deploy_core::name::{BlockName, CheckName, NameError};
use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::backfill::{Backfill, Backfills};
use crate::checks::{CatalogueCheck, Document, EvidenceSet, file_of, read as document};
use crate::crew::{Crew, Wanted, subject_of};

/// What became of what was waived: a host writes it back to where it keeps its waivers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackfillReport {
    /// The checks that were carried out and are met, each with what shows it.
    pub settled: Vec<Receipt>,
    /// Those that could not be carried out yet.
    pub open: Vec<StillOpen>,
}

/// A waived check that is still to be carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StillOpen {
    /// The check.
    pub check: CheckName,
    /// Until when.
    pub due: Timestamp,
    /// What is missing.
    pub missing: String,
}

impl Deliverable for BackfillReport {
    const NAME: &'static str = "back-fill-report";
    const VERSION: u32 = 1;
}

impl Document for BackfillReport {
    const KIND: &'static str = <Self as Deliverable>::NAME;
}

/// The verification of the step: its report was written, and nothing stands in it as settled that is not met. With it, the
/// engine verifies all that the step claims.
pub(super) fn report_check() -> Result<Check, NameError> {
    let policy = EvidencePolicy {
        kind: Some(BackfillReport::KIND.to_owned()),
        // The report is the agent's own; what it says of checks is claimed and verified check by check.
        self_attested: true,
        ..EvidencePolicy::default()
    };
    let judge = |input: &CheckInput<'_>| {
        let read =
            input.evidence.first().map(|(evidence, bytes)| document::<BackfillReport>(&file_of(evidence), bytes));
        match read {
            Some(Ok(report)) => match report.settled.iter().find(|r| !r.verdict.is_met() || r.read.is_empty()) {
                Some(receipt) => Verdict::Fail { reason: format!("{} is not settled", receipt.check) },
                None => Verdict::Pass,
            },
            Some(Err(refusal)) => Verdict::Inconclusive { refusal },
            None => Verdict::Inconclusive { refusal: Refusal::Missing("there is no report".to_owned()) },
        }
    };
    Ok(Check::new(CheckName::new("back-fill:reports")?, judge).policy(policy))
}

/// Claims every waived check of the release whose evidence is there by now. One that is not met fails its step, and the release
/// turns back; one whose evidence is still missing stays open.
#[derive(Debug, Clone)]
pub(super) struct MakesGood {
    pub(super) crew: Crew,
    pub(super) backfills: Backfills,
}

impl MakesGood {
    /// What was waived for the release and is not settled.
    async fn waived(&self, task: &Task) -> Result<Vec<Backfill>, AgentError> {
        let unread = |e| AgentError::transient("what was waived could not be read").because(e);
        let mut all = self.backfills.read().await.map_err(unread)?;
        let release = &task.release;
        all.retain(|b| b.service == release.service && b.commit == release.change.commit && b.done.is_none());
        Ok(all)
    }
}

#[async_trait]
impl Agent for MakesGood {
    fn card(&self) -> AgentCard {
        let name = BlockName::new("back-fill").expect("a literal of letters and a hyphen is a name");
        let card = AgentCard::new(name, "carries out afterwards what an emergency waived").repeatable();
        card.provides(Slot::<BackfillReport>::new())
    }

    /// # Cancel safety
    ///
    /// It only reads.
    async fn perform(&self, task: &Task, cx: &StepContext) -> Result<Performed, AgentError> {
        let waived = self.waived(task).await?;
        let known = |b: &Backfill| self.crew.catalogue().check(b.check.as_str()).cloned();
        let checks: Vec<CatalogueCheck> = waived.iter().filter_map(known).collect();
        let kinds: Vec<&'static str> = checks.iter().flat_map(CatalogueCheck::kinds).copied().collect();
        let wanted = Wanted::new(&task.release, &task.step, &kinds, cx.now.wall);
        let uncollected = |e| AgentError::transient("its evidence could not be collected").because(e);
        let pieces = self.crew.collect(&wanted).await.map_err(uncollected)?;
        let set = pieces.iter().cloned().fold(EvidenceSet::new(), EvidenceSet::with);
        let by = self.card().name;
        let mut said = BackfillReport { settled: Vec::new(), open: Vec::new() };
        let mut report = Report::new();
        for backfill in &waived {
            let Some(check) = checks.iter().find(|check| *check.name() == backfill.check) else {
                let missing = "the catalogue has no such check".to_owned();
                said.open.push(StillOpen { check: backfill.check.clone(), due: backfill.due, missing });
                continue;
            };
            let receipt = set.judge(check, &task.release, &by, None, cx.now.wall).receipt;
            match receipt.verdict.clone() {
                Verdict::Inconclusive { refusal: Refusal::Missing(missing) } => {
                    let text = format!("{} is still open, until {}: {missing}", backfill.check, backfill.due);
                    report = report.finding(Finding::warning(text));
                    said.open.push(StillOpen { check: backfill.check.clone(), due: backfill.due, missing });
                }
                verdict => {
                    let mine = pieces.iter().filter(|p| check.kinds().contains(&p.evidence.kind.as_str()));
                    let evidence = mine.map(|piece| piece.evidence.digest).collect();
                    report = report.claim(Claim { check: check.name().clone(), evidence, value: String::new() });
                    if verdict.is_met() {
                        said.settled.push(receipt);
                    }
                }
            }
        }
        let unwritten = |e| AgentError::definitive("the report could not be written down").because(e);
        let mut json = serde_json::to_value(&said).map_err(unwritten)?;
        json["format"] = serde_json::json!(1);
        let bytes = serde_json::to_vec(&json).map_err(unwritten)?;
        let written = Collected::new(BackfillReport::KIND, by.as_str(), subject_of(&task.release), cx.now.wall, bytes)
            .summary("back-fill.json");
        if let Ok(check) = report_check() {
            let evidence = vec![written.evidence.digest];
            report = report.claim(Claim { check: check.name().clone(), evidence, value: String::new() });
        }
        let whole = pieces.into_iter().fold(report.evidence(written), Report::evidence).deliver(&said);
        Ok(Performed::Done(whole.map_err(unwritten)?))
    }
}

//! The one engine behind all roles.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use deploy_core::agent::{Agent, AgentCard, AgentError, Performed, Report, StepContext, Task};
use deploy_core::digest::Digest;
use deploy_core::evidence::{
    CheckInput, Claim, Collected, Evidence, EvidencePolicy, EvidenceSubject, Finding, Refusal, Verdict, Verification,
    verify,
};
use deploy_core::name::{BlockName, CheckName};
use deploy_core::release::Release;
use deploy_core::time::Timestamp;

use super::crew::Crew;
use super::duty::Duty;
use super::folder::subject_of;
use super::issued::Said;
use super::material::Material;
use super::source::Wanted;
use crate::checks::steps::StepReport;
use crate::checks::{CatalogueCheck, Document as _, EvidenceSet, Judged};
use crate::workflows::Policy;

/// The engine behind every role: reads the evidence of its duty, runs the checks on it, makes the deliverables, and reports
/// claims that cite what was read.
///
/// It has no effect in the world, so that its work may be repeated; a crash in the middle loses nothing. What it reports is
/// computed: it holds no opinion, and no sentence of its report was written by hand.
#[derive(Debug, Clone)]
pub struct Member {
    block: BlockName,
    duty: Arc<Duty>,
    crew: Crew,
}

impl Member {
    /// The agent of a duty.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "slugs and phases make names")]
    pub fn new(duty: Duty, crew: &Crew) -> Self {
        let block = BlockName::new(duty.seat().to_string()).expect("slugs and phases make names");
        Self { block, duty: Arc::new(duty), crew: crew.clone() }
    }

    /// What it does.
    #[must_use]
    pub fn duty(&self) -> &Duty {
        &self.duty
    }

    /// Its four mandatory verifications: put them on the step.
    #[must_use]
    pub fn verifications(&self) -> Vec<Verification> {
        self.duty.step().verifications(self.crew.catalogue())
    }

    /// What it reports of these pieces, which must be all that there are. A pure function.
    ///
    /// # Errors
    ///
    /// [`AgentError`] where a deliverable cannot be written down.
    pub fn report(&self, task: &Task, pieces: Vec<Collected>, now: Timestamp) -> Result<Report, AgentError> {
        let (pieces, twice) = distinct(pieces);
        let release = &*task.release;
        let seen = self.look(release, &pieces, now);
        let pairs: Vec<(&Evidence, &[u8])> = pieces.iter().map(|p| (&p.evidence, p.bytes.as_slice())).collect();
        let input = CheckInput::new(release, &pairs, now);
        let catalogue = self.crew.catalogue();
        let kinds = self.duty.step().kinds(catalogue);
        let cited: Vec<Digest> =
            pieces.iter().filter(|p| kinds.contains(&p.evidence.kind.as_str())).map(|p| p.evidence.digest).collect();

        let said = self.written(&self.duty.step().report(catalogue, &input), release, now)?;
        let mut report = Report::new();
        for (name, judged) in &seen.judged {
            report = report.finding(told(name, judged));
        }
        for piece in twice {
            let text = format!("{} has the bytes of another piece, and was left out", crate::checks::file_of(&piece));
            report = report.finding(Finding::warning(text));
        }
        for check in self.duty.step().checks(catalogue) {
            let own = check.name().as_str().ends_with(":reports");
            let evidence = cited.iter().copied().chain(own.then_some(said.evidence.digest)).collect();
            report = report.claim(Claim { check: check.name().clone(), evidence, value: String::new() });
        }
        for (check, judged) in &seen.judged {
            let evidence = read_by(catalogue.check(check.as_str()), &pieces);
            // A check that somebody answers for is not claimed: the word is theirs.
            if !matches!(judged.receipt.verdict, Verdict::Waived(_)) {
                report = report.claim(Claim { check: check.clone(), evidence, value: String::new() });
            }
        }

        let words: Vec<Said> = seen.judged.iter().map(|(check, judged)| told_as(check, judged)).collect();
        let accepted: Vec<(&Evidence, &[u8])> =
            pairs.iter().copied().filter(|(e, _)| !seen.refused.iter().any(|(r, _)| r.digest == e.digest)).collect();
        let input = CheckInput::new(release, &accepted, now);
        let material = Material {
            input: &input,
            refused: &seen.refused,
            said: &words,
            catalogue,
            thresholds: self.crew.thresholds(),
            task,
            by: &self.block,
        };
        for maker in self.duty.makers() {
            let made = (maker.make)(&material).map_err(|e| {
                AgentError::definitive(format!("{} could not be written down", maker.key.name)).because(e)
            })?;
            report.deliverables.push(made);
        }
        let under = self.policy(release, now)?;
        Ok(pieces.into_iter().fold(report, Report::evidence).evidence(under).evidence(said))
    }

    /// The kinds of evidence that it asks for.
    #[must_use]
    pub fn kinds(&self) -> Vec<&'static str> {
        let mut kinds = self.duty.step().kinds(self.crew.catalogue());
        kinds.extend(self.duty.kinds_beside());
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// What the checks say by the rules of the engine, and which evidence is refused whatever they say.
    fn look(&self, release: &Release, pieces: &[Collected], now: Timestamp) -> Seen {
        let set = pieces.iter().cloned().fold(EvidenceSet::new(), EvidenceSet::with);
        let asked = self.duty.step().asked_of(self.crew.catalogue());
        let longest = asked.iter().map(|check| check.policy().max_age).max().unwrap_or_default();
        let refused = |piece: &Collected| {
            let refusal = refusal(piece, &self.block, release, longest, now)?;
            Some((piece.evidence.clone(), refusal))
        };
        let judged = asked.iter().map(|check| {
            let judged = set.judge(check, release, &self.block, None, now);
            (check.name().clone(), judged)
        });
        Seen { judged: judged.collect(), refused: pieces.iter().filter_map(refused).collect() }
    }

    /// Under what it judges, as a piece of evidence: what is asked of releases changes, and the run must tell what was asked of it.
    fn policy(&self, release: &Release, now: Timestamp) -> Result<Collected, AgentError> {
        let policy = Policy::of(&self.crew);
        let unwritten = |e| AgentError::definitive("the policy could not be written down").because(e);
        let bytes = crate::checks::write(&policy).map_err(|e: serde_json::Error| unwritten(e))?;
        let piece = Collected::new(Policy::KIND, self.block.as_str(), subject_of(release), now, bytes);
        Ok(piece.summary(format!("policy-{}.json", policy.version().short())))
    }

    /// The report of the step as a piece of evidence.
    fn written(&self, report: &StepReport, release: &Release, now: Timestamp) -> Result<Collected, AgentError> {
        let unwritten = |e| AgentError::definitive("the report of the step could not be written down").because(e);
        let mut json = serde_json::to_value(report).map_err(|e: serde_json::Error| unwritten(e))?;
        json["format"] = serde_json::json!(1);
        let bytes = serde_json::to_vec(&json).map_err(unwritten)?;
        let subject: EvidenceSubject = subject_of(release);
        let piece = Collected::new(StepReport::KIND, self.block.as_str(), subject, now, bytes);
        Ok(piece.summary(format!("{}.json", self.block)))
    }
}

/// What was seen in the evidence.
struct Seen {
    judged: Vec<(CheckName, Judged)>,
    refused: Vec<(Evidence, Refusal)>,
}

/// The pieces that a check reads.
fn read_by(check: Option<&CatalogueCheck>, pieces: &[Collected]) -> Vec<Digest> {
    let kinds = check.map_or(&[][..], CatalogueCheck::kinds);
    pieces.iter().filter(|p| kinds.contains(&p.evidence.kind.as_str())).map(|p| p.evidence.digest).collect()
}

/// Why a piece would be refused for any check, by the engine's own rules.
fn refusal(
    piece: &Collected,
    by: &BlockName,
    release: &Release,
    max_age: std::time::Duration,
    now: Timestamp,
) -> Option<Refusal> {
    let check = CheckName::new("accepted").ok()?;
    let policy = EvidencePolicy { kind: None, max_age, self_attested: false };
    let wanted = Verification { check: check.clone(), policy };
    let claim = [Claim { check, evidence: vec![piece.evidence.digest], value: String::new() }];
    let bytes = std::collections::BTreeMap::from([(piece.evidence.digest, piece.bytes.clone())]);
    let evidence = std::slice::from_ref(&piece.evidence);
    match verify(&wanted, by, release, &claim, evidence, &bytes, None, None, now).verdict {
        Verdict::Inconclusive { refusal } => Some(refusal),
        _ => None,
    }
}

/// Each piece of bytes once: under one digest there can be one piece of evidence. The others are named.
fn distinct(pieces: Vec<Collected>) -> (Vec<Collected>, Vec<Evidence>) {
    let mut seen = BTreeSet::new();
    let (mut first, mut twice) = (Vec::new(), Vec::new());
    for piece in pieces {
        if seen.insert(piece.evidence.digest) { first.push(piece) } else { twice.push(piece.evidence) }
    }
    (first, twice)
}

fn told_as(check: &CheckName, judged: &Judged) -> Said {
    let figures = judged.assessment.figures.clone();
    Said { check: check.clone(), verdict: judged.receipt.verdict.clone(), figures }
}

fn told(check: &CheckName, judged: &Judged) -> Finding {
    match &judged.receipt.verdict {
        Verdict::Pass => Finding::info(format!("{check} passes")),
        Verdict::NotApplicable { reason } => Finding::info(format!("{check} does not apply: {reason}")),
        Verdict::Concerns { remarks } => {
            Finding::warning(format!("{check} passes with concerns: {}", remarks.join("; ")))
        }
        Verdict::Waived(waiver) => Finding::warning(format!("{check} is waived by {}", waiver.person)),
        Verdict::Fail { reason } => {
            let severity = deploy_core::evidence::Severity::Error;
            Finding { severity, text: format!("{check} fails: {reason}") }
        }
        Verdict::Inconclusive { refusal } => {
            let severity = deploy_core::evidence::Severity::Error;
            Finding { severity, text: format!("{check}: its evidence is refused: {refusal}") }
        }
    }
}

#[async_trait]
impl Agent for Member {
    fn card(&self) -> AgentCard {
        let role = self.duty.seat().role;
        let mut card = AgentCard::new(self.block.clone(), role.responsibility()).repeatable();
        card.needs = self.duty.needs().to_vec();
        card.provides = self.duty.provides().cloned().collect();
        card
    }

    /// # Cancel safety
    ///
    /// It only reads, and stops where it is told to.
    async fn perform(&self, task: &Task, cx: &StepContext) -> Result<Performed, AgentError> {
        if task.undo {
            return Ok(Performed::Done(Report::new().note("there is nothing to undo")));
        }
        let kinds = self.kinds();
        let wanted = Wanted::new(&task.release, &task.step, &kinds, cx.now.wall);
        let collected = tokio::select! {
            () = cx.cancellation.cancelled() => return Err(AgentError::transient("it was told to stop while it read")),
            collected = self.crew.collect(&wanted) => collected,
        };
        let pieces = collected.map_err(|e| match e.transient {
            true => AgentError::transient("its evidence could not be collected").because(e),
            false => AgentError::definitive("its evidence could not be collected").because(e),
        })?;
        self.report(task, pieces, cx.now.wall).map(Performed::Done)
    }
}

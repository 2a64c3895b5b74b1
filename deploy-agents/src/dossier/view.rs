//! What a dossier says, read off its records.

use std::collections::BTreeMap;
use std::fmt;

use deploy_core::digest::Digest;
use deploy_core::evidence::{Claim, Evidence, Finding, Receipt, Verdict, Waiver};
use deploy_core::machine::{Event, Outcome, Record};
use deploy_core::name::CheckName;
use deploy_core::operator::Act;
use deploy_core::plan::{StepId, StepPath};
use deploy_core::time::Now;

use super::Dossier;

/// One step of a dossier.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StepDossier {
    /// Its path.
    pub path: StepPath,
    /// What it said, in its last report.
    pub claims: Vec<Claim>,
    /// The evidence behind it.
    pub evidence: Vec<EvidenceLine>,
    /// Remarks for people.
    pub findings: Vec<Finding>,
    /// How each check stands: those that were asked for, and those that were claimed.
    pub checks: Vec<CheckLine>,
    /// How often a report was not believed.
    pub refused_reports: u32,
}

/// One piece of evidence of a dossier.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EvidenceLine {
    /// Its particulars.
    pub evidence: Evidence,
    /// How many bytes of it the dossier holds; nothing if the journal had them no longer.
    pub bytes: Option<usize>,
}

/// How one check of a step stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckLine {
    /// The check.
    pub check: CheckName,
    /// Whether the plan asks for it.
    pub mandatory: bool,
    /// How it stands.
    pub standing: Standing,
    /// The evidence that was read for it.
    pub read: Vec<Digest>,
}

/// How a check stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// Code read the evidence, and the check is met; the remarks, if there are any.
    Verified(Vec<String>),
    /// A person answers for it.
    Waived(Waiver),
    /// It was claimed, and no code has found it so. Why not, if somebody looked.
    Claimed(Option<String>),
    /// It is asked for, and nobody has claimed it.
    Missing,
}

impl Standing {
    /// The word for it: `verified`, `waived`, `claimed` or `missing`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Verified(_) => "verified",
            Self::Waived(_) => "waived",
            Self::Claimed(_) => "claimed",
            Self::Missing => "missing",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verified(remarks) if remarks.is_empty() => f.write_str("verified"),
            Self::Verified(remarks) => write!(f, "verified, with remarks: {}", remarks.join("; ")),
            Self::Waived(w) => write!(f, "waived by {} until {}: {}", w.person, w.expires, w.reason),
            Self::Claimed(None) => f.write_str("claimed, and not verified"),
            Self::Claimed(Some(why)) => write!(f, "claimed, and refused: {why}"),
            Self::Missing => f.write_str("missing"),
        }
    }
}

/// One decision of a run: what was decided, by whom, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecisionLine {
    /// The record that holds it.
    pub position: u64,
    /// When.
    pub at: Now,
    /// The step, if it is about one.
    pub step: Option<StepPath>,
    /// What was decided, in a word.
    pub what: &'static str,
    /// Why, or by whom.
    pub why: String,
}

impl Dossier {
    /// The steps, in the order of the plan, without those that claimed nothing and were asked for nothing.
    #[must_use]
    pub fn steps(&self) -> Vec<StepDossier> {
        let mut reports = BTreeMap::new();
        let mut receipts: BTreeMap<StepId, Vec<Receipt>> = BTreeMap::new();
        let mut refused: BTreeMap<StepId, u32> = BTreeMap::new();
        let mut waivers: BTreeMap<(StepPath, CheckName), Waiver> = BTreeMap::new();
        for record in &self.records {
            match &record.event {
                Event::Completed(e) if !e.of.undo => {
                    // A new report is verified anew.
                    receipts.remove(&e.of.step);
                    reports.insert(e.of.step, e.report.as_ref());
                }
                Event::Verified(e) if !e.of.undo => {
                    receipts.insert(e.of.step, e.receipts.clone());
                }
                Event::AttemptFailed(e) if !e.of.undo && !e.receipts.is_empty() => {
                    *refused.entry(e.of.step).or_default() += 1;
                    receipts.insert(e.of.step, e.receipts.clone());
                }
                Event::Took(e) => {
                    if let Act::Waive { step, check: Some(check), expires } = &e.input.act {
                        let waiver =
                            Waiver { person: e.input.who.clone(), reason: e.input.why.clone(), expires: *expires };
                        waivers.insert((step.clone(), check.clone()), waiver);
                    }
                }
                _ => {}
            }
        }
        let steps = self.plan.steps.iter().filter_map(|planned| {
            let id = self.plan.find(&planned.path)?;
            let report = reports.get(&id);
            let claims: Vec<Claim> = report.map(|r| r.claims.clone()).unwrap_or_default();
            let found = receipts.get(&id).map_or(&[][..], Vec::as_slice);
            let mut names: Vec<(CheckName, bool)> =
                planned.verifications.iter().map(|v| (v.check.clone(), true)).collect();
            for claim in &claims {
                if !names.iter().any(|(name, _)| *name == claim.check) {
                    names.push((claim.check.clone(), false));
                }
            }
            // A waiver of a gate's check stands at the gate.
            for (path, check) in waivers.keys().filter(|(path, _)| *path == planned.path) {
                if !names.iter().any(|(name, _)| name == check) {
                    names.push((check.clone(), *path != planned.path));
                }
            }
            let checks = names.into_iter().map(|(check, mandatory)| {
                let receipt = found.iter().find(|receipt| receipt.check == check);
                let claimed = claims.iter().any(|claim| claim.check == check);
                let waiver = waivers.get(&(planned.path.clone(), check.clone()));
                let standing = standing(receipt, claimed, waiver);
                CheckLine { check, mandatory, standing, read: receipt.map(|r| r.read.clone()).unwrap_or_default() }
            });
            let checks: Vec<CheckLine> = checks.collect();
            let evidence = report.map(|r| r.evidence.as_slice()).unwrap_or_default().iter().map(|piece| EvidenceLine {
                evidence: piece.clone(),
                bytes: self.evidence.get(&piece.digest).map(Vec::len),
            });
            let step = StepDossier {
                path: planned.path.clone(),
                claims,
                evidence: evidence.collect(),
                findings: report.map(|r| r.findings.clone()).unwrap_or_default(),
                checks,
                refused_reports: refused.get(&id).copied().unwrap_or(0),
            };
            let silent = step.claims.is_empty()
                && step.evidence.is_empty()
                && step.checks.is_empty()
                && step.findings.is_empty();
            (!silent).then_some(step)
        });
        steps.collect()
    }

    /// Every decision, in order: of gates, strategies, people and the engine.
    #[must_use]
    pub fn decisions(&self) -> Vec<DecisionLine> {
        self.records.iter().filter_map(|record| self.decision(record)).collect()
    }

    /// How the run ended, and why; nothing while it goes on.
    #[must_use]
    pub fn outcome(&self) -> Option<(Outcome, &str)> {
        self.records.iter().rev().find_map(|record| match &record.event {
            Event::Ended(e) => Some((e.outcome, e.because.as_str())),
            _ => None,
        })
    }

    fn decision(&self, record: &Record) -> Option<DecisionLine> {
        let (step, what, why) = match &record.event {
            Event::Started(e) => (None, "started", format!("by {}: {}", e.plan.started_by, e.plan.release)),
            Event::Verified(e) => (Some(e.of.step), "verified", verdicts(&e.receipts)),
            Event::Passed(e) if e.conditions.is_empty() => (Some(e.of.step), "gate opened", String::new()),
            Event::Passed(e) => (Some(e.of.step), "gate opened with conditions", e.conditions.join("; ")),
            Event::Held(e) => (Some(e.of.step), "gate holds", e.reason.clone()),
            Event::AttemptFailed(e) => (Some(e.of.step), "attempt failed", e.reason.clone()),
            Event::Granted(e) => (Some(e.of.step), "approved", "enough people said yes".to_owned()),
            Event::Looked(e) => (Some(e.of.step), "strategy decided", e.decision.reason.to_string()),
            Event::StepFailed(e) => (Some(e.step), "step failed", e.reason.clone()),
            Event::Took(e) => {
                let step = e.input.act.step().and_then(|path| self.plan.find(path));
                (step, e.input.act.name(), format!("{}: {}", e.input.who, e.input.why))
            }
            Event::Dropped(e) => (None, "input dropped", e.reason.clone()),
            Event::TurnedBack(e) => (None, "turned back", e.because.clone()),
            Event::UndoPassed(e) => (Some(e.step), "undo passed", e.reason.clone()),
            Event::Parked(e) => (Some(e.of.step), "parked", parked(&e.why)),
            Event::Ended(e) => (None, e.outcome.as_str(), e.because.clone()),
            _ => return None,
        };
        let step = step.and_then(|id| self.plan.step(id)).map(|planned| planned.path.clone());
        Some(DecisionLine { position: record.position, at: record.at, step, what, why })
    }
}

fn standing(receipt: Option<&Receipt>, claimed: bool, waiver: Option<&Waiver>) -> Standing {
    let by_receipt = by_receipt(receipt, claimed);
    match (&by_receipt, waiver) {
        // A waiver that was given after the check was verified counts as well.
        (Standing::Claimed(_) | Standing::Missing, Some(waiver)) => Standing::Waived(waiver.clone()),
        _ => by_receipt,
    }
}

fn by_receipt(receipt: Option<&Receipt>, claimed: bool) -> Standing {
    match receipt.map(|receipt| (&receipt.verdict, receipt.read.is_empty())) {
        Some((Verdict::Waived(waiver), _)) => Standing::Waived(waiver.clone()),
        Some((Verdict::Pass, false)) => Standing::Verified(Vec::new()),
        Some((Verdict::Concerns { remarks }, false)) => Standing::Verified(remarks.clone()),
        Some((Verdict::NotApplicable { reason }, false)) => {
            Standing::Verified(vec![format!("does not apply: {reason}")])
        }
        Some((Verdict::Fail { reason }, _)) if claimed => Standing::Claimed(Some(reason.clone())),
        Some((Verdict::Inconclusive { refusal }, _)) if claimed => Standing::Claimed(Some(refusal.to_string())),
        Some(_) if claimed => Standing::Claimed(Some("nothing was read".to_owned())),
        None if claimed => Standing::Claimed(None),
        Some(_) | None => Standing::Missing,
    }
}

fn verdicts(receipts: &[Receipt]) -> String {
    let met = receipts.iter().filter(|receipt| receipt.verdict.is_met()).count();
    let names: Vec<&str> = receipts.iter().map(|receipt| receipt.check.as_str()).collect();
    format!("{met} of {} checks are met: {}", receipts.len(), names.join(", "))
}

fn parked(why: &deploy_core::machine::Park) -> String {
    use deploy_core::machine::Park;
    match why {
        Park::UnknownOutcome { last: text }
        | Park::UndoFailed { reason: text }
        | Park::Drift { found: text }
        | Park::Overridden { reason: text } => text.clone(),
    }
}

//! The gate at the end of a phase: everything that its seats had to show, weighed at once.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use deploy_core::evidence::{Receipt, Verdict, Waiver};
use deploy_core::gate::{Gate, GateContext, GateDecision, GateError, Veto};
use deploy_core::name::{BlockName, CheckName};
use deploy_core::plan::StepPath;
use deploy_core::release::ReleaseKind;
use deploy_core::time::Timestamp;

use crate::gates::{Criterion, ReadinessMatrix};

/// What one step must have shown.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    /// The step.
    pub(super) step: StepPath,
    /// The kinds of release that it is part of.
    pub(super) kinds: BTreeSet<ReleaseKind>,
    /// What it verifies of its own work.
    pub(super) lines: Vec<CheckName>,
    /// The checks that it asks.
    pub(super) checks: Vec<CheckName>,
}

/// The gate at the end of a phase. The steps of the phase go on when a check of theirs is not met, so that everything is known at
/// once; this gate then lets the run pass only if all of it is met, by receipts of the engine's verifier.
///
/// Every check has a veto. A waiver in force turns the veto of its check into a condition, and excuses the verifications of the
/// step that the check belongs to, which fail with it.
#[derive(Debug, Clone)]
pub struct PhaseGate {
    name: BlockName,
    shown: Vec<Shown>,
    matrix: BTreeMap<CheckName, Criterion>,
    strict: BTreeSet<Criterion>,
}

/// How one check or verification stands.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GateRow {
    /// The check or verification.
    pub check: CheckName,
    /// The step that had to show it.
    pub step: StepPath,
    /// What the verifier said, a waiver taken into account; absent where nobody verified it.
    pub verdict: Option<Verdict>,
}

impl PhaseGate {
    pub(super) fn new(name: BlockName, shown: Vec<Shown>) -> Self {
        Self { name, shown, matrix: BTreeMap::new(), strict: BTreeSet::new() }
    }

    /// The same gate, whose checks are read into the readiness matrix.
    pub(super) fn matrix(mut self, matrix: BTreeMap<CheckName, Criterion>, strict: BTreeSet<Criterion>) -> Self {
        (self.matrix, self.strict) = (matrix, strict);
        self
    }

    /// Every check that the phase had to show, in order.
    #[must_use]
    pub fn rows(&self, cx: &GateContext) -> Vec<GateRow> {
        let mine = self.shown.iter().filter(|shown| shown.kinds.contains(&cx.release.kind));
        mine.flat_map(|shown| rows_of(shown, cx)).collect()
    }

    /// The six criteria of readiness, from the checks of the phase. Criteria that a release of this kind is not asked for do not
    /// apply.
    #[must_use]
    pub fn readiness(&self, cx: &GateContext) -> ReadinessMatrix {
        let mut matrix = self.strict.iter().fold(ReadinessMatrix::new(), |m, criterion| m.strict(*criterion));
        let mut judged = BTreeSet::new();
        for row in self.rows(cx) {
            let Some(criterion) = self.matrix.get(&row.check) else { continue };
            judged.insert(*criterion);
            let verdict =
                row.verdict.unwrap_or_else(|| Verdict::Fail { reason: format!("nobody verified {}", row.check) });
            matrix = matrix.verdict(*criterion, named(&row.check, verdict));
        }
        let asked = |criterion: &Criterion| {
            let checks = self.matrix.iter().filter(|(_, of)| *of == criterion).map(|(check, _)| check);
            let of_kind = || self.shown.iter().filter(|shown| shown.kinds.contains(&cx.release.kind));
            checks.into_iter().any(|check| of_kind().any(|shown| shown.checks.contains(check)))
        };
        for criterion in Criterion::ALL.into_iter().filter(|c| !judged.contains(c) && !asked(c)) {
            let reason = format!("a {} release is not asked for it", cx.release.kind);
            matrix = matrix.verdict(criterion, Verdict::NotApplicable { reason });
        }
        matrix
    }

    /// What it decides.
    #[must_use]
    pub fn decision(&self, cx: &GateContext) -> GateDecision {
        let rows = self.rows(cx);
        let of_rows = rows.iter().map(|row| weigh(row, cx.now.wall)).fold(GateDecision::Go, GateDecision::and);
        if self.matrix.is_empty() {
            return of_rows;
        }
        match (self.readiness(cx).decision(cx.now.wall), of_rows) {
            // The matrix names its criteria; the rows then say nothing new.
            (GateDecision::NoGo { mut vetoes }, GateDecision::NoGo { vetoes: more }) => {
                let beside = more
                    .into_iter()
                    .filter(|veto| CheckName::new(&veto.by).is_ok_and(|check| !self.matrix.contains_key(&check)));
                vetoes.extend(beside);
                GateDecision::NoGo { vetoes }
            }
            (matrix, rows) => matrix.and(rows),
        }
    }
}

/// A verdict whose words begin with the name of its check.
fn named(check: &CheckName, verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Fail { reason } if !reason.starts_with(check.as_str()) && !reason.starts_with("nobody") => {
            Verdict::Fail { reason: format!("{check}: {reason}") }
        }
        Verdict::Inconclusive { refusal } => {
            Verdict::Fail { reason: format!("{check}: its evidence was refused as {refusal}") }
        }
        Verdict::Concerns { remarks } => {
            Verdict::Concerns { remarks: remarks.into_iter().map(|r| format!("{check}: {r}")).collect() }
        }
        other => other,
    }
}

fn rows_of(shown: &Shown, cx: &GateContext) -> Vec<GateRow> {
    let none = Vec::new();
    let receipts: &[Receipt] = cx.reports.get(&shown.step).map_or(&none, |facts| &facts.receipts);
    let waiver = |check: &CheckName| cx.waivers.get(check).filter(|waiver| waiver.expires >= cx.now.wall);
    let mut excuse: Option<&Waiver> = None;
    let mut rows = Vec::new();
    for check in &shown.checks {
        let verdict = receipts.iter().rfind(|r| r.check == *check).map(read);
        let verdict = match (verdict, waiver(check)) {
            (Some(verdict), None) => Some(verdict),
            (Some(verdict), Some(_)) if verdict.is_met() => Some(verdict),
            (None, None) => None,
            (_, Some(waiver)) => {
                excuse = Some(waiver);
                Some(Verdict::Waived(waiver.clone()))
            }
        };
        rows.push(GateRow { check: check.clone(), step: shown.step.clone(), verdict });
    }
    for line in &shown.lines {
        let verdict = receipts.iter().rfind(|r| r.check == *line).map(read);
        let met = verdict.as_ref().is_some_and(Verdict::is_met);
        let verdict = match (met, excuse.or_else(|| waiver(line))) {
            (false, Some(waiver)) => Some(Verdict::Waived(waiver.clone())),
            _ => verdict,
        };
        rows.push(GateRow { check: line.clone(), step: shown.step.clone(), verdict });
    }
    rows
}

/// What a receipt says; one that read nothing says nothing.
fn read(receipt: &Receipt) -> Verdict {
    match &receipt.verdict {
        verdict if verdict.is_met() && receipt.read.is_empty() && !matches!(verdict, Verdict::Waived(_)) => {
            Verdict::Fail { reason: "nothing was read".to_owned() }
        }
        verdict => verdict.clone(),
    }
}

fn weigh(row: &GateRow, now: Timestamp) -> GateDecision {
    let veto = |reason: String| GateDecision::NoGo { vetoes: vec![Veto { by: row.check.to_string(), reason }] };
    match &row.verdict {
        None => veto(format!("nobody verified it in {}", row.step)),
        Some(Verdict::Waived(waiver)) if waiver.expires < now => {
            veto(format!("its waiver by {} expired at {}", waiver.person, waiver.expires))
        }
        // What the verifications of a step say is in the checks already.
        Some(Verdict::Concerns { .. } | Verdict::Waived(_)) if row.check.as_str().contains(':') => GateDecision::Go,
        Some(verdict) => crate::crew::deliverables::weigh(&row.check, verdict),
    }
}

#[async_trait]
impl Gate for PhaseGate {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    fn criterion(&self) -> String {
        let mut checks: Vec<&str> = Vec::new();
        for check in self.shown.iter().flat_map(|shown| &shown.checks) {
            if !checks.contains(&check.as_str()) {
                checks.push(check.as_str());
            }
        }
        match (self.matrix.is_empty(), checks.is_empty()) {
            (_, true) => "every step of the phase is done".to_owned(),
            (true, false) => format!("every step is verified, and so is: {}", checks.join(", ")),
            (false, false) => {
                format!("six criteria are met, each with a veto, and so is: {}", checks.join(", "))
            }
        }
    }

    /// # Cancel safety
    ///
    /// It only reads what it is shown.
    async fn evaluate(&self, cx: &GateContext) -> Result<GateDecision, GateError> {
        Ok(self.decision(cx))
    }
}

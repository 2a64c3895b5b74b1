//! Go or no-go, over every mandatory check.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use deploy_core::evidence::{Receipt, Verdict};
use deploy_core::gate::{Gate, GateContext, GateDecision, GateError, StepFacts, Veto};
use deploy_core::name::{BlockName, CheckName};
use deploy_core::plan::StepPath;
use deploy_core::time::Timestamp;

/// Opens when every mandatory check is met, by receipts alone: what agents say about themselves is not read.
///
/// Each check has a veto; nothing is weighed against anything. A check with remarks or a waiver lets the run pass with a
/// condition that the report carries. A check without a receipt is a veto: nobody has verified it.
///
/// ```
/// use deploy_agents::gates::GoNoGo;
/// use deploy_core::name::{BlockName, CheckName};
///
/// let gate = GoNoGo::new(BlockName::new("go-no-go")?, [CheckName::new("tests-pass")?, CheckName::new("no-critical-cve")?]);
/// # Ok::<(), deploy_core::name::NameError>(())
/// ```
#[derive(Debug, Clone)]
pub struct GoNoGo {
    name: BlockName,
    mandatory: Vec<CheckName>,
}

/// One row of the matrix: a check, where it was verified, and what that means for the run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VetoRow {
    /// The check.
    pub check: CheckName,
    /// The step whose report was verified; nothing if none was.
    pub step: Option<StepPath>,
    /// What the row decides.
    pub decision: GateDecision,
    /// The verdict in a word, and its reason.
    pub verdict: String,
}

/// Every mandatory check in one table. Its `Display` is the table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VetoMatrix {
    /// The rows, in the order of the gate's checks.
    pub rows: Vec<VetoRow>,
}

impl GoNoGo {
    /// A gate over these checks. With none it never opens: a gate that asks for nothing is a mistake.
    pub fn new(name: BlockName, mandatory: impl IntoIterator<Item = CheckName>) -> Self {
        Self { name, mandatory: mandatory.into_iter().collect() }
    }

    /// The table that the decision is read from.
    #[must_use]
    pub fn matrix(&self, cx: &GateContext) -> VetoMatrix {
        VetoMatrix { rows: self.mandatory.iter().map(|check| row(check, &cx.reports, cx)).collect() }
    }
}

impl VetoMatrix {
    /// Every veto wins over any condition; all of them are kept.
    #[must_use]
    pub fn decision(&self) -> GateDecision {
        self.rows.iter().map(|row| row.decision.clone()).fold(GateDecision::Go, GateDecision::and)
    }
}

/// The row of one check. Where several steps verified it, the worst verdict counts.
fn row(check: &CheckName, reports: &BTreeMap<StepPath, StepFacts>, cx: &GateContext) -> VetoRow {
    let receipts = reports.iter().flat_map(|(step, facts)| facts.receipts.iter().map(move |receipt| (step, receipt)));
    let of_check = receipts.filter(|(_, receipt)| receipt.check == *check);
    let rows = of_check.map(|(step, receipt)| read(step, receipt, cx));
    rows.max_by_key(|row| severity(&row.decision)).unwrap_or_else(|| match cx.waivers.get(check) {
        // A waiver in force answers for a check that nobody has verified.
        Some(waiver) if waiver.expires >= cx.now.wall => {
            let verdict = Verdict::Waived(waiver.clone());
            let (decision, verdict) = judge(check, &verdict, cx.now.wall);
            VetoRow { check: check.clone(), step: None, decision, verdict }
        }
        _ => {
            let why = "nobody has verified it";
            let decision = GateDecision::no_go(check.as_str(), why);
            VetoRow { check: check.clone(), step: None, decision, verdict: format!("absent: {why}") }
        }
    })
}

fn read(step: &StepPath, receipt: &Receipt, cx: &GateContext) -> VetoRow {
    // A waiver that was given after the check was verified counts as well.
    let waived = cx.waivers.get(&receipt.check).filter(|w| w.expires >= cx.now.wall && !receipt.verdict.is_met());
    let verdict = waived.map_or_else(|| receipt.verdict.clone(), |waiver| Verdict::Waived(waiver.clone()));
    let (decision, verdict) = judge(&receipt.check, &verdict, cx.now.wall);
    VetoRow { check: receipt.check.clone(), step: Some(step.clone()), decision, verdict }
}

/// What a verdict means for the run, and how it reads.
fn judge(check: &CheckName, verdict: &Verdict, now: Timestamp) -> (GateDecision, String) {
    let conditions = |conditions| GateDecision::Conditional { conditions };
    match verdict {
        Verdict::Pass => (GateDecision::Go, "pass".to_owned()),
        Verdict::NotApplicable { reason } => (GateDecision::Go, format!("not applicable: {reason}")),
        Verdict::Concerns { remarks } => {
            let said = remarks.join("; ");
            (conditions(vec![format!("{check}: {said}")]), format!("concerns: {said}"))
        }
        Verdict::Waived(waiver) if waiver.expires < now => {
            let why = format!("its waiver by {} expired at {}", waiver.person.subject, waiver.expires);
            (GateDecision::no_go(check.as_str(), &why), format!("waiver expired: {why}"))
        }
        Verdict::Waived(waiver) => {
            let why = format!("waived by {} until {}: {}", waiver.person.subject, waiver.expires, waiver.reason);
            (conditions(vec![format!("{check} is {why}")]), why)
        }
        Verdict::Fail { reason } => (GateDecision::no_go(check.as_str(), reason), format!("fail: {reason}")),
        Verdict::Inconclusive { refusal } => {
            let why = format!("its evidence was refused as {refusal}");
            (GateDecision::no_go(check.as_str(), &why), format!("inconclusive: {refusal}"))
        }
    }
}

fn severity(decision: &GateDecision) -> u8 {
    match decision {
        GateDecision::Go => 0,
        GateDecision::Conditional { .. } => 1,
        GateDecision::Hold { .. } => 2,
        GateDecision::NoGo { .. } => 3,
    }
}

impl fmt::Display for VetoMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest =
            |texts: &dyn Fn(&VetoRow) -> usize, least| self.rows.iter().map(texts).max().unwrap_or(0).max(least);
        let check = widest(&|row| row.check.as_str().len(), "check".len());
        let step = widest(&|row| row.step.as_ref().map_or(1, |step| step.as_str().len()), "verified in".len());
        writeln!(f, "{:check$}  {:step$}  {:11}  verdict", "check", "verified in", "decision")?;
        for row in &self.rows {
            let at = row.step.as_ref().map_or("-", StepPath::as_str);
            let decision = match &row.decision {
                GateDecision::Go => "go",
                GateDecision::Conditional { .. } => "conditional",
                GateDecision::Hold { .. } => "hold",
                GateDecision::NoGo { .. } => "veto",
            };
            writeln!(f, "{:check$}  {at:step$}  {decision:11}  {}", row.check, row.verdict)?;
        }
        Ok(())
    }
}

#[async_trait]
impl Gate for GoNoGo {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    fn criterion(&self) -> String {
        let checks: Vec<&str> = self.mandatory.iter().map(CheckName::as_str).collect();
        format!("every mandatory check is met: {}", checks.join(", "))
    }

    async fn evaluate(&self, cx: &GateContext) -> Result<GateDecision, GateError> {
        if self.mandatory.is_empty() {
            let reason = "this gate names no check, so that nothing could open it".to_owned();
            return Ok(GateDecision::NoGo { vetoes: vec![Veto { by: self.name.to_string(), reason }] });
        }
        Ok(self.matrix(cx).decision())
    }
}

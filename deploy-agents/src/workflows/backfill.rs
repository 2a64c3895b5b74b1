//! What was waived in an emergency, and must be made good.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use deploy_core::evidence::{Receipt, Waiver};
use deploy_core::gate::{Gate, GateContext, GateDecision, GateError, Veto};
use deploy_core::name::{BlockName, CheckName, ServiceName};
use deploy_core::operator::{Act, OperatorInput};
use deploy_core::plan::{Plan, Work};
use deploy_core::release::ReleaseKind;
use deploy_core::time::Timestamp;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

/// A check that somebody answers for instead, and until when it must be carried out after all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Backfill {
    /// The check.
    pub check: CheckName,
    /// Which service it was waived for.
    pub service: ServiceName,
    /// Which commit.
    pub commit: Option<String>,
    /// Who waived it, why, and until when that holds.
    pub waiver: Waiver,
    /// Until when it must be carried out.
    pub due: Timestamp,
    /// When it was, and what it read; absent: not yet.
    #[serde(default)]
    pub done: Option<(Timestamp, Receipt)>,
}

/// Why a waiver was not written down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackfillError {
    /// Nobody says why: give the reason.
    #[error("the waiver of {0} gives no reason")]
    NoReason(CheckName),
    /// It is due after the waiver ended: make it due earlier, or let the waiver hold longer.
    #[error("{0} is due after its waiver has expired")]
    DueTooLate(CheckName),
    /// The receipt is of another check, or does not show that it is met.
    #[error("the receipt does not show that {0} is met")]
    NotShown(CheckName),
}

impl Backfill {
    /// A check that is waived for a release of this service.
    ///
    /// # Errors
    ///
    /// [`BackfillError`] where the waiver has no reason, or would end before the check is due.
    pub fn new(
        check: CheckName,
        service: ServiceName,
        commit: Option<String>,
        waiver: Waiver,
        due: Timestamp,
    ) -> Result<Self, BackfillError> {
        if waiver.reason.trim().is_empty() {
            return Err(BackfillError::NoReason(check));
        }
        if waiver.expires < due {
            return Err(BackfillError::DueTooLate(check));
        }
        Ok(Self { check, service, commit, waiver, due, done: None })
    }

    /// What the person says to a run of this plan: a waiver at each gate that asks for the check.
    #[must_use]
    pub fn inputs(&self, plan: &Plan) -> Vec<OperatorInput> {
        let asks = |work: &Work| matches!(work, Work::Gate { gate: Some(_), .. });
        let gates = plan.phases.iter().map(|phase| phase.exit).filter_map(|exit| plan.step(exit));
        let gates = gates.filter(|step| asks(&step.work) && verified_in(plan, step.phase, &self.check));
        let said = gates.map(|step| {
            let act =
                Act::Waive { step: step.path.clone(), check: Some(self.check.clone()), expires: self.waiver.expires };
            OperatorInput::new(self.waiver.person.clone(), self.waiver.reason.clone(), act)
        });
        said.collect()
    }

    /// Writes down that it was carried out.
    ///
    /// # Errors
    ///
    /// [`BackfillError::NotShown`] unless the receipt is of this check, read something, and is met without a waiver.
    pub fn settle(&mut self, at: Timestamp, receipt: Receipt) -> Result<(), BackfillError> {
        let waived = matches!(receipt.verdict, deploy_core::evidence::Verdict::Waived(_));
        if receipt.check != self.check || receipt.read.is_empty() || waived || !receipt.verdict.is_met() {
            return Err(BackfillError::NotShown(self.check.clone()));
        }
        self.done = Some((at, receipt));
        Ok(())
    }

    /// Whether it should have been carried out by now.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.done.is_none() && self.due < now
    }
}

/// Whether the gate at the end of this phase speaks of the check: its criterion names it.
fn verified_in(plan: &Plan, phase: u32, check: &CheckName) -> bool {
    let exit = plan.phases.get(phase as usize).and_then(|phase| plan.step(phase.exit));
    exit.is_some_and(|step| match &step.work {
        Work::Gate { criterion, .. } => criterion.split([' ', ',', ':']).any(|word| word == check.as_str()),
        _ => false,
    })
}

type ReadAll = dyn Fn() -> BoxFuture<'static, Result<Vec<Backfill>, GateError>> + Send + Sync;

/// Where a host keeps what must be made good.
///
/// ```
/// use deploy_agents::workflows::Backfills;
///
/// let none = Backfills::new(|| async { Ok(Vec::new()) });
/// ```
#[derive(Clone)]
pub struct Backfills(Arc<ReadAll>);

impl Backfills {
    /// What `read` finds, each time it is asked.
    pub fn new<F, R>(read: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<Backfill>, GateError>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(read())))
    }

    /// All of them.
    ///
    /// # Errors
    ///
    /// [`GateError`] where nobody could look.
    ///
    /// # Cancel safety
    ///
    /// It only reads.
    pub async fn read(&self) -> Result<Vec<Backfill>, GateError> {
        (self.0)().await
    }
}

impl fmt::Debug for Backfills {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Backfills")
    }
}

/// A gate that stays shut while something that was waived for the service is overdue.
///
/// Rows: M137.
#[derive(Debug, Clone)]
pub struct BackfillGate {
    name: BlockName,
    backfills: Backfills,
}

impl BackfillGate {
    /// A gate over these.
    #[must_use]
    pub fn new(name: BlockName, backfills: Backfills) -> Self {
        Self { name, backfills }
    }
}

#[async_trait]
impl Gate for BackfillGate {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    fn criterion(&self) -> String {
        "nothing that was waived for the service is overdue".to_owned()
    }

    /// # Cancel safety
    ///
    /// It only reads.
    async fn evaluate(&self, cx: &GateContext) -> Result<GateDecision, GateError> {
        let all = self.backfills.read().await?;
        let overdue = all.iter().filter(|b| b.service == cx.release.service && b.is_overdue(cx.now.wall));
        let vetoes: Vec<Veto> = overdue
            .map(|backfill| Veto {
                by: backfill.check.to_string(),
                reason: format!(
                    "it was waived by {} ({}) and was to be made good by {}",
                    backfill.waiver.person, backfill.waiver.reason, backfill.due
                ),
            })
            .collect();
        Ok(if vetoes.is_empty() { GateDecision::Go } else { GateDecision::NoGo { vetoes } })
    }
}

/// A gate for emergencies: what is waived in the run must be written down with the time by which it is made good.
#[derive(Debug, Clone)]
pub(super) struct WaiverGate {
    pub(super) name: BlockName,
    pub(super) backfills: Option<Backfills>,
}

#[async_trait]
impl Gate for WaiverGate {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    fn criterion(&self) -> String {
        "what an emergency waives is written down with the time by which it is made good".to_owned()
    }

    async fn evaluate(&self, cx: &GateContext) -> Result<GateDecision, GateError> {
        if cx.release.kind != ReleaseKind::EmergencyPatch || cx.waivers.is_empty() {
            return Ok(GateDecision::Go);
        }
        let known = match &self.backfills {
            Some(backfills) => backfills.read().await?,
            None => Vec::new(),
        };
        let written = |check: &CheckName, waiver: &Waiver| {
            known.iter().any(|b| {
                b.check == *check
                    && b.service == cx.release.service
                    && b.commit == cx.release.change.commit
                    && b.waiver.person.subject == waiver.person.subject
            })
        };
        let missing: BTreeMap<&CheckName, &Waiver> =
            cx.waivers.iter().filter(|(check, waiver)| !written(check, waiver)).collect();
        let vetoes: Vec<Veto> = missing
            .into_iter()
            .map(|(check, waiver)| Veto {
                by: check.to_string(),
                reason: format!("{} waives it, and nobody wrote down until when it is made good", waiver.person),
            })
            .collect();
        Ok(if vetoes.is_empty() { GateDecision::Go } else { GateDecision::NoGo { vetoes } })
    }
}

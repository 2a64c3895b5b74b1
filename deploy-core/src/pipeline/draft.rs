//! What the host has said so far, unchecked.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::StepRef;
use crate::agent::Agent;
use crate::deliverable::DeliverableKey;
use crate::evidence::{Check, Verification};
use crate::gate::Gate;
use crate::journal::QueuePolicy;
use crate::monitor::Monitor;
use crate::operator::ApprovalRequest;
use crate::plan::{InFlightPolicy, OnFailure, RetryPolicy, RollbackTo};
use crate::release::ReleaseKind;
use crate::strategy::Strategy;
use crate::target::Target;

#[derive(Debug)]
pub(super) struct Draft {
    pub(super) serial: u64,
    pub(super) name: String,
    pub(super) rollback: Option<RollbackTo>,
    pub(super) queue: QueuePolicy,
    pub(super) in_flight: InFlightPolicy,
    pub(super) width: u32,
    pub(super) phases: Vec<PhaseDraft>,
    pub(super) steps: Vec<StepDraft>,
    /// The first before the second.
    pub(super) orders: Vec<(StepRef, StepRef)>,
    /// To the first, under the key, from the last.
    pub(super) supplies: Vec<(StepRef, DeliverableKey, StepRef)>,
    pub(super) checks: Vec<Check>,
}

#[derive(Debug)]
pub(super) struct PhaseDraft {
    pub(super) name: String,
    pub(super) lead: Option<Arc<dyn Agent>>,
    pub(super) supporting: Vec<Arc<dyn Agent>>,
    pub(super) entry: Vec<Arc<dyn Gate>>,
    pub(super) exit: Vec<Arc<dyn Gate>>,
    pub(super) hold_at_most: Duration,
    pub(super) promises: Vec<DeliverableKey>,
    pub(super) only_for: Option<BTreeSet<ReleaseKind>>,
}

#[derive(Debug)]
pub(super) struct StepDraft {
    pub(super) phase: usize,
    pub(super) name: String,
    pub(super) work: WorkDraft,
    pub(super) after: Vec<StepRef>,
    pub(super) timeout: Duration,
    pub(super) retry: RetryPolicy,
    pub(super) on_failure: OnFailure,
    pub(super) only_for: Option<BTreeSet<ReleaseKind>>,
}

#[derive(Debug)]
pub(super) enum WorkDraft {
    Task(TaskDraft),
    Gate { gate: Arc<dyn Gate>, hold_at_most: Duration },
    Approval(ApprovalRequest),
    Soak(Duration),
    Rollout(RolloutDraft),
}

#[derive(Debug)]
pub(super) struct TaskDraft {
    pub(super) agent: Arc<dyn Agent>,
    pub(super) undo: Option<Arc<dyn Agent>>,
    pub(super) undo_retry: RetryPolicy,
    pub(super) undo_timeout: Duration,
    pub(super) inputs: Vec<(DeliverableKey, StepRef)>,
    pub(super) verifications: Vec<Verification>,
    pub(super) no_return: Option<(String, ApprovalRequest)>,
}

#[derive(Debug)]
pub(super) struct RolloutDraft {
    pub(super) strategy: Arc<dyn Strategy>,
    pub(super) target: Arc<dyn Target>,
    pub(super) monitors: Vec<Arc<dyn Monitor>>,
    pub(super) observe_every: Duration,
    pub(super) errors_at_most: u32,
    pub(super) reassert_at_most: u32,
    pub(super) undo_timeout: Duration,
    pub(super) blast_radius: Option<Duration>,
}
